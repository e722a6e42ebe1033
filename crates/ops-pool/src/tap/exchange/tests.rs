//! The messages of a connection, written down.

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
