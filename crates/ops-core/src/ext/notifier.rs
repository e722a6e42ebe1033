//! [`NotifierExt`].

use super::require;
use crate::error::Result;
use crate::id::DedupKey;
use crate::monitor::{DeployMarkers, IncidentSeverity};
use crate::notifier::{Delivery, DeliveryStatus, Notification, NotificationEvent, Notifier};
use crate::time::Timestamp;

/// What every [`Notifier`] can do because it is one.
pub trait NotifierExt: Notifier {
    require! {
        require_delivery_status: as_delivery_status -> DeliveryStatus = "reading the state of a delivery";
        require_deploy_markers: as_deploy_markers -> DeployMarkers = "marking deployments";
    }

    /// Proves that a notification arrives: fires an alert of the lowest severity that says
    /// that it is a test, and resolves it at once.
    ///
    /// `source` is what people see as its origin, such as `shop:prod`. Answers the delivery
    /// of the first of the two.
    ///
    /// # Errors
    /// As [`notify`](Notifier::notify). Where the second of the two fails, the test alert
    /// stays open with vendors that keep alerts.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the test alert open.
    fn send_test(
        &self,
        source: &str,
        at: Timestamp,
    ) -> impl Future<Output = Result<Delivery>> + Send {
        async move {
            let key = DedupKey::new("ops:test")?;
            let title = "this is a test of the alerts, nothing is wrong";
            let test = Notification::new(key, IncidentSeverity::P3, title, at).with_source(source);
            let delivery = self.notify(test.clone()).await?;
            self.notify(test.with_event(NotificationEvent::Resolved))
                .await?;
            Ok(delivery)
        }
    }
}

impl<T: Notifier + ?Sized> NotifierExt for T {}
