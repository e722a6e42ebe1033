//! What a reset takes back, one test for each, and what costs no connection.

use futures_util::SinkExt;
use ops_pool::Released;
use ops_testkit::Pg;

use crate::{count, next_after, one, pid, text};

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
