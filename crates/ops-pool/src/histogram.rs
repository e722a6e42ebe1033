//! How long things take: histograms that are always on.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A power of two is divided into 2^3 buckets of the same width.
const SUB_BITS: u32 = 3;
/// Two years and a bit, in nanoseconds. Whatever takes longer counts as this long, so that
/// no sum ever overflows.
const MOST: u64 = (1 << 56) - 1;
const BUCKETS: usize = bucket_of(MOST) + 1;

/// A histogram of durations. Recording is two atomic additions, never waits, and never
/// allocates.
///
/// Buckets are powers of two, divided into eight: a quantile is never less than the exact
/// one, and at most an eighth more. It takes 3.4 KiB.
///
/// ```
/// use std::time::Duration;
///
/// use ops_pool::Histogram;
///
/// let histogram = Histogram::new();
/// for millis in 1..=100 {
///     histogram.record(Duration::from_millis(millis));
/// }
/// let snapshot = histogram.snapshot();
/// assert_eq!(snapshot.count(), 100);
/// assert_eq!(snapshot.max(), Duration::from_millis(100));
/// let median = snapshot.quantile(0.5).unwrap_or_default();
/// assert!((Duration::from_millis(50)..Duration::from_millis(57)).contains(&median));
/// ```
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

impl Histogram {
    /// One without a record.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }

    /// Records that something took this long.
    pub fn record(&self, span: Duration) {
        let nanos = nanos(span);
        if let Some(bucket) = self.buckets.get(bucket_of(nanos)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(nanos, Ordering::Relaxed);
        // Nearly always a plain read.
        if nanos > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    /// As [`record`](Self::record), for who has the histogram alone, such as under a lock:
    /// plain additions, which take a fraction of the time.
    pub fn record_mut(&mut self, span: Duration) {
        self.record_nanos(nanos(span));
    }

    #[inline]
    pub(crate) fn record_nanos(&mut self, nanos: u64) {
        let nanos = nanos.min(MOST);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanos)) {
            *bucket.get_mut() += 1;
        }
        let (sum, max) = (self.sum.get_mut(), self.max.get_mut());
        *sum = sum.wrapping_add(nanos);
        *max = nanos.max(*max);
    }

    /// What has been recorded. Records that are made meanwhile may be in it or not.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let read = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let counts: Box<[u64]> = self.buckets.iter().map(read).collect();
        HistogramSnapshot {
            count: counts.iter().sum(),
            counts,
            sum: read(&self.sum),
            max: read(&self.max),
        }
    }
}

/// What a [`Histogram`] had recorded at a moment.
#[derive(Clone, PartialEq, Eq)]
pub struct HistogramSnapshot {
    counts: Box<[u64]>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Default for HistogramSnapshot {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS].into(),
            count: 0,
            sum: 0,
            max: 0,
        }
    }
}

/// Prints what one wants to know at a glance.
impl fmt::Debug for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("HistogramSnapshot");
        out.field("count", &self.count);
        for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
            if let Some(quantile) = self.quantile(q) {
                out.field(name, &quantile);
            }
        }
        out.field("max", &self.max()).finish_non_exhaustive()
    }
}

impl HistogramSnapshot {
    /// How many records.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All durations together, exactly.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }

    /// The longest, exactly. Zero without a record.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The mean, exactly. None without a record.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(self.count).map(Duration::from_nanos)
    }

    /// The shortest time within which this part of all was done: 0.99 is the 99th
    /// percentile. Never less than the exact one, and at most an eighth more. None without
    /// a record. A part below 0 is 0, the shortest; one above 1 is 1, the longest.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let rank = rank(part, self.count);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                let highest = highest_of(index).min(self.max);
                return Some(Duration::from_nanos(highest));
            }
        }
        None
    }

    /// Every bucket that is not empty, from the shortest: the longest duration that belongs
    /// to it, and how many records do.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let counts = self.counts.iter().enumerate();
        counts
            .filter(|(_, count)| **count > 0)
            .map(|(index, count)| (Duration::from_nanos(highest_of(index)), *count))
    }

    /// As [`buckets`](Self::buckets), with the middle of each.
    #[cfg(feature = "metrics")]
    pub(crate) fn middles(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let counts = self.counts.iter().enumerate();
        counts
            .filter(|(_, count)| **count > 0)
            .map(|(index, count)| {
                let before = index.checked_sub(1).map_or(0, |it| highest_of(it) + 1);
                let middle = before.midpoint(highest_of(index));
                (Duration::from_nanos(middle), *count)
            })
    }

    /// Adds the records of another one, such as another pool's.
    pub fn merge(&mut self, other: &Self) {
        for (own, others) in self.counts.iter_mut().zip(&other.counts) {
            *own += others;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// The records that were made since an earlier snapshot of the same histogram. Which of
    /// them was the longest is known up to an eighth.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts: Box<[u64]> = self
            .counts
            .iter()
            .zip(&earlier.counts)
            .map(|(now, then)| now.saturating_sub(*then))
            .collect();
        let longest = counts.iter().rposition(|count| *count > 0);
        Self {
            count: counts.iter().sum(),
            sum: self.sum.saturating_sub(earlier.sum),
            max: longest.map_or(0, |index| highest_of(index).min(self.max)),
            counts,
        }
    }
}

/// Which of so many records, in order, is the one at this part. The first is 1.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "exact up to 2^53 records, and clamped"
)]
fn rank(part: f64, count: u64) -> u64 {
    let part = if part.is_nan() { 1.0 } else { part };
    ((part.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1))
}

fn nanos(span: Duration) -> u64 {
    let seconds = span.as_secs().saturating_mul(1_000_000_000);
    seconds
        .saturating_add(u64::from(span.subsec_nanos()))
        .min(MOST)
}

/// The bucket of a number: up to 2^3 it is the number itself, and then the exponent and the
/// 3 bits after the first.
#[expect(
    clippy::cast_possible_truncation,
    reason = "each is below 2^SUB_BITS + 2^SUB_BITS"
)]
#[inline]
const fn bucket_of(nanos: u64) -> usize {
    if nanos < 1 << SUB_BITS {
        return nanos as usize;
    }
    let exponent = nanos.ilog2();
    let shift = exponent - SUB_BITS;
    let sub = (nanos >> shift) as usize - (1 << SUB_BITS);
    ((shift as usize + 1) << SUB_BITS) + sub
}

/// The highest number that belongs to a bucket.
const fn highest_of(bucket: usize) -> u64 {
    let (group, sub) = (bucket >> SUB_BITS, bucket & ((1 << SUB_BITS) - 1));
    if group == 0 {
        return sub as u64;
    }
    let shift = group - 1;
    let next = ((1 << SUB_BITS) + sub as u64 + 1) << shift;
    next - 1
}

/// The histograms of a pool.
#[derive(Debug, Default)]
pub struct Timings {
    /// How long callers waited for a session, those that did not have to among them.
    pub wait: Histogram,
    /// How long callers kept a session.
    pub hold: Histogram,
    /// How long resets took.
    pub reset: Histogram,
    /// How long opening a connection took, failed attempts not among them.
    pub connect: Histogram,
}

impl Timings {
    /// What has been recorded.
    #[must_use]
    pub fn snapshot(&self) -> TimingsSnapshot {
        let Self {
            wait,
            hold,
            reset,
            connect,
        } = self;
        TimingsSnapshot {
            wait: wait.snapshot(),
            hold: hold.snapshot(),
            reset: reset.snapshot(),
            connect: connect.snapshot(),
        }
    }
}

/// What [`Timings`] had recorded at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimingsSnapshot {
    /// How long callers waited for a session, those that did not have to among them.
    pub wait: HistogramSnapshot,
    /// How long callers kept a session.
    pub hold: HistogramSnapshot,
    /// How long resets took.
    pub reset: HistogramSnapshot,
    /// How long opening a connection took, failed attempts not among them.
    pub connect: HistogramSnapshot,
}

impl TimingsSnapshot {
    /// Adds the records of another pool.
    pub fn merge(&mut self, other: &Self) {
        self.wait.merge(&other.wait);
        self.hold.merge(&other.hold);
        self.reset.merge(&other.reset);
        self.connect.merge(&other.connect);
    }
}

#[cfg(test)]
mod tests;
