//! What the next caller meets: one test for each thing that a session can leave behind.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt};
use ops_pool::{CloseReason, Released, Session, SessionPool, SessionPoolBuilder};
use ops_testkit::{Pg, wait_until};
use tokio_postgres::Client;

/// A pool of one, so that the next caller gets what the one before has left.
fn one(pg: &Pg) -> SessionPoolBuilder {
    SessionPool::builder(pg.connect_info("postgres")).pool_size(1)
}

async fn pid(client: &Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0)
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Gives a session back by dropping it, and says which backend the next caller has.
async fn next_after(pool: &SessionPool, session: Session) -> Session {
    drop(session);
    pool.acquire().await.unwrap()
}

/// Runs SQL in a session, gives it back, and checks that the next one has the same
/// connection, in the state that `probe` told before.
async fn is_reset(left_by: &str, probe: &str) {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    let before = text(&session, probe).await;
    session.batch_execute(left_by).await.unwrap();
    assert_ne!(
        text(&session, probe).await,
        before,
        "{left_by} left nothing"
    );

    let next = next_after(&pool, session).await;
    assert_eq!(pid(&next).await, backend);
    assert_eq!(text(&next, probe).await, before);
}

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
async fn a_failed_statement_outside_a_transaction_costs_no_connection() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    session.batch_execute("SELECT 1 / 0").await.unwrap_err();
    session
        .query("SELECT nothing FROM nowhere", &[])
        .await
        .unwrap_err();
    let next = next_after(&pool, session).await;
    assert_eq!(pid(&next).await, backend);
}

#[tokio::test]
async fn a_setting_is_reset() {
    is_reset("SET work_mem = '123MB'", "SHOW work_mem").await;
}

#[tokio::test]
async fn a_role_is_reset() {
    is_reset("SET ROLE pg_monitor", "SELECT current_user::text").await;
}

#[tokio::test]
async fn the_replication_role_is_reset() {
    is_reset(
        "SET session_replication_role = replica",
        "SHOW session_replication_role",
    )
    .await;
}

#[tokio::test]
async fn a_search_path_is_reset() {
    is_reset("SET search_path = pg_catalog", "SHOW search_path").await;
}

#[tokio::test]
async fn a_temporary_table_is_dropped() {
    let probe = "SELECT coalesce(to_regclass('pg_temp.mine')::text, 'none')";
    is_reset("CREATE TEMP TABLE mine (id int)", probe).await;
}

#[tokio::test]
async fn listening_ends() {
    let probe = "SELECT count(*)::text FROM pg_listening_channels()";
    is_reset("LISTEN news", probe).await;
}

#[tokio::test]
async fn a_prepared_statement_is_deallocated() {
    // The probe itself is a prepared statement of the driver's.
    let probe = "SELECT count(*)::text FROM pg_prepared_statements WHERE name = 'mine'";
    is_reset("PREPARE mine AS SELECT 1", probe).await;
}

#[tokio::test]
async fn a_cursor_is_closed() {
    let probe = "SELECT count(*)::text FROM pg_cursors WHERE name = 'mine'";
    is_reset("DECLARE mine CURSOR WITH HOLD FOR SELECT 1", probe).await;
}

#[tokio::test]
async fn a_sequence_forgets_its_last_value() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session
        .batch_execute("CREATE SEQUENCE numbers")
        .await
        .unwrap();
    session
        .batch_execute("SELECT nextval('numbers')")
        .await
        .unwrap();
    let next = next_after(&pool, session).await;
    let err = next.batch_execute("SELECT lastval()").await.unwrap_err();
    assert_eq!(
        err.code().map(tokio_postgres::error::SqlState::code),
        Some("55000")
    );
}

#[tokio::test]
async fn an_advisory_lock_is_released_while_the_connection_is_idle() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session
        .batch_execute("SELECT pg_advisory_lock(42)")
        .await
        .unwrap();
    let observer = pg.client("postgres").await;
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(count(&observer, locks).await, 1);

    assert_eq!(session.release().await, Released::Clean);
    assert_eq!(count(&observer, locks).await, 0);
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
async fn a_copy_that_is_over_costs_no_connection() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    session
        .batch_execute("CREATE TABLE goods (name text)")
        .await
        .unwrap();
    let mut sink = Box::pin(session.copy_in("COPY goods FROM STDIN").await.unwrap());
    sink.send(&b"tea\ncoffee\n"[..]).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 2);
    drop(sink);
    assert_eq!(session.release().await, Released::Clean);
    let next = pool.acquire().await.unwrap();
    assert_eq!(
        (
            pid(&next).await,
            count(&next, "SELECT count(*) FROM goods").await
        ),
        (backend, 2)
    );
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

#[tokio::test]
async fn an_ordinary_query_costs_no_connection() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let first = pool.acquire().await.unwrap();
    let backend = pid(&first).await;
    drop(first);
    for _ in 0..200 {
        let session = pool.acquire().await.unwrap();
        // The driver closes its statement in the background, while we give back.
        assert_eq!(pid(&session).await, backend);
    }
    assert_eq!(pool.snapshot().totals.connects, 1);
}

#[tokio::test]
async fn a_transaction_that_ended_costs_no_connection() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let mut session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    let transaction = session.transaction().await.unwrap();
    transaction
        .batch_execute("CREATE TABLE kept (id int)")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let transaction = session.transaction().await.unwrap();
    transaction.rollback().await.unwrap();
    let next = next_after(&pool, session).await;
    assert_eq!(pid(&next).await, backend);
}

#[tokio::test]
async fn types_that_the_driver_looks_up_work_after_a_reset() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let backend = pid(&session).await;
    session
        .batch_execute(
            "CREATE TYPE mood AS ENUM ('fine'); CREATE TYPE size AS ENUM ('small'); \
             CREATE TYPE point3 AS (x int, y int, z int); CREATE TYPE pair AS (m mood, s size)",
        )
        .await
        .unwrap();
    // Makes the driver prepare its lookups and keep them for the connection's life.
    session
        .query_one("SELECT 'fine'::mood, row(1, 2, 3)::point3", &[])
        .await
        .unwrap();

    // Types that it does not know yet, after DISCARD ALL has deallocated its statements.
    let mut session = session;
    for unknown in ["'small'::size", "row('fine', 'small')::pair"] {
        session = next_after(&pool, session).await;
        session
            .query_one(&format!("SELECT {unknown}"), &[])
            .await
            .unwrap();
        assert_eq!(pid(&session).await, backend);
    }
}
