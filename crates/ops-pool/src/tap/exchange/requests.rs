//! The requests that are not answered.

use std::collections::VecDeque;

/// A request that is answered by a `ReadyForQuery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A simple query, a function call, the startup message.
    Query,
    /// Parse, bind, describe and execute up to a `Sync`.
    Batch,
    /// Nothing that takes time: statements are closed.
    Upkeep,
    /// A `Sync` alone.
    Sync,
    /// A reset of the pool's, in front of what its caller asks.
    Reset,
    /// The error is here already, and how it left the session is not.
    Failed,
}

impl Request {
    fn is_work(self) -> bool {
        matches!(self, Self::Query | Self::Batch)
    }
}

/// A request and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) request: Request,
    /// A caller's, and not the pool's.
    pub(super) lent: bool,
    /// It is counted as a query.
    pub(super) counts: bool,
}

/// How a `COPY` stands that failed before the driver had ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailedCopy {
    Nothing,
    /// The error is here.
    Heard,
    /// The server had not skipped the `Sync` that was sent with the statement, and has
    /// answered it. The one that the driver is about to send is one too many.
    Over,
}

/// The requests that are not answered, in the order in which they will be.
#[derive(Debug, Default)]
pub(super) struct Requests {
    queue: VecDeque<Asked>,
    /// How many of them are work.
    work: u32,
    /// How many of them count.
    counted: u32,
}

impl Requests {
    pub(super) fn push(&mut self, request: Request, lent: bool, counts: bool) {
        self.work += u32::from(request.is_work());
        self.counted += u32::from(counts);
        self.queue.push_back(Asked {
            request,
            lent,
            counts,
        });
    }

    pub(super) fn pop(&mut self) -> Option<Asked> {
        let asked = self.queue.pop_front()?;
        self.work -= u32::from(asked.request.is_work());
        self.counted -= u32::from(asked.counts);
        Some(asked)
    }

    pub(super) fn first(&self) -> Option<Asked> {
        self.queue.front().copied()
    }

    pub(super) fn head(&self) -> Option<Request> {
        self.first().map(|asked| asked.request)
    }

    /// The server has said that the first one failed.
    pub(super) fn fail(&mut self) {
        if let Some(first) = self.queue.front_mut() {
            self.work -= u32::from(first.request.is_work());
            first.request = Request::Failed;
        }
    }

    pub(super) fn work(&self) -> u32 {
        self.work
    }

    pub(super) fn any_counts(&self) -> bool {
        self.counted > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
