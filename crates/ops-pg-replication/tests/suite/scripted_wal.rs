//! Streams of WAL out of a script: reports as they go over the wire, and broken streams.

use std::time::Duration;

use ops_core::{Error, ErrorKind};
use ops_pg_replication::{
    Failure, Lsn, NextTimeline, StartReplication, StatusUpdate, Timeline, WalEvent, WalStream,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fake::{Fake, Finish, Step, complete, copy, copy_done, error, msg, ready, table};
use crate::support::{A_WHILE, PATIENCE};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(150);
const START: u64 = 0x0200_0000;

fn wal(start: u64, data: &[u8]) -> Vec<u8> {
    let mut body = vec![b'w'];
    body.extend(start.to_be_bytes());
    body.extend((start + 100).to_be_bytes());
    body.extend(1_000_000_i64.to_be_bytes());
    body.extend(data);
    copy(&body)
}

fn keepalive(end: u64, wants_reply: bool) -> Vec<u8> {
    let mut body = vec![b'k'];
    body.extend(end.to_be_bytes());
    body.extend(2_000_000_i64.to_be_bytes());
    body.push(u8::from(wants_reply));
    copy(&body)
}

fn copy_both() -> Vec<u8> {
    msg(b'W', &[0; 3])
}

/// A stream that begins and goes on with these messages.
fn script(messages: &[Vec<u8>]) -> Vec<Step> {
    // The server never gives a silent receiver up, so that no clock makes it report.
    let setting = [table(&[Some("0")]), ready()].concat();
    vec![
        Step::Query("SHOW wal_sender_timeout"),
        Step::Send(setting),
        Step::Query("START_REPLICATION PHYSICAL 0/2000000 TIMELINE 1"),
        Step::Send(messages.concat()),
    ]
}

async fn start(fake: &Fake, silence: Duration) -> Result<WalStream, Error> {
    // Nothing is reported by the clock in these tests.
    let request = StartReplication::new(Lsn::new(START))
        .with_timeline(Timeline::FIRST)
        .with_status_interval(Duration::from_secs(3600));
    let client = fake.client(silence).await?;
    client.start_replication(request).await
}

/// The report that the server hears next: write, flush and whether it wants an answer.
async fn report(fake: &mut Fake) -> (u64, u64, bool) {
    let heard = tokio::time::timeout(PATIENCE, fake.heard.recv()).await;
    let (tag, body) = heard.unwrap().unwrap();
    assert_eq!((tag, body[0], body.len()), (b'd', b'r', 34));
    let number = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
    assert_eq!(number(17), 0, "nothing is ever applied");
    (number(1), number(9), body[33] == 1)
}

#[tokio::test]
async fn a_demand_for_a_report_is_answered_at_once() {
    let messages = [copy_both(), keepalive(START, false), keepalive(START, true)];
    let mut fake = Fake::start("18.4", script(&messages), Finish::Silence).await;
    let mut stream = start(&fake, LONG).await.unwrap();
    let sent_at = "2000-01-01T00:00:02Z".parse().unwrap();
    let server_end = Lsn::new(START);
    let expected = |wants_reply| WalEvent::Keepalive {
        server_end,
        sent_at,
        wants_reply,
    };
    assert_eq!(stream.next().await.unwrap(), expected(false));
    assert_eq!(
        report(&mut fake).await,
        (0, 0, false),
        "the first one comes by itself"
    );
    assert_eq!(stream.next().await.unwrap(), expected(true));
    assert_eq!(report(&mut fake).await, (0, 0, false));
}

#[tokio::test]
async fn what_is_reported_goes_to_the_server_and_never_back() {
    let messages = [copy_both(), wal(START, &[1; 100])];
    let mut fake = Fake::start("18.4", script(&messages), Finish::Silence).await;
    let mut stream = start(&fake, LONG).await.unwrap();
    assert_eq!(report(&mut fake).await, (0, 0, false));
    let status = |write, flush| StatusUpdate {
        write: Lsn::new(START + write),
        flush: Lsn::new(START + flush),
    };
    let err = stream.report(status(1, 0)).unwrap_err();
    assert_eq!(
        err.kind(),
        ErrorKind::InvalidInput,
        "nothing has been handed out"
    );
    stream.next().await.unwrap();
    stream.report(status(100, 10)).unwrap();
    assert_eq!(report(&mut fake).await, (START + 100, START + 10, false));
    // What is durable has been written; and this task is not the only one that may tell.
    let reporter = stream.reporter();
    let told = tokio::spawn(async move { reporter.report(status(0, 50)) });
    told.await.unwrap().unwrap();
    assert_eq!(report(&mut fake).await, (START + 100, START + 50, false));
    stream.report(status(20, 20)).unwrap();
    stream.report(status(0, 51)).unwrap();
    assert_eq!(report(&mut fake).await, (START + 100, START + 51, false));
}

#[tokio::test]
async fn a_server_that_stays_silent_when_asked_is_given_up() {
    let messages = [copy_both(), wal(START, &[1; 100])];
    let mut fake = Fake::start("18.4", script(&messages), Finish::Silence).await;
    let mut stream = start(&fake, A_WHILE).await.unwrap();
    assert!(matches!(stream.next().await.unwrap(), WalEvent::Wal { .. }));
    let err = stream.next().await.unwrap_err();
    assert_eq!(
        (err.kind(), Failure::of(&err)),
        (ErrorKind::Timeout, Some(Failure::Silent))
    );
    assert_eq!(report(&mut fake).await, (0, 0, false));
    assert_eq!(report(&mut fake).await, (0, 0, true), "it was asked");
}

#[tokio::test]
async fn wal_that_does_not_follow_is_refused_and_what_is_known_is_cut() {
    let messages = [
        copy_both(),
        wal(START - 50, b"old"),
        wal(START - 2, b"xxabc"),
        wal(START, b"abc"),
        wal(START + 1, b"bcdef"),
        wal(START + 7, b"h"),
    ];
    let fake = Fake::start("18.4", script(&messages), Finish::Silence).await;
    let mut stream = start(&fake, LONG).await.unwrap();
    for (at, expected) in [(0, "abc"), (3, "def")] {
        match stream.next().await.unwrap() {
            WalEvent::Wal {
                start,
                data,
                sent_at,
                ..
            } => {
                assert_eq!(
                    (start.as_u64() - START, &data[..]),
                    (at, expected.as_bytes())
                );
                assert_eq!(sent_at.to_string(), "2000-01-01T00:00:01Z");
            }
            event => panic!("{event:?}"),
        }
    }
    let err = stream.next().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    assert_eq!(Failure::of(&err), Some(Failure::OutOfSequence));
    assert_eq!(
        err.message(),
        "WAL from 0/2000006 on is due, and the server sent 0/2000007"
    );
}

fn whole() -> Vec<Vec<u8>> {
    vec![
        copy_both(),
        wal(START, &[1; 20]),
        keepalive(START + 20, true),
        error("WARNING", "01000", "look out"),
        wal(START + 20, &[2; 20]),
        copy_done(),
        table(&[Some("2"), Some("0/2000028")]),
        complete(),
        ready(),
    ]
}

/// Reads to the end of the timeline.
async fn read(messages: &[Vec<u8>], finish: Finish, silence: Duration) -> Result<usize, Error> {
    let fake = Fake::start("18.4", script(messages), finish).await;
    let reading = async {
        let mut stream = start(&fake, silence).await?;
        let mut bytes = 0;
        loop {
            match stream.next().await? {
                WalEvent::Wal { data, .. } => bytes += data.len(),
                WalEvent::TimelineEnded(next) => {
                    let switch = Lsn::new(START + 40);
                    let timeline = Timeline::new(2).unwrap();
                    assert_eq!(next, NextTimeline { timeline, switch });
                    stream.stop().await?;
                    return Ok(bytes);
                }
                WalEvent::Notice(notice) => assert_eq!(notice.message, "look out"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("it must not hang")
}

#[tokio::test]
async fn the_end_of_a_timeline_is_told_with_where_it_goes_on() {
    assert_eq!(read(&whole(), Finish::Silence, LONG).await.unwrap(), 40);
}

#[tokio::test]
async fn a_stream_that_is_cut_off_anywhere_has_no_end_of_a_timeline() {
    let bytes = whole().concat();
    for length in 0..bytes.len() {
        let cut = [bytes[..length].to_vec()];
        let err = read(&cut, Finish::Close, LONG).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{length}: {err:?}");
        assert!(err.is_retryable(), "{length}: {err:?}");
    }
}

#[tokio::test]
async fn silence_anywhere_is_a_timeout() {
    let messages = whole();
    let silences = (0..messages.len()).map(async |count| {
        let err = read(&messages[..count], Finish::Silence, SHORT)
            .await
            .unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::Silent), "{count}: {err:?}");
    });
    futures_util::future::join_all(silences).await;
}

#[tokio::test]
async fn an_error_or_nonsense_anywhere_is_an_error() {
    let messages = whole();
    for count in 0..messages.len() {
        let mut stopped = messages[..count].to_vec();
        stopped.push(error("FATAL", "57P01", "terminating connection"));
        let err = read(&stopped, Finish::Close, LONG).await.unwrap_err();
        assert_eq!(err.code(), Some("57P01"), "{count}: {err:?}");

        for nonsense in [
            &b"HTTP/1.1 400"[..],
            b"d\0\0\0\x05x",
            b"d\0\0\0\x07w\0\0",
            b"G\0\0\0\x04",
        ] {
            let mut broken = messages[..count].to_vec();
            broken.push(nonsense.to_vec());
            let err = read(&broken, Finish::Silence, LONG).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Decode, "{count}: {err:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_that_looks_away_loses_nothing() {
    let mut steps = script(&[copy_both()]);
    steps.push(Step::Drip(whole()[1..].concat(), 3));
    let fake = Fake::start("18.4", steps, Finish::Silence).await;
    let mut stream = start(&fake, LONG).await.unwrap();
    let (mut bytes, mut given_up) = (0, 0);
    loop {
        // The future is dropped as soon as it has to wait.
        tokio::select! {
            biased;
            event = stream.next() => match event.unwrap() {
                WalEvent::Wal { data, .. } => bytes += data.len(),
                WalEvent::TimelineEnded(_) => break,
                _ => {}
            },
            () = tokio::task::yield_now() => given_up += 1,
        }
    }
    assert_eq!(bytes, 40);
    assert!(given_up > 10, "{given_up}");
    stream.stop().await.unwrap();
}

#[test]
fn no_change_of_a_stream_makes_it_panic_or_hang() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bytes = whole().concat();
    let changes = (any::<prop::sample::Index>(), any::<u8>(), 0..4_usize);
    let mut runner = TestRunner::new(Config::with_cases(300));
    let outcome = runner.run(&changes, |(at, byte, removed)| {
        let mut bytes = bytes.clone();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + removed).min(bytes.len()), [byte]);
        let _ = runtime.block_on(look(&[bytes]));
        Ok(())
    });
    outcome.unwrap();
}

/// Reads to the end of whatever it is.
async fn look(messages: &[Vec<u8>]) -> Result<(), Error> {
    let fake = Fake::start("18.4", script(messages), Finish::Close).await;
    let reading = async {
        let mut stream = start(&fake, LONG).await?;
        loop {
            stream.next().await?;
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("it must not hang")
}

#[tokio::test]
async fn a_server_that_goes_away_in_silence_is_noticed_by_the_reports() {
    // The client's report meets a closed connection, and the error is that of the server.
    let messages = [
        copy_both(),
        error("FATAL", "57P01", "terminating connection"),
    ];
    let fake = Fake::start("18.4", script(&messages), Finish::Close).await;
    let mut stream = start(&fake, LONG).await.unwrap();
    let err = stream.next().await.unwrap_err();
    assert_eq!(err.code(), Some("57P01"), "{err:?}");
}
