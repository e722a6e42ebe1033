//! Incidents, pages and windows, with their faults.

use std::time::Duration;

use futures_util::TryStreamExt;
use ops_conformance::async_trait;
use ops_core::id::{IncidentId, MaintenanceId, StatusPageId};
use ops_core::monitor::{
    CreateMaintenanceRequest, Incident, IncidentQuery, IncidentState, Incidents, MaintenanceWindow,
    MaintenanceWindows, OpenIncidentRequest, PageStatus, StatusPage, StatusPages, StatusUpdate,
};
use ops_core::{Clock, DeleteOutcome, Error, ErrorKind, ItemStream, Result, SystemClock};

use super::sabotage::{Sabotaged, changed, doubled};
use crate::saboteur::wrong;

impl Sabotaged {
    /// Whether an incident was handed in before, and remembers it.
    fn is_seen(&self, incident: &IncidentId) -> bool {
        let mut notes = self.notes();
        let is_seen = notes.seen.contains(incident);
        notes.seen.push(incident.clone());
        is_seen
    }
}

#[async_trait]
impl Incidents for Sabotaged {
    async fn open_incident(&self, mut request: OpenIncidentRequest) -> Result<Incident> {
        let all = self.memory().list_incidents(IncidentQuery::default());
        let all: Vec<Incident> = all.try_collect().await?;
        let same = all
            .into_iter()
            .find(|each| each.key.as_ref() == Some(&request.key));
        match same {
            Some(same) if self.is("M-081") && same.state != IncidentState::Resolved => {
                request.key.push_str("-2");
            }
            Some(same) if self.is("M-086") => return Ok(same),
            _ => {}
        }
        let mut opened = self.memory().open_incident(request).await?;
        if self.is("M-080") {
            opened.title.clear();
        }
        Ok(opened)
    }

    async fn incident(&self, incident: &IncidentId) -> Result<Incident> {
        let mut seen = match self.memory().incident(incident).await {
            Err(err) if self.is("M-087") && err.is_not_found() => return wrong(),
            seen => seen?,
        };
        if self.is("M-083") {
            seen.state = IncidentState::Open;
        }
        Ok(seen)
    }

    fn list_incidents(&self, mut query: IncidentQuery) -> ItemStream<Incident> {
        if self.is("M-089") {
            query.state = None;
        }
        let listed = self.memory().list_incidents(query);
        if self.is("M-090") {
            return changed(listed, |mut all| {
                all.reverse();
                all
            });
        }
        listed
    }

    async fn acknowledge_incident(&self, incident: &IncidentId) -> Result<Incident> {
        if self.is("M-082") && self.is_seen(incident) {
            return Err(Error::new(ErrorKind::Conflict, "sabotaged"));
        }
        match self.memory().acknowledge_incident(incident).await {
            Err(_) if self.is("M-085") => self.memory().incident(incident).await,
            taken => taken,
        }
    }

    async fn resolve_incident(&self, incident: &IncidentId) -> Result<Incident> {
        if self.is("M-084") && self.is_seen(incident) {
            return Err(Error::new(ErrorKind::Conflict, "sabotaged"));
        }
        match self.memory().resolve_incident(incident).await {
            Err(err) if self.is("M-088") && err.is_not_found() => wrong(),
            resolved => resolved,
        }
    }
}

#[async_trait]
impl StatusPages for Sabotaged {
    fn list_status_pages(&self) -> ItemStream<StatusPage> {
        let listed = self.memory().list_status_pages();
        if self.is("M-100") {
            return doubled(listed, self.memory().list_status_pages());
        }
        listed
    }

    async fn status_page(&self, page: &StatusPageId) -> Result<StatusPage> {
        let mut seen = match self.memory().status_page(page).await {
            Err(err) if self.is("M-101") && err.is_not_found() => return wrong(),
            seen => seen?,
        };
        if self.is("M-103") {
            seen.status = Some(PageStatus::Operational);
        }
        Ok(seen)
    }

    async fn post_status_update(&self, page: &StatusPageId, update: StatusUpdate) -> Result<()> {
        let is_there = self.memory().status_page(page).await.is_ok();
        if (self.is("M-102") && is_there) || (self.is("M-104") && !is_there) {
            return Ok(());
        }
        self.memory().post_status_update(page, update).await
    }
}

#[async_trait]
impl MaintenanceWindows for Sabotaged {
    async fn create_maintenance(
        &self,
        mut request: CreateMaintenanceRequest,
    ) -> Result<MaintenanceWindow> {
        if let Some(key) = request.idempotency_key.clone() {
            let is_known = self.notes().keys.contains(&key);
            self.notes().keys.push(key);
            if self.is("M-112") && is_known {
                request.idempotency_key = None;
            }
        }
        if self.is("M-115") {
            request.monitors.clear();
        }
        if self.is("M-113") && request.duration.is_zero() {
            request.duration = Duration::from_secs(1);
        }
        let mut again = request.clone();
        let mut made = match self.memory().create_maintenance(request).await {
            Err(err)
                if self.is("M-114")
                    && err.kind() == ErrorKind::InvalidInput
                    && !again.duration.is_zero() =>
            {
                again.starts_at = SystemClock.now();
                self.memory().create_maintenance(again).await?
            }
            made => made?,
        };
        if self.is("M-111") {
            made.ends_at = made.starts_at;
        }
        Ok(made)
    }

    fn list_maintenance(&self) -> ItemStream<MaintenanceWindow> {
        let listed = self.memory().list_maintenance();
        if self.is("M-110") {
            return doubled(listed, self.memory().list_maintenance());
        }
        listed
    }

    async fn delete_maintenance(&self, maintenance: &MaintenanceId) -> Result<DeleteOutcome> {
        if self.is("M-116") {
            return Ok(DeleteOutcome::Gone);
        }
        match self.memory().delete_maintenance(maintenance).await? {
            DeleteOutcome::AlreadyGone if self.is("M-117") => {
                Err(Error::not_found(maintenance.as_str()))
            }
            outcome => Ok(outcome),
        }
    }
}
