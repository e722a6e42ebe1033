//! The invariants, as a check of the whole state.

#[cfg(test)]
use super::Now;
use super::{Core, Counts, State, Turn, WaiterId};
use crate::core::{LaneId, ServerId};

impl Core {
    /// Checks every invariant; for tests and debug builds, as it looks at everything.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        self.check_servers()?;
        self.check_waiters()?;
        self.check_lanes()?;
        let counts = self.counts;
        let limit = self.settings.pool_size + self.settings.reserve_pool_size;
        if counts.all() > limit.max(self.ceiling) {
            return Err(format!("{} connections, at most {limit}", counts.all()));
        }
        let in_motion = counts.connecting + counts.active + counts.resetting + self.requested;
        let waits = self.lanes.waiting() > 0;
        if waits && in_motion == 0 && self.timer.is_none() && !self.paused {
            return Err("somebody waits and nothing will ever happen".to_owned());
        }
        if self.draining && (waits || !self.idle.is_empty()) {
            return Err("somebody waits or is idle in a pool that drains".to_owned());
        }
        if self.paused && counts.idle + counts.connecting > 0 {
            return Err("a connection that nobody has, in a pool that is paused".to_owned());
        }
        if self.permits > 0 {
            return Err(format!("{} permits are kept unused", self.permits));
        }
        let outdated = self.servers.iter();
        let outdated = outdated.filter(|(_, server)| server.generation != self.generation);
        if outdated.count() != self.outdated {
            return Err(format!("{} connections are said outdated", self.outdated));
        }
        Ok(())
    }

    /// Checks that an idle connection that is too old is on its way out; for tests.
    #[cfg(test)]
    pub(crate) fn check_ages(&self, now: Now) -> Result<(), String> {
        let tick_is_due = self.timer.is_some_and(|at| at <= now);
        let successor = self.counts.connecting + self.requested > 0;
        let retry_at = self.governor.retry_at(now);
        let tried_again = retry_at.is_some_and(|at| self.timer.is_some_and(|timer| timer <= at));
        if tick_is_due || successor || tried_again {
            return Ok(());
        }
        for (key, server) in self.idle.iter(&self.servers) {
            let over = server.expires_at.map(|at| at.max(self.next_lifetime_close));
            if over.is_some_and(|over| now >= over) {
                return Err(format!("{key:?} is too old and nobody replaces it"));
            }
            if over.is_some() && self.timer.is_none_or(|timer| Some(timer) > over) {
                return Err(format!("{key:?} gets too old and nobody looks"));
            }
        }
        Ok(())
    }

    fn check_servers(&self) -> Result<(), String> {
        let mut counts = Counts::default();
        for (key, server) in self.servers.iter() {
            *counts.of(server.state) += 1;
            if let State::Handed(waiter) = server.state {
                let turn = self.waiters.get(waiter.0).map(|waiter| waiter.turn);
                if turn != Some(Turn::Served(ServerId(key))) {
                    return Err(format!("{key:?} is handed to {waiter:?}, who has {turn:?}"));
                }
            }
        }
        if counts != self.counts {
            return Err(format!("counted {counts:?}, kept {:?}", self.counts));
        }
        let idle = self.idle.iter(&self.servers);
        let listed = idle
            .filter(|(_, s)| matches!(s.state, State::Idle { .. }))
            .count();
        if (listed, self.idle.len()) != (counts.idle, counts.idle) {
            return Err(format!("the idle list holds {listed} of {}", counts.idle));
        }
        let resetting = self.resetting.iter(&self.servers);
        let listed = resetting
            .filter(|(_, s)| matches!(s.state, State::Resetting { .. }))
            .count();
        if (listed, self.resetting.len()) != (counts.resetting, counts.resetting) {
            return Err(format!(
                "the resetting list holds {listed} of {}",
                counts.resetting
            ));
        }
        Ok(())
    }

    /// Nobody waits who could be served.
    fn check_lanes(&self) -> Result<(), String> {
        let capacity = self.capacity();
        let mut in_use = 0;
        for (lane, _) in self.lanes.heads(&self.waiters) {
            if self.lanes.may_take(lane, capacity) && !self.idle.is_empty() {
                let unchecked = self
                    .idle
                    .iter(&self.servers)
                    .any(|(_, server)| !self.may_need_check(server.state));
                if unchecked || self.counts.connecting + self.counts.resetting == 0 {
                    return Err(format!("{lane:?} waits while {} are idle", self.idle.len()));
                }
            }
        }
        for lane in 0..self.settings.lanes.len() {
            let (_, used) = self.lane(LaneId(lane));
            in_use += used;
        }
        if in_use != self.counts.active {
            return Err(format!("lanes use {in_use} of {}", self.counts.active));
        }
        Ok(())
    }

    /// Whether a connection in this state may have been idle for too long, by a clock that
    /// is not known here.
    fn may_need_check(&self, state: State) -> bool {
        self.settings.server_check_delay.is_some() && matches!(state, State::Idle { .. })
    }

    fn check_waiters(&self) -> Result<(), String> {
        let mut queued = 0;
        for (key, waiter) in self.waiters.iter() {
            match waiter.turn {
                Turn::Queued => queued += 1,
                Turn::Refused(_) => {}
                Turn::Served(server) => {
                    let state = self.servers.get(server.0).map(|server| server.state);
                    if state != Some(State::Handed(WaiterId(key))) {
                        return Err(format!("{key:?} was served {server:?}, which is {state:?}"));
                    }
                }
            }
        }
        let tickets: Vec<_> = self
            .lanes
            .iter(&self.waiters)
            .map(|(lane, _, waiter)| (lane, waiter.ticket))
            .collect();
        if !tickets.is_sorted() {
            return Err("somebody stands before one who came earlier".to_owned());
        }
        let waiting = self.lanes.iter(&self.waiters);
        let listed = waiting
            .filter(|(lane, _, waiter)| waiter.turn == Turn::Queued && waiter.lane == *lane)
            .count();
        if (listed, self.lanes.waiting()) != (queued, queued) {
            return Err(format!("the queue holds {listed} of {queued}"));
        }
        Ok(())
    }
}
