//! What is counted.

use std::time::Duration;

use tokio::time::advance;

use super::super::super::TapCountsSnapshot;
use super::Talk;

const SECOND: Duration = Duration::from_secs(1);

/// In a caller's hands.
fn lent() -> Talk {
    let talk = Talk::new();
    talk.wire.lend();
    talk
}

fn counts(talk: &Talk) -> TapCountsSnapshot {
    talk.wire.counts().snapshot()
}

/// Queries and transactions.
#[track_caller]
fn has(talk: &mut Talk, queries: u64, transactions: u64) -> &mut Talk {
    let now = counts(talk);
    assert_eq!((now.queries, now.transactions), (queries, transactions));
    talk
}

#[test]
fn what_the_pool_asks_for_does_not_count() {
    let mut talk = Talk::new();
    talk.say("QPBES").hear("CZI12CZI");
    assert_eq!(counts(&talk), TapCountsSnapshot::default());
    talk.wire.lend();
    talk.wire.expect_resets(["DISCARD ALL".into()]);
    talk.send(b'Q', b"DISCARD ALL\0");
    talk.hear("CZI");
    assert_eq!(counts(&talk), TapCountsSnapshot::default());
    talk.say("Q").hear("CZI");
    has(&mut talk, 1, 1);
}

#[test]
fn a_query_counts_once_it_is_answered_also_by_an_error() {
    let mut talk = lent();
    talk.say("Q").hear("TDC");
    has(&mut talk, 0, 0).hear("ZI");
    has(&mut talk, 1, 1).say("PDS").hear("1tTZI");
    has(&mut talk, 2, 2).say("BES").hear("E");
    has(&mut talk, 2, 2).hear("ZI");
    has(&mut talk, 3, 3).say("F").hear("VZI");
    has(&mut talk, 4, 4);
    // Neither closing a statement nor a Sync alone.
    talk.say("CSS").hear("3ZIZI");
    has(&mut talk, 4, 4);
    let counts = counts(&talk);
    assert_eq!((counts.parses, counts.binds), (1, 1));
}

#[test]
fn a_transaction_counts_when_it_ends() {
    let mut talk = lent();
    talk.say("Q").hear("CZT").say("Q").hear("CZT").say("Q");
    talk.hear("EZE");
    has(&mut talk, 3, 0);
    assert!(talk.wire.is_idle_in_transaction());
    talk.say("Q");
    assert!(!talk.wire.is_idle_in_transaction());
    talk.hear("CZI");
    has(&mut talk, 4, 1);
    assert!(!talk.wire.is_idle_in_transaction());
}

#[test]
fn a_transaction_that_the_pool_rolls_back_counts_and_its_query_does_not() {
    let mut talk = lent();
    talk.say("Q").hear("CZT");
    talk.wire.take_back();
    talk.say("Q").hear("CZI");
    has(&mut talk, 1, 1);
}

#[test]
fn an_answer_that_comes_after_the_session_was_given_back_is_the_callers() {
    let mut talk = lent();
    talk.say("QQ");
    talk.wire.take_back();
    talk.say("Q").hear("EZICZI");
    let before = counts(&talk);
    assert_eq!((before.queries, before.transactions), (2, 2));
    talk.hear("CZI");
    assert_eq!(counts(&talk), before);
}

#[test]
fn a_copy_is_one_query_also_where_the_driver_ends_it_for_the_pool() {
    let mut talk = lent();
    talk.say("BES").hear("2G").say("dcS").hear("CZI");
    has(&mut talk, 1, 1).say("BES").hear("2G").say("d");
    talk.wire.take_back();
    talk.say("fS").hear("EZI");
    has(&mut talk, 2, 2);
    // The session is given back before the server has asked for the data.
    talk.wire.lend();
    talk.say("BES");
    talk.wire.take_back();
    talk.hear("2G").say("fS").hear("EZI");
    has(&mut talk, 3, 3);
    // One that fails before the driver has ended it.
    talk.wire.lend();
    talk.say("BES").hear("2G").hear("E").say("dfS").hear("ZI");
    has(&mut talk, 4, 4);
}

#[test]
fn bytes_are_those_of_whole_messages() {
    let mut talk = lent();
    // Each has one byte of body.
    talk.say("Q");
    assert_eq!(counts(&talk).bytes_to_server, 6);
    // Two of body, and one where the server is ready.
    talk.hear("TDCZI");
    assert_eq!(counts(&talk).bytes_from_server, 3 * 7 + 6);
    // Unasked.
    talk.hear("A");
    assert_eq!(counts(&talk).bytes_from_server, 4 * 7 + 6);
    talk.wire.take_back();
    talk.hear("A");
    assert_eq!(counts(&talk).bytes_from_server, 4 * 7 + 6);
}

#[tokio::test(start_paused = true)]
async fn time_in_queries_is_the_time_in_which_one_is_unanswered() {
    let mut talk = lent();
    talk.say("Q");
    advance(SECOND).await;
    talk.hear("CZT");
    advance(10 * SECOND).await;
    // Two at once take their time once.
    talk.say("PDSBES");
    advance(SECOND).await;
    talk.hear("12ZT");
    advance(SECOND).await;
    talk.hear("CZT");
    advance(10 * SECOND).await;
    assert_eq!(counts(&talk).query_time, 3 * SECOND);
    assert_eq!(counts(&talk).transaction_time, Duration::ZERO);
    talk.say("Q");
    advance(SECOND).await;
    talk.hear("CZI");
    assert_eq!(counts(&talk).query_time, 4 * SECOND);
    assert_eq!(counts(&talk).transaction_time, 24 * SECOND);
    // Between transactions there is none.
    advance(10 * SECOND).await;
    talk.say("QQ");
    advance(SECOND).await;
    talk.hear("CZI");
    advance(SECOND).await;
    talk.hear("CZI");
    let now = counts(&talk);
    assert_eq!((now.queries, now.transactions), (6, 3));
    assert_eq!(now.transaction_time, 26 * SECOND);
    assert_eq!(now.query_time, 6 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn time_in_a_copy_is_until_it_ends() {
    let mut talk = lent();
    talk.say("BES");
    advance(SECOND).await;
    talk.hear("2G").say("d");
    advance(SECOND).await;
    talk.say("dcS");
    advance(SECOND).await;
    talk.hear("CZI");
    let now = counts(&talk);
    assert_eq!(
        (now.query_time, now.transaction_time),
        (3 * SECOND, 3 * SECOND)
    );
}

/// The server has run a command.
fn complete(talk: &mut Talk, tag: &str) {
    let length = u32::try_from(tag.len()).unwrap() + 5;
    let message = [b"C", &length.to_be_bytes()[..], tag.as_bytes(), &[0]].concat();
    for byte in message {
        talk.received.feed(&[byte], &mut talk.exchange.server());
    }
}

#[test]
fn the_last_command_is_that_of_the_caller_at_hand() {
    let mut talk = lent();
    let last = |talk: &Talk| talk.wire.last_command().map(|it| it.to_string());
    talk.say("Q");
    assert_eq!(last(&talk), None);
    complete(&mut talk, "INSERT 0 1");
    complete(&mut talk, "UPDATE 7");
    talk.hear("ZI");
    assert_eq!(last(&talk).as_deref(), Some("UPDATE"));
    // What fails is no command that has run.
    talk.say("Q").hear("EZI");
    assert_eq!(last(&talk).as_deref(), Some("UPDATE"));
    talk.wire.take_back();
    talk.say("Q");
    complete(&mut talk, "DISCARD ALL");
    talk.hear("ZI");
    assert_eq!(last(&talk).as_deref(), Some("UPDATE"));
    talk.wire.lend();
    assert_eq!(last(&talk), None);
}

#[test]
fn counts_of_connections_add_up() {
    let mut talk = lent();
    talk.say("PBES").hear("12CZI");
    let one = counts(&talk);
    let both: TapCountsSnapshot = [one, one].into_iter().sum();
    let mut more = one;
    more += one;
    assert_eq!(more, both);
    assert_eq!((both.queries, both.transactions), (2, 2));
    assert_eq!((both.parses, both.binds), (2, 2));
    assert_eq!(both.bytes_to_server, 2 * one.bytes_to_server);
    assert_eq!(both.bytes_from_server, 2 * one.bytes_from_server);
    assert_eq!(both.query_time, 2 * one.query_time);
    assert_eq!(both.transaction_time, 2 * one.transaction_time);
}
