//! Which requests are unanswered.
//!
//! A simple query, a function call and a `Sync` are each answered by one
//! `ReadyForQuery`, with one exception: in `COPY FROM STDIN` the server skips every
//! `Sync` until the copy ends.

use std::collections::VecDeque;
use std::sync::Arc;

use super::frame::{Messages, STARTUP};
use super::{Lookup, Wire};

/// The longest `Parse` that is looked into: the driver's own are shorter.
const LONGEST_LOOKUP: usize = 1024;

/// A request that is answered by a `ReadyForQuery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// A simple query, a function call, the startup message.
    Query,
    /// Parse, bind, describe and execute up to a `Sync`.
    Batch,
    /// Nothing that takes time: statements are closed.
    Upkeep,
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

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Exchange {
    wire: Arc<Wire>,
    requests: VecDeque<Request>,
    /// How many of the requests are work.
    work: u32,
    open: Open,
    copying_in: bool,
    status: u8,
    lost: bool,
    lookups: usize,
    body: Vec<u8>,
}

impl Exchange {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            requests: VecDeque::new(),
            work: 0,
            open: Open::Nothing,
            copying_in: false,
            status: 0,
            lost: false,
            lookups: 0,
            body: Vec::new(),
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
        let failed = self.requests.front() == Some(&Request::Failed);
        let unknown = self.lost || (failed && self.status == b'I');
        self.wire
            .set(if unknown { 0 } else { self.status }, in_flight);
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
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Batch => self.push(Request::Batch),
            Open::Upkeep | Open::Nothing => self.push(Request::Upkeep),
        }
    }

    fn copy_begins(&mut self) {
        self.copying_in = true;
        // The server will skip the Sync that was sent with the statement: the batch is
        // open again, until the one after the data.
        if self.requests.front() == Some(&Request::Batch) {
            self.pop();
            self.open = Open::Batch;
        }
    }

    /// After an error the server skips everything up to the `Sync`.
    fn failed(&mut self) {
        self.copying_in = false;
        if let Some(head) = self.requests.front_mut()
            && *head != Request::Failed
        {
            self.work -= u32::from(head.is_work());
            *head = Request::Failed;
        }
    }

    fn lookup(&mut self) {
        if let Some(lookup) = Lookup::from_parse(&self.body) {
            let mut lookups = self.wire.lookups();
            lookups.push(lookup);
            self.lookups = lookups.len();
        }
    }

    fn closed(&mut self) {
        let [b'S', name @ .., 0] = self.body.as_slice() else {
            return;
        };
        let mut lookups = self.wire.lookups();
        lookups.retain(|lookup| lookup.name.as_bytes() != name);
        self.lookups = lookups.len();
    }
}

/// What the client says.
pub(super) struct FromClient<'a>(&'a mut Exchange);

impl Messages for FromClient<'_> {
    fn begin(&mut self, kind: u8, length: usize) -> bool {
        let exchange = &mut *self.0;
        match kind {
            STARTUP | b'Q' | b'F' => exchange.push(Request::Query),
            b'P' | b'B' | b'D' | b'E' => exchange.open = Open::Batch,
            b'C' if exchange.open == Open::Nothing => exchange.open = Open::Upkeep,
            b'S' => exchange.sync(),
            b'c' | b'f' => exchange.copying_in = false,
            _ => {}
        }
        exchange.body.clear();
        match kind {
            b'P' => length <= LONGEST_LOOKUP,
            b'C' => exchange.lookups > 0 && length <= LONGEST_LOOKUP,
            _ => false,
        }
    }

    fn body(&mut self, piece: &[u8]) {
        self.0.body.extend_from_slice(piece);
    }

    fn end(&mut self, kind: u8) {
        match kind {
            b'P' => self.0.lookup(),
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
        match kind {
            b'E' => self.0.failed(),
            b'G' | b'W' => self.0.copy_begins(),
            _ => {}
        }
        kind == b'Z'
    }

    fn body(&mut self, piece: &[u8]) {
        if let Some(status) = piece.first() {
            self.0.status = *status;
        }
    }

    fn end(&mut self, kind: u8) {
        if kind == b'Z' {
            self.0.copying_in = false;
            self.0.pop();
        }
    }

    fn lost(&mut self) {
        self.0.lost = true;
    }
}

#[cfg(test)]
mod tests {
    use super::super::TransactionStatus;
    use super::super::frame::Framer;
    use super::*;

    /// A connection whose messages the test writes down: `>` sent, `<` received.
    struct Talk {
        exchange: Exchange,
        wire: Arc<Wire>,
        sent: Framer,
        received: Framer,
    }

    impl Talk {
        /// Logged in.
        fn new() -> Self {
            let wire = Arc::new(Wire::new());
            let mut talk = Self {
                exchange: Exchange::new(Arc::clone(&wire)),
                wire,
                sent: Framer::frontend(),
                received: Framer::backend(),
            };
            talk.sent
                .feed(&[0, 0, 0, 8, 0, 3, 0, 0], &mut talk.exchange.client());
            talk.hear("RKZI");
            talk
        }

        fn say(&mut self, kinds: &str) -> &mut Self {
            for kind in kinds.bytes() {
                self.send(kind, b"x");
            }
            self
        }

        fn send(&mut self, kind: u8, body: &[u8]) {
            let mut bytes = vec![kind];
            bytes.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
            bytes.extend(body);
            self.sent.feed(&bytes, &mut self.exchange.client());
            self.exchange.publish();
        }

        /// A `Z` is followed by its status.
        fn hear(&mut self, kinds: &str) -> &mut Self {
            let mut kinds = kinds.bytes();
            while let Some(kind) = kinds.next() {
                let body = if kind == b'Z' {
                    vec![kinds.next().unwrap()]
                } else {
                    vec![1, 2]
                };
                let mut bytes = vec![kind];
                bytes.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
                bytes.extend(body);
                self.received.feed(&bytes, &mut self.exchange.server());
            }
            self.exchange.publish();
            self
        }

        #[track_caller]
        fn is(&mut self, status: TransactionStatus, in_flight: u32) -> &mut Self {
            assert_eq!(
                (self.wire.status(), self.wire.in_flight()),
                (status, in_flight)
            );
            self
        }
    }

    use TransactionStatus::{Failed, Idle, InTransaction};

    #[test]
    fn a_query_is_in_flight_until_the_server_is_ready() {
        let mut talk = Talk::new();
        talk.is(Idle, 0)
            .say("Q")
            .is(Idle, 1)
            .hear("TDC")
            .is(Idle, 1)
            .hear("ZT");
        talk.is(InTransaction, 0)
            .say("Q")
            .hear("E")
            .is(InTransaction, 0)
            .hear("ZE")
            .is(Failed, 0);
    }

    #[test]
    fn an_error_leaves_the_status_open_until_the_server_is_ready() {
        let mut talk = Talk::new();
        talk.say("Q")
            .hear("CE")
            .is(TransactionStatus::Unknown, 0)
            .hear("ZE")
            .is(Failed, 0);
        let mut talk = Talk::new();
        talk.say("PDS")
            .hear("E")
            .is(TransactionStatus::Unknown, 0)
            .hear("ZI")
            .is(Idle, 0);
    }

    #[test]
    fn pipelined_batches_count_each() {
        let mut talk = Talk::new();
        talk.say("PDSBESBES")
            .is(Idle, 3)
            .hear("12CZI")
            .is(Idle, 2)
            .hear("ZIZI")
            .is(Idle, 0);
    }

    #[test]
    fn a_batch_without_its_sync_is_in_flight() {
        Talk::new()
            .say("PBE")
            .is(Idle, 1)
            .say("S")
            .is(Idle, 1)
            .hear("ZI")
            .is(Idle, 0);
    }

    #[test]
    fn closing_a_statement_is_not_work() {
        Talk::new()
            .say("CS")
            .is(Idle, 0)
            .say("Q")
            .is(Idle, 1)
            .hear("3ZI")
            .is(Idle, 1);
    }

    #[test]
    fn the_sync_before_the_data_of_a_copy_is_not_answered() {
        let mut talk = Talk::new();
        talk.say("BES")
            .is(Idle, 1)
            .hear("2G")
            .is(Idle, 1)
            .say("ddd")
            .is(Idle, 1);
        talk.say("cS").is(Idle, 1).hear("CZI").is(Idle, 0);
    }

    #[test]
    fn a_copy_by_a_simple_query_is_in_flight_until_it_ends() {
        let mut talk = Talk::new();
        talk.say("Q")
            .hear("G")
            .say("SS")
            .is(Idle, 2)
            .say("dc")
            .is(Idle, 1)
            .hear("CZI")
            .is(Idle, 0);
    }

    #[test]
    fn a_copy_that_fails_ends_with_its_own_sync() {
        let mut talk = Talk::new();
        talk.say("BES")
            .hear("2G")
            .say("d")
            .hear("E")
            .is(Idle, 1)
            .say("fS")
            .is(Idle, 1);
        talk.hear("ZI").is(Idle, 0);
    }

    #[test]
    fn a_copy_to_the_client_is_an_ordinary_batch() {
        Talk::new()
            .say("BES")
            .hear("2Hdd")
            .is(Idle, 1)
            .hear("cCZI")
            .is(Idle, 0);
    }

    #[test]
    fn nonsense_leaves_no_status() {
        let mut talk = Talk::new();
        talk.received
            .feed(&[b'Z', 0, 0, 0, 0], &mut talk.exchange.server());
        talk.hear("").is(TransactionStatus::Unknown, 0);
    }

    #[test]
    fn statements_of_the_driver_are_prepared_again_until_it_closes_them() {
        let mut talk = Talk::new();
        let query = "SELECT enumlabel\nFROM pg_catalog.pg_enum\nWHERE enumtypid = $1\n";
        talk.send(b'P', format!("s7\0{query}\0\0\0").as_bytes());
        talk.send(b'P', b"s8\0SELECT 1\0\0\0");
        let sql = talk.wire.prepare_lookups_again().unwrap();
        assert_eq!(sql, format!("PREPARE \"s7\" AS {query};\n"));
        talk.send(b'C', b"Ss8\0");
        assert!(talk.wire.prepare_lookups_again().is_some());
        talk.send(b'C', b"Ss7\0");
        assert_eq!(talk.wire.prepare_lookups_again(), None);
    }
}
