//! What the core counts.

use std::time::Duration;

use super::State;
use super::event::Now;

/// How many connections are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) connecting: usize,
    pub(crate) idle: usize,
    /// In a caller's hands, or on the way there.
    pub(crate) active: usize,
    /// Being reset or checked: what PgBouncer calls tested.
    pub(crate) resetting: usize,
}

impl Counts {
    /// Connections that stand.
    pub(crate) fn connected(self) -> usize {
        self.idle + self.active + self.resetting
    }

    pub(crate) fn all(self) -> usize {
        self.connected() + self.connecting
    }

    pub(super) fn of(&mut self, state: State) -> &mut usize {
        match state {
            State::Connecting => &mut self.connecting,
            State::Idle { .. } => &mut self.idle,
            State::Handed(_) | State::Lent => &mut self.active,
            State::Resetting { .. } => &mut self.resetting,
        }
    }
}

/// What has happened since the pool was built.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) assignments: u64,
    pub(crate) waits: u64,
    pub(crate) wait_time: Duration,
    pub(crate) timeouts: u64,
    pub(crate) refusals: u64,
    pub(crate) connects: u64,
    pub(crate) connect_failures: u64,
    pub(crate) resets: u64,
    pub(crate) checks: u64,
    pub(crate) closes: u64,
    /// Closed because of what the session left in them, or because the reset failed.
    pub(crate) dirty_closes: u64,
    /// Opened above `pool_size`.
    pub(crate) reserve_connects: u64,
    pub(crate) last_return: Option<Now>,
}

/// At which pace waiters are served: a moving average of the time between two of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    last: Option<Now>,
    interval: Duration,
    samples: u32,
}

impl Pace {
    /// How many intervals must have been seen before the average says anything.
    const ENOUGH: u32 = 16;

    /// A waiter was served. `others` says whether somebody goes on waiting: only then is
    /// the time until the next one a matter of the pace.
    pub(super) fn served(&mut self, now: Now, others: bool) {
        if let Some(last) = self.last {
            let interval = now.since(last);
            self.interval = if self.samples == 0 {
                interval
            } else {
                self.interval * 7 / 8 + interval / 8
            };
            self.samples = self.samples.saturating_add(1);
        }
        self.last = others.then_some(now);
    }

    /// How long the caller behind `ahead` others will wait, where that can be told. A
    /// silence that is longer than the average counts instead of it.
    pub(super) fn expected(&self, ahead: usize, now: Now) -> Option<Duration> {
        if self.samples < Self::ENOUGH {
            return None;
        }
        let silence = self.last.map_or(Duration::ZERO, |last| now.since(last));
        let places = u32::try_from(ahead + 1).unwrap_or(u32::MAX);
        Some(
            self.interval
                .saturating_mul(places)
                .max(silence)
                .saturating_sub(silence.min(self.interval)),
        )
    }
}
