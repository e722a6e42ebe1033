//! A destination of notifications in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{PROVIDER, Sequence, error, lock, missing};
use crate::error::{ErrorKind, Result};
use crate::id::{DedupKey, DeliveryId, ProviderId};
use crate::monitor::{DeployMarker, DeployMarkers};
use crate::notifier::{
    Delivery, DeliveryState, DeliveryStatus, Notification, NotificationEvent, Notifier,
    NotifierLimits,
};
use crate::time::{Clock, SystemClock, Timestamp};

/// A notification that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedNotification {
    /// When.
    pub at: Timestamp,
    /// What was received: [`Notification::scrubbed`].
    pub notification: Notification,
    /// What people read: [`Notification::plain_text_within`] the limit.
    pub text: String,
}

/// A destination of notifications in memory, which keeps alerts, with every ability.
///
/// Clones are the same destination. A delivery advances by one step each time
/// [`delivery`](DeliveryStatus::delivery) looks at it: accepted, sent, delivered.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::memory::MemoryNotifier;
/// use ops_core::{NotifierExt, Timestamp};
///
/// let notifier = MemoryNotifier::new();
/// notifier.send_test("shop:prod", Timestamp::UNIX_EPOCH).await?;
/// assert_eq!(notifier.received().len(), 2);
/// assert!(notifier.open_alerts().is_empty());
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryNotifier {
    shared: Arc<Shared>,
    limits: NotifierLimits,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    received: Vec<ReceivedNotification>,
    open: BTreeMap<DedupKey, Notification>,
    deliveries: BTreeMap<DeliveryId, (DeliveryState, Option<String>)>,
    markers: Vec<DeployMarker>,
    refuse_next: Option<(ErrorKind, String)>,
    lose_next: Option<String>,
    sequence: Sequence,
}

impl MemoryNotifier {
    /// A destination that has received nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// A destination that has received nothing, with a clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::default();
        Self {
            shared: Arc::new(Shared { clock, state }),
            limits: NotifierLimits::default(),
        }
    }

    /// The same destination with these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: NotifierLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the next notification fail with an error of this kind.
    pub fn refuse_next(&self, kind: ErrorKind, message: &str) {
        lock(&self.shared.state).refuse_next = Some((kind, message.to_owned()));
    }

    /// Makes the next notification be accepted and then fail to arrive, for this reason.
    pub fn lose_next(&self, reason: &str) {
        lock(&self.shared.state).lose_next = Some(reason.to_owned());
    }

    /// What was received, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedNotification> {
        lock(&self.shared.state).received.clone()
    }

    /// The last notification of each alert that is not resolved, by dedup key.
    #[must_use]
    pub fn open_alerts(&self) -> Vec<Notification> {
        lock(&self.shared.state).open.values().cloned().collect()
    }

    /// The marks that were received, oldest first.
    #[must_use]
    pub fn markers(&self) -> Vec<DeployMarker> {
        lock(&self.shared.state).markers.clone()
    }
}

impl Default for MemoryNotifier {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNotifier")
            .field("received", &lock(&self.shared.state).received.len())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Moves the alert that a notification is about.
    fn move_alert(&mut self, notification: &Notification) {
        let key = notification.dedup_key.clone();
        match notification.event {
            NotificationEvent::Resolved => _ = self.open.remove(&key),
            // A reminder does not take an acknowledgment back.
            NotificationEvent::Reminder if self.open.contains_key(&key) => {}
            NotificationEvent::Acknowledged if !self.open.contains_key(&key) => {}
            _ => _ = self.open.insert(key, notification.clone()),
        }
    }
}

#[async_trait]
impl Notifier for MemoryNotifier {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> NotifierLimits {
        self.limits
    }

    async fn notify(&self, notification: Notification) -> Result<Delivery> {
        let at = self.shared.clock.now();
        let mut state = lock(&self.shared.state);
        if let Some((kind, message)) = state.refuse_next.take() {
            return Err(error(kind, "notifier.notify", message));
        }
        let notification = notification.scrubbed();
        let text = match self.limits.max_text_chars {
            Some(max) => notification.plain_text_within(max as usize),
            None => notification.plain_text(),
        };
        let id = DeliveryId::new(format!("delivery-{}", state.sequence.next()))?;
        let lost = state.lose_next.take();
        if lost.is_none() {
            state.move_alert(&notification);
            state.received.push(ReceivedNotification {
                at,
                notification,
                text,
            });
        }
        let accepted = DeliveryState::Accepted;
        state
            .deliveries
            .insert(id.clone(), (accepted.clone(), lost));
        Ok(Delivery::new(accepted).with_id(id))
    }

    fn as_delivery_status(&self) -> Option<&dyn DeliveryStatus> {
        Some(self)
    }

    fn as_deploy_markers(&self) -> Option<&dyn DeployMarkers> {
        Some(self)
    }
}

#[async_trait]
impl DeliveryStatus for MemoryNotifier {
    async fn delivery(&self, delivery: &DeliveryId) -> Result<Delivery> {
        let mut state = lock(&self.shared.state);
        let found = state.deliveries.get_mut(delivery);
        let (seen, lost) = found.ok_or_else(|| missing("notifier.delivery", delivery))?;
        *seen = match (&*seen, &lost) {
            (DeliveryState::Accepted, _) => DeliveryState::Sent,
            (DeliveryState::Sent, Some(reason)) => DeliveryState::Failed(reason.clone()),
            (DeliveryState::Sent, None) => DeliveryState::Delivered,
            (ended, _) => ended.clone(),
        };
        Ok(Delivery::new(seen.clone()).with_id(delivery.clone()))
    }
}

#[async_trait]
impl DeployMarkers for MemoryNotifier {
    async fn mark_deploy(&self, marker: DeployMarker) -> Result<()> {
        lock(&self.shared.state).markers.push(marker);
        Ok(())
    }
}
