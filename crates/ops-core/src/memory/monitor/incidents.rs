//! Incidents, status pages and maintenance.

use std::cmp::Reverse;

use async_trait::async_trait;

use super::super::{error, missing};
use super::state::window_state;
use super::uptime::require_all;
use super::{MemoryMonitor, ReceivedStatusUpdate};
use crate::error::{ErrorKind, Result};
use crate::id::{IncidentId, MaintenanceId, StatusPageId};
use crate::memory::items;
use crate::monitor::{
    CreateMaintenanceRequest, Incident, IncidentQuery, IncidentState, Incidents, MaintenanceState,
    MaintenanceWindow, MaintenanceWindows, OpenIncidentRequest, StatusPage, StatusPages,
    StatusUpdate,
};
use crate::object_store::{DeleteOutcome, ItemStream};
use crate::time::Timestamp;

impl MemoryMonitor {
    fn change_incident(
        &self,
        operation: &'static str,
        incident: &IncidentId,
        change: impl FnOnce(&mut Incident, Timestamp) -> Result<()>,
    ) -> Result<Incident> {
        let now = self.0.clock.now();
        self.with(|all| {
            let found = all.incidents.get_mut(incident);
            let incident = found.ok_or_else(|| missing(operation, incident))?;
            change(incident, now)?;
            Ok(incident.clone())
        })
    }
}

#[async_trait]
impl Incidents for MemoryMonitor {
    async fn open_incident(&self, request: OpenIncidentRequest) -> Result<Incident> {
        let now = self.0.clock.now();
        self.with(|all| {
            let is_same = |incident: &&Incident| {
                incident.key.as_ref() == Some(&request.key)
                    && incident.state != IncidentState::Resolved
            };
            if let Some(open) = all.incidents.values().find(is_same) {
                return Ok(open.clone());
            }
            let id = IncidentId::new(format!("incident-{}", all.sequence.next()))?;
            let incident = Incident::new(id.clone(), request.title, IncidentState::Open)
                .with_key(request.key)
                .with_severity(request.severity)
                .with_opened_at(now);
            all.incidents.insert(id, incident.clone());
            Ok(incident)
        })
    }

    async fn incident(&self, incident: &IncidentId) -> Result<Incident> {
        self.change_incident("monitor.incident", incident, |_, _| Ok(()))
    }

    fn list_incidents(&self, query: IncidentQuery) -> ItemStream<Incident> {
        let listed = self.with(|all| {
            let matches = |incident: &&Incident| {
                query
                    .state
                    .as_ref()
                    .is_none_or(|state| *state == incident.state)
                    && query
                        .since
                        .is_none_or(|since| incident.opened_at >= Some(since))
            };
            let mut incidents: Vec<_> = all.incidents.values().filter(matches).cloned().collect();
            incidents.sort_by_key(|incident| Reverse(incident.opened_at));
            Ok(incidents)
        });
        items::of(listed)
    }

    async fn acknowledge_incident(&self, incident: &IncidentId) -> Result<Incident> {
        let operation = "monitor.acknowledge_incident";
        self.change_incident(operation, incident, |incident, now| {
            if incident.state == IncidentState::Resolved {
                let message = format!("{} is resolved", incident.id);
                return Err(error(ErrorKind::Conflict, operation, message));
            }
            incident.state = IncidentState::Acknowledged;
            incident.acknowledged_at.get_or_insert(now);
            Ok(())
        })
    }

    async fn resolve_incident(&self, incident: &IncidentId) -> Result<Incident> {
        self.change_incident("monitor.resolve_incident", incident, |incident, now| {
            incident.state = IncidentState::Resolved;
            incident.resolved_at.get_or_insert(now);
            Ok(())
        })
    }
}

#[async_trait]
impl StatusPages for MemoryMonitor {
    fn list_status_pages(&self) -> ItemStream<StatusPage> {
        let pages = self.with(|all| {
            Ok(all
                .pages
                .values()
                .map(|(page, _)| page.clone())
                .collect::<Vec<_>>())
        });
        items::of(pages)
    }

    async fn status_page(&self, page: &StatusPageId) -> Result<StatusPage> {
        self.with(|all| {
            let found = all.pages.get(page).map(|(page, _)| page.clone());
            found.ok_or_else(|| missing("monitor.status_page", page))
        })
    }

    async fn post_status_update(&self, page: &StatusPageId, update: StatusUpdate) -> Result<()> {
        let at = self.0.clock.now();
        self.with(|all| {
            let found = all.pages.get_mut(page);
            let found = found.ok_or_else(|| missing("monitor.post_status_update", page))?;
            let (page, updates) = found;
            page.updated_at = Some(at);
            if let Some(status) = &update.status {
                page.status = Some(status.clone());
            }
            updates.push(ReceivedStatusUpdate { at, update });
            Ok(())
        })
    }
}

#[async_trait]
impl MaintenanceWindows for MemoryMonitor {
    async fn create_maintenance(
        &self,
        request: CreateMaintenanceRequest,
    ) -> Result<MaintenanceWindow> {
        let operation = "monitor.create_maintenance";
        let now = self.0.clock.now();
        let ends_at = request.starts_at.saturating_add(request.duration);
        self.with(|all| {
            let key = request.idempotency_key.as_ref();
            if let Some(id) = all.scheduled.find(operation, key, &request)? {
                let id = MaintenanceId::new(id)?;
                return all
                    .windows
                    .get(&id)
                    .cloned()
                    .ok_or_else(|| missing(operation, &id));
            }
            if request.duration.is_zero() || ends_at <= now {
                let message = "the window has no length or is over";
                return Err(error(ErrorKind::InvalidInput, operation, message));
            }
            require_all(all, operation, &request.monitors)?;
            let id = MaintenanceId::new(format!("maintenance-{}", all.sequence.next()))?;
            let mut window = MaintenanceWindow::new(
                id.clone(),
                request.title.as_str(),
                MaintenanceState::Scheduled,
                request.starts_at,
                ends_at,
            )
            .with_monitors(request.monitors.clone());
            window.state = window_state(&window, now);
            all.windows.insert(id.clone(), window.clone());
            all.scheduled
                .remember(request.idempotency_key.clone(), &request, id.as_str());
            Ok(window)
        })
    }

    fn list_maintenance(&self) -> ItemStream<MaintenanceWindow> {
        let now = self.0.clock.now();
        let windows = self.with(|all| {
            let windows = all.windows.values().cloned().map(|mut window| {
                window.state = window_state(&window, now);
                window
            });
            Ok(windows.collect::<Vec<_>>())
        });
        items::of(windows)
    }

    async fn delete_maintenance(&self, maintenance: &MaintenanceId) -> Result<DeleteOutcome> {
        self.with(|all| {
            Ok(match all.windows.remove(maintenance) {
                Some(_) => DeleteOutcome::Deleted,
                None => DeleteOutcome::AlreadyGone,
            })
        })
    }
}
