//! Alerts in the log.

use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::{
    Delivery, DeliveryState, Notification, NotificationEvent, Notifier, NotifierLimits,
};
use ops_core::{ProviderId, Result, async_trait};

use crate::private::scrub;

/// Writes notifications to the log, as events of `tracing` with the target
/// `ops_health::alert`: what is over as INFO, P0 and P1 as ERROR, the rest as WARN.
///
/// It never fails. That an alert fires and that it is over is logged without it too.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogNotifier;

#[async_trait]
impl Notifier for LogNotifier {
    fn provider(&self) -> ProviderId {
        ProviderId::from_static("log")
    }

    fn limits(&self) -> NotifierLimits {
        NotifierLimits::default()
    }

    async fn notify(&self, notification: Notification) -> Result<Delivery> {
        let notification = notification.scrubbed();
        macro_rules! emit {
            ($level:expr) => {
                tracing::event!(
                    target: "ops_health::alert",
                    $level,
                    key = %notification.dedup_key,
                    event = %notification.event,
                    severity = ?notification.severity,
                    text = scrub(&notification.plain_text(), &[]),
                    "alert"
                )
            };
        }
        match (notification.event, notification.severity) {
            (NotificationEvent::Resolved | NotificationEvent::Acknowledged, _) => {
                emit!(tracing::Level::INFO);
            }
            (_, IncidentSeverity::P0 | IncidentSeverity::P1) => emit!(tracing::Level::ERROR),
            _ => emit!(tracing::Level::WARN),
        }
        Ok(Delivery::new(DeliveryState::Delivered))
    }
}
