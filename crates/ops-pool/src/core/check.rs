//! The invariants, as a check of the whole state.

use super::{Core, Counts, State, Turn, WaiterId};
use crate::core::ServerId;

impl Core {
    /// Checks every invariant; for tests and debug builds, as it looks at everything.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        self.check_servers()?;
        self.check_waiters()?;
        if !self.idle.is_empty() && !self.queue.is_empty() {
            return Err(format!(
                "{} idle while {} wait",
                self.idle.len(),
                self.queue.len()
            ));
        }
        let counts = self.counts;
        if counts.all() > self.settings.pool_size {
            return Err(format!(
                "{} connections in a pool of {}",
                counts.all(),
                self.settings.pool_size
            ));
        }
        let in_motion = counts.connecting + counts.active + counts.resetting;
        if !self.queue.is_empty() && in_motion == 0 && self.timer.is_none() {
            return Err("somebody waits and nothing will ever happen".to_owned());
        }
        if self.draining && !(self.idle.is_empty() && self.queue.is_empty()) {
            return Err("somebody waits or is idle in a pool that drains".to_owned());
        }
        if self.drained != (self.draining && self.servers.len() == 0) {
            return Err("drained was not told".to_owned());
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
        let waiting = self.queue.iter(&self.waiters);
        let listed = waiting
            .filter(|(_, waiter)| waiter.turn == Turn::Queued)
            .count();
        if (listed, self.queue.len()) != (queued, queued) {
            return Err(format!("the queue holds {listed} of {queued}"));
        }
        Ok(())
    }
}
