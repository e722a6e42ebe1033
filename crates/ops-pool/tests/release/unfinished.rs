//! What becomes of what a session has not finished, on a real server, in every mode and by
//! either policy. These promises hold without a reset, too.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use ops_pool::{CloseReason, OnDirty, Released, Reset, Session, SessionPool};
use ops_testkit::{Pg, wait_until};
use tokio_postgres::Client;

use crate::{CLEAN, POLICIES, abandon, next_after, number, one, pid, text};

const SOON: Duration = Duration::from_secs(4);

/// A pool of one in each mode and for each policy, with something to look on.
async fn each(test: impl AsyncFn(&SessionPool, &Client, OnDirty)) {
    let Some(pg) = Pg::start().await else { return };
    let observer = pg.client("postgres").await;
    observer
        .batch_execute("CREATE TABLE goods (name text)")
        .await
        .unwrap();
    for reset in CLEAN.into_iter().chain([Reset::None]) {
        for on_dirty in POLICIES {
            let builder = one(&pg).reset(reset.clone()).on_dirty(on_dirty);
            let pool = builder.build().unwrap();
            test(&pool, &observer, on_dirty).await;
            observer.batch_execute("TRUNCATE goods").await.unwrap();
            let idle = "SELECT count(*)::int FROM pg_stat_activity \
                        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \
                        AND state <> 'idle'";
            wait_until("everything to end", SOON, async || {
                number(&observer, idle).await == 0
            })
            .await;
        }
    }
}

/// Gives back a session that has left something unfinished, and checks that the next has
/// nothing of it.
async fn is_undone(
    pool: &SessionPool,
    session: Session,
    backend: i32,
    on_dirty: OnDirty,
    reason: CloseReason,
) {
    let begun = Instant::now();
    let released = session.release().await;
    let took = begun.elapsed();
    let next = pool.acquire().await.unwrap();
    assert_eq!(text(&next, "SELECT 'mine'").await, "mine");
    let took = (took, begun.elapsed());
    assert!(took.1 < SOON, "{released:?} after {took:?}");
    if on_dirty == OnDirty::Close {
        assert_eq!(released, Released::Closed(reason));
        assert_ne!(pid(&next).await, backend);
    } else {
        assert_eq!(released, Released::RolledBack);
        assert_eq!(pid(&next).await, backend);
    }
    // In no transaction.
    next.batch_execute("VACUUM goods").await.unwrap();
    assert_eq!(number(&next, "SELECT count(*)::int FROM goods").await, 0);
    assert_eq!(next.release().await, Released::Clean);
}

#[tokio::test]
async fn an_open_transaction() {
    each(async |pool, _, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let left = "BEGIN; INSERT INTO goods VALUES ('tea')";
        session.batch_execute(left).await.unwrap();
        let reason = CloseReason::InTransaction;
        is_undone(pool, session, backend, on_dirty, reason).await;
    })
    .await;
}

#[tokio::test]
async fn a_failed_transaction() {
    each(async |pool, _, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        session.batch_execute("BEGIN").await.unwrap();
        session.batch_execute("SELECT 1 / 0").await.unwrap_err();
        let reason = CloseReason::InTransaction;
        is_undone(pool, session, backend, on_dirty, reason).await;
    })
    .await;
}

/// The error may be here before the word that the session is in a transaction.
#[tokio::test]
async fn a_transaction_that_failed_in_the_query_that_began_it() {
    each(async |pool, _, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let left = "BEGIN; INSERT INTO goods VALUES ('tea'); SELECT 1 / 0";
        session.batch_execute(left).await.unwrap_err();
        let reason = CloseReason::InTransaction;
        is_undone(pool, session, backend, on_dirty, reason).await;
    })
    .await;
}

#[tokio::test]
async fn a_query_that_was_dropped_while_it_ran() {
    each(async |pool, observer, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        abandon(observer, &session, "SELECT pg_sleep(60)").await;
        let reason = CloseReason::QueryInFlight;
        is_undone(pool, session, backend, on_dirty, reason).await;
    })
    .await;
}

#[tokio::test]
async fn a_query_that_was_dropped_while_it_ran_in_a_transaction() {
    each(async |pool, observer, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let left = "BEGIN; INSERT INTO goods VALUES ('tea')";
        session.batch_execute(left).await.unwrap();
        abandon(observer, &session, "SELECT pg_sleep(60)").await;
        let reason = CloseReason::QueryInFlight;
        is_undone(pool, session, backend, on_dirty, reason).await;
    })
    .await;
}

#[tokio::test]
async fn a_query_that_was_dropped_before_it_was_sent() {
    each(async |pool, _, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        // On this one thread the driver's task cannot run in between.
        let query = session.batch_execute("SELECT pg_sleep(60)");
        assert!(query.now_or_never().is_none());
        let reason = CloseReason::QueryInFlight;
        is_undone(pool, session, backend, on_dirty, reason).await;
    })
    .await;
}

#[tokio::test]
async fn a_begin_that_was_dropped_before_it_was_sent() {
    each(async |pool, observer, _| {
        let session = pool.acquire().await.unwrap();
        assert!(session.batch_execute("BEGIN").now_or_never().is_none());
        let next = next_after(pool, session).await;
        let backend = pid(&next).await;
        let state = format!("SELECT state FROM pg_stat_activity WHERE pid = {backend}");
        assert_eq!(text(observer, &state).await, "idle");
    })
    .await;
}

#[tokio::test]
async fn a_copy_to_the_server_that_was_dropped() {
    each(async |pool, _, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let sink = session.copy_in("COPY goods FROM STDIN").await.unwrap();
        let mut sink = Box::pin(sink);
        sink.send(&b"half a row"[..]).await.unwrap();
        drop(sink);
        let reason = CloseReason::QueryInFlight;
        is_undone(pool, session, backend, on_dirty, reason).await;
    })
    .await;
}

/// Whoever goes on sending after having given the session back holds the connection up: it
/// cannot be saved.
#[tokio::test]
async fn a_copy_to_the_server_that_goes_on() {
    each(async |pool, _, _| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let sink = session.copy_in("COPY goods FROM STDIN").await.unwrap();
        let mut sink = Box::pin(sink);
        sink.send(&b"half a row"[..]).await.unwrap();
        let reason = CloseReason::QueryInFlight;
        is_undone(pool, session, backend, OnDirty::Close, reason).await;
        let _ = sink.send(&b"of goods\n"[..]).await;
        sink.as_mut().finish().await.unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn a_copy_from_the_server_that_was_dropped() {
    each(async |pool, _, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let copy = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT";
        let rows = session.copy_out(copy).await.unwrap();
        let mut rows = Box::pin(rows);
        rows.next().await.unwrap().unwrap();
        drop(rows);
        let reason = CloseReason::QueryInFlight;
        is_undone(pool, session, backend, on_dirty, reason).await;
    })
    .await;
}

/// Whoever holds on to rows without reading them holds the connection up, too. Only where
/// the server has sent next to nothing can it be saved.
#[tokio::test]
async fn rows_that_nobody_reads() {
    each(async |pool, _, on_dirty| {
        let session = pool.acquire().await.unwrap();
        let many = "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)";
        let parameters: [&str; 0] = [];
        let rows = session.query_raw(many, parameters).await.unwrap();
        let released = session.release().await;
        let closed = [CloseReason::QueryInFlight, CloseReason::ResetTimedOut];
        let saved = on_dirty == OnDirty::Rollback && released == Released::RolledBack;
        let closed = closed.map(Released::Closed).contains(&released);
        assert!(closed || saved, "{released:?}");
        let next = pool.acquire().await.unwrap();
        assert_eq!(text(&next, "SELECT 'mine'").await, "mine");
        drop(rows);
    })
    .await;
}

/// The driver has all of the answer in hand, and cannot get rid of it while nobody reads: the
/// server has nothing left to do, and yet nothing would be done for the next.
#[tokio::test]
async fn rows_that_have_come_and_that_nobody_reads() {
    let Some(pg) = Pg::start().await else { return };
    let limit = Duration::from_millis(300);
    let builder = one(&pg).reset(Reset::None).reset_timeout(limit);
    let pool = builder.build().unwrap();
    let mut held = 0;
    for kilobytes in 1..60 {
        let session = pool.acquire().await.unwrap();
        let parameters: [&str; 0] = [];
        let sql = format!("SELECT repeat('x', 1000) FROM generate_series(1, {kilobytes})");
        let rows = session.query_raw(&sql, parameters).await.unwrap();
        // What is on its way comes.
        tokio::time::sleep(Duration::from_millis(2)).await;
        held += usize::from(session.release().await != Released::Clean);
        let next = pool.acquire().await.unwrap();
        let answer = tokio::time::timeout(SOON, text(&next, "SELECT 'mine'")).await;
        assert_eq!(answer.as_deref(), Ok("mine"), "{kilobytes} kB");
        drop(rows);
    }
    assert!((1..59).contains(&held), "{held} were held up");
}

/// A late request to cancel, sent by the pool for the session before, must not hit the
/// query of the next.
#[tokio::test]
async fn canceling_hits_nobody_else() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).on_dirty(OnDirty::Rollback).build().unwrap();
    let mut backends = Vec::new();
    for length in 0..200_u32 {
        let session = pool.acquire().await.unwrap();
        backends.push(pid(&session).await);
        // Ends by itself, some before the request to cancel comes and some after.
        let sleep = format!("SELECT pg_sleep({})", f64::from(length) * 0.00002);
        let limit = Duration::from_micros(500);
        let _ = tokio::time::timeout(limit, session.batch_execute(&sleep)).await;
        let next = next_after(&pool, session).await;
        next.batch_execute("SELECT pg_sleep(0.002)").await.unwrap();
    }
    backends.dedup();
    assert_eq!(backends.len(), 1);
}

/// The server fails after it has asked for the data and before it skips the `Sync` that the
/// driver sends with the statement: it says once more than the driver expects that it is
/// ready. From there on the driver would take each answer for the next request's.
#[tokio::test]
async fn answers_that_do_not_match_the_requests_reach_nobody() {
    let Some(pg) = Pg::start().await else { return };
    let observer = pg.client("postgres").await;
    let broken = "CREATE TABLE goods (name text); \
                  CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql \
                  AS $$ BEGIN RAISE 'no'; END $$; \
                  CREATE TRIGGER fails BEFORE INSERT ON goods EXECUTE FUNCTION fails()";
    observer.batch_execute(broken).await.unwrap();
    for reset in CLEAN.into_iter().chain([Reset::None]) {
        for on_dirty in POLICIES {
            for goes_on in [false, true] {
                let builder = one(&pg).reset(reset.clone()).on_dirty(on_dirty);
                let pool = builder.build().unwrap();
                let what = format!("{reset:?}, {on_dirty:?}, {goes_on}");
                let session = pool.acquire().await.unwrap();
                let backend = pid(&session).await;
                if let Ok(sink) = session.copy_in("COPY goods FROM STDIN").await {
                    let mut sink = Box::pin(sink);
                    let _ = sink.send(&b"tea\n"[..]).await;
                    sink.as_mut().finish().await.unwrap_err();
                }
                if goes_on {
                    for number in 0..5 {
                        let query = format!("SELECT {number}, 'of the first'");
                        match session.query_one(&query, &[]).await {
                            Ok(row) => assert_eq!(row.get::<_, i32>(0), number, "{what}"),
                            Err(err) => assert!(err.is_closed(), "{what}: {err}"),
                        }
                    }
                }
                // Where the driver has not ended the copy yet, that is in flight.
                let released = session.release().await;
                let hurried = on_dirty == OnDirty::Close && !goes_on;
                let in_flight = hurried && released == Released::Closed(CloseReason::QueryInFlight);
                let out_of_step = released == Released::Closed(CloseReason::OutOfStep);
                assert!(out_of_step || in_flight, "{what}: {released:?}");
                let next = pool.acquire().await.unwrap();
                assert_ne!(pid(&next).await, backend, "{what}");
            }
        }
    }
}
