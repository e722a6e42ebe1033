//! The state of a pool at a moment.

use std::sync::Arc;
use std::time::Duration;

use ops_core::Error;

use crate::config::Config;
use crate::core::Now;
use crate::shared::State;

/// The state of a pool at a moment. All figures are of the same moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The most connections that the pool may have.
    pub pool_size: usize,
    /// Sessions in the hands of callers, or on the way there.
    pub active: usize,
    /// Connections that nobody uses.
    pub idle: usize,
    /// Connections that are being opened.
    pub connecting: usize,
    /// Sessions that are being reset.
    pub resetting: usize,
    /// Callers in the queue.
    pub waiting: usize,
    /// The lanes of the queue, the default one first.
    pub lanes: Vec<LaneSnapshot>,
    /// How long the caller has waited that has waited longest.
    pub longest_wait: Option<Duration>,
    /// Whether the pool is paused.
    pub paused: bool,
    /// Whether the pool is shutting down.
    pub shutting_down: bool,
    /// How long ago a session came back last.
    pub since_last_return: Option<Duration>,
    /// What has happened since the pool was built.
    pub totals: Totals,
    pub(crate) last_error: Option<(Arc<Error>, Duration)>,
}

impl Snapshot {
    pub(crate) fn of(state: &State, config: &Config, now: Now) -> Self {
        let (core, counts) = (state.core(), state.core().counts());
        let totals = core.totals();
        Self {
            pool_size: core.settings().pool_size,
            active: counts.active,
            idle: counts.idle,
            connecting: counts.connecting,
            resetting: counts.resetting,
            waiting: core.waiting(),
            lanes: config
                .lanes
                .names()
                .map(|(lane, name)| {
                    let (waiting, active) = core.lane(lane);
                    LaneSnapshot {
                        name: name.to_owned(),
                        waiting,
                        active,
                    }
                })
                .collect(),
            longest_wait: core.longest_wait(now),
            paused: core.paused(),
            shutting_down: core.draining(),
            since_last_return: totals.last_return.map(|at| now.since(at)),
            totals: Totals {
                assignments: totals.assignments,
                waits: totals.waits,
                wait_time: totals.wait_time,
                timeouts: totals.timeouts,
                refusals: totals.refusals,
                connects: totals.connects,
                connect_failures: totals.connect_failures,
                resets: totals.resets,
                checks: totals.checks,
                reserve_connects: totals.reserve_connects,
                leaks: state.leaks(),
                closes: totals.closes,
                dirty_closes: totals.dirty_closes,
            },
            last_error: state
                .failure()
                .map(|(err, at)| (Arc::clone(err), now.since(*at))),
        }
    }

    /// Why the last attempt to connect failed, and how long ago. None once an attempt has
    /// succeeded.
    #[must_use]
    pub fn last_error(&self) -> Option<(&Error, Duration)> {
        self.last_error.as_ref().map(|(err, age)| (&**err, *age))
    }
}

/// A lane of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneSnapshot {
    /// Its name.
    pub name: String,
    /// Callers that wait in it.
    pub waiting: usize,
    /// Sessions of its callers, or on the way there.
    pub active: usize,
}

/// What has happened since a pool was built.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Sessions that were given to callers.
    pub assignments: u64,
    /// Those among them for which the caller had to wait.
    pub waits: u64,
    /// How long these callers waited, together.
    pub wait_time: Duration,
    /// Callers that waited in vain.
    pub timeouts: u64,
    /// Callers that were refused.
    pub refusals: u64,
    /// Connections that were opened.
    pub connects: u64,
    /// Attempts to open one that failed.
    pub connect_failures: u64,
    /// Resets that were begun.
    pub resets: u64,
    /// Idle connections that were checked before somebody got them.
    pub checks: u64,
    /// Connections that were opened above `pool_size`.
    pub reserve_connects: u64,
    /// Sessions that were out for longer than `leak_threshold`.
    pub leaks: u64,
    /// Connections that were closed.
    pub closes: u64,
    /// Those among them that were closed for what a session had left behind.
    pub dirty_closes: u64,
}
