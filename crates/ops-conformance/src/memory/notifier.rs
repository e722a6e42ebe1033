//! The fixture of [`MemoryNotifier`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::id::DedupKey;
use ops_core::memory::MemoryNotifier;
use ops_core::notifier::{Notifier, NotifierLimits};
use ops_core::{Clock, ErrorKind, Timestamp};

use super::ManualClock;
use crate::fixture::Fixture;
use crate::notifier::NotifierFixture;

/// The fixture of [`MemoryNotifier`].
#[derive(Debug)]
pub struct MemoryNotifierFixture {
    clock: Arc<ManualClock>,
    notifier: MemoryNotifier,
}

impl MemoryNotifierFixture {
    /// A destination with texts of any length.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let notifier = MemoryNotifier::with_clock(Arc::<ManualClock>::clone(&clock));
        Self { clock, notifier }
    }

    /// A destination whose texts have at most so many characters, such as a telephone's.
    #[must_use]
    pub fn with_max_text_chars(max: u32) -> Self {
        let Self { clock, notifier } = Self::new();
        let limits = NotifierLimits::default().with_max_text_chars(max);
        let notifier = notifier.with_limits(limits);
        Self { clock, notifier }
    }

    /// The destination.
    #[must_use]
    pub fn memory(&self) -> &MemoryNotifier {
        &self.notifier
    }
}

impl Default for MemoryNotifierFixture {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Fixture for MemoryNotifierFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by);
        true
    }
}

#[async_trait]
impl NotifierFixture for MemoryNotifierFixture {
    fn notifier(&self) -> Arc<dyn Notifier> {
        Arc::new(self.notifier.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &["as_delivery_status", "as_deploy_markers"]
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn received(&self) -> Option<Vec<String>> {
        let received = self.notifier.received().into_iter();
        Some(received.map(|it| it.text).collect())
    }

    async fn open_alerts(&self) -> Option<Vec<DedupKey>> {
        let open = self.notifier.open_alerts().into_iter();
        Some(open.map(|alert| alert.dedup_key).collect())
    }

    async fn received_deploys(&self) -> Option<Vec<String>> {
        let markers = self.notifier.markers().into_iter();
        Some(markers.map(|marker| marker.version).collect())
    }

    async fn refuse_next(&self) -> bool {
        let kind = ErrorKind::PermissionDenied;
        self.notifier.refuse_next(kind, "the channel is archived");
        true
    }

    async fn lose_next(&self) -> bool {
        self.notifier.lose_next("no such number");
        true
    }
}
