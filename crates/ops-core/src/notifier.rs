//! A way to tell people.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::ProviderId;
use crate::macros::setters;
use crate::monitor::DeployMarkers;

mod delivery;
mod notification;

pub use delivery::{Delivery, DeliveryState, DeliveryStatus};
pub use notification::{Link, Notification, NotificationEvent};

/// What a way to tell people can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotifierLimits {
    /// The longest text, in characters; a longer one is cut by the provider.
    pub max_text_chars: Option<u32>,
    /// The shortest time between two notifications that the vendor puts up with for long.
    pub min_gap: Option<Duration>,
    /// How many may come at once.
    pub max_burst: Option<u32>,
    /// The most per day, where each costs money.
    pub max_per_day: Option<u32>,
}

setters! { NotifierLimits {
    opt {
        with_max_text_chars(max_text_chars: u32),
        with_min_gap(min_gap: Duration),
        with_max_burst(max_burst: u32),
        with_max_per_day(max_per_day: u32),
    }
} }

/// A way to tell people: a Slack channel, an e-mail list, a telephone number, a service of
/// PagerDuty, a webhook.
///
/// Implemented by each vendor that delivers messages; called by ops-health, ops-backup and
/// applications, which hold an `Arc<dyn Notifier>`.
///
/// An alert fires, is reminded of, is acknowledged and is resolved under one
/// [`DedupKey`](crate::id::DedupKey). Every notifier delivers all four: one that keeps
/// alerts itself moves its alert, the others send a message about it.
///
/// # Contract
/// 1. A provider stands for one destination: a channel, a list of recipients, a service.
/// 2. Methods may be called concurrently. Clones of a provider are the same destination.
/// 3. Notifications with one dedup key are about one alert. A notifier that keeps alerts
///    has one for them; one that sends messages keeps them together where it can, such as
///    in one e-mail thread.
/// 4. Every dedup key is taken as it is: [`DedupKey`](crate::id::DedupKey) admits none that
///    is too long for a vendor.
/// 5. A notification is sent as [`Notification::scrubbed`] makes it.
/// 6. A text that is too long is cut where it ends least badly, never refused: the event,
///    the severity and the title come first.
/// 7. Nothing in a notification can be taken for markup, a mention, a header or a second
///    recipient: the vendor's special characters are escaped.
/// 8. The address of the destination, where it is a credential, is a secret.
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_delivery_status`](Self::as_delivery_status) | [`DeliveryStatus`] |
/// | [`as_deploy_markers`](Self::as_deploy_markers) | [`DeployMarkers`] |
///
/// # Errors
/// `Unauthenticated` and `PermissionDenied` for the token or the address, `NotFound` for a
/// destination that is gone, `InvalidInput` for what the vendor refuses, `QuotaExceeded`
/// for money or a plan limit, `RateLimited`, `Unavailable`, `Timeout`. After a timeout the
/// outcome is unknown: notifying again may show the message twice, and makes no second
/// alert where the vendor keeps alerts.
///
/// # Implementing
/// Implement the base methods, return `Some(self)` from the accessor of each ability
/// that the vendor has, and run the conformance suite. A wrapper wraps the abilities
/// too: handing out the inner accessor would go around the wrapper.
///
/// # Examples
/// ```
/// # #[cfg(feature = "memory")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::id::DedupKey;
/// use ops_core::memory::MemoryNotifier;
/// use ops_core::monitor::IncidentSeverity;
/// use ops_core::notifier::{Notification, NotificationEvent, Notifier};
/// use ops_core::{Clock, SystemClock};
///
/// let notifier = MemoryNotifier::new();
/// let key = DedupKey::new("shop:prod:service_down:api")?;
/// let now = SystemClock.now();
/// let fired = Notification::new(key, IncidentSeverity::P0, "the shop is down", now)
///     .with_source("shop:prod")
///     .with_runbook("https://wiki.example/shop-down");
/// notifier.notify(fired.clone()).await?;
/// notifier.notify(fired.with_event(NotificationEvent::Resolved)).await?;
/// assert!(notifier.open_alerts().is_empty());
/// # Ok(())
/// # })
/// # }
/// # #[cfg(not(feature = "memory"))]
/// # fn main() {}
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `slack`.
    fn provider(&self) -> ProviderId;

    /// What the vendor can carry.
    fn limits(&self) -> NotifierLimits;

    /// Delivers a notification.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted it, not when somebody has read it. A vendor
    ///    that answers a refusal under a successful status has refused it.
    /// 2. Firing, or reminding of, an alert that is open already makes no second alert
    ///    where the vendor keeps alerts.
    /// 3. Acknowledging or resolving an alert that is not open succeeds.
    ///
    /// # Errors
    /// See the trait.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the notification delivered.
    async fn notify(&self, notification: Notification) -> Result<Delivery>;

    /// What became of a delivery, where the vendor tells.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_delivery_status<'a>(&'a self) -> Option<&'a dyn DeliveryStatus> {
        None
    }

    /// Marks of deployments beside the alerts, where the vendor shows them.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_deploy_markers<'a>(&'a self) -> Option<&'a dyn DeployMarkers> {
        None
    }
}

const _: fn(&dyn Notifier) = |_| {};
