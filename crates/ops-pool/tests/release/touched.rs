//! Resets that are left out where nothing was touched.

use std::time::Duration;

use ops_pool::{Released, Reset, SessionPool};
use ops_testkit::Pg;

use crate::backend::Backend;
use crate::{next_after, number, one, over, pid, text};

#[tokio::test(start_paused = true)]
async fn only_a_session_that_was_touched_is_reset() {
    let backend = Backend::new();
    let pool = over(&backend).reset(Reset::IfTouched).build().unwrap();
    for query in ["SELECT 1", "BEGIN", "SET", "SELECT 2"] {
        let session = pool.acquire().await.unwrap();
        session.batch_execute(query).await.unwrap();
        if query == "BEGIN" {
            session.batch_execute("COMMIT").await.unwrap();
        }
        assert_eq!(session.release().await, Released::Clean);
    }
    let expected = [
        "SELECT 1",
        "BEGIN",
        "COMMIT",
        "SET",
        "DISCARD ALL",
        "SELECT 2",
    ];
    assert_eq!(backend.log(), expected);
}

/// A pool whose sessions are not reset where nothing touches them, and a way to leave
/// something behind that the pool cannot see, which shows whether there was a reset.
async fn with_a_mark(pg: &Pg) -> SessionPool {
    let observer = pg.client("postgres").await;
    let hidden = "CREATE VIEW mark AS SELECT set_config('my.mark', 'left', false) AS done";
    observer.batch_execute(hidden).await.unwrap();
    one(pg).reset(Reset::IfTouched).build().unwrap()
}

const MARK: &str = "SELECT coalesce(current_setting('my.mark', true), '')";

/// Whether a session that does this is reset before the next one.
async fn is_reset_after(pool: &SessionPool, does: &str) -> bool {
    let session = pool.acquire().await.unwrap();
    assert_eq!(text(&session, "SELECT done FROM mark").await, "left");
    session.query(does, &[]).await.unwrap();
    let next = next_after(pool, session).await;
    let reset = text(&next, MARK).await.is_empty();
    // Touches it, for the next turn.
    next.batch_execute("RESET ALL").await.unwrap();
    assert_eq!(next.release().await, Released::Clean);
    reset
}

#[tokio::test]
async fn statements_that_are_prepared_are_read_too() {
    let Some(pg) = Pg::start().await else { return };
    let pool = with_a_mark(&pg).await;
    assert!(!is_reset_after(&pool, "SELECT 1").await);
    assert!(is_reset_after(&pool, "SELECT set_config('work_mem', '1MB', false)").await);
    assert!(is_reset_after(&pool, "SELECT pg_advisory_lock(1)::text").await);
    assert!(!is_reset_after(&pool, "SELECT count(*) FROM pg_class").await);
    assert_eq!(pool.snapshot().totals.connects, 1);
}

#[tokio::test]
async fn a_statement_that_stays_prepared_is_deallocated() {
    let Some(pg) = Pg::start().await else { return };
    let pool = with_a_mark(&pg).await;
    let prepared = "SELECT count(*)::int FROM pg_prepared_statements";
    let session = pool.acquire().await.unwrap();
    let statement = session.prepare("SELECT 1").await.unwrap();
    let next = next_after(&pool, session).await;
    // The query itself is one.
    assert_eq!(number(&next, prepared).await, 1);
    next.query(&statement, &[]).await.unwrap_err();
    drop(statement);
}

#[tokio::test]
async fn a_long_statement_counts_as_one_that_touches() {
    let Some(pg) = Pg::start().await else { return };
    let pool = with_a_mark(&pg).await;
    let long = format!("SELECT '{}'", "x".repeat(20_000));
    assert!(is_reset_after(&pool, &long).await);
}

#[tokio::test]
async fn parameters_set_through_the_view_of_parameters_are_reset() {
    let Some(pg) = Pg::start().await else { return };
    let pool = with_a_mark(&pg).await;
    let session = pool.acquire().await.unwrap();
    let (backend, before) = (pid(&session).await, text(&session, "SHOW work_mem").await);
    let update = "UPDATE pg_settings SET setting = '123' WHERE name = 'work_mem'";
    session.query(update, &[]).await.unwrap();
    assert_eq!(text(&session, "SHOW work_mem").await, "123kB");
    let next = next_after(&pool, session).await;
    assert_eq!(pid(&next).await, backend);
    assert_eq!(text(&next, "SHOW work_mem").await, before);
}

#[tokio::test]
async fn types_that_the_driver_looks_up_work_in_every_mode() {
    let Some(pg) = Pg::start().await else { return };
    let observer = pg.client("postgres").await;
    let types = "CREATE TYPE mood AS ENUM ('fine'); CREATE TYPE size AS ENUM ('small'); \
                 CREATE TYPE pair AS (m mood, s size)";
    observer.batch_execute(types).await.unwrap();
    for reset in crate::CLEAN {
        let pool = one(&pg).reset(reset.clone()).build().unwrap();
        let mut session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        for unknown in [
            "'fine'::mood",
            "'small'::size",
            "row('fine', 'small')::pair",
        ] {
            session.batch_execute("SET work_mem = '1MB'").await.unwrap();
            session = next_after(&pool, session).await;
            let query = format!("SELECT {unknown}");
            let found = session.query_one(&query, &[]).await;
            assert!(found.is_ok(), "{reset:?}, {unknown}: {found:?}");
            assert_eq!(pid(&session).await, backend, "{reset:?}");
        }
        drop(session);
        let limit = ops_pool::Drain::Sessions(Duration::from_secs(5));
        assert!(pool.shutdown(limit).await.complete);
    }
}
