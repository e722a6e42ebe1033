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
    #[cfg(not(feature = "test-util"))]
    scale: u64,
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
            scale: scale(&counter),
            #[cfg(not(feature = "test-util"))]
            counter,
        }
    }

    #[cfg(not(feature = "test-util"))]
    #[inline]
    pub(crate) fn now(&self) -> Now {
        let ticks = self.counter.raw().saturating_sub(self.first);
        Now::from_nanos(nanos(ticks, self.scale))
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

/// The nanoseconds of 2^32 ticks of the counter.
#[cfg(any(test, not(feature = "test-util")))]
fn scale(counter: &quanta::Clock) -> u64 {
    counter.delta_as_nanos(0, 1 << 32)
}

/// As the counter's own `delta_as_nanos`, in a few instructions.
#[cfg(any(test, not(feature = "test-util")))]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a counter that runs for centuries stays below 2^64 nanoseconds"
)]
#[inline]
fn nanos(ticks: u64, scale: u64) -> u64 {
    ((u128::from(ticks) * u128::from(scale)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_as_many_nanoseconds_as_the_counter_says() {
        let counter = quanta::Clock::new();
        let scale = scale(&counter);
        for shift in 0..55 {
            let ticks = (1_u64 << shift) + 12_345;
            let (ours, its) = (nanos(ticks, scale), counter.delta_as_nanos(0, ticks));
            // One part in a hundred million, and rounding.
            assert!(ours.abs_diff(its) <= its / 100_000_000 + 1, "{ours} {its}");
        }
    }
}
