//! Which requests are unanswered.
//!
//! A simple query, a function call and a `Sync` are each answered by one
//! `ReadyForQuery`, with one exception: in `COPY FROM STDIN` the server skips every
//! `Sync` until the copy ends.

mod requests;

use std::io;
use std::sync::Arc;

use super::counts::Tally;
use super::frame::{HEADER, Messages, STARTUP};
use super::statement;
use super::tag;
use super::wire::{Broken, Lookup, Poisoned, Wire};
use requests::{FailedCopy, Request, Requests};

/// The longest `Parse` that is looked into for a lookup: the driver's own are shorter.
const LONGEST_LOOKUP: usize = 1024;
/// The longest statement that is read. A longer one counts as one that changes the session.
const LONGEST_STATEMENT: usize = 16 * 1024;

/// What has been sent since the last `Sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Upkeep,
    Batch,
}

/// What of a message of the server's is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hears {
    Nothing,
    Status,
    ResetFailure,
    Completion,
    /// The number of the backend's process.
    Key,
}

/// Both directions of a connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub(super) struct Exchange {
    pub(super) wire: Arc<Wire>,
    requests: Requests,
    open: Open,
    /// What is open is counted as a caller's query.
    open_counts: bool,
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
    /// What the server is saying.
    hears: Hears,
    /// What it says to a reset that fails.
    failure: Vec<u8>,
    completion: tag::Body,
    key: Vec<u8>,
    tally: Tally,
}

impl Exchange {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            requests: Requests::default(),
            open: Open::Nothing,
            open_counts: false,
            copying_in: false,
            sync_skipped: false,
            failed_copy: FailedCopy::Nothing,
            heard: false,
            status: 0,
            lost: false,
            lookups: 0,
            body: Vec::new(),
            in_front: false,
            hears: Hears::Nothing,
            failure: Vec::new(),
            completion: tag::Body::new(),
            key: Vec::new(),
            tally: Tally::default(),
        }
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
    pub(super) fn publish(&mut self) {
        let open = u32::from(self.open == Open::Batch);
        // What is over for the server may not be over for the driver, which sends nothing else
        // before it has ended that.
        let held = u32::from(self.failed_copy == FailedCopy::Over);
        let in_flight = self.requests.work() + open.max(u32::from(self.copying_in)) + held;
        // A simple query may have begun a transaction before it failed.
        let failed =
            self.requests.head() == Some(Request::Failed) || self.failed_copy == FailedCopy::Heard;
        let unknown = self.lost || (failed && self.status == b'I');
        let status = if unknown { 0 } else { self.status };
        self.wire.set(status, failed, in_flight);
        self.tally.publish(self.wire.counts());
    }

    /// Whether what the server says now is for a caller.
    fn is_for_caller(&self) -> bool {
        let first = self.requests.first();
        first.map_or_else(|| self.wire.is_lent(), |asked| asked.lent)
    }

    fn push(&mut self, request: Request, counts: bool) {
        let lent = counts || self.wire.is_lent();
        self.requests.push(request, lent, counts);
    }

    /// A caller's query goes out, or something of the pool's. The answer is whether it
    /// counts.
    fn begin_query(&mut self) -> bool {
        let counts = self.wire.is_lent();
        if counts {
            self.tally.asked();
        }
        counts
    }

    fn open_batch(&mut self) {
        if self.open != Open::Batch {
            self.open = Open::Batch;
            self.open_counts = self.begin_query();
        }
    }

    fn sync(&mut self) {
        if self.copying_in {
            return;
        }
        let open = std::mem::replace(&mut self.open, Open::Nothing);
        let failed = std::mem::replace(&mut self.failed_copy, FailedCopy::Nothing);
        let counts = std::mem::take(&mut self.open_counts);
        let request = match (failed, open) {
            (FailedCopy::Heard, _) => Request::Failed,
            (FailedCopy::Over, _) => {
                self.wire.break_off(Broken::OutOfStep);
                Request::Sync
            }
            (FailedCopy::Nothing, Open::Batch) => Request::Batch,
            (FailedCopy::Nothing, Open::Upkeep) => Request::Upkeep,
            (FailedCopy::Nothing, Open::Nothing) => Request::Sync,
        };
        self.push(request, counts);
    }

    fn copy_begins(&mut self) {
        self.copying_in = true;
        // The server will skip the Sync that was sent with the statement: the batch is
        // open again, until the one after the data.
        if self.requests.head() == Some(Request::Batch) {
            self.open_counts = self.requests.pop().is_some_and(|asked| asked.counts);
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
        let expected = match self.requests.head() {
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
        if self.requests.pop().is_some_and(|asked| asked.counts) {
            let more = self.open_counts || self.requests.any_counts();
            self.tally.answered(self.status, more);
        } else {
            self.tally.ready(self.status);
        }
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
        self.requests.fail();
    }

    fn is_resetting(&self) -> bool {
        self.requests.head() == Some(Request::Reset)
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
        self.requests.push(Request::Reset, false, false);
    }

    fn reset_failed(&mut self) {
        // The severity that does not depend on the server's language.
        let mut fields = self.failure.split(|byte| *byte == 0);
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
        if exchange.wire.is_lent() {
            exchange.tally.sent(kind, HEADER + length);
        }
        match kind {
            STARTUP | b'Q' | b'F' => {
                let counts = exchange.begin_query();
                exchange.push(Request::Query, counts);
            }
            b'P' | b'B' | b'D' | b'E' => exchange.open_batch(),
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
    fn begin(&mut self, kind: u8, length: usize) -> bool {
        let exchange = &mut *self.0;
        // Notices, notifications and parameters come at any time.
        exchange.heard |= !matches!(kind, b'N' | b'A' | b'S' | b'Z');
        let for_caller = exchange.is_for_caller();
        if for_caller {
            exchange.tally.received(HEADER + length);
        }
        exchange.hears = Hears::Nothing;
        match kind {
            b'E' if exchange.is_resetting() => {
                exchange.failure.clear();
                exchange.hears = Hears::ResetFailure;
            }
            b'E' => exchange.failed(),
            b'G' | b'W' => exchange.copy_begins(),
            b'Z' => exchange.hears = Hears::Status,
            b'K' => {
                exchange.key.clear();
                exchange.hears = Hears::Key;
            }
            b'C' if for_caller => {
                exchange.completion.begin();
                exchange.hears = Hears::Completion;
            }
            _ => {}
        }
        exchange.hears != Hears::Nothing
    }

    fn body(&mut self, piece: &[u8]) {
        let exchange = &mut *self.0;
        match exchange.hears {
            Hears::Nothing => {}
            Hears::Status => exchange.status = piece.first().copied().unwrap_or(exchange.status),
            Hears::ResetFailure => exchange.failure.extend_from_slice(piece),
            Hears::Completion => exchange.completion.push(piece),
            Hears::Key => exchange
                .key
                .extend(piece.iter().take(4 - exchange.key.len())),
        }
    }

    fn end(&mut self, kind: u8) {
        let exchange = &mut *self.0;
        match exchange.hears {
            Hears::ResetFailure => exchange.reset_failed(),
            Hears::Completion => exchange.wire.set_last_command(exchange.completion.tag()),
            Hears::Key => exchange.wire.set_backend_pid(&exchange.key),
            Hears::Nothing | Hears::Status => {}
        }
        if kind == b'Z' {
            exchange.ready();
        }
    }

    fn lost(&mut self) {
        self.0.lost = true;
    }
}

#[cfg(test)]
mod tests;
