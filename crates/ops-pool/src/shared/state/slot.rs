//! What belongs to one connection and to whoever has it.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::Id;

use crate::close::{CloseReason, Released};
use crate::core::Now;
use crate::driver::{Conn, Order};
use crate::error::Holder;
use crate::tap::{TapCountsSnapshot, Wire};

/// Who asks for a session.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) label: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
    /// The task that asks; None outside of any.
    pub(crate) task: Option<Id>,
}

impl Holding {
    /// The task that runs asks.
    #[inline]
    pub(crate) fn new(
        label: Option<Cow<'static, str>>,
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            label,
            location,
            task: tokio::task::try_id(),
        }
    }
}

/// Somebody who waits for a session, or has one.
#[derive(Debug)]
pub(in crate::shared) struct Caller {
    pub(in crate::shared) by: Holding,
    /// No other caller of the pool has it.
    pub(in crate::shared) number: u64,
    /// When it came.
    pub(in crate::shared) since: Now,
    /// It has been woken to look at its own clock.
    pub(super) reminded: bool,
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

    /// Who has it.
    pub(super) fn holder(&self, now: Now) -> Option<Holder> {
        let held = self.holder.as_ref()?;
        let wire = self.about.as_ref().map(|about| &about.wire);
        Some(Holder {
            label: held.caller.by.label.clone(),
            location: held.caller.by.location,
            age: now.since(held.since),
            last_command: wire.and_then(|wire| wire.last_command()),
            idle_in_transaction: wire.is_some_and(|wire| wire.is_idle_in_transaction()),
        })
    }

    /// Whether somebody has had it for longer than `threshold`. Says so once.
    pub(super) fn leaks(&mut self, threshold: Duration, now: Now) -> bool {
        let Some(held) = &mut self.holder else {
            return false;
        };
        now.since(held.since) >= threshold && !std::mem::replace(&mut held.told, true)
    }

    /// What callers have done on the connection.
    pub(super) fn counts(&self) -> TapCountsSnapshot {
        let about = self.about.as_ref();
        about.map_or_else(Default::default, |about| about.wire.counts().snapshot())
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
