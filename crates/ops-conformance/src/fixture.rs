//! What a suite needs to know of a provider beside its trait.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

/// What every suite needs. Each suite adds a trait of its own, such as
/// [`HostingFixture`](crate::hosting::HostingFixture).
///
/// A fixture is made for each case and holds one provider. A provider that talks to a
/// fake moves on by being looked at, so that the defaults fit; one that talks to a real
/// account waits in [`pause`](Self::pause).
#[async_trait]
pub trait Fixture: Send + Sync + 'static {
    /// Why nothing can be tried here, such as a server that is not installed. The tests
    /// print it as `SKIPPED` and pass. Defaults to `None`.
    ///
    /// A fixture that must not be skipped where `OPS_TESTKIT_REQUIRE` says so panics when
    /// it is made.
    fn unavailable(&self) -> Option<String> {
        None
    }

    /// A name that nothing else has, of at most 40 characters of `a-z`, `0-9` and `-`,
    /// with a letter first. Live fixtures sweep what begins with `ops-test-`.
    fn unique(&self, what: &str) -> String {
        unique(what)
    }

    /// The credential that the provider signs in with, which nothing may print. `None`, the
    /// default, where there is none.
    fn credential(&self) -> Option<String> {
        None
    }

    /// Lets the vendor get on, between two looks. Defaults to nothing.
    async fn pause(&self) {}

    /// How many looks a change may take. Defaults to 200.
    fn patience(&self) -> u32 {
        200
    }

    /// Moves the provider's clock forward. Answers `false`, the default, where it has none
    /// that can be moved; what needs it is not tried then.
    async fn advance(&self, by: Duration) -> bool {
        let _ = by;
        false
    }

    /// How long one case may take. Defaults to 2 minutes.
    fn deadline(&self) -> Duration {
        Duration::from_secs(120)
    }

    /// Removes what a case has left, also after one that failed. Defaults to nothing.
    async fn clean_up(&self) {}
}

/// A name that nothing else has, such as `ops-test-app-1-9f86d081`.
#[must_use]
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = RandomState::new().build_hasher().finish();
    format!("ops-test-{what}-{number}-{:08x}", random >> 32)
}
