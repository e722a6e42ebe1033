//! A reference that is as plain as the rules: no links, no counters, no timers that are
//! armed lazily.

mod events;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::*;

#[derive(Debug)]
pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) proven: bool,
    pub(super) failing: Option<Failure>,
    pub(super) paused: bool,
    pub(super) draining: bool,
    pub(super) generation: u32,
    pub(super) generations: BTreeMap<ServerId, u32>,
    /// When each gets too old, as the core drew it.
    pub(super) expires: BTreeMap<ServerId, Now>,
    /// Until then no other one is closed for its age.
    next_age_out: Now,
    /// In the order in which they became idle.
    pub(super) idle: Vec<(ServerId, Now)>,
    pub(super) connecting: BTreeSet<ServerId>,
    pub(super) resetting: BTreeMap<ServerId, Now>,
    pub(super) lent: BTreeMap<ServerId, LaneId>,
    pub(super) gone: BTreeSet<ServerId>,
    pub(super) queues: Vec<VecDeque<(WaiterId, Now)>>,
    /// When and as which one each waiter came.
    came: BTreeMap<WaiterId, (Now, usize)>,
    turn: usize,
    credit: u32,
    pub(super) served: BTreeMap<WaiterId, (ServerId, LaneId)>,
    pub(super) refused: BTreeMap<WaiterId, Refusal>,
    /// What the step that is under way asks for.
    out: Vec<Action>,
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            proven: false,
            failing: None,
            paused: false,
            draining: false,
            generation: 0,
            generations: BTreeMap::new(),
            expires: BTreeMap::new(),
            next_age_out: Now::default(),
            idle: Vec::new(),
            connecting: BTreeSet::new(),
            resetting: BTreeMap::new(),
            lent: BTreeMap::new(),
            gone: BTreeSet::new(),
            queues: settings.lanes.iter().map(|_| VecDeque::new()).collect(),
            came: BTreeMap::new(),
            turn: 0,
            credit: settings.lanes[0].weight,
            served: BTreeMap::new(),
            refused: BTreeMap::new(),
            out: Vec::new(),
            settings,
        }
    }

    pub(super) fn connected(&self) -> usize {
        self.idle.len() + self.resetting.len() + self.lent.len() + self.served.len()
    }

    pub(super) fn all(&self) -> usize {
        self.connected() + self.connecting.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    pub(super) fn outdated(&self) -> usize {
        let standing = self.servers();
        let old = |server: &&ServerId| self.generations.get(server) != Some(&self.generation);
        standing.iter().filter(old).count()
    }

    pub(super) fn servers(&self) -> Vec<ServerId> {
        let mut all: Vec<ServerId> = self.idle.iter().map(|(server, _)| *server).collect();
        all.extend(self.served.values().map(|(server, _)| *server));
        all.extend(&self.connecting);
        all.extend(self.resetting.keys());
        all.extend(self.lent.keys());
        all
    }

    fn in_use(&self, lane: usize) -> usize {
        let lent = self.lent.values().filter(|of| of.0 == lane).count();
        let served = self.served.values().filter(|(_, of)| of.0 == lane).count();
        lent + served
    }

    fn reserved(&self, lane: usize) -> usize {
        self.settings
            .lanes
            .get(lane)
            .map_or(0, |lane| lane.reserved)
    }

    fn may_take(&self, lane: usize, capacity: usize) -> bool {
        let lanes = 0..self.queues.len();
        let reserved: usize = lanes.clone().map(|it| self.reserved(it)).sum();
        let shared: usize = lanes
            .map(|it| self.in_use(it).saturating_sub(self.reserved(it)))
            .sum();
        reserved == 0
            || self.in_use(lane) < self.reserved(lane)
            || shared < capacity.saturating_sub(reserved)
    }

    fn capacity(&self) -> usize {
        self.settings.pool_size.max(self.connected())
    }

    fn planned(&self) -> usize {
        self.settings.pool_size.max(self.all())
    }

    /// How many of those who wait could be served one after the other.
    fn servable(&self, capacity: usize) -> usize {
        let lanes = 0..self.queues.len();
        let reserved: usize = lanes.clone().map(|it| self.reserved(it)).sum();
        if reserved == 0 {
            return self.waiting();
        }
        let mut used: Vec<usize> = lanes.clone().map(|it| self.in_use(it)).collect();
        let mut count = 0;
        for lane in lanes.clone() {
            for _ in 0..self.queues[lane].len() {
                // From its own reserve first; the rest is shared, in any order.
                if used[lane] < self.reserved(lane) {
                    used[lane] += 1;
                    count += 1;
                }
            }
        }
        let shared: usize = lanes
            .map(|it| self.in_use(it).saturating_sub(self.reserved(it)))
            .sum();
        let left = capacity.saturating_sub(reserved).saturating_sub(shared);
        count + left.min(self.waiting() - count)
    }

    fn coming(&self, now: Now, connecting: usize) -> usize {
        let soon = self.resetting.values();
        let soon = soon.filter(|since| now.since(**since) < RESET_IS_SOON);
        connecting + soon.count()
    }

    fn is_too_old(&self, server: ServerId, now: Now) -> bool {
        let expires_at = self.expires.get(&server);
        expires_at.is_some_and(|at| now >= *at) && now >= self.next_age_out
    }

    fn age_out(&mut self, server: ServerId, now: Now) {
        let parts = u32::try_from(self.settings.pool_size).unwrap_or(1);
        self.next_age_out = now.after(self.settings.server_lifetime / parts);
        self.close(server, CloseReason::LifetimeOver);
    }

    /// The oldest of those that are idle, where it is too old.
    fn elder(&self, now: Now) -> Option<ServerId> {
        let idle = self.idle.iter().map(|(server, _)| *server);
        let old = idle.filter(|server| self.is_too_old(*server, now));
        old.min_by_key(|server| self.expires.get(server))
    }

    /// Whether an old one makes way only for its successor.
    fn successor_first(&self) -> bool {
        let room = self.all() < self.settings.pool_size;
        self.connected() <= self.settings.min_pool_size && (room || !self.connecting.is_empty())
    }

    fn retire(&mut self, now: Now) {
        if let Some(elder) = self.elder(now)
            && !self.successor_first()
        {
            self.idle.retain(|(other, _)| *other != elder);
            self.age_out(elder, now);
        }
    }

    fn shortage(&self, now: Now, connecting: usize) -> usize {
        let servable = self.servable(self.planned());
        let for_waiters = servable.saturating_sub(self.coming(now, connecting));
        let standing = self.connected() + connecting;
        // What is too old does not count.
        let young = standing - usize::from(self.elder(now).is_some());
        for_waiters.max(self.settings.min_pool_size.saturating_sub(young))
    }

    fn parallel(&self, now: Now, retry_at: Option<Now>) -> usize {
        match (self.failing, retry_at) {
            (Some(_), Some(at)) if now < at => 0,
            (None, _) if self.proven => self.settings.max_connecting,
            _ => 1,
        }
    }

    /// How many connections are to be opened in this state.
    pub(super) fn to_open(&self, now: Now, retry_at: Option<Now>) -> usize {
        if self.draining || self.paused {
            return 0;
        }
        let connecting = self.connecting.len();
        let room = self.settings.pool_size.saturating_sub(self.all());
        let wanted = if room > 0 {
            self.shortage(now, connecting).min(room)
        } else {
            usize::from(self.wants_reserve(now))
        };
        wanted.min(self.parallel(now, retry_at).saturating_sub(connecting))
    }

    fn wants_reserve(&self, now: Now) -> bool {
        let settings = &self.settings;
        let capacity = self.planned() + 1;
        let heads = self.queues.iter().enumerate();
        let due = heads
            .filter(|(lane, _)| self.may_take(*lane, capacity))
            .filter_map(|(_, queue)| queue.front())
            .any(|(_, since)| now.since(*since) >= settings.reserve_pool_timeout);
        self.all() < settings.pool_size + settings.reserve_pool_size
            && !settings.reserve_pool_timeout.is_zero()
            && self.connecting.is_empty()
            && due
            && self.servable(capacity) > self.coming(now, 0)
    }

    /// Whose turn it is.
    fn pop(&mut self) -> Option<(WaiterId, LaneId)> {
        if self.waiting() == 0 {
            return None;
        }
        let capacity = self.capacity();
        // The lane whose turn it is, as long as it has credit; then the others in turn, and
        // at last itself again.
        let lanes = self.queues.len();
        let turns = (1..=lanes).map(|step| (self.turn + step) % lanes);
        let turns = turns.map(|lane| (lane, self.settings.lanes[lane].weight));
        let first = (self.turn, self.credit);
        let (lane, credit) = std::iter::once(first).chain(turns).find(|(lane, credit)| {
            *credit > 0 && !self.queues[*lane].is_empty() && self.may_take(*lane, capacity)
        })?;
        (self.turn, self.credit) = (lane, credit - 1);
        let (waiter, _) = self.queues[lane].pop_front()?;
        Some((waiter, LaneId(lane)))
    }

    /// The connection that is used next.
    fn next_idle(&self) -> Option<(ServerId, Now)> {
        if self.settings.round_robin {
            self.idle.first().copied()
        } else {
            self.idle.last().copied()
        }
    }

    fn is_stale(&self, since: Now, now: Now) -> bool {
        let delay = self.settings.server_check_delay;
        delay.is_some_and(|delay| now.since(since) >= delay)
    }

    fn match_up(&mut self, now: Now) {
        while self.waiting() > 0
            && let Some((server, since)) = self.next_idle()
        {
            let stale = self.is_stale(since, now);
            if stale {
                let servable = self.servable(self.planned());
                if servable <= self.coming(now, self.connecting.len()) {
                    return;
                }
                self.idle.retain(|(other, _)| *other != server);
                self.resetting.insert(server, now);
                self.out.push(Action::Check(server));
            } else if let Some((waiter, lane)) = self.pop() {
                self.idle.retain(|(other, _)| *other != server);
                self.served.insert(waiter, (server, lane));
                self.out.push(Action::Wake(waiter));
            } else {
                return;
            }
        }
    }

    fn close(&mut self, server: ServerId, reason: CloseReason) {
        self.out.push(Action::Close(server, reason));
        self.generations.remove(&server);
    }

    fn limit(&self) -> usize {
        self.settings.pool_size + self.settings.reserve_pool_size
    }

    /// Why a connection is not kept that is in no list at this moment.
    fn not_kept(&self, server: ServerId) -> Option<CloseReason> {
        if self.draining {
            Some(CloseReason::ShuttingDown)
        } else if self.paused {
            Some(CloseReason::Paused)
        } else if self.generations.get(&server) != Some(&self.generation) {
            Some(CloseReason::Reconnect)
        } else {
            (self.all() + 1 > self.limit()).then_some(CloseReason::PoolShrunk)
        }
    }

    fn offer(&mut self, server: ServerId, now: Now) {
        if let Some(reason) = self.not_kept(server) {
            return self.close(server, reason);
        }
        // It counts as one of those that stand.
        self.idle.push((server, now));
        if let Some((waiter, lane)) = self.pop() {
            self.idle.pop();
            self.served.insert(waiter, (server, lane));
            self.out.push(Action::Wake(waiter));
        }
    }

    fn refuse_all(&mut self, refusal: Refusal) {
        for (waiter, _) in self.queues.iter_mut().flat_map(|queue| queue.drain(..)) {
            self.refused.insert(waiter, refusal);
            self.out.push(Action::Wake(waiter));
        }
    }

    fn refusal(&self, now: Now, retry_at: Option<Now>) -> Option<Refusal> {
        let probes = self.connecting.is_empty() && self.parallel(now, retry_at) > 0;
        let down = matches!(
            self.failing,
            Some(Failure::Unreachable | Failure::Permanent)
        );
        if down && self.connected() == 0 && !probes && !self.paused {
            let retry_in = retry_at.map_or(Duration::ZERO, |at| at.since(now));
            return Some(Refusal::ServerDown { retry_in });
        }
        let most = self.settings.max_waiting;
        most.is_some_and(|most| self.waiting() >= most)
            .then_some(Refusal::QueueFull)
    }

    /// What is to be done, apart from opening connections. A waiter that is to be queued
    /// has the name that the core gave it.
    pub(super) fn step(
        &mut self,
        event: Event,
        name: Option<WaiterId>,
        now: Now,
        retry_at: Option<Now>,
    ) -> Vec<Action> {
        self.out.clear();
        let count = self.came.len();
        self.came.extend(name.map(|name| (name, (now, count))));
        let retry_in = retry_at.map_or(Duration::ZERO, |at| at.since(now));
        match event {
            Event::Acquire { lane, .. } => self.acquire(lane, name, now, retry_at),
            Event::Collect(waiter) => self.collect(waiter),
            Event::CancelWait { waiter, .. } => {
                for queue in &mut self.queues {
                    queue.retain(|(other, _)| *other != waiter);
                }
                self.refused.remove(&waiter);
                if let Some((server, _)) = self.served.remove(&waiter) {
                    self.offer(server, now);
                }
            }
            Event::Release(server, verdict) => self.release(server, verdict, now),
            Event::Detach(server) => {
                self.lent.remove(&server);
                self.gone.remove(&server);
                self.generations.remove(&server);
            }
            Event::Dial(server)
                if self.connecting.contains(&server)
                    && self.shortage(now, self.connecting.len() - 1) == 0 =>
            {
                self.connecting.remove(&server);
                self.close(server, CloseReason::NotNeeded);
            }
            Event::Connected(server) if self.connecting.remove(&server) => {
                self.failing = None;
                self.proven = true;
                self.offer(server, now);
            }
            Event::ConnectFailed(server, failure) if self.connecting.remove(&server) => {
                self.failed(server, failure, retry_in);
            }
            Event::ResetDone(server, outcome) if self.resetting.remove(&server).is_some() => {
                match outcome {
                    Ok(()) => self.offer(server, now),
                    Err(reason) => self.close(server, reason),
                }
            }
            Event::ServerGone(server) => self.server_gone(server, retry_in),
            Event::Drain if !self.draining => {
                self.draining = true;
                self.refuse_all(Refusal::ShuttingDown);
                self.close_unused(CloseReason::ShuttingDown);
            }
            Event::Pause if !self.draining && !self.paused => {
                self.paused = true;
                self.close_unused(CloseReason::Paused);
            }
            Event::Resume => self.paused = false,
            Event::Reconnect if !self.draining => {
                self.close_unused(CloseReason::Reconnect);
                self.generation += 1;
            }
            Event::Resize { .. } => self.resize(event),
            Event::Evict if !self.idle.is_empty() => {
                let (server, _) = self.idle.remove(0);
                self.close(server, CloseReason::Evicted);
            }
            _ => {}
        }
        // The core looks for those who can be served whenever it looks for those whom a
        // new connection would serve, which is after everything but these.
        let looks = !matches!(event, Event::Collect(_) | Event::Dial(_) | Event::Pause);
        if looks && !self.draining && !self.paused {
            if event == Event::Tick {
                self.retire(now);
            }
            self.match_up(now);
            self.retire(now);
        }
        std::mem::take(&mut self.out)
    }
}
