//! Who gets a connection, and what becomes of one that comes back.

use std::time::Duration;

use super::event::{Action, Failure, LaneId, Now, Refusal, ServerId, Verdict, WaiterId};
use super::slab::Key;
use super::{Core, Server, State, Turn, Waiter};
use crate::close::CloseReason;

impl Core {
    pub(super) fn acquire(&mut self, lane: LaneId, patience: Option<Duration>, now: Now) {
        if self.draining {
            return self.refuse(Refusal::ShuttingDown);
        }
        if let Some(server) = self.grant(lane, now) {
            return self.out.push(Action::Grant(server));
        }
        if let Some(refusal) = self.hopeless(lane, patience, now) {
            return self.refuse(refusal);
        }
        self.tickets += 1;
        let key = self.waiters.insert(Waiter {
            ticket: self.tickets,
            since: now,
            lane,
            turn: Turn::Queued,
        });
        self.lanes.push_back(&mut self.waiters, lane, key);
        self.out.push(Action::Wait(WaiterId(key)));
        self.balance(now);
    }

    /// [`Event::Acquire`] where it is answered at once with a connection and nothing else
    /// is to be done. None: nothing has changed.
    #[inline]
    pub(crate) fn grant(&mut self, lane: LaneId, now: Now) -> Option<ServerId> {
        // Whoever waits comes first, whatever it waits for.
        if self.draining
            || self.lanes.waiting() > 0
            || !self.lanes.may_take(lane, self.capacity())
            || self.front_needs_check(now)
        {
            return None;
        }
        let key = self.idle.pop_front(&mut self.servers)?;
        self.counts.idle -= 1;
        self.counts.active += 1;
        self.lanes.took(lane);
        self.totals.assignments += 1;
        if let Some(server) = self.servers.get_mut(key) {
            server.lane = lane;
            server.state = State::Lent;
        }
        Some(ServerId(key))
    }

    /// [`Event::Release`] of a connection that is clean, where it becomes idle and nothing
    /// else is to be done. False: nothing has changed.
    #[inline]
    pub(crate) fn keep(&mut self, server: ServerId, now: Now) -> bool {
        let limit = self.settings.pool_size + self.settings.reserve_pool_size;
        if self.settings.limited
            || self.draining
            || self.paused
            || self.lanes.waiting() > 0
            || self.counts.all() > limit
        {
            return false;
        }
        let (generation, timer) = (self.generation, self.timer);
        let Some(entry) = self.servers.get_mut(server.0) else {
            return false;
        };
        // The timer is armed for the earliest that may be due: while it is armed for no
        // later than this one's end, nothing is to be armed.
        let in_time =
            |due: Option<Now>| due.is_none_or(|due| now < due && timer.is_some_and(|at| at <= due));
        if entry.state != State::Lent
            || entry.gone
            || entry.generation != generation
            || self.settings.server_lifetime.is_zero()
            || !in_time(entry.expires_at)
            || !(self.settings.server_idle_timeout.is_zero()
                || in_time(Some(now.after(self.settings.server_idle_timeout))))
        {
            return false;
        }
        entry.state = State::Idle { since: now };
        let lane = entry.lane;
        self.counts.active -= 1;
        self.counts.idle += 1;
        self.lanes.gave(lane);
        self.totals.last_return = Some(now);
        if self.settings.round_robin {
            self.idle.push_back(&mut self.servers, server.0);
        } else {
            self.idle.push_front(&mut self.servers, server.0);
        }
        true
    }

    /// Why there is no point in waiting.
    fn hopeless(&self, lane: LaneId, patience: Option<Duration>, now: Now) -> Option<Refusal> {
        if !self.paused
            && let Some(refusal) = self.fail_fast(now)
        {
            return Some(refusal);
        }
        let waiting = self.lanes.waiting();
        if self
            .settings
            .max_waiting
            .is_some_and(|most| waiting >= most)
        {
            return Some(Refusal::QueueFull);
        }
        if !self.settings.shed || self.paused || self.counts.all() < self.settings.pool_size {
            return None;
        }
        // The lane's own line is what the caller is sure to wait behind.
        let expected = self.pace.expected(self.lanes.waiting_in(lane), now)?;
        (patience? < expected).then_some(Refusal::Hopeless { expected })
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

    pub(super) fn retry_in(&self, now: Now) -> Duration {
        self.governor
            .retry_at(now)
            .map_or(Duration::ZERO, |at| at.since(now))
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.totals.refusals += 1;
        self.out.push(Action::Refuse(refusal));
    }

    pub(super) fn refuse_all(&mut self, refusal: Refusal) {
        while let Some(key) = self.lanes.pop_any(&mut self.waiters) {
            if let Some(waiter) = self.waiters.get_mut(key) {
                waiter.turn = Turn::Refused(refusal);
                self.out.push(Action::Wake(WaiterId(key)));
            }
        }
    }

    pub(super) fn collect(&mut self, waiter: WaiterId, now: Now) {
        let Some(&Waiter { since, turn, .. }) = self.waiters.get(waiter.0) else {
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

    pub(super) fn cancel_wait(&mut self, waiter: WaiterId, timed_out: bool, now: Now) {
        let Some(&Waiter { lane, turn, .. }) = self.waiters.get(waiter.0) else {
            return;
        };
        match turn {
            Turn::Queued => {
                self.lanes.unlink(&mut self.waiters, lane, waiter.0);
                self.waiters.remove(waiter.0);
                self.totals.timeouts += u64::from(timed_out);
                if self.settings.limited {
                    self.balance(now);
                }
            }
            Turn::Served(server) => {
                self.waiters.remove(waiter.0);
                self.offer(server.0, now);
                self.balance(now);
            }
            Turn::Refused(_) => {
                self.waiters.remove(waiter.0);
            }
        }
    }

    pub(super) fn release(&mut self, server: ServerId, verdict: Verdict, now: Now) {
        if verdict == Verdict::Clean && self.keep(server, now) {
            return;
        }
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
            Verdict::Clean | Verdict::Reusable => self.not_kept(server.0).or_else(|| {
                self.used_up(server.0, now)
                    .then_some(CloseReason::LifetimeOver)
            }),
        };
        if let Some(reason) = reason {
            self.close(server.0, reason);
            self.balance(now);
        } else if verdict == Verdict::Reusable {
            self.totals.resets += 1;
            self.out.push(Action::Reset(server));
            self.set_aside(server.0, now);
            self.balance(now);
        } else {
            self.offer(server.0, now);
            self.balance(now);
        }
    }

    /// A connection that is to be reset or checked before anybody gets it.
    pub(super) fn set_aside(&mut self, key: Key, now: Now) {
        self.set_state(key, State::Resetting { since: now });
        self.resetting.push_back(&mut self.servers, key);
    }

    pub(super) fn detach(&mut self, server: ServerId, now: Now) {
        if self
            .servers
            .get(server.0)
            .is_some_and(|entry| entry.state == State::Lent)
        {
            self.forget(server.0);
            self.balance(now);
        }
    }

    fn assign(&mut self, key: Key, lane: LaneId, state: State) {
        if let Some(server) = self.servers.get_mut(key) {
            server.lane = lane;
        }
        self.set_state(key, state);
    }

    /// Gives a connection that is clean to whoever is next, or keeps it.
    pub(super) fn offer(&mut self, key: Key, now: Now) {
        if let Some(reason) = self.not_kept(key) {
            return self.close(key, reason);
        }
        // First out of its caller's hands: its lane may be the one that may go on.
        self.set_state(key, State::Idle { since: now });
        let capacity = self.capacity();
        if let Some(head) = self.lanes.pop(&mut self.waiters, capacity) {
            return self.hand(key, head, now);
        }
        if self.settings.round_robin {
            self.idle.push_back(&mut self.servers, key);
        } else {
            self.idle.push_front(&mut self.servers, key);
        }
        if self.settings.limited {
            self.out.push(Action::Spare);
        }
        let expires_at = self.servers.get(key).and_then(|server| server.expires_at);
        self.elders |= expires_at.is_some_and(|at| now >= at);
        self.arm_for_idle(key, now);
    }

    /// Serves a waiter that has been taken out of the queue.
    fn hand(&mut self, key: Key, head: Key, now: Now) {
        let Some(waiter) = self.waiters.get_mut(head) else {
            return;
        };
        waiter.turn = Turn::Served(ServerId(key));
        let lane = waiter.lane;
        self.assign(key, lane, State::Handed(WaiterId(head)));
        self.pace.served(now, self.lanes.waiting() > 0);
        self.out.push(Action::Wake(WaiterId(head)));
    }

    /// Hands what is idle to those who wait and may have it. Lanes can do so after each
    /// other's use has changed; what has been idle for too long is checked before.
    pub(super) fn match_up(&mut self, now: Now) {
        while self.lanes.waiting() > 0 && !self.idle.is_empty() {
            let capacity = self.capacity();
            if self.front_needs_check(now) {
                if self.lanes.servable(self.planned()) <= self.coming(now) {
                    return;
                }
                let Some(key) = self.idle.pop_front(&mut self.servers) else {
                    return;
                };
                self.totals.checks += 1;
                self.out.push(Action::Check(ServerId(key)));
                self.set_aside(key, now);
                continue;
            }
            let Some(head) = self.lanes.pop(&mut self.waiters, capacity) else {
                return;
            };
            if let Some(key) = self.idle.pop_front(&mut self.servers) {
                self.hand(key, head, now);
            }
        }
    }

    /// Whether the connection that would be used next has been idle for too long to be
    /// trusted.
    #[inline]
    pub(super) fn front_needs_check(&self, now: Now) -> bool {
        let front = self.idle.front(&self.servers);
        front
            .and_then(|key| self.servers.get(key))
            .is_some_and(|server| self.needs_check(server, now))
    }

    #[inline]
    pub(super) fn needs_check(&self, server: &Server, now: Now) -> bool {
        match (server.state, self.settings.server_check_delay) {
            (State::Idle { since }, Some(delay)) => now >= since.after(delay),
            _ => false,
        }
    }
}
