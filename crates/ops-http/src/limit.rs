//! What holds a client back: the vendor's rate, requests at a time, and the retry budget.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// What a vendor lets one client do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many requests each [`per`](Self::per) allows; `None` for no limit.
    pub rate: Option<NonZeroU32>,
    /// The span that `rate` counts for.
    pub per: Duration,
    /// How many requests may follow each other without a pause. Defaults to the rate.
    pub burst: NonZeroU32,
    /// How many requests may be on the way at once. Defaults to 8.
    pub concurrency: NonZeroU32,
}

const DEFAULT_CONCURRENCY: NonZeroU32 = NonZeroU32::new(8).expect("8 is not zero");

impl Default for Limits {
    fn default() -> Self {
        Self {
            rate: None,
            per: Duration::from_secs(1),
            burst: NonZeroU32::MIN,
            concurrency: DEFAULT_CONCURRENCY,
        }
    }
}

impl Limits {
    /// So many requests in each span, and as many in a row.
    #[must_use]
    pub const fn new(rate: NonZeroU32, per: Duration) -> Self {
        Self {
            rate: Some(rate),
            per,
            burst: rate,
            concurrency: DEFAULT_CONCURRENCY,
        }
    }

    /// Sets how many requests may follow each other without a pause.
    #[must_use]
    pub const fn with_burst(mut self, burst: NonZeroU32) -> Self {
        self.burst = burst;
        self
    }

    /// Sets how many requests may be on the way at once.
    #[must_use]
    pub const fn with_concurrency(mut self, concurrency: NonZeroU32) -> Self {
        self.concurrency = concurrency;
        self
    }
}

/// Leave to have one request on the way. It is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(
    #[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit,
);

#[derive(Debug)]
pub(crate) struct Limiter {
    slots: Arc<Semaphore>,
    bucket: Option<Mutex<Bucket>>,
    /// Until when the vendor wants to be left alone.
    not_before: Mutex<Option<Instant>>,
}

/// A token bucket that may owe: who takes a token that is not there waits for it.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    seen: Instant,
    burst: f64,
    per_second: f64,
}

/// The instant after so long; a span beyond what the clock can count ends in the far future.
pub(crate) fn later(span: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    Instant::now() + span.min(FAR)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let slots = usize::try_from(limits.concurrency.get()).unwrap_or(usize::MAX);
        let bucket = limits.rate.map(|rate| {
            Mutex::new(Bucket {
                tokens: f64::from(limits.burst.get()),
                seen: Instant::now(),
                burst: f64::from(limits.burst.get()),
                per_second: f64::from(rate.get()) / limits.per.as_secs_f64(),
            })
        });
        Self {
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            bucket,
            not_before: Mutex::new(None),
        }
    }

    /// Waits for a free slot, and then until the vendor's rate allows one more.
    pub(crate) async fn acquire(&self) -> Option<Permit> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let mut reserved = Reservation(self.bucket.as_ref());
        let owed = reserved.take();
        // A timer has a grain of a millisecond, also for no time at all.
        if !owed.is_zero() {
            tokio::time::sleep(owed).await;
        }
        while let Some(until) = self.pause() {
            tokio::time::sleep_until(until).await;
        }
        reserved.keep();
        Some(Permit(slot))
    }

    fn pause(&self) -> Option<Instant> {
        lock(&self.not_before).filter(|until| *until > Instant::now())
    }

    /// Leaves the vendor alone for a while: nobody else should run into the same limit.
    pub(crate) fn hold_back(&self, delay: Duration) {
        let until = later(delay);
        let mut not_before = lock(&self.not_before);
        *not_before = Some(not_before.map_or(until, |old| old.max(until)));
    }

    #[cfg(test)]
    pub(crate) fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }
}

impl Bucket {
    /// Takes a token, and tells how long it takes until it is there.
    fn take(&mut self) -> Duration {
        let now = Instant::now();
        let passed = now.duration_since(self.seen).as_secs_f64();
        self.seen = now;
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst) - 1.0;
        let owed = (-self.tokens / self.per_second).max(0.0);
        Duration::try_from_secs_f64(owed).unwrap_or(Duration::MAX)
    }
}

/// A token that is given back where the request is not sent after all.
struct Reservation<'a>(Option<&'a Mutex<Bucket>>);

impl Reservation<'_> {
    fn take(&mut self) -> Duration {
        self.0.map_or(Duration::ZERO, |bucket| lock(bucket).take())
    }

    fn keep(&mut self) {
        self.0 = None;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(bucket) = self.0 {
            lock(bucket).tokens += 1.0;
        }
    }
}

/// What retries may cost all calls of a client together, so that an outage does not
/// multiply the traffic.
#[derive(Debug)]
pub(crate) struct RetryBudget(Mutex<u32>);

impl RetryBudget {
    const FULL: u32 = 500;
    const RETRY: u32 = 5;
    const SUCCESS: u32 = 1;

    pub(crate) fn new() -> Self {
        Self(Mutex::new(Self::FULL))
    }

    /// Pays for a retry. `false` where the budget is spent.
    pub(crate) fn pay(&self) -> bool {
        let mut left = lock(&self.0);
        match left.checked_sub(Self::RETRY) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }

    /// An answer that was no failure fills the budget a little.
    pub(crate) fn succeeded(&self) {
        let mut left = lock(&self.0);
        *left = (*left + Self::SUCCESS).min(Self::FULL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let limits = Limits::new(number(10), Duration::from_secs(1)).with_burst(number(3));
        let limiter = Limiter::new(&limits);
        let begun = Instant::now();
        let mut times = Vec::new();
        for _ in 0..5 {
            drop(limiter.acquire().await.unwrap());
            times.push(begun.elapsed().as_millis());
        }
        assert_eq!(times[..3], [0, 0, 0]);
        assert!((99..=102).contains(&times[3]), "{times:?}");
        assert!((199..=203).contains(&times[4]), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_while_it_waits_gives_back_its_place() {
        let limits = Limits::new(number(1), Duration::from_secs(10)).with_concurrency(number(1));
        let limiter = Limiter::new(&limits);
        drop(limiter.acquire().await.unwrap());
        let waited = tokio::time::timeout(Duration::from_secs(1), limiter.acquire()).await;
        assert!(waited.is_err(), "the rate does not allow it yet");
        assert_eq!(limiter.free_slots(), 1);
        let begun = Instant::now();
        drop(limiter.acquire().await.unwrap());
        assert!(
            begun.elapsed() <= Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_let_through_while_the_vendor_wants_to_be_left_alone() {
        let limiter = Limiter::new(&Limits::default());
        limiter.hold_back(Duration::from_secs(7));
        limiter.hold_back(Duration::from_secs(3));
        let begun = Instant::now();
        drop(limiter.acquire().await.unwrap());
        assert!(begun.elapsed() >= Duration::from_secs(7));
    }

    #[test]
    fn the_far_future_is_far() {
        let decades = Duration::from_secs(20 * 365 * 24 * 60 * 60);
        assert!(later(Duration::MAX) > Instant::now() + decades);
        assert!(later(Duration::from_secs(5)) <= Instant::now() + Duration::from_secs(5));
    }

    #[test]
    fn the_retry_budget_ends_and_successes_fill_it() {
        let budget = RetryBudget::new();
        let paid = std::iter::repeat_with(|| budget.pay())
            .take_while(|it| *it)
            .count();
        assert_eq!(paid, 100);
        for _ in 0..5 {
            assert!(!budget.pay());
            budget.succeeded();
        }
        assert!(budget.pay());
    }
}
