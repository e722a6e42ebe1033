//! What the core's actions ask of the shell, kept until the lock has been released.

use std::task::Waker;

use tokio::sync::{mpsc, oneshot};

use super::slot::Slot;
use crate::close::{CloseReason, Released};
use crate::core::ServerId;
use crate::driver::Order;

/// What is to be done once the lock has been released.
///
/// What the common paths need has a place of its own, so that they allocate nothing.
#[derive(Debug, Default)]
pub(in crate::shared) struct Deferred {
    pub(in crate::shared) wake: Option<Waker>,
    pub(in crate::shared) order: Option<(mpsc::UnboundedSender<Order>, Order)>,
    pub(in crate::shared) more: Vec<Effect>,
}

/// Something to be done once the lock has been released.
#[derive(Debug)]
pub(in crate::shared) enum Effect {
    Wake(Waker),
    Order(mpsc::UnboundedSender<Order>, Order),
    Connect(ServerId),
    Close(Slot, CloseReason),
    Report(oneshot::Sender<Released>, Released),
    Rearm,
    Settled,
    /// The groups are asked for places.
    Request,
    GiveBack(usize),
    Spare,
}

impl Deferred {
    pub(super) fn push(&mut self, effect: Effect) {
        match effect {
            Effect::Wake(waker) if self.wake.is_none() => self.wake = Some(waker),
            Effect::Order(to, order) if self.order.is_none() => self.order = Some((to, order)),
            effect => self.more.push(effect),
        }
    }
}
