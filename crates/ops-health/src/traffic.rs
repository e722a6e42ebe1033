//! Requests per second, errors and latencies of the last five minutes, counted by the
//! service itself: what the rules on error rate and latency look at, and the requests of
//! an objective.
//!
//! Counting takes no lock. The memory is fixed: about 41 KB, whatever the load.
//!
//! With the feature `traffic`, [`TrafficLayer`] counts every request of a tower service.
//! Without it, or for what is no tower service, call [`Traffic::record`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

#[cfg(feature = "traffic")]
mod layer;

#[cfg(feature = "traffic")]
pub use layer::{ResponseFuture, TrafficLayer, TrafficService};

/// The upper bounds of the latencies that are told apart, in milliseconds. The limits of
/// the rules, 4 s and 5 s, are among them, so that no estimate decides.
const BOUNDS_MS: [u32; 15] = [
    5, 10, 25, 50, 100, 250, 500, 1000, 2000, 3000, 4000, 5000, 7500, 10_000, 30_000,
];

const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// The longest window, in seconds; one more is being filled.
const SECONDS: u64 = 300;
const SLOTS: usize = 301;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Served {
    /// As it should; a refusal that is the caller's fault is that too.
    Ok,
    /// The service failed: a status of 500 or above, or no response at all.
    Error,
}

/// Counts requests. Clones count together.
///
/// ```
/// use std::time::Duration;
/// use ops_health::traffic::{Served, Traffic};
///
/// let traffic = Traffic::new();
/// traffic.record(Served::Ok, Duration::from_millis(20));
/// traffic.record(Served::Error, Duration::from_millis(900));
/// let window = traffic.window(Duration::from_secs(60));
/// assert_eq!(window.requests, 2);
/// assert_eq!(window.error_ratio(), Some(0.5));
/// ```
#[derive(Clone)]
pub struct Traffic(Arc<Inner>);

struct Inner {
    started: Instant,
    slots: Box<[Slot]>,
    good: AtomicU64,
    bad: AtomicU64,
}

/// One second.
#[derive(Default)]
struct Slot {
    errors: Stamped,
    latencies: [Stamped; BUCKETS],
}

/// A count that knows of which second it is: in its upper half. A count of another second
/// is zero, so that nobody has to clear anything.
#[derive(Default)]
struct Stamped(AtomicU64);

const COUNT_MASK: u64 = 0xffff_ffff;

impl Stamped {
    fn increment(&self, second: u32) {
        let stamp = u64::from(second) << 32;
        let next = |old: u64| {
            let count = if old & !COUNT_MASK == stamp {
                (old & COUNT_MASK).saturating_add(1).min(COUNT_MASK)
            } else {
                1
            };
            // A slow thread does not overwrite what is newer.
            (old & !COUNT_MASK <= stamp).then_some(stamp | count)
        };
        _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    fn get(&self, second: u32) -> u64 {
        let value = self.0.load(Ordering::Relaxed);
        if value >> 32 == u64::from(second) {
            value & COUNT_MASK
        } else {
            0
        }
    }
}

impl Traffic {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let slots = (0..SLOTS).map(|_| Slot::default()).collect();
        Self(Arc::new(Inner {
            started: Instant::now(),
            slots,
            good: AtomicU64::new(0),
            bad: AtomicU64::new(0),
        }))
    }

    /// Counts a request that has ended now, and took that long.
    pub fn record(&self, served: Served, took: Duration) {
        let inner = &*self.0;
        let total = match served {
            Served::Ok => &inner.good,
            Served::Error => &inner.bad,
        };
        total.fetch_add(1, Ordering::Relaxed);
        let second = inner.second();
        let Some(slot) = inner.slot(second) else {
            return;
        };
        let millis = took.as_nanos().div_ceil(1_000_000);
        let bucket = BOUNDS_MS.partition_point(|bound| u128::from(*bound) < millis);
        if let Some(bucket) = slot.latencies.get(bucket) {
            bucket.increment(second);
        }
        if served == Served::Error {
            slot.errors.increment(second);
        }
    }

    /// What was counted in the last whole seconds of a window, of at most five minutes,
    /// and in the second that runs.
    #[must_use]
    pub fn window(&self, window: Duration) -> TrafficWindow {
        let inner = &*self.0;
        let now = inner.second();
        let back = u32::try_from(window.as_secs().min(SECONDS)).unwrap_or_default();
        let mut sums = TrafficWindow::default();
        for second in now.saturating_sub(back)..=now {
            let Some(slot) = inner.slot(second) else {
                continue;
            };
            sums.errors += slot.errors.get(second);
            for (sum, bucket) in sums.latencies.iter_mut().zip(&slot.latencies) {
                *sum += bucket.get(second);
            }
        }
        sums.requests = sums.latencies.iter().sum();
        sums
    }

    /// Requests that went well and that failed, since the start.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let inner = &*self.0;
        (
            inner.good.load(Ordering::Relaxed),
            inner.bad.load(Ordering::Relaxed),
        )
    }
}

impl Inner {
    /// Seconds since the start, counted from 1: an empty count is of second 0.
    fn second(&self) -> u32 {
        let second = self.started.elapsed().as_secs().saturating_add(1);
        u32::try_from(second).unwrap_or(u32::MAX)
    }

    fn slot(&self, second: u32) -> Option<&Slot> {
        let at = usize::try_from(second).ok()? % SLOTS;
        self.slots.get(at)
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic")
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}

/// What was counted in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrafficWindow {
    /// How many requests ended.
    pub requests: u64,
    /// How many of them failed.
    pub errors: u64,
    latencies: [u64; BUCKETS],
}

impl TrafficWindow {
    /// The part of the requests that failed; `None` where there was none.
    #[must_use]
    pub fn error_ratio(&self) -> Option<f64> {
        (self.requests > 0).then(|| to_f64(self.errors) / to_f64(self.requests))
    }

    /// The latency that a part of the requests kept, such as 0.95 of them: estimated
    /// between the bounds of a histogram, exact at 4 s and 5 s. `None` without requests;
    /// what took longer than 30 s counts as 30 s.
    #[must_use]
    pub fn latency(&self, part: f64) -> Option<Duration> {
        if self.requests == 0 {
            return None;
        }
        let rank = part.clamp(0.0, 1.0) * to_f64(self.requests);
        let mut below = 0.0;
        let mut lower = 0.0;
        for (bound, count) in BOUNDS_MS.iter().zip(self.latencies) {
            let (upper, count) = (f64::from(*bound), to_f64(count));
            if count > 0.0 && below + count >= rank {
                let millis = lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0);
                return Duration::try_from_secs_f64(millis / 1e3).ok();
            }
            below += count;
            lower = upper;
        }
        Duration::try_from_secs_f64(lower / 1e3).ok()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of five minutes are far below 2^53"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_forgets_what_is_older() {
        let traffic = Traffic::new();
        traffic.record(Served::Error, seconds(1));
        tokio::time::advance(seconds(60)).await;
        traffic.record(Served::Ok, seconds(1));
        assert_eq!(traffic.window(seconds(60)).requests, 2);
        assert_eq!(traffic.window(seconds(59)).requests, 1);
        assert_eq!(traffic.window(seconds(59)).errors, 0);
        tokio::time::advance(seconds(300)).await;
        assert_eq!(traffic.window(seconds(999)).requests, 1);
        // The same slot, a round later.
        tokio::time::advance(seconds(1)).await;
        assert_eq!(traffic.window(seconds(999)).requests, 0);
        assert_eq!(traffic.totals(), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_latency_at_a_limit_is_not_above_it() {
        let traffic = Traffic::new();
        for _ in 0..100 {
            traffic.record(Served::Ok, seconds(5));
        }
        let window = traffic.window(seconds(60));
        assert!(window.latency(0.95).unwrap() <= seconds(5));
        for _ in 0..100 {
            traffic.record(Served::Ok, Duration::from_millis(5001));
        }
        let window = traffic.window(seconds(60));
        assert!(window.latency(0.95).unwrap() > seconds(5));
        assert!(window.latency(0.4).unwrap() <= seconds(5));
    }

    #[tokio::test(start_paused = true)]
    async fn latencies_have_bounds_and_none_without_requests() {
        let traffic = Traffic::new();
        assert_eq!(traffic.window(seconds(60)).latency(0.95), None);
        assert_eq!(traffic.window(seconds(60)).error_ratio(), None);
        traffic.record(Served::Ok, Duration::MAX);
        let window = traffic.window(seconds(60));
        assert_eq!(window.latency(0.95), Some(seconds(30)));
        assert_eq!(Traffic::new().window(seconds(1)).requests, 0);
        traffic.record(Served::Ok, Duration::ZERO);
        let low = traffic.window(seconds(60)).latency(0.1).unwrap();
        assert!(low <= Duration::from_millis(5), "{low:?}");
    }

    #[test]
    fn threads_lose_no_request() {
        let traffic = Traffic::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        traffic.record(Served::Error, Duration::from_millis(7));
                    }
                });
            }
        });
        let window = traffic.window(seconds(300));
        assert_eq!((window.requests, window.errors), (80_000, 80_000));
        assert_eq!(traffic.totals(), (0, 80_000));
    }
}
