//! What the next caller meets of what a session has left, on a real server: a test for each
//! kind of state and each way to reset.

use ops_pool::{Released, Reset};
use ops_testkit::Pg;
use tokio_postgres::error::SqlState;

use crate::{CLEAN, next_after, number, one, pid, text};

/// Runs SQL in a session, gives it back, and checks that the next one has the same
/// connection, in the state that `probe` told before.
async fn is_reset(reset: Reset, left_by: &str, probe: &str) {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).reset(reset).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let (backend, before) = (pid(&session).await, text(&session, probe).await);
    session.batch_execute(left_by).await.unwrap();
    let left = text(&session, probe).await;
    assert_ne!(left, before, "{left_by} left nothing");
    let next = next_after(&pool, session).await;
    // First, so that what resets the session has to be in front of it.
    assert_eq!(text(&next, probe).await, before);
    assert_eq!(pid(&next).await, backend);
}

macro_rules! state {
    (in $($mode:ident: $reset:expr),+; $($name:ident: $left_by:expr, $probe:expr;)+) => {
        state!(@modes [$($mode: $reset),+] { $($name: $left_by, $probe;)+ });
    };
    (@modes [$($mode:ident: $reset:expr),+] $cells:tt) => {
        $(state!(@mode $mode, $reset, $cells);)+
    };
    (@mode $mode:ident, $reset:expr, { $($name:ident: $left_by:expr, $probe:expr;)+ }) => {
        mod $mode {
            use ops_pool::Reset;

            $(#[tokio::test]
            async fn $name() {
                super::is_reset($reset, $left_by, $probe).await;
            })+
        }
    };
}

state! {
    in discard_all: Reset::DiscardAll,
       pipelined: Reset::Pipelined,
       if_touched: Reset::IfTouched,
       keep_plans: Reset::KeepPlans,
       custom: Reset::Custom("DISCARD ALL".to_owned());

    a_setting_is_reset:
        "SET work_mem = '123MB'",
        "SHOW work_mem";
    a_setting_set_by_a_function_is_reset:
        "SELECT set_config('work_mem', '123MB', false)",
        "SHOW work_mem";
    a_parameter_of_the_callers_own_is_reset:
        "SET my.tenant = '7'",
        "SELECT coalesce(nullif(current_setting('my.tenant', true), ''), 'none')";
    a_search_path_is_reset:
        "SET search_path = pg_catalog",
        "SHOW search_path";
    a_role_is_reset:
        "SET ROLE pg_monitor",
        "SELECT current_user::text";
    a_session_authorization_is_reset:
        "CREATE ROLE clerk; SET SESSION AUTHORIZATION clerk",
        "SELECT session_user::text";
    a_role_within_a_session_authorization_is_reset:
        "CREATE ROLE clerk; GRANT pg_monitor TO clerk; SET SESSION AUTHORIZATION clerk; \
         SET ROLE pg_monitor",
        "SELECT current_user || ' ' || session_user";
    the_replication_role_is_reset:
        "SET session_replication_role = replica",
        "SHOW session_replication_role";
    a_default_of_transactions_is_reset:
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SHOW transaction_read_only";
    a_temporary_table_is_dropped:
        "CREATE TEMP TABLE mine (id int)",
        "SELECT coalesce(to_regclass('pg_temp.mine')::text, 'none')";
    a_temporary_table_made_by_a_query_is_dropped:
        "SELECT 1 AS id INTO TEMP mine",
        "SELECT coalesce(to_regclass('pg_temp.mine')::text, 'none')";
    a_temporary_function_is_dropped:
        "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT coalesce(to_regproc('pg_temp.mine')::text, 'none')";
    listening_ends:
        "LISTEN news",
        "SELECT count(*)::text FROM pg_listening_channels()";
    a_cursor_is_closed:
        "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
        "SELECT count(*)::text FROM pg_cursors WHERE name = 'mine'";
    an_advisory_lock_is_released:
        "SELECT pg_advisory_lock(42)",
        "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    a_shared_advisory_lock_taken_twice_is_released:
        "SELECT pg_advisory_lock_shared(42); SELECT pg_advisory_lock_shared(42)",
        "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
}

#[tokio::test]
async fn a_sequence_forgets_its_last_value() {
    let Some(pg) = Pg::start().await else { return };
    let observer = pg.client("postgres").await;
    let goods = "CREATE TABLE goods (id serial, name text)";
    observer.batch_execute(goods).await.unwrap();
    for reset in CLEAN {
        let pool = one(&pg).reset(reset.clone()).build().unwrap();
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        // Draws from the sequence without naming it.
        let insert = "INSERT INTO goods (name) VALUES ('tea')";
        session.batch_execute(insert).await.unwrap();
        let next = next_after(&pool, session).await;
        let err = next.batch_execute("SELECT lastval()").await.unwrap_err();
        assert_eq!(err.code().map(SqlState::code), Some("55000"), "{reset:?}");
        assert_eq!(pid(&next).await, backend);
    }
}

#[tokio::test]
async fn a_prepared_statement_is_deallocated_unless_plans_are_kept() {
    let Some(pg) = Pg::start().await else { return };
    for reset in CLEAN {
        let pool = one(&pg).reset(reset.clone()).build().unwrap();
        let session = pool.acquire().await.unwrap();
        session
            .batch_execute("PREPARE mine AS SELECT 1")
            .await
            .unwrap();
        let next = next_after(&pool, session).await;
        let there = "SELECT count(*)::int FROM pg_prepared_statements WHERE name = 'mine'";
        let expected = i32::from(reset == Reset::KeepPlans);
        assert_eq!(number(&next, there).await, expected, "{reset:?}");
    }
}

/// The driver's own statements, which a caller may hold for as long as the connection.
#[tokio::test]
async fn a_statement_of_the_driver_outlives_the_session_where_plans_are_kept() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).reset(Reset::KeepPlans).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let statement = session.prepare("SELECT $1::int + 1").await.unwrap();
    session
        .batch_execute("SET search_path = pg_catalog")
        .await
        .unwrap();
    let next = next_after(&pool, session).await;
    let row = next.query_one(&statement, &[&41]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
}

/// While the connection is idle, for whoever waits for the lock.
#[tokio::test]
async fn an_advisory_lock_is_released_at_release() {
    let Some(pg) = Pg::start().await else { return };
    let observer = pg.client("postgres").await;
    for reset in [Reset::DiscardAll, Reset::IfTouched, Reset::KeepPlans] {
        let pool = one(&pg).reset(reset.clone()).build().unwrap();
        let session = pool.acquire().await.unwrap();
        let lock = "SELECT pg_advisory_lock(42)";
        session.batch_execute(lock).await.unwrap();
        let held = "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'";
        assert_eq!(number(&observer, held).await, 1);
        assert_eq!(session.release().await, Released::Clean);
        assert_eq!(number(&observer, held).await, 0, "{reset:?}");
    }
}

#[tokio::test]
async fn without_a_reset_the_next_caller_meets_everything() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).reset(Reset::None).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session
        .batch_execute("SET work_mem = '123MB'")
        .await
        .unwrap();
    let next = next_after(&pool, session).await;
    assert_eq!(text(&next, "SHOW work_mem").await, "123MB");
}
