//! The tables under the lock: the core, and beside it what belongs to its ids.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use ops_core::Error;
use tokio::sync::{mpsc, oneshot};

use crate::close::{CloseReason, Released};
use crate::core::{Action, Core, Event, Now, Refusal, ServerId, Verdict, WaiterId};
use crate::driver::{Conn, Order};
use crate::error::{AcquireError, AcquireReport, Holder, ServerDown};

/// Who asks for a session.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) label: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
}

/// What belongs to a connection.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// The connection, while it is in the pool and its task does not have it.
    conn: Option<Box<Conn>>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    holder: Option<(Holding, Now)>,
    /// Who wants to know how its release went.
    report: Option<oneshot::Sender<Released>>,
}

impl Slot {
    pub(super) fn send(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }

    /// Drops the connection, which its task takes as the order to close it.
    pub(super) fn close(self, reason: CloseReason) {
        let Self {
            conn,
            orders,
            holder: _,
            report,
        } = self;
        drop((conn, orders));
        if let Some(report) = report {
            let _ = report.send(Released::Closed(reason));
        }
    }
}

/// An answer of the core.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Grant(ServerId),
    Wait(WaiterId),
    Refuse(Refusal),
}

/// What is to be done once the lock has been released.
///
/// What the common paths need has a place of its own, so that they allocate nothing.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    wake: Option<Waker>,
    order: Option<(mpsc::UnboundedSender<Order>, Order)>,
    more: Vec<Effect>,
}

/// Something to be done once the lock has been released.
#[derive(Debug)]
pub(super) enum Effect {
    Wake(Waker),
    Order(mpsc::UnboundedSender<Order>, Order),
    Connect(ServerId),
    Close(Slot, CloseReason),
    Report(oneshot::Sender<Released>, Released),
    Rearm,
    Drained,
}

impl Deferred {
    pub(super) fn is_empty(&self) -> bool {
        self.wake.is_none() && self.order.is_none() && self.more.is_empty()
    }

    fn push(&mut self, effect: Effect) {
        match effect {
            Effect::Wake(waker) if self.wake.is_none() => self.wake = Some(waker),
            Effect::Order(to, order) if self.order.is_none() => self.order = Some((to, order)),
            effect => self.more.push(effect),
        }
    }
}

impl IntoIterator for Deferred {
    type Item = Effect;
    type IntoIter = std::iter::Chain<
        std::iter::Chain<std::option::IntoIter<Effect>, std::option::IntoIter<Effect>>,
        std::vec::IntoIter<Effect>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        let wake = self.wake.map(Effect::Wake);
        let order = self.order.map(|(to, order)| Effect::Order(to, order));
        wake.into_iter().chain(order).chain(self.more)
    }
}

/// Everything under the lock.
#[derive(Debug)]
pub(crate) struct State {
    core: Core,
    /// By the index of the connection's id.
    slots: Vec<Slot>,
    /// By the index of the waiter's id.
    wakers: Vec<Option<Waker>>,
    timer: Option<Now>,
    /// Why the last attempt to connect failed, and when.
    failure: Option<(Arc<Error>, Now)>,
}

impl State {
    pub(super) fn new(core: Core) -> Self {
        Self {
            core,
            slots: Vec::new(),
            wakers: Vec::new(),
            timer: None,
            failure: None,
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn failure(&self) -> Option<&(Arc<Error>, Now)> {
        self.failure.as_ref()
    }

    pub(super) fn timer(&self) -> Option<Now> {
        self.timer
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
                    if let Some(slot) = self.slots.get_mut(server.index())
                        && let Some(orders) = &slot.orders
                        && let Some(conn) = slot.conn.take()
                    {
                        deferred.push(Effect::Order(orders.clone(), Order::Reset(conn)));
                    }
                }
                Action::Close(server, reason) => {
                    let slot = clear(&mut self.slots, server);
                    deferred.push(Effect::Close(slot, reason));
                }
                Action::Timer(at) => {
                    self.timer = Some(at);
                    deferred.push(Effect::Rearm);
                }
                Action::Drained => deferred.push(Effect::Drained),
            }
        }
        debug_assert_eq!(self.core.check_invariants(), Ok(()), "after {event:?}");
        reply
    }

    /// Takes the connection that was granted out of the pool.
    pub(super) fn hand_out(
        &mut self,
        server: ServerId,
        holding: &Holding,
        now: Now,
    ) -> Option<Box<Conn>> {
        let slot = self.slots.get_mut(server.index())?;
        slot.holder = Some((holding.clone(), now));
        slot.conn.take()
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
            slot.holder = None;
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
            *slot = Slot {
                conn: Some(conn),
                orders: Some(orders),
                ..Slot::default()
            };
        }
        self.failure = None;
        self.step(Event::Connected(server), now, deferred);
        None
    }

    pub(super) fn clear(&mut self, server: ServerId) -> Slot {
        clear(&mut self.slots, server)
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

    pub(super) fn refused(&self, refusal: Refusal) -> AcquireError {
        match refusal {
            Refusal::ShuttingDown => AcquireError::ShuttingDown,
            Refusal::ServerDown { retry_in } => AcquireError::ServerDown(Box::new(ServerDown {
                cause: self.failure.as_ref().map(|(err, _)| Arc::clone(err)),
                retry_in,
            })),
        }
    }

    pub(super) fn holders(&self, now: Now) -> Vec<Holder> {
        let holders = self.slots.iter().filter_map(|slot| slot.holder.as_ref());
        let mut holders: Vec<Holder> = holders
            .map(|(Holding { label, location }, since)| Holder {
                label: label.clone(),
                location,
                age: now.since(*since),
            })
            .collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.age));
        holders
    }

    pub(super) fn report(&self, waited: Duration, now: Now, pool_size: usize) -> AcquireReport {
        let counts = self.core.counts();
        AcquireReport {
            waited,
            pool_size,
            active: counts.active,
            idle: counts.idle,
            connecting: counts.connecting,
            resetting: counts.resetting,
            waiting: self.core.waiting(),
            holders: self.holders(now),
            last_error: self.failure.as_ref().map(|(err, _)| Arc::clone(err)),
        }
    }
}

/// Empties the slot of a connection that has left the pool.
fn clear(slots: &mut [Slot], server: ServerId) -> Slot {
    let slot = slots.get_mut(server.index());
    slot.map(std::mem::take).unwrap_or_default()
}
