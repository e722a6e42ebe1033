//! What happens to a connection between its first attempt and its end.

use super::event::{Failure, Now, Refusal, ServerId};
use super::{Core, State, Turn, WaiterId};
use crate::close::CloseReason;

impl Core {
    pub(super) fn dial(&mut self, server: ServerId, now: Now) {
        if self.is_connecting(server.0) && self.shortage(now, 1) == 0 {
            self.close(server.0, CloseReason::NotNeeded);
        }
    }

    pub(super) fn connected(&mut self, server: ServerId, now: Now) {
        if !self.is_connecting(server.0) {
            return;
        }
        self.governor.succeeded();
        self.totals.connects += 1;
        let expires_at = self.expiry(now);
        if let Some(entry) = self.servers.get_mut(server.0) {
            entry.expires_at = expires_at;
        }
        self.offer(server.0, now);
        self.balance(now);
    }

    pub(super) fn connect_failed(&mut self, server: ServerId, failure: Failure, now: Now) {
        if !self.is_connecting(server.0) {
            return;
        }
        self.forget(server.0);
        self.totals.connect_failures += 1;
        self.governor.failed(failure, now);
        if failure != Failure::Starting && self.counts.all() == 0 {
            self.refuse_all(Refusal::ServerDown {
                retry_in: self.retry_in(now),
            });
        }
        self.balance(now);
    }

    pub(super) fn reset_done(
        &mut self,
        server: ServerId,
        outcome: Result<(), CloseReason>,
        now: Now,
    ) {
        let state = self.servers.get(server.0).map(|entry| entry.state);
        let Some(State::Resetting { .. }) = state else {
            return;
        };
        self.resetting.unlink(&mut self.servers, server.0);
        match outcome {
            Ok(()) => self.offer(server.0, now),
            Err(reason) => self.close(server.0, reason),
        }
        self.balance(now);
    }

    pub(super) fn server_gone(&mut self, server: ServerId, now: Now) {
        let Some(entry) = self.servers.get_mut(server.0) else {
            return;
        };
        match entry.state {
            State::Connecting => return self.connect_failed(server, Failure::Unreachable, now),
            State::Lent => return entry.gone = true,
            State::Idle { .. } => self.idle.unlink(&mut self.servers, server.0),
            State::Resetting { .. } => self.resetting.unlink(&mut self.servers, server.0),
            State::Handed(waiter) => self.requeue(waiter),
        }
        self.close(server.0, CloseReason::ServerGone);
        self.balance(now);
    }

    /// Whoever was to have a connection that broke goes back to where it came from.
    fn requeue(&mut self, waiter: WaiterId) {
        let Some(entry) = self.waiters.get_mut(waiter.0) else {
            return;
        };
        if self.draining {
            entry.turn = Turn::Refused(Refusal::ShuttingDown);
        } else {
            entry.turn = Turn::Queued;
            let lane = entry.lane;
            self.lanes.put_back(&mut self.waiters, lane, waiter.0);
        }
    }
}
