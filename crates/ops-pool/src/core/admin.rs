//! What an operator asks for: pause, resume, reconnect, other limits, the end.

use super::event::{Action, Now, Refusal, ServerId};
use super::slab::Key;
use super::{Core, State};
use crate::close::CloseReason;

impl Core {
    pub(super) fn drain(&mut self) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        self.requested = 0;
        self.refuse_all(Refusal::ShuttingDown);
        self.close_unused(CloseReason::ShuttingDown);
    }

    pub(super) fn pause(&mut self) {
        if self.draining || std::mem::replace(&mut self.paused, true) {
            return;
        }
        self.requested = 0;
        self.close_unused(CloseReason::Paused);
    }

    pub(super) fn resume(&mut self, now: Now) {
        if std::mem::replace(&mut self.paused, false) {
            self.balance(now);
        }
    }

    pub(super) fn reconnect(&mut self, now: Now) {
        if self.draining {
            return;
        }
        self.close_idle_and_connecting(CloseReason::Reconnect);
        self.generation = self.generation.wrapping_add(1);
        self.outdated = self.servers.len();
        if self.outdated == 0 {
            self.out.push(Action::Settled);
        }
        self.balance(now);
    }

    pub(super) fn resize(
        &mut self,
        pool_size: usize,
        min_pool_size: usize,
        reserve_pool_size: usize,
        now: Now,
    ) {
        let limit = pool_size + reserve_pool_size;
        self.settings.pool_size = pool_size;
        self.settings.min_pool_size = min_pool_size;
        self.settings.reserve_pool_size = reserve_pool_size;
        self.ceiling = self.counts.all().max(limit);
        while self.counts.all() > limit
            && let Some(key) = self.oldest_idle_key()
        {
            self.idle.unlink(&mut self.servers, key);
            self.close(key, CloseReason::PoolShrunk);
        }
        self.balance(now);
    }

    /// Closes the connection that has been idle for longest: another pool of the group
    /// needs its place.
    pub(super) fn evict(&mut self, now: Now) {
        if let Some(key) = self.oldest_idle_key() {
            self.idle.unlink(&mut self.servers, key);
            self.close(key, CloseReason::Evicted);
            self.balance(now);
        }
    }

    /// Since when the connection has been idle that has been so for longest.
    pub(crate) fn oldest_idle(&self) -> Option<Now> {
        match self.servers.get(self.oldest_idle_key()?)?.state {
            State::Idle { since } => Some(since),
            _ => None,
        }
    }

    fn oldest_idle_key(&self) -> Option<Key> {
        if self.settings.round_robin {
            self.idle.front(&self.servers)
        } else {
            self.idle.back(&self.servers)
        }
    }

    /// Why a connection that nobody has is not kept, where it is not.
    pub(super) fn not_kept(&self, key: Key) -> Option<CloseReason> {
        let limit = self.settings.pool_size + self.settings.reserve_pool_size;
        let generation = self.servers.get(key).map(|server| server.generation);
        if self.draining {
            Some(CloseReason::ShuttingDown)
        } else if self.paused {
            Some(CloseReason::Paused)
        } else if generation.is_some_and(|of| of != self.generation) {
            Some(CloseReason::Reconnect)
        } else if self.counts.all() > limit {
            Some(CloseReason::PoolShrunk)
        } else {
            None
        }
    }

    fn close_unused(&mut self, reason: CloseReason) {
        if self.servers.len() == 0 {
            return self.out.push(Action::Settled);
        }
        self.close_idle_and_connecting(reason);
    }

    fn close_idle_and_connecting(&mut self, reason: CloseReason) {
        while let Some(key) = self.idle.pop_front(&mut self.servers) {
            self.close(key, reason);
        }
        let connecting: Vec<Key> = self
            .servers
            .iter()
            .filter(|(_, server)| server.state == State::Connecting)
            .map(|(key, _)| key)
            .collect();
        for key in connecting {
            self.close(key, reason);
        }
    }

    /// Every connection that there is.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (ServerId, Standing)> {
        self.servers.iter().map(|(key, server)| {
            let state = match server.state {
                State::Connecting => ServerState::Connecting,
                State::Idle { since } => ServerState::Idle { since },
                State::Handed(_) | State::Lent => ServerState::Active,
                State::Resetting { .. } => ServerState::Resetting,
            };
            let close_needed = server.gone || server.generation != self.generation;
            (
                ServerId(key),
                Standing {
                    state,
                    close_needed,
                },
            )
        })
    }

    /// How many connections have been idle for so long that they are checked before
    /// somebody gets them: what PgBouncer calls used.
    pub(crate) fn used(&self, now: Now) -> usize {
        let servers = self.idle.iter(&self.servers);
        servers
            .filter(|(_, server)| self.needs_check(server, now))
            .count()
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) state: ServerState,
    /// It is closed when it comes back.
    pub(crate) close_needed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerState {
    Connecting,
    Idle { since: Now },
    Active,
    Resetting,
}
