//! The arithmetic of an objective. No I/O, no clock: every moment is an argument.

use std::time::Duration;

use ops_core::Timestamp;

use super::SloState;
use super::ring::{Bucket, Ring, Stretch, Sums};
use crate::state::Moment;

/// The period of a budget, as everywhere in this module: 30 days.
pub(super) const PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long an observation holds when no other follows. What stalls for longer does not
/// know what happened meanwhile.
const MAX_HOLD: Duration = Duration::from_secs(60);

/// From how many requests in a window on their share of errors says more than time does.
pub(super) const MIN_REQUESTS: f64 = 100.0;

const FINE: (u32, usize) = (60_000, 360);
const COARSE: (u32, usize) = (300_000, 8640);

/// The same counts in minutes for a quarter of a day and in five minutes for 30 days.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) fine: Ring,
    pub(super) coarse: Ring,
}

impl Pair {
    fn new() -> Self {
        Self {
            fine: Ring::new(FINE.0, FINE.1),
            coarse: Ring::new(COARSE.0, COARSE.1),
        }
    }

    pub(super) fn rings(&mut self) -> [&mut Ring; 2] {
        [&mut self.fine, &mut self.coarse]
    }

    fn add_time(&mut self, from_ms: i64, to_ms: i64, what: Stretch) {
        self.fine.add_time(from_ms, to_ms, what);
        self.coarse.add_time(from_ms, to_ms, what);
    }

    /// The last `span` before now, from the finest ring that covers it.
    fn window(&self, span: Duration, now_ms: i64) -> Sums {
        self.range(now_ms.saturating_sub(millis(span)), now_ms, now_ms)
    }

    fn range(&self, from_ms: i64, to_ms: i64, now_ms: i64) -> Sums {
        let fine = now_ms.saturating_sub(from_ms) <= self.fine.span_ms();
        let ring = if fine { &self.fine } else { &self.coarse };
        ring.sum(from_ms, to_ms, now_ms)
    }
}

/// One objective over time.
#[derive(Debug)]
pub(super) struct Tracker {
    /// The part of the time that may be bad, such as 0.005.
    pub(super) budget: f64,
    pub(super) time: Pair,
    pub(super) requests: Option<Pair>,
    last: Option<(Moment, SloState)>,
}

impl Tracker {
    pub(super) fn new(objective: f64, with_requests: bool) -> Self {
        Self {
            budget: 1.0 - objective,
            time: Pair::new(),
            requests: with_requests.then(Pair::new),
            last: None,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let pair = |pair: &Pair| pair.fine.memory_bytes() + pair.coarse.memory_bytes();
        size_of::<Self>() + pair(&self.time) + self.requests.as_ref().map_or(0, pair)
    }

    /// Takes in how the service is now: what was seen last held until now.
    pub(super) fn observe(&mut self, state: SloState, now: Moment) {
        if let Some((last, held)) = self.last.replace((now, state)) {
            let (from_ms, to_ms) = lived(last, now);
            match held {
                SloState::Good => self.time.add_time(from_ms, to_ms, Stretch::Good),
                SloState::Bad => self.time.add_time(from_ms, to_ms, Stretch::Bad),
                SloState::Unknown => {}
            }
        }
    }

    pub(super) fn record_requests(&mut self, good: u32, bad: u32, now_ms: i64) {
        if let Some(requests) = &mut self.requests {
            requests.fine.add_counts(now_ms, good, bad);
            requests.coarse.add_counts(now_ms, good, bad);
        }
    }

    /// Takes in that nothing ran between two moments.
    pub(super) fn was_down(&mut self, from_ms: i64, to_ms: i64) {
        self.time.add_time(from_ms, to_ms, Stretch::Bad);
    }

    pub(super) fn time_between(&self, from_ms: i64, to_ms: i64, now_ms: i64) -> Sums {
        self.time.range(from_ms, to_ms, now_ms)
    }

    pub(super) fn requests_between(&self, from_ms: i64, to_ms: i64, now_ms: i64) -> Option<Sums> {
        let requests = self.requests.as_ref()?;
        Some(requests.range(from_ms, to_ms, now_ms))
    }

    /// How many times faster than allowed the budget was spent in the last `span`.
    pub(super) fn burn(&self, span: Duration, now_ms: i64) -> f64 {
        self.error_ratio(span, now_ms) / self.budget
    }

    /// The part of the window that was bad: of its requests where they are enough, else
    /// of its time. Unknown time spends nothing, so that a process that has just started
    /// cannot burn the budget of a day in its first minute.
    fn error_ratio(&self, span: Duration, now_ms: i64) -> f64 {
        let requests = self.requests.as_ref().map(|pair| pair.window(span, now_ms));
        if let Some(sums) = requests.filter(|sums| sums.known() >= MIN_REQUESTS) {
            return sums.error_ratio().unwrap_or_default();
        }
        let whole = span.as_secs_f64() * 1e3;
        if whole == 0.0 {
            return 0.0;
        }
        self.time.window(span, now_ms).bad / whole
    }

    /// The part of the period's budget that is left; below zero where it is overspent.
    pub(super) fn remaining(&self, now_ms: i64) -> f64 {
        1.0 - self.burn(PERIOD, now_ms)
    }

    pub(super) fn time_to_exhaustion(&self, window: Duration, now_ms: i64) -> Option<Duration> {
        let burn = self.burn(window, now_ms);
        let left = self.remaining(now_ms).max(0.0);
        if left > 0.0 && burn <= 0.0 {
            return None;
        }
        if left == 0.0 {
            return Some(Duration::ZERO);
        }
        Duration::try_from_secs_f64(PERIOD.as_secs_f64() * left / burn).ok()
    }

    /// Makes the time between two moments say what somebody outside found: `up` of it
    /// was good. Returns how many buckets changed.
    pub(super) fn merge(&mut self, from_ms: i64, to_ms: i64, up: f64, now_ms: i64) -> usize {
        merge(&mut self.time.fine, from_ms, to_ms, up, now_ms)
            + merge(&mut self.time.coarse, from_ms, to_ms, up, now_ms)
    }
}

/// The stretch of wall time that has passed between two moments.
///
/// The monotonic clock says how long it was. Where the wall clock disagrees it was set:
/// what it jumped over was not lived, and what it jumped back to is lived again.
fn lived(last: Moment, now: Moment) -> (i64, i64) {
    let elapsed = now.instant.saturating_duration_since(last.instant);
    let (from, to) = (last.wall.unix_millis(), now.wall.unix_millis());
    let lived = millis(elapsed);
    let off = to.saturating_sub(from).saturating_sub(lived);
    let tolerance = 1000_i64.saturating_add(lived / 100);
    let held = millis(elapsed.min(MAX_HOLD));
    if off > tolerance {
        (from, from.saturating_add(held))
    } else if off < -tolerance {
        let began = to.saturating_sub(lived);
        (began, began.saturating_add(held))
    } else {
        (
            from,
            to.min(from.saturating_add(held.saturating_add(tolerance))),
        )
    }
}

/// Spreads what was found from outside over the complete buckets of a ring.
///
/// The total is what was found; where in time it lies is what was seen from inside: bad
/// time that is missing goes where nothing is known first, for a dead process sees
/// nothing, and time that was not bad is taken away in proportion.
fn merge(ring: &mut Ring, from_ms: i64, to_ms: i64, up: f64, now_ms: i64) -> usize {
    let width = f64::from(ring.width_ms());
    let buckets: Vec<(i64, Bucket)> = ring
        .complete_within(from_ms, to_ms, now_ms)
        .into_iter()
        .filter_map(|index| Some((index, ring.get(index)?)))
        .collect();
    let mut whole = 0.0;
    let mut bad = 0.0;
    let mut unknown = 0.0;
    for (_, bucket) in &buckets {
        whole += width;
        bad += f64::from(bucket.bad);
        unknown += width - f64::from(bucket.bad) - f64::from(bucket.good);
    }
    let wanted = whole * (1.0 - up.clamp(0.0, 1.0));
    let missing = (wanted - bad).max(0.0);
    let keep = if bad > wanted { wanted / bad } else { 1.0 };
    let of_unknown = part(missing, unknown);
    let of_good = part(missing - unknown, whole - bad - unknown);
    // What rounding leaves over goes to the next, so that the total is exact.
    let mut carry = 0.0;
    for (index, bucket) in &buckets {
        let (was_good, was_bad) = (f64::from(bucket.good), f64::from(bucket.bad));
        let was_unknown = width - was_good - was_bad;
        let share = carry + was_bad * keep + was_unknown * of_unknown + was_good * of_good;
        let now_bad = rounded(share, ring.width_ms());
        carry = share - f64::from(now_bad);
        let merged = Bucket {
            good: ring.width_ms() - now_bad,
            bad: now_bad,
        };
        ring.set(*index, merged);
    }
    buckets.len()
}

/// Which part of `whole` has to be taken to get `wanted` of it.
fn part(wanted: f64, whole: f64) -> f64 {
    if wanted <= 0.0 || whole <= 0.0 {
        0.0
    } else {
        (wanted / whole).min(1.0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of a bucket"
)]
fn rounded(value: f64, max: u32) -> u32 {
    value.round().clamp(0.0, f64::from(max)) as u32
}

pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn unix_ms(at: Timestamp) -> i64 {
    at.unix_millis()
}
