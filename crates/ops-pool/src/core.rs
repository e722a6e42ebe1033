//! The pool as a state machine, without input, output, clock or runtime.
//!
//! [`Core::step`] is told what happened and answers with what is to be done. It knows
//! connections and waiters by their ids alone, so the same machine can run the library,
//! a proxy and a simulator.
//!
//! # Invariants
//! 1. Where a connection could be handed out, nobody who may have it waits.
//! 2. Connections that stand or are being opened are never more than `pool_size` and
//!    `reserve_pool_size` together.
//! 3. A connection is in one place: idle, in one caller's hands, being opened, reset or
//!    checked.
//! 4. Every waiter is served in the order of arrival within its lane, or refused, or leaves.
//! 5. A connection of a pool in a group has one permit of the group.
//! 6. An idle connection whose turn it is to be closed for its age awaits a successor that
//!    is on its way, or will be tried again.
//!
//! `check_invariants` checks them; the tests call it after every step.

mod admin;
#[cfg(test)]
pub(crate) mod bench;
mod check;
mod counts;
mod event;
mod governor;
#[cfg(test)]
mod group_tests;
mod grow;
mod lanes;
mod ledger;
mod life;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod redis_tests;
mod serve;
#[cfg(test)]
mod simulator_tests;
mod slab;
mod timing;

use std::time::Duration;

pub(crate) use admin::{ServerState, Standing};
pub(crate) use counts::{Counts, Totals};
pub(crate) use event::{
    Action, Event, Failure, LaneId, LaneSettings, Now, Refusal, ServerId, Settings, Verdict,
    WaiterId,
};

pub(crate) use ledger::Ledger;

use counts::Pace;
use governor::Governor;
use lanes::Lanes;
use slab::{Key, List, Slab};

use crate::close::CloseReason;

/// How long a reset counts as a connection that is about to come free. One that takes
/// longer must not keep waiters from a new connection.
const RESET_IS_SOON: Duration = Duration::from_millis(10);

/// How long a permit for the successor of a connection that is too old is waited for.
const PERMIT_IS_SOON: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Server {
    state: State,
    /// Whose it is or was last.
    lane: LaneId,
    /// Which [`Event::Reconnect`] it was opened after.
    generation: u32,
    /// The connection broke while somebody had it.
    gone: bool,
    expires_at: Option<Now>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Idle {
        since: Now,
    },
    /// Given to a waiter that has not collected it yet.
    Handed(WaiterId),
    Lent,
    /// Being reset or checked.
    Resetting {
        since: Now,
    },
}

impl State {
    fn is_active(self) -> bool {
        matches!(self, Self::Handed(_) | Self::Lent)
    }
}

#[derive(Debug)]
struct Waiter {
    /// Grows with each arrival.
    ticket: u64,
    since: Now,
    lane: LaneId,
    turn: Turn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Queued,
    Served(ServerId),
    Refused(Refusal),
}

/// The state machine.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or false whatever the others are"
)]
pub(crate) struct Core {
    settings: Settings,
    servers: Slab<Server>,
    /// The front is used next.
    idle: List,
    /// The front has been resetting for the longest time.
    resetting: List,
    counts: Counts,
    waiters: Slab<Waiter>,
    tickets: u64,
    lanes: Lanes,
    pace: Pace,
    governor: Governor,
    next_lifetime_close: Now,
    /// An idle connection may be too old.
    elders: bool,
    timer: Option<Now>,
    generation: u32,
    /// Connections of earlier generations.
    outdated: usize,
    /// Permits of the group that no connection has.
    permits: usize,
    /// Permits that are wanted of the group.
    requested: usize,
    /// Callers wait for them.
    presses: bool,
    /// The most connections that are still to be expected after the limits were lowered.
    ceiling: usize,
    paused: bool,
    draining: bool,
    totals: Totals,
    out: Vec<Action>,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Self {
        let governor = Governor::new(
            settings.max_connecting,
            settings.server_login_retry,
            settings.seed,
        );
        Self {
            lanes: Lanes::new(&settings.lanes),
            ceiling: settings.pool_size + settings.reserve_pool_size,
            settings,
            servers: Slab::new(),
            idle: List::new(),
            resetting: List::new(),
            counts: Counts::default(),
            waiters: Slab::new(),
            tickets: 0,
            pace: Pace::default(),
            governor,
            next_lifetime_close: Now::default(),
            elders: false,
            timer: None,
            generation: 0,
            outdated: 0,
            permits: 0,
            requested: 0,
            presses: false,
            paused: false,
            draining: false,
            totals: Totals::default(),
            out: Vec::with_capacity(4),
        }
    }

    /// Takes in an event and says what to do about it, in order.
    ///
    /// An event about something that is gone does nothing: messages may cross.
    pub(crate) fn step(&mut self, event: Event, now: Now) -> std::vec::Drain<'_, Action> {
        match event {
            Event::Acquire { lane, patience } => self.acquire(lane, patience, now),
            Event::Collect(waiter) => self.collect(waiter, now),
            Event::CancelWait { waiter, timed_out } => self.cancel_wait(waiter, timed_out, now),
            Event::Release(server, verdict) => self.release(server, verdict, now),
            Event::Detach(server) => self.detach(server, now),
            Event::Dial(server) => self.dial(server, now),
            Event::Connected(server) => self.connected(server, now),
            Event::ConnectFailed(server, failure) => self.connect_failed(server, failure, now),
            Event::ResetDone(server, outcome) => self.reset_done(server, outcome, now),
            Event::ServerGone(server) => self.server_gone(server, now),
            Event::Granted(permits) => self.granted(permits, now),
            Event::Evict => self.evict(now),
            Event::Tick => self.tick(now),
            Event::Pause => self.pause(),
            Event::Resume => self.resume(now),
            Event::Reconnect => self.reconnect(now),
            Event::Resize {
                pool_size,
                min_pool_size,
                reserve_pool_size,
            } => self.resize(pool_size, min_pool_size, reserve_pool_size, now),
            Event::Drain => self.drain(),
        }
        self.out.drain(..)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lanes.waiting()
    }

    /// How many wait in a lane, and how many connections it uses.
    pub(crate) fn lane(&self, lane: LaneId) -> (usize, usize) {
        (self.lanes.waiting_in(lane), self.lanes.in_use(lane))
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining
    }

    pub(crate) fn paused(&self) -> bool {
        self.paused
    }

    /// Whether no connection is left and none will be opened.
    pub(crate) fn drained(&self) -> bool {
        self.draining && self.servers.len() == 0
    }

    /// Whether no connection is left in a pool that is paused.
    pub(crate) fn quiet(&self) -> bool {
        self.paused && self.servers.len() == 0
    }

    /// How many permits are wanted of the group.
    pub(crate) fn requested(&self) -> usize {
        self.requested
    }

    /// Whether callers wait for these permits.
    pub(crate) fn presses(&self) -> bool {
        self.requested > 0 && self.presses
    }

    /// How many connections stand that were opened before the last [`Event::Reconnect`].
    pub(crate) fn outdated(&self) -> usize {
        self.outdated
    }

    /// Whether the connection is still wanted by the core.
    pub(crate) fn knows(&self, server: ServerId) -> bool {
        self.servers.get(server.0).is_some()
    }

    /// How long the waiter that has waited longest has waited.
    pub(crate) fn longest_wait(&self, now: Now) -> Option<Duration> {
        let first = self.lanes.heads(&self.waiters).map(|(_, head)| head.since);
        Some(now.since(first.min()?))
    }

    fn is_connecting(&self, key: Key) -> bool {
        self.servers
            .get(key)
            .is_some_and(|server| server.state == State::Connecting)
    }

    fn set_state(&mut self, key: Key, state: State) {
        if let Some(server) = self.servers.get_mut(key) {
            *self.counts.of(server.state) -= 1;
            *self.counts.of(state) += 1;
            match (server.state.is_active(), state.is_active()) {
                (false, true) => self.lanes.took(server.lane),
                (true, false) => self.lanes.gave(server.lane),
                _ => {}
            }
            server.state = state;
        }
    }

    /// Closes a connection that is in no list anymore.
    fn close(&mut self, key: Key, reason: CloseReason) {
        self.totals.closes += 1;
        self.totals.dirty_closes += u64::from(reason.is_dirty());
        self.out.push(Action::Close(ServerId(key), reason));
        self.forget(key);
    }

    fn forget(&mut self, key: Key) {
        let Some(server) = self.servers.remove(key) else {
            return;
        };
        *self.counts.of(server.state) -= 1;
        if server.state.is_active() {
            self.lanes.gave(server.lane);
        }
        let limit = self.settings.pool_size + self.settings.reserve_pool_size;
        self.ceiling = self.ceiling.min(self.counts.all()).max(limit);
        if self.settings.limited {
            self.out.push(Action::GiveBack(1));
        }
        let outdated = server.generation != self.generation;
        self.outdated -= usize::from(outdated);
        let last_outdated = outdated && self.outdated == 0;
        let last = (self.draining || self.paused) && self.servers.len() == 0;
        if last_outdated || last {
            self.out.push(Action::Settled);
        }
    }
}
