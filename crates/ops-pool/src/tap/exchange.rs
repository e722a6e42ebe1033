//! Which requests are unanswered.
//!
//! A simple query, a function call and a `Sync` are each answered by one
//! `ReadyForQuery`, with one exception: in `COPY FROM STDIN` the server skips every
//! `Sync` until the copy ends.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::frame::{Messages, STARTUP};
use super::statement;
use super::wire::{Broken, Lookup, Poisoned, Wire};

/// The longest `Parse` that is looked into for a lookup: the driver's own are shorter.
const LONGEST_LOOKUP: usize = 1024;
/// The longest statement that is read. A longer one counts as one that changes the session.
const LONGEST_STATEMENT: usize = 16 * 1024;

/// A request that is answered by a `ReadyForQuery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
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

/// What has been sent since the last `Sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Upkeep,
    Batch,
}

/// How a `COPY` stands that failed before the driver had ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailedCopy {
    Nothing,
    /// The error is here.
    Heard,
    /// The server had not skipped the `Sync` that was sent with the statement, and has
    /// answered it. The one that the driver is about to send is one too many.
    Over,
}

/// Both directions of a connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub(super) struct Exchange {
    wire: Arc<Wire>,
    requests: VecDeque<Request>,
    /// How many of the requests are work.
    work: u32,
    open: Open,
    copying_in: bool,
    /// The server skips, or has skipped, the `Sync` after the `COPY`.
    sync_skipped: bool,
    failed_copy: FailedCopy,
    /// Something has come since the last `ReadyForQuery`.
    heard: bool,
    status: u8,
    lost: bool,
    lookups: usize,
    body: Vec<u8>,
    /// What goes out now is, or ought to be, a reset.
    in_front: bool,
    /// What the server says to a reset that fails, while it says so.
    failure: Option<Vec<u8>>,
}

impl Exchange {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            requests: VecDeque::new(),
            work: 0,
            open: Open::Nothing,
            copying_in: false,
            sync_skipped: false,
            failed_copy: FailedCopy::Nothing,
            heard: false,
            status: 0,
            lost: false,
            lookups: 0,
            body: Vec::new(),
            in_front: false,
            failure: None,
        }
    }

    pub(super) fn blocked(&self, blocked: bool) {
        self.wire.set_blocked(blocked);
    }

    /// An error once no answer may come through anymore.
    pub(super) fn intact(&self) -> io::Result<()> {
        match self.wire.broken() {
            None => Ok(()),
            Some(reason) => Err(io::Error::other(Poisoned(reason))),
        }
    }

    pub(super) fn client(&mut self) -> FromClient<'_> {
        FromClient(self)
    }

    pub(super) fn server(&mut self) -> FromServer<'_> {
        FromServer(self)
    }

    /// Lets others see what has happened.
    pub(super) fn publish(&self) {
        let open = u32::from(self.open == Open::Batch);
        let in_flight = self.work + open.max(u32::from(self.copying_in));
        // A simple query may have begun a transaction before it failed.
        let failed = self.requests.front() == Some(&Request::Failed)
            || self.failed_copy == FailedCopy::Heard;
        let unknown = self.lost || (failed && self.status == b'I');
        let status = if unknown { 0 } else { self.status };
        self.wire.set(status, failed, in_flight);
    }

    fn push(&mut self, request: Request) {
        self.work += u32::from(request.is_work());
        self.requests.push_back(request);
    }

    fn pop(&mut self) {
        let request = self.requests.pop_front();
        self.work -= u32::from(request.is_some_and(Request::is_work));
    }

    fn sync(&mut self) {
        if self.copying_in {
            return;
        }
        let open = std::mem::replace(&mut self.open, Open::Nothing);
        let failed = std::mem::replace(&mut self.failed_copy, FailedCopy::Nothing);
        self.push(match (failed, open) {
            (FailedCopy::Heard, _) => Request::Failed,
            (FailedCopy::Over, _) => {
                self.wire.break_off(Broken::OutOfStep);
                Request::Sync
            }
            (FailedCopy::Nothing, Open::Batch) => Request::Batch,
            (FailedCopy::Nothing, Open::Upkeep) => Request::Upkeep,
            (FailedCopy::Nothing, Open::Nothing) => Request::Sync,
        });
    }

    fn copy_begins(&mut self) {
        self.copying_in = true;
        // The server will skip the Sync that was sent with the statement: the batch is
        // open again, until the one after the data.
        if self.requests.front() == Some(&Request::Batch) {
            self.pop();
            self.open = Open::Batch;
            self.sync_skipped = true;
        }
    }

    /// The server is ready. The driver counts these words as the tap does, so that one too
    /// many would give each answer from there on to the wrong request.
    fn ready(&mut self) {
        self.copying_in = false;
        self.sync_skipped = false;
        self.wire.set_gives_up_copy(false);
        let heard = std::mem::take(&mut self.heard);
        let expected = match self.requests.front() {
            None if self.failed_copy == FailedCopy::Heard => {
                self.failed_copy = FailedCopy::Over;
                true
            }
            None => false,
            Some(Request::Sync) => true,
            Some(_) => heard,
        };
        if !expected {
            self.wire.break_off(Broken::OutOfStep);
        }
        if self.is_resetting() {
            self.wire.reset_answered();
            if self.status != b'I' {
                self.wire.break_off(Broken::ResetLeftTransaction);
            }
        }
        self.pop();
    }

    /// After an error the server skips everything up to the `Sync`.
    fn failed(&mut self) {
        self.copying_in = false;
        if std::mem::take(&mut self.sync_skipped) {
            self.wire.doubt();
            if self.requests.is_empty() {
                self.open = Open::Nothing;
                self.failed_copy = FailedCopy::Heard;
            }
        }
        if let Some(head) = self.requests.front_mut()
            && *head != Request::Failed
        {
            self.work -= u32::from(head.is_work());
            *head = Request::Failed;
        }
    }

    fn is_resetting(&self) -> bool {
        let head = self.requests.front();
        head == Some(&Request::Reset)
    }

    /// Whether what is being sent may be a reset. Nothing else must be in front of one, but
    /// for statements that are closed, and the end.
    fn begin_in_front(&mut self, kind: u8, length: usize) -> bool {
        self.in_front = kind == b'Q' && length <= LONGEST_STATEMENT;
        if !self.in_front {
            self.wire.break_off(Broken::Overtaken);
        }
        self.in_front
    }

    fn sent_in_front(&mut self) {
        let query = self.body.strip_suffix(&[0]).unwrap_or(&self.body);
        self.wire.reset_sent(query);
        self.requests.push_back(Request::Reset);
    }

    fn reset_failed(&mut self, failure: &[u8]) {
        // The severity that does not depend on the server's language.
        let mut fields = failure.split(|byte| *byte == 0);
        let ended = fields.any(|field| matches!(field, b"VFATAL" | b"VPANIC"));
        self.wire.break_off(if ended {
            Broken::ServerGone
        } else {
            Broken::ResetFailed
        });
    }

    /// A statement has been prepared, under a name or without one.
    fn parsed(&mut self) {
        if let Some(lookup) = Lookup::from_parse(&self.body) {
            let mut lookups = self.wire.lookups();
            lookups.push(lookup);
            self.lookups = lookups.len();
            return;
        }
        if self.wire.watches_statements() {
            let mut parts = self.body.split(|byte| *byte == 0);
            let (name, query) = (parts.next(), parts.next());
            if name.is_some_and(|name| !name.is_empty()) {
                self.wire.prepared();
            }
            self.read(query.unwrap_or_default());
        }
    }

    fn queried(&self) {
        self.read(self.body.strip_suffix(&[0]).unwrap_or(&self.body));
    }

    fn read(&self, query: &[u8]) {
        let known = std::str::from_utf8(query).is_ok_and(statement::leaves_no_trace);
        if !known {
            self.wire.touch();
        }
    }

    fn closed(&mut self) {
        let [b'S', name @ .., 0] = self.body.as_slice() else {
            return;
        };
        let mut lookups = self.wire.lookups();
        let before = lookups.len();
        lookups.retain(|lookup| lookup.name.as_bytes() != name);
        self.lookups = lookups.len();
        if before == self.lookups && self.wire.watches_statements() {
            self.wire.closed();
        }
    }

    /// Whether the body of a message that is sent is of interest.
    fn wants(&self, kind: u8, length: usize) -> bool {
        let watched = self.wire.watches_statements();
        match kind {
            b'Q' | b'P' | b'F' if watched && (kind == b'F' || length > LONGEST_STATEMENT) => {
                self.wire.touch();
                false
            }
            b'Q' => watched,
            b'P' => watched || length <= LONGEST_LOOKUP,
            b'C' => (watched || self.lookups > 0) && length <= LONGEST_LOOKUP,
            _ => false,
        }
    }
}

/// What the client says.
pub(super) struct FromClient<'a>(&'a mut Exchange);

impl Messages for FromClient<'_> {
    fn begin(&mut self, kind: u8, length: usize) -> bool {
        let exchange = &mut *self.0;
        exchange.body.clear();
        exchange.in_front = false;
        if exchange.wire.expects_reset() && !matches!(kind, b'C' | b'S' | b'H' | b'X') {
            return exchange.begin_in_front(kind, length);
        }
        match kind {
            STARTUP | b'Q' | b'F' => exchange.push(Request::Query),
            b'P' | b'B' | b'D' | b'E' => exchange.open = Open::Batch,
            b'C' if exchange.open == Open::Nothing => exchange.open = Open::Upkeep,
            b'S' => exchange.sync(),
            b'c' => exchange.copying_in = false,
            b'f' => {
                // Where it has failed already there is nothing to give up.
                exchange.wire.set_gives_up_copy(exchange.copying_in);
                exchange.copying_in = false;
            }
            _ => {}
        }
        exchange.wants(kind, length)
    }

    fn body(&mut self, piece: &[u8]) {
        self.0.body.extend_from_slice(piece);
    }

    fn end(&mut self, kind: u8) {
        match kind {
            _ if self.0.in_front => self.0.sent_in_front(),
            b'P' => self.0.parsed(),
            b'Q' if self.0.wire.watches_statements() => self.0.queried(),
            b'C' => self.0.closed(),
            _ => {}
        }
    }

    fn lost(&mut self) {
        self.0.lost = true;
    }
}

/// What the server says.
pub(super) struct FromServer<'a>(&'a mut Exchange);

impl Messages for FromServer<'_> {
    fn begin(&mut self, kind: u8, _: usize) -> bool {
        // Notices, notifications and parameters come at any time.
        self.0.heard |= !matches!(kind, b'N' | b'A' | b'S' | b'Z');
        match kind {
            b'E' if self.0.is_resetting() => self.0.failure = Some(Vec::new()),
            b'E' => self.0.failed(),
            b'G' | b'W' => self.0.copy_begins(),
            _ => {}
        }
        kind == b'Z' || self.0.failure.is_some()
    }

    fn body(&mut self, piece: &[u8]) {
        if let Some(failure) = &mut self.0.failure {
            failure.extend_from_slice(piece);
        } else if let Some(status) = piece.first() {
            self.0.status = *status;
        }
    }

    fn end(&mut self, kind: u8) {
        if let Some(failure) = self.0.failure.take() {
            return self.0.reset_failed(&failure);
        }
        if kind == b'Z' {
            self.0.ready();
        }
    }

    fn lost(&mut self) {
        self.0.lost = true;
    }
}

#[cfg(test)]
mod tests;
