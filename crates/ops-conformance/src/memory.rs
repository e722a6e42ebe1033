//! Fixtures of the in-memory providers: the shortest examples of what a provider's own
//! fixture looks like.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ops_core::{Clock, Timestamp};

mod cdn;
mod database;
mod dns;
mod hosting;
mod monitor;
mod notifier;
mod object_store;
mod pipeline;
mod secret_store;

pub use cdn::MemoryCdnFixture;
pub use database::MemoryDatabaseFixture;
pub use dns::MemoryDnsFixture;
pub use hosting::MemoryHostingFixture;
pub use monitor::MemoryMonitorFixture;
pub use notifier::MemoryNotifierFixture;
pub use object_store::MemoryObjectStoreFixture;
pub use pipeline::MemoryPipelineFixture;
pub use secret_store::MemorySecretStoreFixture;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that stands at the beginning of 2026.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let start = Duration::from_secs(1_767_225_600);
        let start = Timestamp::UNIX_EPOCH.saturating_add(start);
        Arc::new(Self(Mutex::new(start)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
