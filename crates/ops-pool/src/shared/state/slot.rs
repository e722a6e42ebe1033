//! What belongs to one connection and to whoever has it.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::Id;

use crate::close::{CloseReason, Released};
use crate::core::Now;
use crate::driver::{Conn, Order};
use crate::error::Holder;
use crate::tap::Wire;

/// Who asks for a session.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) label: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
    /// The task that asks; None outside of any.
    pub(crate) task: Option<Id>,
}

/// Somebody who waits for a session, or has one.
#[derive(Debug)]
pub(in crate::shared) struct Caller {
    pub(in crate::shared) by: Holding,
    /// No other caller of the pool has it.
    pub(in crate::shared) number: u64,
    /// When it came.
    pub(in crate::shared) since: Now,
}

/// What is known of a connection.
#[derive(Debug)]
pub(in crate::shared) struct About {
    pub(in crate::shared) wire: Arc<Wire>,
    /// No other connection of the pool has it.
    pub(in crate::shared) number: u64,
    /// When it stood.
    pub(in crate::shared) since: Now,
}

/// A session in somebody's hands.
#[derive(Debug)]
pub(in crate::shared) struct Held {
    pub(in crate::shared) caller: Caller,
    pub(in crate::shared) since: Now,
    /// It has been out for too long, and that has been told.
    pub(super) told: bool,
}

impl Held {
    pub(super) fn holder(&self, now: Now) -> Holder {
        Holder {
            label: self.caller.by.label.clone(),
            location: self.caller.by.location,
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
    pub(in crate::shared) holder: Option<Held>,
    pub(in crate::shared) about: Option<About>,
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
