//! The clock of a pool.
//!
//! It is the processor's time stamp counter where that is steady: two readings of the
//! system's clock take longer than everything else that an acquire and a release do. The
//! counter is measured once for each process, in less than a millisecond, and may go a
//! few seconds a day wrong: what waits for a moment must not take it for exact.
//!
//! With the feature `test-util` it is tokio's clock, which tests can pause.

use tokio::time::Instant;

use crate::core::Now;

pub(crate) struct Clock {
    start: Instant,
    #[cfg(not(feature = "test-util"))]
    counter: quanta::Clock,
    #[cfg(not(feature = "test-util"))]
    first: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        #[cfg(not(feature = "test-util"))]
        let counter = quanta::Clock::new();
        Self {
            start: Instant::now(),
            #[cfg(not(feature = "test-util"))]
            first: counter.raw(),
            #[cfg(not(feature = "test-util"))]
            counter,
        }
    }

    #[cfg(not(feature = "test-util"))]
    #[inline]
    pub(crate) fn now(&self) -> Now {
        Now::from_nanos(self.counter.delta_as_nanos(self.first, self.counter.raw()))
    }

    #[cfg(feature = "test-util")]
    #[inline]
    pub(crate) fn now(&self) -> Now {
        Now::default().after(Instant::now().duration_since(self.start))
    }

    /// When this is on tokio's clock.
    pub(crate) fn instant(&self, at: Now) -> Instant {
        self.start + at.since(Now::default())
    }
}
