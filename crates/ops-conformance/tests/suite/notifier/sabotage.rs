//! The wrapper that does one thing wrong.

use std::fmt;

use ops_conformance::async_trait;
use ops_core::id::{DedupKey, DeliveryId, ProviderId};
use ops_core::memory::MemoryNotifier;
use ops_core::monitor::{DeployMarker, DeployMarkers};
use ops_core::notifier::{
    Delivery, DeliveryState, DeliveryStatus, Notification, NotificationEvent, Notifier,
    NotifierLimits,
};
use ops_core::{Error, Result};

use crate::saboteur::{Saboteur, wrong};

mod alerts;
mod texts;

pub(super) const CREDENTIAL: &str = "canary-desk-7f3a9d61c0";

pub(super) type Sabotaged = Saboteur<MemoryNotifier, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    history: Vec<(DedupKey, String, NotificationEvent)>,
    pending: Vec<String>,
    first_id: Option<DeliveryId>,
    ended: Vec<DeliveryId>,
    was_refused: bool,
}

impl Sabotaged {
    /// Whether a fault refuses a notification.
    fn refuses(&self, notification: &Notification) -> bool {
        let Notification {
            title,
            body,
            details,
            ..
        } = notification;
        let details: usize = details.values().map(String::len).sum();
        let body = body.as_deref().unwrap_or_default();
        let key = notification.dedup_key.as_str();
        match self.fault() {
            "N-010" => notification.source.is_none(),
            "N-014" => format!("{:?}", notification.severity) == "P3",
            "N-030" => body.contains("and more"),
            "N-031" => title.len() > 1_000,
            "N-032" => details > 10_000,
            "N-037" => key.len() == 255,
            "N-038" => key.contains('\\'),
            _ => title == "the disk is full" && self.refuses_event(notification),
        }
    }

    fn refuses_event(&self, notification: &Notification) -> bool {
        let open = self.memory().open_alerts();
        let key = &notification.dedup_key;
        let is_open = open.iter().any(|alert| alert.dedup_key == *key);
        let refused = match (notification.event, is_open) {
            (NotificationEvent::Reminder, true) => "N-011",
            (NotificationEvent::Acknowledged, true) => "N-012",
            (NotificationEvent::Resolved, true) => "N-013",
            (NotificationEvent::Reminder, false) => "N-015",
            (NotificationEvent::Acknowledged, false) => "N-016",
            (NotificationEvent::Resolved, false) => "N-017",
            (NotificationEvent::Firing, true) => "N-018",
            _ => return false,
        };
        self.is(refused)
    }

    /// What a fault makes of a refusal.
    async fn excuse(&self, err: Error, notification: Notification) -> Result<Delivery> {
        self.notes().was_refused = true;
        match self.fault() {
            "N-002" => Err(Error::new(err.kind(), "sabotaged")),
            "N-004" => Ok(Delivery::new(DeliveryState::Accepted)),
            "N-005" => {
                self.memory().notify(notification).await?;
                Err(err)
            }
            _ => Err(err),
        }
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = if self.is("N-003") { CREDENTIAL } else { "" };
        write!(f, "Sabotaged({}, {address})", self.fault())
    }
}

#[async_trait]
impl Notifier for Sabotaged {
    fn provider(&self) -> ProviderId {
        if self.is("nameless") {
            return ProviderId::from_static("");
        }
        self.memory().provider()
    }

    fn limits(&self) -> NotifierLimits {
        self.memory().limits()
    }

    async fn notify(&self, notification: Notification) -> Result<Delivery> {
        if self.is("N-019") {
            self.wait_for_permit().await?;
        }
        let is_after_refusal = self.is("N-006") && self.notes().was_refused;
        if is_after_refusal || self.refuses(&notification) {
            return wrong();
        }
        let mut notification = self.twisted(notification).await;
        self.move_others(&mut notification).await;
        let mut delivery = match self.memory().notify(notification.clone()).await {
            Err(err) => return self.excuse(err, notification).await,
            Ok(delivery) => delivery,
        };
        if self.is("N-071") {
            delivery.id = None;
        }
        if self.is("N-072") {
            let mut notes = self.notes();
            let id = notes.first_id.get_or_insert(delivery.id.unwrap());
            delivery.id = Some(id.clone());
        }
        Ok(delivery)
    }

    fn as_delivery_status(&self) -> Option<&dyn DeliveryStatus> {
        (!self.is_bare()).then_some(self as &dyn DeliveryStatus)
    }

    fn as_deploy_markers(&self) -> Option<&dyn DeployMarkers> {
        (!self.is_bare() && !self.is("N-001")).then_some(self as &dyn DeployMarkers)
    }
}

#[async_trait]
impl DeliveryStatus for Sabotaged {
    async fn delivery(&self, delivery: &DeliveryId) -> Result<Delivery> {
        let mut asked = delivery.clone();
        if self.is("N-077") {
            asked = DeliveryId::new(delivery.as_str().split('?').next().unwrap())?;
        }
        let mut seen = match self.memory().delivery(&asked).await {
            Err(_) if self.is("N-076") && delivery.as_str().starts_with("ops-test") => {
                return wrong();
            }
            seen => seen?,
        };
        match &mut seen.state {
            state @ DeliveryState::Delivered if self.is("N-070") => *state = DeliveryState::Sent,
            DeliveryState::Failed(reason) if self.is("N-075") => reason.clear(),
            _ => {}
        }
        if self.is("N-073") {
            seen.id = None;
        }
        if self.is("N-074") && seen.state.is_terminal() {
            let mut notes = self.notes();
            if notes.ended.contains(delivery) {
                seen.state = DeliveryState::Accepted;
            }
            notes.ended.push(delivery.clone());
        }
        Ok(seen)
    }
}

#[async_trait]
impl DeployMarkers for Sabotaged {
    async fn mark_deploy(&self, mut marker: DeployMarker) -> Result<()> {
        let is_lost = (self.is("N-080") && marker.version == "1.4.2")
            || (self.is("N-081") && marker.commit.is_some());
        if is_lost {
            return Ok(());
        }
        if self.is("N-082") {
            marker.version.retain(|c| c.is_ascii());
        }
        self.memory().mark_deploy(marker).await
    }
}
