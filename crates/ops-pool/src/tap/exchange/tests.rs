//! The messages of a connection, written down.

mod counting;

use super::super::TransactionStatus;
use super::super::frame::Framer;
use super::*;
use crate::close::CloseReason;

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
        .hear("2CZI2CZI")
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
        .is(TransactionStatus::Unknown, 0)
        .say("fS")
        .is(TransactionStatus::Unknown, 0);
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

/// The text of a simple query.
fn query(sql: &str) -> Vec<u8> {
    [sql.as_bytes(), &[0]].concat()
}

/// One reset is to go in front, and has been sent with a query behind it.
fn with_a_reset_in_front() -> Talk {
    let mut talk = Talk::new();
    talk.wire.expect_resets([Arc::from("DISCARD ALL")]);
    talk.send(b'Q', &query("DISCARD ALL"));
    talk.send(b'Q', &query("SELECT 1"));
    talk
}

#[test]
fn a_reset_in_front_is_not_in_flight_for_the_session() {
    let mut talk = with_a_reset_in_front();
    assert_eq!(talk.wire.resets(), 1);
    talk.is(Idle, 1).hear("CZI").is(Idle, 1);
    assert_eq!((talk.wire.resets(), talk.wire.broken()), (0, None));
    talk.hear("TDCZT").is(InTransaction, 0);
    assert!(talk.exchange.intact().is_ok());
}

#[test]
fn a_reset_in_front_that_fails_breaks_the_connection() {
    let mut talk = with_a_reset_in_front();
    talk.hear("E");
    assert_eq!(talk.wire.broken(), Some(CloseReason::ResetFailed));
    assert!(talk.exchange.intact().is_err());
}

#[test]
fn a_reset_in_front_that_leaves_a_transaction_breaks_the_connection() {
    for status in ["T", "E"] {
        let mut talk = with_a_reset_in_front();
        talk.hear(&format!("CZ{status}"));
        let reason = CloseReason::ResetLeftTransaction;
        assert_eq!(talk.wire.broken(), Some(reason));
    }
}

#[test]
fn a_server_that_ends_the_session_in_a_reset_is_not_a_failed_reset() {
    for (severity, reason) in [
        ("ERROR", CloseReason::ResetFailed),
        ("FATAL", CloseReason::ServerGone),
        ("PANIC", CloseReason::ServerGone),
    ] {
        let mut talk = with_a_reset_in_front();
        let fields = format!("SFEHLER\0V{severity}\0C57P01\0Mtext\0\0");
        let mut bytes = vec![b'E'];
        bytes.extend((u32::try_from(fields.len()).unwrap() + 4).to_be_bytes());
        bytes.extend(fields.as_bytes());
        // In pieces, as it may come.
        for piece in bytes.chunks(3) {
            talk.received.feed(piece, &mut talk.exchange.server());
        }
        assert_eq!(talk.wire.broken(), Some(reason), "{severity}");
    }
}

#[test]
fn nothing_that_works_may_be_in_front_of_a_reset() {
    for kind in [b'Q', b'P', b'B', b'E', b'F', b'd'] {
        let mut talk = Talk::new();
        talk.wire.expect_resets([Arc::from("DISCARD ALL")]);
        talk.send(kind, &query("SELECT 1"));
        let reason = CloseReason::QueryInFlight;
        assert_eq!(talk.wire.broken(), Some(reason), "{}", char::from(kind));
    }
}

#[test]
fn statements_may_be_closed_in_front_of_a_reset() {
    let mut talk = Talk::new();
    let resets = ["DISCARD ALL", "PREPARE s1 AS SELECT 1"].map(Arc::from);
    talk.wire.expect_resets(resets);
    talk.send(b'C', b"Ss3\0");
    talk.send(b'S', b"");
    talk.send(b'Q', &query("DISCARD ALL"));
    talk.send(b'C', b"Ss4\0");
    talk.send(b'S', b"");
    talk.send(b'Q', &query("PREPARE s1 AS SELECT 1"));
    talk.send(b'Q', &query("SELECT 1"));
    talk.hear("3ZICZI3ZICZI")
        .is(Idle, 1)
        .hear("CZI")
        .is(Idle, 0);
    assert_eq!((talk.wire.resets(), talk.wire.broken()), (0, None));
}

/// Whether the session was touched by a message.
fn touched(kind: u8, body: &[u8]) -> bool {
    let mut talk = Talk::new();
    talk.wire.watch_statements();
    talk.send(kind, body);
    talk.wire.is_touched()
}

/// The driver has sent its `Sync` with the statement, and the server has said that it is
/// ready for the data.
fn in_a_copy() -> Talk {
    let mut talk = Talk::new();
    talk.say("BES").hear("2G").is(Idle, 1);
    talk
}

#[test]
fn a_copy_that_fails_before_its_sync_is_skipped_is_noticed() {
    let mut talk = in_a_copy();
    // The driver is to hear of the error. It sends nothing else before it has ended the copy.
    talk.hear("EZI").say("d").is(Idle, 1);
    assert_eq!((talk.wire.is_in_doubt(), talk.wire.broken()), (true, None));
    // There will be an answer to this one, and the driver does not expect it.
    talk.say("fS");
    assert_eq!(talk.wire.broken(), Some(CloseReason::OutOfStep));

    let mut talk = in_a_copy();
    talk.hear("E").say("dfS").hear("ZI");
    assert_eq!((talk.wire.is_in_doubt(), talk.wire.broken()), (true, None));
    talk.hear("ZI");
    assert_eq!(talk.wire.broken(), Some(CloseReason::OutOfStep));

    let mut talk = in_a_copy();
    talk.say("dfS").hear("EZI");
    assert!(talk.wire.is_in_doubt());
    for behind in ["Q", "CS", "PBES"] {
        let mut talk = in_a_copy();
        talk.say("dfS").say(behind).hear("EZIZI");
        assert_eq!(talk.wire.broken(), Some(CloseReason::OutOfStep));
    }
}

#[test]
fn a_copy_that_fails_later_is_in_step() {
    let mut talk = in_a_copy();
    talk.say("dfS").hear("EZI").say("Q").hear("IZI").say("CS");
    talk.hear("3ZI").is(Idle, 0);
    assert_eq!(talk.wire.broken(), None);
    // Nothing runs anymore, though the driver has not ended it yet.
    let mut talk = in_a_copy();
    talk.hear("E").is(TransactionStatus::Unknown, 0);
    assert!(talk.wire.is_failing());
    talk.say("dfS").is(TransactionStatus::Unknown, 0);
    talk.hear("ZI").is(Idle, 0);
    assert_eq!(talk.wire.broken(), None);
    let mut talk = in_a_copy();
    talk.say("dcS").hear("CZI").is(Idle, 0);
    assert!(!talk.wire.is_in_doubt());
}

#[test]
fn a_copy_that_the_driver_gives_up_is_known_until_it_has_ended() {
    let mut talk = in_a_copy();
    talk.say("d");
    assert!(!talk.wire.gives_up_copy());
    talk.say("fS");
    assert!(talk.wire.gives_up_copy());
    talk.hear("EZI");
    assert!(!talk.wire.gives_up_copy());
    // One that has failed on the server already.
    let mut talk = in_a_copy();
    talk.hear("E").say("fS");
    assert!(!talk.wire.gives_up_copy());
}

#[test]
fn a_sync_alone_is_answered_by_nothing_else() {
    let mut talk = Talk::new();
    talk.say("S").hear("ZI").is(Idle, 0);
    assert_eq!(talk.wire.broken(), None);
}

#[test]
fn what_comes_unasked_is_no_answer() {
    for unasked in ["N", "A", "S"] {
        let mut talk = Talk::new();
        talk.say("Q").hear(unasked).hear("ZI");
        assert_eq!(talk.wire.broken(), Some(CloseReason::OutOfStep));
    }
}

#[test]
fn statements_are_read_where_somebody_wants_to_know() {
    assert!(!touched(b'Q', &query("SELECT 1")));
    assert!(touched(b'Q', &query("SET x = 1")));
    assert!(!touched(b'P', b"\0SELECT 1\0\0\0"));
    assert!(touched(b'P', b"\0SET x = 1\0\0\0"));
    assert!(touched(b'F', &[0, 0, 0, 1]));
    assert!(touched(
        b'Q',
        &query(&format!("SELECT '{}'", "x".repeat(LONGEST_STATEMENT)))
    ));
    assert!(touched(b'Q', &[b'S', 0xff, 0]));
    let mut unwatched = Talk::new();
    unwatched.send(b'Q', &query("SET x = 1"));
    assert!(!unwatched.wire.is_touched());
}

#[test]
fn a_statement_that_is_prepared_touches_until_it_is_closed() {
    let mut talk = Talk::new();
    talk.wire.watch_statements();
    talk.send(b'P', b"s1\0SELECT 1\0\0\0");
    talk.send(b'P', b"s2\0SELECT 1\0\0\0");
    talk.send(b'C', b"Ss1\0");
    assert!(talk.wire.is_touched());
    talk.send(b'C', b"Ss2\0");
    assert!(!talk.wire.is_touched());
    // The driver's own are for the life of the connection.
    let lookup = "SELECT enumlabel\nFROM pg_catalog.pg_enum\nWHERE enumtypid = $1\n";
    talk.send(b'P', format!("s7\0{lookup}\0\0\0").as_bytes());
    talk.wire.is_reset();
    assert!(!talk.wire.is_touched());
}
