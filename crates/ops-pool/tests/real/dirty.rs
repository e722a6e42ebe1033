//! What closes a connection, so that nobody meets it, one test for each.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt};
use ops_pool::{CloseReason, Released};
use ops_testkit::{Pg, wait_until};

use crate::{count, next_after, one, pid, text};

/// Runs SQL in a session, gives it back, and checks that the connection is closed.
async fn is_closed(left_by: &str, expected: CloseReason) {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    let _ = session.batch_execute(left_by).await;
    assert_eq!(session.release().await, Released::Closed(expected));

    let next = pool.acquire().await.unwrap();
    assert_ne!(pid(&next).await, backend);
    next.batch_execute("CREATE TABLE proof (id int)")
        .await
        .unwrap();
    let observer = pg.client("postgres").await;
    assert_eq!(
        count(
            &observer,
            "SELECT count(*) FROM pg_class WHERE relname = 'proof'"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn an_open_transaction_is_rolled_back_with_its_connection() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session
        .batch_execute("BEGIN; CREATE TABLE half (id int)")
        .await
        .unwrap();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::InTransaction)
    );

    let next = pool.acquire().await.unwrap();
    assert_eq!(
        count(
            &next,
            "SELECT count(*) FROM pg_class WHERE relname = 'half'"
        )
        .await,
        0
    );
    assert_eq!(pool.snapshot().totals.dirty_closes, 1);
}

#[tokio::test]
async fn a_failed_transaction_is_not_handed_on() {
    is_closed("BEGIN; SELECT 1 / 0", CloseReason::InTransaction).await;
}

#[tokio::test]
async fn an_abandoned_query_is_canceled_and_nobody_waits_for_it() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let observer = pg.client("postgres").await;
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' \
                    AND state = 'active'";
    {
        let mut query = std::pin::pin!(session.batch_execute("SELECT pg_sleep(60)"));
        tokio::select! {
            _ = &mut query => panic!("it sleeps for a minute"),
            () = wait_until("the query to run", Duration::from_secs(5), async || {
                count(&observer, sleeping).await == 1
            }) => {}
        }
    }
    let begun = Instant::now();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::QueryInFlight)
    );
    let next = pool.acquire().await.unwrap();
    assert_eq!(text(&next, "SELECT 'mine'").await, "mine");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    wait_until(
        "the server to stop it",
        Duration::from_secs(5),
        async || count(&observer, sleeping).await == 0,
    )
    .await;
}

#[tokio::test]
async fn a_query_that_was_dropped_before_it_was_sent_is_not_met_by_the_next() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    {
        // On this one thread the driver's task cannot run in between.
        let mut query = std::pin::pin!(session.batch_execute("SELECT pg_sleep(60)"));
        assert!((&mut query).now_or_never().is_none());
    }
    let begun = Instant::now();
    let next = next_after(&pool, session).await;
    assert_ne!(pid(&next).await, backend);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_begin_that_was_dropped_before_it_was_sent_is_not_met_by_the_next() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    {
        let mut query = std::pin::pin!(session.batch_execute("BEGIN"));
        assert!((&mut query).now_or_never().is_none());
    }
    let next = next_after(&pool, session).await;
    let backend = pid(&next).await;
    let observer = pg.client("postgres").await;
    let state = format!("SELECT state FROM pg_stat_activity WHERE pid = {backend}");
    assert_eq!(text(&observer, &state).await, "idle");
}

#[tokio::test]
async fn a_copy_in_progress_is_cut_off() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    session
        .batch_execute("CREATE TABLE goods (name text)")
        .await
        .unwrap();
    let mut sink = Box::pin(session.copy_in("COPY goods FROM STDIN").await.unwrap());
    sink.send(&b"half a row"[..]).await.unwrap();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::QueryInFlight)
    );

    let next = pool.acquire().await.unwrap();
    assert_ne!(pid(&next).await, backend);
    assert_eq!(count(&next, "SELECT count(*) FROM goods").await, 0);
}

#[tokio::test]
async fn a_reset_that_fails_closes_the_connection() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).server_reset_query("SELECT 1 / 0").build().unwrap();
    let session = pool.acquire().await.unwrap();
    session
        .batch_execute("SET work_mem = '123MB'")
        .await
        .unwrap();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::ResetFailed)
    );
    let next = pool.acquire().await.unwrap();
    assert_eq!(text(&next, "SHOW work_mem").await, "4MB");
}

#[tokio::test]
async fn a_reset_that_hangs_closes_the_connection_and_is_canceled() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg)
        .server_reset_query("SELECT pg_sleep(60)")
        .reset_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let session = pool.acquire().await.unwrap();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::ResetTimedOut)
    );
    let observer = pg.client("postgres").await;
    wait_until(
        "the server to stop it",
        Duration::from_secs(5),
        async || {
            let active =
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'";
            count(&observer, active).await == 0
        },
    )
    .await;
}

#[tokio::test]
async fn a_reset_that_leaves_a_transaction_closes_the_connection() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).server_reset_query("BEGIN").build().unwrap();
    let session = pool.acquire().await.unwrap();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::ResetLeftTransaction)
    );
}

#[tokio::test]
async fn a_session_whose_settings_break_the_reset_is_closed() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg)
        .server_reset_query("SELECT pg_sleep(1); DISCARD TEMP")
        .build()
        .unwrap();
    let session = pool.acquire().await.unwrap();
    session
        .batch_execute("SET statement_timeout = '50ms'")
        .await
        .unwrap();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::ResetFailed)
    );
}

#[tokio::test]
async fn a_backend_that_was_killed_while_it_was_idle_is_not_handed_out() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    assert_eq!(session.release().await, Released::Clean);
    let observer = pg.client("postgres").await;
    observer
        .query_one("SELECT pg_terminate_backend($1)", &[&backend])
        .await
        .unwrap();
    wait_until("the pool to notice", Duration::from_secs(5), async || {
        pool.snapshot().idle == 0
    })
    .await;
    let next = pool.acquire().await.unwrap();
    assert_ne!(pid(&next).await, backend);
}

#[tokio::test]
async fn a_backend_that_was_killed_in_use_is_not_handed_on() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    let observer = pg.client("postgres").await;
    observer
        .query_one("SELECT pg_terminate_backend($1)", &[&backend])
        .await
        .unwrap();
    session.batch_execute("SELECT 1").await.unwrap_err();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::ServerGone)
    );
    let next = pool.acquire().await.unwrap();
    assert_ne!(pid(&next).await, backend);
}
