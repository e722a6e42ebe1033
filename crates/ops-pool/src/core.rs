//! The pool as a state machine, without input, output, clock or runtime.
//!
//! [`Core::step`] is told what happened and answers with what is to be done. It knows
//! connections and waiters by their ids alone, so the same machine can run the library,
//! a proxy and a simulator.
//!
//! # Invariants
//! 1. Where a connection is idle, nobody waits.
//! 2. Connections that stand or are being opened are never more than `pool_size`.
//! 3. A connection is in one place: idle, in one caller's hands, being opened or reset.
//! 4. Every waiter is served in the order of arrival, or refused, or leaves.
//!
//! `check_invariants` checks them; the tests call it after every step.

#[cfg(test)]
mod bench;
mod check;
mod event;
mod governor;
mod life;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod simulator_tests;
mod slab;
mod timing;

use std::time::Duration;

pub(crate) use event::{
    Action, Event, Failure, Now, Refusal, ServerId, Settings, Verdict, WaiterId,
};

use governor::Governor;
use slab::{Key, List, Slab};

use crate::close::CloseReason;

/// How long a reset counts as a connection that is about to come free. One that takes
/// longer must not keep waiters from a new connection.
const RESET_IS_SOON: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Server {
    state: State,
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
    Resetting {
        since: Now,
    },
}

#[derive(Debug)]
struct Waiter {
    since: Now,
    turn: Turn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Queued,
    Served(ServerId),
    Refused(Refusal),
}

/// How many connections are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) connecting: usize,
    pub(crate) idle: usize,
    /// In a caller's hands, or on the way there.
    pub(crate) active: usize,
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

    fn of(&mut self, state: State) -> &mut usize {
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
    pub(crate) closes: u64,
    /// Closed because of what the session left in them, or because the reset failed.
    pub(crate) dirty_closes: u64,
    pub(crate) last_return: Option<Now>,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Core {
    settings: Settings,
    servers: Slab<Server>,
    /// The front was used last and is used next.
    idle: List,
    /// The front has been resetting for the longest time.
    resetting: List,
    counts: Counts,
    waiters: Slab<Waiter>,
    /// The front is served next.
    queue: List,
    governor: Governor,
    next_lifetime_close: Now,
    timer: Option<Now>,
    draining: bool,
    drained: bool,
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
            settings,
            servers: Slab::new(),
            idle: List::new(),
            resetting: List::new(),
            counts: Counts::default(),
            waiters: Slab::new(),
            queue: List::new(),
            governor,
            next_lifetime_close: Now::default(),
            timer: None,
            draining: false,
            drained: false,
            totals: Totals::default(),
            out: Vec::with_capacity(4),
        }
    }

    /// Takes in an event and says what to do about it, in order.
    ///
    /// An event about something that is gone does nothing: messages may cross.
    pub(crate) fn step(&mut self, event: Event, now: Now) -> std::vec::Drain<'_, Action> {
        match event {
            Event::Acquire => self.acquire(now),
            Event::Collect(waiter) => self.collect(waiter, now),
            Event::CancelWait { waiter, timed_out } => self.cancel_wait(waiter, timed_out, now),
            Event::Release(server, verdict) => self.release(server, verdict, now),
            Event::Detach(server) => self.detach(server, now),
            Event::Dial(server) => self.dial(server, now),
            Event::Connected(server) => self.connected(server, now),
            Event::ConnectFailed(server, failure) => self.connect_failed(server, failure, now),
            Event::ResetDone(server, outcome) => self.reset_done(server, outcome, now),
            Event::ServerGone(server) => self.server_gone(server, now),
            Event::Tick => self.tick(now),
            Event::Drain => self.drain(),
        }
        self.out.drain(..)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining
    }

    pub(crate) fn drained(&self) -> bool {
        self.drained
    }

    /// Whether the connection is still wanted by the core.
    pub(crate) fn knows(&self, server: ServerId) -> bool {
        self.servers.get(server.0).is_some()
    }

    /// How long the waiter that is served next has waited.
    pub(crate) fn longest_wait(&self, now: Now) -> Option<Duration> {
        let head = self.waiters.get(self.queue.front(&self.waiters)?)?;
        Some(now.since(head.since))
    }

    fn acquire(&mut self, now: Now) {
        if self.draining {
            return self.refuse(Refusal::ShuttingDown);
        }
        if let Some(key) = self.idle.pop_front(&mut self.servers) {
            self.set_state(key, State::Lent);
            self.totals.assignments += 1;
            return self.out.push(Action::Grant(ServerId(key)));
        }
        if let Some(refusal) = self.fail_fast(now) {
            return self.refuse(refusal);
        }
        let key = self.waiters.insert(Waiter {
            since: now,
            turn: Turn::Queued,
        });
        self.queue.push_back(&mut self.waiters, key);
        self.out.push(Action::Wait(WaiterId(key)));
        self.balance(now);
    }

    /// While the server cannot be reached nobody waits for it, but for the one caller
    /// whose attempt finds out whether it is back. A server that says it is starting is
    /// worth waiting for.
    fn fail_fast(&self, now: Now) -> Option<Refusal> {
        match self.governor.last_failure()? {
            Failure::Starting => return None,
            Failure::Unreachable | Failure::Permanent => {}
        }
        let probes = self.counts.connecting == 0 && self.governor.allowed(now) > 0;
        if self.counts.connected() > 0 || probes {
            return None;
        }
        Some(Refusal::ServerDown {
            retry_in: self.retry_in(now),
        })
    }

    fn retry_in(&self, now: Now) -> Duration {
        self.governor
            .retry_at(now)
            .map_or(Duration::ZERO, |at| at.since(now))
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.totals.refusals += 1;
        self.out.push(Action::Refuse(refusal));
    }

    fn collect(&mut self, waiter: WaiterId, now: Now) {
        let Some(&Waiter { since, turn }) = self.waiters.get(waiter.0) else {
            return;
        };
        match turn {
            Turn::Queued => self.out.push(Action::Wait(waiter)),
            Turn::Served(server) => {
                self.waiters.remove(waiter.0);
                self.set_state(server.0, State::Lent);
                self.totals.assignments += 1;
                self.totals.waits += 1;
                self.totals.wait_time += now.since(since);
                self.out.push(Action::Grant(server));
            }
            Turn::Refused(refusal) => {
                self.waiters.remove(waiter.0);
                self.refuse(refusal);
            }
        }
    }

    fn cancel_wait(&mut self, waiter: WaiterId, timed_out: bool, now: Now) {
        let Some(turn) = self.waiters.get(waiter.0).map(|waiter| waiter.turn) else {
            return;
        };
        match turn {
            Turn::Queued => {
                self.queue.unlink(&mut self.waiters, waiter.0);
                self.waiters.remove(waiter.0);
                self.totals.timeouts += u64::from(timed_out);
            }
            Turn::Served(server) => {
                self.waiters.remove(waiter.0);
                self.offer(server.0, now);
            }
            Turn::Refused(_) => {
                self.waiters.remove(waiter.0);
            }
        }
    }

    fn release(&mut self, server: ServerId, verdict: Verdict, now: Now) {
        let Some(entry) = self
            .servers
            .get(server.0)
            .filter(|entry| entry.state == State::Lent)
        else {
            return;
        };
        self.totals.last_return = Some(now);
        let reason = match verdict {
            Verdict::Close(reason) => Some(reason),
            _ if entry.gone => Some(CloseReason::ServerGone),
            _ if self.draining => Some(CloseReason::ShuttingDown),
            Verdict::Clean | Verdict::Reusable => self
                .used_up(server.0, now)
                .then_some(CloseReason::LifetimeOver),
        };
        if let Some(reason) = reason {
            self.close(server.0, reason);
            self.balance(now);
        } else if self.settings.reset && verdict == Verdict::Reusable {
            self.set_state(server.0, State::Resetting { since: now });
            self.resetting.push_back(&mut self.servers, server.0);
            self.totals.resets += 1;
            self.out.push(Action::Reset(server));
            self.balance(now);
        } else {
            self.offer(server.0, now);
        }
    }

    fn detach(&mut self, server: ServerId, now: Now) {
        if self
            .servers
            .get(server.0)
            .is_some_and(|entry| entry.state == State::Lent)
        {
            self.forget(server.0);
            self.balance(now);
        }
    }

    fn drain(&mut self) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        self.refuse_all(Refusal::ShuttingDown);
        while let Some(key) = self.idle.pop_front(&mut self.servers) {
            self.close(key, CloseReason::ShuttingDown);
        }
        let connecting: Vec<Key> = self
            .servers
            .iter()
            .filter(|(_, server)| server.state == State::Connecting)
            .map(|(key, _)| key)
            .collect();
        for key in connecting {
            self.close(key, CloseReason::ShuttingDown);
        }
        self.note_drained();
    }

    fn refuse_all(&mut self, refusal: Refusal) {
        while let Some(key) = self.queue.pop_front(&mut self.waiters) {
            if let Some(waiter) = self.waiters.get_mut(key) {
                waiter.turn = Turn::Refused(refusal);
                self.out.push(Action::Wake(WaiterId(key)));
            }
        }
    }

    /// Gives a connection that is clean to whoever is next, or keeps it.
    fn offer(&mut self, key: Key, now: Now) {
        if self.draining {
            return self.close(key, CloseReason::ShuttingDown);
        }
        let Some(head) = self.queue.pop_front(&mut self.waiters) else {
            self.set_state(key, State::Idle { since: now });
            self.idle.push_front(&mut self.servers, key);
            return self.arm_for_idle(key, now);
        };
        if let Some(waiter) = self.waiters.get_mut(head) {
            waiter.turn = Turn::Served(ServerId(key));
            self.set_state(key, State::Handed(WaiterId(head)));
            self.out.push(Action::Wake(WaiterId(head)));
        }
    }

    /// Opens as many connections as are missing, as far as limit and governor allow.
    fn balance(&mut self, now: Now) {
        let room = self.settings.pool_size.saturating_sub(self.counts.all());
        if self.draining || room == 0 {
            return;
        }
        let shortage = self.shortage(now, 0);
        self.arm_for_shortage(shortage, now);
        let allowed = self
            .governor
            .allowed(now)
            .saturating_sub(self.counts.connecting);
        for _ in 0..shortage.min(room).min(allowed) {
            let state = State::Connecting;
            let key = self.servers.insert(Server {
                state,
                gone: false,
                expires_at: None,
            });
            self.counts.connecting += 1;
            self.out.push(Action::Connect(ServerId(key)));
        }
    }

    /// How many connections are missing, not counting `without` of those in the making.
    fn shortage(&self, now: Now, without: usize) -> usize {
        let connecting = self.counts.connecting - without;
        let coming = connecting + self.counts.resetting - self.stale_resets(now);
        let for_waiters = self.queue.len().saturating_sub(coming);
        let connected = self.counts.connected() + connecting;
        for_waiters.max(self.settings.min_pool_size.saturating_sub(connected))
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
        if let Some(server) = self.servers.remove(key) {
            *self.counts.of(server.state) -= 1;
        }
        self.note_drained();
    }

    fn note_drained(&mut self) {
        if self.draining && !self.drained && self.servers.len() == 0 {
            self.drained = true;
            self.out.push(Action::Drained);
        }
    }
}
