//! What belongs to one connection and to whoever has it.

use std::borrow::Cow;
use std::panic::Location;

use tokio::sync::{mpsc, oneshot};
use tokio::task::Id;

use crate::close::{CloseReason, Released};
use crate::core::Now;
use crate::driver::{Conn, Order};
use crate::error::Holder;

/// Who asks for a session.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) label: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
    /// The task that asks; None outside of any.
    pub(crate) task: Option<Id>,
}

/// A session in somebody's hands.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) by: Holding,
    pub(super) since: Now,
    /// It has been out for too long, and that has been told.
    pub(super) told: bool,
}

impl Held {
    pub(super) fn holder(&self, now: Now) -> Holder {
        Holder {
            label: self.by.label.clone(),
            location: self.by.location,
            age: now.since(self.since),
        }
    }
}

/// What belongs to a connection.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// The connection, while it is in the pool and its task does not have it.
    pub(super) conn: Option<Box<Conn>>,
    pub(super) orders: Option<mpsc::UnboundedSender<Order>>,
    pub(super) holder: Option<Held>,
    /// When its task was told to reset it.
    pub(super) reset_since: Option<Now>,
    /// Who wants to know how its release went.
    pub(super) report: Option<oneshot::Sender<Released>>,
}

impl Slot {
    pub(in crate::shared) fn send(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }

    /// Drops the connection, which its task takes as the order to close it.
    pub(in crate::shared) fn close(self, reason: CloseReason) {
        let Self {
            conn,
            orders,
            report,
            ..
        } = self;
        drop((conn, orders));
        if let Some(report) = report {
            let _ = report.send(Released::Closed(reason));
        }
    }
}
