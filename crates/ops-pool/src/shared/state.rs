//! The tables under the lock: the core, and beside it what belongs to its ids.

mod callers;
mod deferred;
mod slot;

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ops_core::Error;
use tokio::sync::{mpsc, oneshot};

use crate::close::{CloseReason, Released};
use crate::core::{Action, Core, Event, LaneId, Now, Refusal, ServerId, Verdict, WaiterId};
use crate::driver::{Conn, Order};
use crate::error::{AcquireError, AcquireReport, Holder, ServerDown};
use crate::histogram::{Timings, TimingsSnapshot};
use crate::tap::TapCountsSnapshot;
use slot::{About, Held};

pub(super) use deferred::{Deferred, Effect};
pub(crate) use slot::Holding;
pub(super) use slot::{Caller, Slot};

/// An answer of the core.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Grant(ServerId),
    Wait(WaiterId),
    Refuse(Refusal),
}

/// Everything under the lock.
#[derive(Debug)]
pub(crate) struct State {
    core: Core,
    /// By the index of the connection's id.
    slots: Vec<Slot>,
    /// By the index of the waiter's id.
    wakers: Vec<Option<Waker>>,
    /// By the index of the waiter's id.
    callers: Vec<Option<Caller>>,
    /// How many callers there were.
    came: u64,
    /// How many connections there were.
    opened: u64,
    /// What callers did on connections that are gone.
    gone: TapCountsSnapshot,
    timer: Option<Now>,
    /// When to look for those who have waited for a while.
    reminder: Option<Now>,
    timings: Timings,
    /// How many sessions were out for too long.
    leaks: u64,
    /// Why the last attempt to connect failed, and when.
    failure: Option<(Arc<Error>, Now)>,
}

impl State {
    pub(super) fn new(core: Core) -> Self {
        Self {
            core,
            slots: Vec::new(),
            wakers: Vec::new(),
            callers: Vec::new(),
            came: 0,
            opened: 0,
            gone: TapCountsSnapshot::default(),
            timer: None,
            reminder: None,
            timings: Timings::default(),
            leaks: 0,
            failure: None,
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn failure(&self) -> Option<&(Arc<Error>, Now)> {
        self.failure.as_ref()
    }

    /// When something is to be done.
    pub(super) fn timer(&self) -> Option<Now> {
        [self.timer, self.reminder].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Now, deferred: &mut Deferred) {
        if self.timer.is_some_and(|at| at <= now) {
            self.step(Event::Tick, now, deferred);
        }
        self.remind(now, deferred);
    }

    pub(super) fn knows(&self, server: ServerId) -> bool {
        self.core.knows(server)
    }

    /// Tells the core, and keeps the tables.
    pub(super) fn step(
        &mut self,
        event: Event,
        now: Now,
        deferred: &mut Deferred,
    ) -> Option<Reply> {
        if event == Event::Tick {
            self.timer = None;
        }
        let mut reply = None;
        for action in self.core.step(event, now) {
            match action {
                Action::Grant(server) => reply = Some(Reply::Grant(server)),
                Action::Wait(waiter) => reply = Some(Reply::Wait(waiter)),
                Action::Refuse(refusal) => reply = Some(Reply::Refuse(refusal)),
                Action::Wake(waiter) => {
                    if let Some(kept) = self.wakers.get_mut(waiter.index())
                        && let Some(waker) = kept.take()
                    {
                        deferred.push(Effect::Wake(waker));
                    }
                }
                Action::Connect(server) => deferred.push(Effect::Connect(server)),
                Action::Reset(server) => {
                    if let Some(slot) = self.slots.get_mut(server.index()) {
                        slot.reset_since = Some(now);
                    }
                    order(&mut self.slots, server, Order::Reset, deferred);
                }
                Action::Check(server) => order(&mut self.slots, server, Order::Check, deferred),
                Action::Close(server, reason) => {
                    let slot = clear(&mut self.slots, &mut self.gone, server);
                    deferred.push(Effect::Close(slot, reason));
                }
                Action::Timer(at) => {
                    self.timer = Some(at);
                    deferred.push(Effect::Rearm);
                }
                Action::Settled => deferred.push(Effect::Settled),
                Action::Request => deferred.push(Effect::Request),
                Action::GiveBack(permits) => deferred.push(Effect::GiveBack(permits)),
                Action::Spare => deferred.push(Effect::Spare),
            }
        }
        debug_assert_eq!(self.core.check_invariants(), Ok(()), "after {event:?}");
        reply
    }

    /// Takes a connection that is idle out of the pool, where that is all there is to do.
    #[inline]
    pub(super) fn grant(
        &mut self,
        lane: LaneId,
        holding: &Holding,
        now: Now,
    ) -> Option<(ServerId, Option<Box<Conn>>)> {
        let server = self.core.grant(lane, now)?;
        let caller = self.caller(holding, now);
        Some((server, self.hand_out(server, caller, now)))
    }

    /// Puts a connection back that is clean, where that is all there is to do; else returns it.
    #[inline]
    pub(super) fn keep(&mut self, conn: Box<Conn>, now: Now) -> Option<Box<Conn>> {
        let server = conn.server;
        if !self.core.keep(server, now) {
            return Some(conn);
        }
        let Some(slot) = self.slots.get_mut(server.index()) else {
            return Some(conn);
        };
        slot.conn = Some(conn);
        if let Some(held) = slot.holder.take() {
            self.timings.hold.record_nanos(now.nanos_since(held.since));
        }
        debug_assert_eq!(self.core.check_invariants(), Ok(()));
        None
    }

    /// Takes the connection that was granted out of the pool.
    #[inline]
    pub(super) fn hand_out(
        &mut self,
        server: ServerId,
        caller: Caller,
        now: Now,
    ) -> Option<Box<Conn>> {
        self.timings
            .wait
            .record_nanos(now.nanos_since(caller.since));
        let slot = self.slots.get_mut(server.index())?;
        slot.holder = Some(Held {
            caller,
            since: now,
            told: false,
        });
        slot.conn.take()
    }

    /// Takes out what a waiter has been served with. Where it has not been, keeps its waker;
    /// the one that was kept before is left to the caller, to be dropped after the lock.
    pub(super) fn collect(
        &mut self,
        waiter: WaiterId,
        waker: &mut Option<Waker>,
        now: Now,
        deferred: &mut Deferred,
    ) -> Poll<Result<Box<Conn>, AcquireError>> {
        Poll::Ready(match self.step(Event::Collect(waiter), now, deferred) {
            Some(Reply::Wait(_)) => {
                self.swap_waker(waiter, waker);
                return Poll::Pending;
            }
            Some(Reply::Grant(server)) => {
                let caller = self.forget_waiter(waiter);
                caller
                    .and_then(|caller| self.hand_out(server, caller, now))
                    .ok_or_else(|| self.refused(Refusal::ShuttingDown, now))
            }
            Some(Reply::Refuse(refusal)) => {
                self.forget_waiter(waiter);
                Err(self.refused(refusal, now))
            }
            None => Err(self.refused(Refusal::ShuttingDown, now)),
        })
    }

    /// Puts a connection into the pool and tells the core what it came from.
    pub(super) fn take_back(
        &mut self,
        conn: Box<Conn>,
        report: Option<oneshot::Sender<Released>>,
        event: Event,
        now: Now,
        deferred: &mut Deferred,
    ) {
        let server = conn.server;
        if !self.core.knows(server) {
            let slot = Slot {
                conn: Some(conn),
                report,
                ..Slot::default()
            };
            return deferred.push(Effect::Close(slot, CloseReason::ServerGone));
        }
        let mut asked = false;
        if let Some(slot) = self.slots.get_mut(server.index()) {
            slot.conn = Some(conn);
            if let Some(held) = slot.holder.take() {
                self.timings.hold.record_nanos(now.nanos_since(held.since));
            }
            if let Some(since) = slot.reset_since.take() {
                self.timings.reset.record_mut(now.since(since));
            }
            if report.is_some() {
                slot.report = report;
            }
            asked = slot.report.is_some();
        }
        self.step(event, now, deferred);
        if asked
            && self.core.knows(server)
            && let Some(slot) = self.slots.get_mut(server.index())
            // Else its task has it, and says how it went.
            && let Some(conn) = &slot.conn
            && let Some(report) = slot.report.take()
        {
            deferred.push(Effect::Report(report, conn.outcome));
        }
    }

    /// Closes a connection that was to be handed out and turned out to be broken.
    pub(super) fn give_up(
        &mut self,
        server: ServerId,
        broken: Option<Box<Conn>>,
        now: Now,
        deferred: &mut Deferred,
    ) {
        if let Some(slot) = self.slots.get_mut(server.index()) {
            slot.conn = broken;
        }
        let verdict = Verdict::Close(CloseReason::ServerGone);
        self.step(Event::Release(server, verdict), now, deferred);
    }

    /// Takes in a new connection; gives it back where the core has given it up.
    pub(super) fn take_in(
        &mut self,
        conn: Box<Conn>,
        orders: mpsc::UnboundedSender<Order>,
        dialed: Now,
        now: Now,
        deferred: &mut Deferred,
    ) -> Option<(Box<Conn>, mpsc::UnboundedSender<Order>)> {
        let server = conn.server;
        if !self.core.knows(server) {
            return Some((conn, orders));
        }
        if self.slots.len() <= server.index() {
            self.slots.resize_with(server.index() + 1, Slot::default);
        }
        if let Some(slot) = self.slots.get_mut(server.index()) {
            self.opened += 1;
            *slot = Slot {
                about: Some(About {
                    wire: Arc::clone(&conn.wire),
                    number: self.opened,
                    since: now,
                }),
                conn: Some(conn),
                orders: Some(orders),
                ..Slot::default()
            };
        }
        self.failure = None;
        self.timings.connect.record_mut(now.since(dialed));
        self.step(Event::Connected(server), now, deferred);
        None
    }

    pub(super) fn clear(&mut self, server: ServerId) -> Slot {
        clear(&mut self.slots, &mut self.gone, server)
    }

    /// What callers have done since the pool was built.
    pub(super) fn done(&self) -> TapCountsSnapshot {
        let standing: TapCountsSnapshot = self.slots.iter().map(Slot::counts).sum();
        self.gone + standing
    }

    /// Keeps a waiter's waker, and gives the one that was kept before to the caller, to
    /// be dropped after the lock.
    pub(super) fn swap_waker(&mut self, waiter: WaiterId, waker: &mut Option<Waker>) {
        if self.wakers.len() <= waiter.index() {
            self.wakers.resize_with(waiter.index() + 1, || None);
        }
        if let Some(kept) = self.wakers.get_mut(waiter.index()) {
            std::mem::swap(kept, waker);
        }
    }

    pub(super) fn note_failure(&mut self, err: Arc<Error>, now: Now) {
        self.failure = Some((err, now));
    }

    pub(super) fn refused(&self, refusal: Refusal, now: Now) -> AcquireError {
        let report = || Box::new(self.report(Duration::ZERO, now));
        match refusal {
            Refusal::ShuttingDown => AcquireError::ShuttingDown,
            Refusal::QueueFull => AcquireError::QueueFull(report()),
            Refusal::Hopeless { expected } => AcquireError::Overloaded {
                expected,
                report: report(),
            },
            Refusal::ServerDown { retry_in } => AcquireError::ServerDown(Box::new(ServerDown {
                cause: self.failure.as_ref().map(|(err, _)| Arc::clone(err)),
                retry_in,
            })),
        }
    }

    pub(super) fn holders(&self, now: Now) -> Vec<Holder> {
        let holders = self.slots.iter().filter_map(|slot| slot.holder(now));
        let mut holders: Vec<Holder> = holders.collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.age));
        holders
    }

    /// Who has had a session for longer than `threshold`; each is told once.
    pub(super) fn leaked(&mut self, threshold: Duration, now: Now) -> Vec<Holder> {
        let slots = self.slots.iter_mut();
        let leaked: Vec<Holder> = slots
            .filter_map(|slot| slot.leaks(threshold, now).then(|| slot.holder(now))?)
            .collect();
        self.leaks += leaked.len() as u64;
        leaked
    }

    pub(super) fn timings(&self) -> TimingsSnapshot {
        self.timings.snapshot()
    }

    pub(crate) fn leaks(&self) -> u64 {
        self.leaks
    }

    pub(super) fn report(&self, waited: Duration, now: Now) -> AcquireReport {
        let counts = self.core.counts();
        AcquireReport {
            waited,
            pool_size: self.core.settings().pool_size,
            active: counts.active,
            idle: counts.idle,
            connecting: counts.connecting,
            resetting: counts.resetting,
            waiting: self.core.waiting(),
            holders: self.holders(now),
            last_error: self.failure.as_ref().map(|(err, _)| Arc::clone(err)),
        }
    }

    pub(super) fn slot(&self, server: ServerId) -> Option<&Slot> {
        self.slots.get(server.index())
    }
}

/// Gives a connection to its task, to do something with it.
fn order(
    slots: &mut [Slot],
    server: ServerId,
    what: fn(Box<Conn>) -> Order,
    deferred: &mut Deferred,
) {
    if let Some(slot) = slots.get_mut(server.index())
        && let Some(orders) = &slot.orders
        && let Some(conn) = slot.conn.take()
    {
        deferred.push(Effect::Order(orders.clone(), what(conn)));
    }
}

/// Empties the slot of a connection that has left the pool.
fn clear(slots: &mut [Slot], gone: &mut TapCountsSnapshot, server: ServerId) -> Slot {
    let slot = slots.get_mut(server.index());
    let slot = slot.map(std::mem::take).unwrap_or_default();
    *gone += slot.counts();
    slot
}
