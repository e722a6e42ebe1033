//! What the core does by the clock: lifetimes, idle timeouts, late resets.
//!
//! There is one timer. It is armed for the earliest thing that may be due, and may fire
//! early: a tick looks at everything and arms it again.

use std::time::Duration;

use super::event::{Action, Now};
use super::slab::Key;
use super::{Core, RESET_IS_SOON, State};
use crate::close::CloseReason;

impl Core {
    pub(super) fn tick(&mut self, now: Now) {
        self.timer = None;
        self.elders = true;
        self.retire(now);
        let mut idle: Vec<Key> = self.idle.iter(&self.servers).map(|(key, _)| key).collect();
        // The one that has been idle for longest comes first.
        if !self.settings.round_robin {
            idle.reverse();
        }
        for key in idle {
            if self.idle_too_long(key, now) {
                self.idle.unlink(&mut self.servers, key);
                self.close(key, CloseReason::IdleTooLong);
            }
        }
        let left: Vec<Key> = self.idle.iter(&self.servers).map(|(key, _)| key).collect();
        for key in left {
            self.arm_for_idle(key, now);
        }
        self.balance(now);
    }

    /// When a connection that is opened now gets too old. Up to a twentieth early, so
    /// that connections of the same age do not go together.
    pub(super) fn expiry(&mut self, now: Now) -> Option<Now> {
        let lifetime = self.settings.server_lifetime;
        let jitter = self.governor.jitter(lifetime / 20);
        (lifetime > Duration::ZERO).then(|| now.after(lifetime.saturating_sub(jitter)))
    }

    /// Whether a connection that comes back is not to be used again. One that awaits its
    /// successor is, so that the pool does not run empty while the server is away.
    pub(super) fn used_up(&mut self, key: Key, now: Now) -> bool {
        if self.settings.server_lifetime == Duration::ZERO {
            return true;
        }
        let expires_at = self.servers.get(key).and_then(|server| server.expires_at);
        let old = expires_at.is_some_and(|at| now >= at);
        old && !self.awaits_successor() && self.may_expire(now)
    }

    fn idle_too_long(&self, key: Key, now: Now) -> bool {
        let Some(State::Idle { since }) = self.servers.get(key).map(|server| server.state) else {
            return false;
        };
        let timeout = self.settings.server_idle_timeout;
        let spare = self.counts.connected() > self.settings.min_pool_size;
        timeout > Duration::ZERO && spare && now.since(since) >= timeout
    }

    /// The idle connection whose turn it is to be closed for its age.
    pub(super) fn elder(&self, now: Now) -> Option<Key> {
        if !self.elders || now < self.next_lifetime_close {
            return None;
        }
        let idle = self.idle.iter(&self.servers);
        let old = idle.filter_map(|(key, server)| Some((server.expires_at?, key)));
        let old = old.filter(|(at, _)| now >= *at);
        old.min_by_key(|(at, _)| *at).map(|(_, key)| key)
    }

    /// Whether a connection that is too old is kept until another one stands: the pool has
    /// no more than its minimum, and room for one more.
    fn awaits_successor(&self) -> bool {
        let settings = &self.settings;
        // A permit that was asked for and has not come is not there.
        let permit = !settings.limited || self.permits > 0 || self.requested == 0;
        let room = self.counts.all() < settings.pool_size && permit;
        self.counts.connected() <= settings.min_pool_size && (room || self.counts.connecting > 0)
    }

    /// Closes the idle connection whose age demands it, unless its successor is to come
    /// first.
    pub(super) fn retire(&mut self, now: Now) {
        if now < self.next_lifetime_close {
            return;
        }
        let Some(key) = self.elder(now) else {
            self.elders = false;
            return;
        };
        if self.awaits_successor() || !self.may_expire(now) {
            return;
        }
        self.idle.unlink(&mut self.servers, key);
        self.close(key, CloseReason::LifetimeOver);
        self.arm(self.next_lifetime_close);
    }

    /// Two connections are never closed for their age within `server_lifetime / pool_size`.
    fn may_expire(&mut self, now: Now) -> bool {
        if now < self.next_lifetime_close {
            return false;
        }
        let parts = u32::try_from(self.settings.pool_size)
            .unwrap_or(u32::MAX)
            .max(1);
        self.next_lifetime_close = now.after(self.settings.server_lifetime / parts);
        true
    }

    pub(super) fn arm_for_idle(&mut self, key: Key, now: Now) {
        let Some(server) = self.servers.get(key) else {
            return;
        };
        let State::Idle { since } = server.state else {
            return;
        };
        let old = server.expires_at.map(|at| at.max(self.next_lifetime_close));
        // What awaits its successor is looked at whenever a connection comes or goes.
        let old = old.filter(|at| now < *at || !self.awaits_successor());
        let timeout = self.settings.server_idle_timeout;
        let spare = self.counts.connected() > self.settings.min_pool_size;
        let idle = (timeout > Duration::ZERO && spare).then(|| since.after(timeout));
        let at = match (old, idle) {
            (Some(old), Some(idle)) => old.min(idle),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => return,
        };
        self.arm(at.max(now));
    }

    pub(super) fn arm_for_shortage(&mut self, shortage: usize, now: Now) {
        if shortage > 0
            && let Some(at) = self.governor.retry_at(now)
        {
            self.arm(at);
        }
        if self.lanes.waiting() == 0 {
            return;
        }
        let fresh = self
            .resetting
            .iter(&self.servers)
            .find_map(|(_, server)| match server.state {
                State::Resetting { since } => {
                    Some(since.after(RESET_IS_SOON)).filter(|at| *at > now)
                }
                _ => None,
            });
        if let Some(at) = fresh {
            self.arm(at);
        }
    }

    /// How many resets have been running for so long that nothing is expected of them.
    pub(super) fn stale_resets(&self, now: Now) -> usize {
        self.resetting
            .iter(&self.servers)
            .take_while(|(_, server)| match server.state {
                State::Resetting { since } => now >= since.after(RESET_IS_SOON),
                _ => false,
            })
            .count()
    }

    pub(super) fn arm(&mut self, at: Now) {
        if self.timer.is_none_or(|armed| at < armed) {
            self.timer = Some(at);
            self.out.push(Action::Timer(at));
        }
    }
}
