//! Counts of connections and requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a server counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Stats {
    /// Connections that were accepted.
    pub accepted: usize,
    /// Connections that are open now.
    pub open: usize,
    /// Requests that are being answered now.
    pub in_flight: usize,
    /// The most requests that were being answered at a time.
    pub most_in_flight: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
    in_flight: AtomicUsize,
    most: AtomicUsize,
}

impl Counts {
    pub(super) fn shown(&self) -> S3Stats {
        S3Stats {
            accepted: self.accepted.load(Ordering::Acquire),
            open: self.open.load(Ordering::Acquire),
            in_flight: self.in_flight.load(Ordering::Acquire),
            most_in_flight: self.most.load(Ordering::Acquire),
        }
    }

    pub(super) fn connection(self: &Arc<Self>) -> Open {
        self.accepted.fetch_add(1, Ordering::AcqRel);
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(self))
    }

    pub(super) fn request(self: &Arc<Self>) -> InFlight {
        let now = self.in_flight.fetch_add(1, Ordering::AcqRel) + 1;
        self.most.fetch_max(now, Ordering::AcqRel);
        InFlight(Arc::clone(self))
    }
}

/// A connection, for as long as it is open.
#[derive(Debug)]
pub(super) struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request, until the last byte of its answer.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Counts>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
