//! The queue: a line of waiters for each lane, and whose turn it is.
//!
//! Inside a lane waiters are served in the order of arrival. Among lanes that have
//! waiters turns go round, `weight` waiters each: whoever is at the head of a lane is
//! overtaken by at most as many later arrivals as the other lanes have weight.
//!
//! A lane with `reserved` connections always gets that many: what the others use together
//! leaves them free.

use super::event::{LaneId, LaneSettings};
use super::slab::{Key, List, Slab};
use super::{Waiter, WaiterId};

#[derive(Debug)]
struct Lane {
    settings: LaneSettings,
    queue: List,
    in_use: usize,
}

impl Lane {
    fn reserve_left(&self) -> usize {
        self.settings.reserved.saturating_sub(self.in_use)
    }
}

#[derive(Debug)]
pub(super) struct Lanes {
    each: Vec<Lane>,
    turn: usize,
    /// How many more waiters are served before it is the next lane's turn.
    credit: u32,
    waiting: usize,
    reserved: usize,
    /// Connections in use above what is reserved, of all lanes.
    shared: usize,
}

impl Lanes {
    pub(super) fn new(settings: &[LaneSettings]) -> Self {
        let reserved = settings.iter().map(|lane| lane.reserved).sum();
        let lanes = settings.iter().map(|&settings| Lane {
            settings,
            queue: List::new(),
            in_use: 0,
        });
        Self {
            each: lanes.collect(),
            turn: 0,
            credit: settings.first().map_or(0, |lane| lane.weight),
            waiting: 0,
            reserved,
            shared: 0,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn waiting_in(&self, lane: LaneId) -> usize {
        self.each.get(lane.0).map_or(0, |lane| lane.queue.len())
    }

    pub(super) fn in_use(&self, lane: LaneId) -> usize {
        self.each.get(lane.0).map_or(0, |lane| lane.in_use)
    }

    /// Whether the lane may use one more of `capacity` connections.
    pub(super) fn may_take(&self, lane: LaneId, capacity: usize) -> bool {
        self.reserved == 0
            || self
                .each
                .get(lane.0)
                .is_some_and(|lane| lane.reserve_left() > 0 || self.shared_left(capacity) > 0)
    }

    fn shared_left(&self, capacity: usize) -> usize {
        capacity
            .saturating_sub(self.reserved)
            .saturating_sub(self.shared)
    }

    /// How many waiters may use a connection if there were enough of them.
    pub(super) fn servable(&self, capacity: usize) -> usize {
        if self.reserved == 0 {
            return self.waiting;
        }
        let mut own = 0;
        let mut rest = 0;
        for lane in &self.each {
            let from_reserve = lane.queue.len().min(lane.reserve_left());
            own += from_reserve;
            rest += lane.queue.len() - from_reserve;
        }
        own + rest.min(self.shared_left(capacity))
    }

    pub(super) fn took(&mut self, lane: LaneId) {
        if let Some(lane) = self.each.get_mut(lane.0) {
            self.shared += usize::from(lane.in_use >= lane.settings.reserved);
            lane.in_use += 1;
        }
    }

    pub(super) fn gave(&mut self, lane: LaneId) {
        if let Some(lane) = self.each.get_mut(lane.0) {
            lane.in_use -= 1;
            self.shared -= usize::from(lane.in_use >= lane.settings.reserved);
        }
    }

    pub(super) fn push_back(&mut self, waiters: &mut Slab<Waiter>, lane: LaneId, key: Key) {
        if let Some(lane) = self.each.get_mut(lane.0) {
            lane.queue.push_back(waiters, key);
            self.waiting += 1;
        }
    }

    /// Puts a waiter back to where it came from: behind those who came before it.
    pub(super) fn put_back(&mut self, waiters: &mut Slab<Waiter>, lane: LaneId, key: Key) {
        let (Some(lane), Some(waiter)) = (self.each.get_mut(lane.0), waiters.get(key)) else {
            return;
        };
        let later = lane
            .queue
            .iter(waiters)
            .find_map(|(key, other)| (other.ticket > waiter.ticket).then_some(key));
        lane.queue.insert_before(waiters, key, later);
        self.waiting += 1;
    }

    pub(super) fn unlink(&mut self, waiters: &mut Slab<Waiter>, lane: LaneId, key: Key) {
        if let Some(lane) = self.each.get_mut(lane.0) {
            lane.queue.unlink(waiters, key);
            self.waiting -= 1;
        }
    }

    /// Takes out whoever is next among those that may take one of `capacity` connections.
    pub(super) fn pop(&mut self, waiters: &mut Slab<Waiter>, capacity: usize) -> Option<Key> {
        if self.waiting == 0 {
            return None;
        }
        // Once round, and back to the first lane with its credit renewed.
        let count = self.each.len();
        for step in 0..=count {
            let turn = (self.turn + step) % count;
            let may_take = self.may_take(LaneId(turn), capacity);
            let lane = self.each.get_mut(turn)?;
            let credit = if step == 0 {
                self.credit
            } else {
                lane.settings.weight
            };
            if credit > 0
                && may_take
                && let Some(key) = lane.queue.pop_front(waiters)
            {
                (self.turn, self.credit) = (turn, credit - 1);
                self.waiting -= 1;
                return Some(key);
            }
        }
        None
    }

    /// Takes out every waiter, lane by lane.
    pub(super) fn pop_any(&mut self, waiters: &mut Slab<Waiter>) -> Option<Key> {
        for lane in &mut self.each {
            if let Some(key) = lane.queue.pop_front(waiters) {
                self.waiting -= 1;
                return Some(key);
            }
        }
        None
    }

    /// The heads of the lanes.
    pub(super) fn heads<'a>(
        &'a self,
        waiters: &'a Slab<Waiter>,
    ) -> impl Iterator<Item = (LaneId, &'a Waiter)> {
        self.each.iter().enumerate().filter_map(|(index, lane)| {
            let head = waiters.get(lane.queue.front(waiters)?)?;
            Some((LaneId(index), head))
        })
    }

    /// Every waiter in a queue.
    pub(super) fn iter<'a>(
        &'a self,
        waiters: &'a Slab<Waiter>,
    ) -> impl Iterator<Item = (LaneId, WaiterId, &'a Waiter)> {
        self.each.iter().enumerate().flat_map(|(index, lane)| {
            lane.queue
                .iter(waiters)
                .map(move |(key, waiter)| (LaneId(index), WaiterId(key), waiter))
        })
    }
}
