//! How many connections there are to be.

use super::event::{Action, Now, ServerId};
use super::{Core, PERMIT_IS_SOON, Server, State};

impl Core {
    /// How many connections all lanes may use together.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.settings.pool_size.max(self.counts.connected())
    }

    /// The same once the connections stand that are being opened.
    pub(super) fn planned(&self) -> usize {
        self.settings.pool_size.max(self.counts.all())
    }

    /// Serves who can be served, and opens as many connections as are missing, as far as
    /// limits and governor allow.
    pub(super) fn balance(&mut self, now: Now) {
        if self.draining || self.paused {
            self.requested = 0;
            return;
        }
        self.match_up(now);
        self.retire(now);
        let all = self.counts.all();
        let wanted = if all < self.settings.pool_size {
            self.shortage(now, 0).min(self.settings.pool_size - all)
        } else {
            self.wanted_of_reserve(now)
        };
        self.arm_for_shortage(wanted, now);
        let allowed = self
            .governor
            .allowed(now)
            .saturating_sub(self.counts.connecting);
        self.open(wanted.min(allowed));
        if self.requested > 0 && self.elder(now).is_some() {
            self.arm(now.after(PERMIT_IS_SOON));
        }
    }

    fn open(&mut self, wanted: usize) {
        let mut count = wanted;
        if self.settings.limited {
            count = wanted.min(self.permits);
            self.permits -= count;
            self.request(wanted - count);
        }
        for _ in 0..count {
            let key = self.servers.insert(Server {
                state: State::Connecting,
                lane: super::LaneId::default(),
                generation: self.generation,
                gone: false,
                expires_at: None,
            });
            self.counts.connecting += 1;
            self.totals.reserve_connects += u64::from(self.counts.all() > self.settings.pool_size);
            self.out.push(Action::Connect(ServerId(key)));
        }
    }

    /// Wants so many permits of the group from now on.
    fn request(&mut self, missing: usize) {
        let presses = missing > 0 && self.lanes.waiting() > 0;
        let news = missing > self.requested || (missing > 0 && presses != self.presses);
        self.requested = missing;
        self.presses = presses;
        if news {
            self.out.push(Action::Request);
        }
    }

    /// Permits have come: those that nobody needs anymore go back.
    pub(super) fn granted(&mut self, permits: usize, now: Now) {
        self.permits += permits;
        self.balance(now);
        let unused = std::mem::take(&mut self.permits);
        if unused > 0 {
            self.out.push(Action::GiveBack(unused));
        }
    }

    /// Above `pool_size` one connection is opened at a time, once the head of the queue
    /// has waited for long enough.
    fn wanted_of_reserve(&mut self, now: Now) -> usize {
        let settings = &self.settings;
        let all = self.counts.all();
        if all >= settings.pool_size + settings.reserve_pool_size
            || settings.reserve_pool_timeout.is_zero()
            || self.counts.connecting > 0
        {
            return 0;
        }
        let capacity = self.planned() + 1;
        let heads = self.lanes.heads(&self.waiters);
        let head = heads
            .filter(|(lane, _)| self.lanes.may_take(*lane, capacity))
            .map(|(_, head)| head.since)
            .min();
        let Some(head) = head else {
            return 0;
        };
        let due = head.after(settings.reserve_pool_timeout);
        if due > now {
            self.arm(due);
            return 0;
        }
        usize::from(self.lanes.servable(capacity) > self.coming(now))
    }

    /// How many connections are missing, not counting `without` of those in the making. One
    /// that is too old does not count towards the minimum.
    pub(super) fn shortage(&self, now: Now, without: usize) -> usize {
        let connecting = self.counts.connecting - without;
        let servable = self.lanes.servable(self.planned());
        let for_waiters = servable.saturating_sub(self.coming(now) - without);
        let connected = self.counts.connected() + connecting;
        let young = connected - usize::from(self.elder(now).is_some());
        for_waiters.max(self.settings.min_pool_size.saturating_sub(young))
    }

    /// How many connections are about to come free.
    pub(super) fn coming(&self, now: Now) -> usize {
        self.counts.connecting + self.counts.resetting - self.stale_resets(now)
    }
}
