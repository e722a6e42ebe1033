//! A wall clock that tests own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ops_core::{Clock, Timestamp};

/// A wall clock that stands still until it is told otherwise. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
///
/// use ops_core::Clock;
/// use ops_testkit::ManualClock;
///
/// let clock = ManualClock::at("2026-01-02T03:04:05Z");
/// clock.advance(Duration::from_secs(55));
/// assert_eq!(clock.now().to_string(), "2026-01-02T03:05:00Z");
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    /// A clock that shows an instant.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// A clock that shows an instant, in RFC 3339.
    ///
    /// # Panics
    /// Where the text is no instant.
    #[must_use]
    #[track_caller]
    #[expect(clippy::panic, reason = "a test with a wrong instant fails")]
    pub fn at(now: &str) -> Self {
        Self::new(now.parse().unwrap_or_else(|err| panic!("{now:?}: {err}")))
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves the clock forwards.
    pub fn advance(&self, span: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(span);
    }

    /// Moves the clock backwards, as a step of NTP does.
    pub fn step_back(&self, span: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_sub(span);
    }
}

impl Default for ManualClock {
    /// 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at("2026-01-01T00:00:00Z")
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
