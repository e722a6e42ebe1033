//! Settings from elsewhere over a real server.

use ops_core::Error;
use ops_pool::{AcquireError, PgBouncerIni, PoolSettings, SessionPool};
use ops_testkit::Pg;

use crate::text;

#[tokio::test]
async fn a_pool_stands_on_what_pgbouncers_file_says() {
    let Some(pg) = Pg::start().await else { return };
    let socket = pg.connect_info("postgres");
    let ini = format!(
        "[databases]\n\
         shop = host={} port={} dbname=postgres user={} pool_size=1 timezone=Asia/Tokyo \
         application_name=web connect_query='SET work_mem = ''77MB'''\n\
         [pgbouncer]\nserver_reset_query = SET work_mem = '78MB'\n",
        socket.host,
        socket.port,
        socket.user.unwrap(),
    );
    let pool = PgBouncerIni::new(&ini).read("shop").unwrap();
    let pool = pool.builder().build().unwrap();
    let session = pool.acquire().await.unwrap();
    assert_eq!(text(&session, "SHOW TimeZone").await, "Asia/Tokyo");
    assert_eq!(text(&session, "SHOW application_name").await, "web");
    assert_eq!(text(&session, "SHOW work_mem").await, "77MB");
    drop(session);
    let session = pool.acquire().await.unwrap();
    assert_eq!(text(&session, "SHOW work_mem").await, "78MB");
    assert_eq!(pool.snapshot().pool_size, 1);
    assert_eq!(pool.snapshot().totals.connects, 1);
}

#[tokio::test]
async fn a_connect_query_that_fails_costs_no_connection() {
    let Some(pg) = Pg::start().await else { return };
    let settings = PoolSettings::new().with_connect_query(Some("SELECT 1 / 0".to_owned()));
    let builder = SessionPool::builder(pg.connect_info("postgres")).settings(settings);
    let pool = builder.build().unwrap();
    let session = pool.acquire().await.unwrap();
    assert_eq!(text(&session, "SELECT 'fine'").await, "fine");
    assert_eq!(pool.snapshot().totals.connects, 1);
}

#[tokio::test]
async fn a_connection_that_ends_with_its_connect_query_was_not_opened() {
    let Some(pg) = Pg::start().await else { return };
    let owner = pg.client("postgres").await;
    owner.batch_execute("CREATE SEQUENCE tries").await.unwrap();
    let sql = "SELECT CASE nextval('tries') WHEN 1 THEN pg_terminate_backend(pg_backend_pid()) END";
    let settings = PoolSettings::new().with_connect_query(Some(sql.to_owned()));
    let builder = SessionPool::builder(pg.connect_info("postgres")).settings(settings);
    let pool = builder.build().unwrap();
    let AcquireError::ServerDown(down) = pool.acquire().await.unwrap_err() else {
        panic!("the connection was given out");
    };
    assert_eq!(down.cause().and_then(Error::code), Some("57P01"));
    tokio::time::sleep(down.retry_in).await;
    let session = pool.acquire().await.unwrap();
    assert_eq!(
        text(&session, "SELECT last_value::text FROM tries").await,
        "2"
    );
    let totals = pool.snapshot().totals;
    assert_eq!((totals.connects, totals.connect_failures), (1, 1));
}

#[tokio::test]
async fn the_console_shows_the_backend_and_what_it_did_last() {
    let Some(pg) = Pg::start().await else { return };
    let info = pg.connect_info("postgres");
    let pool = SessionPool::builder(info).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let pid = text(&session, "SELECT pg_backend_pid()::text").await;
    session
        .batch_execute("BEGIN; SET work_mem = '8MB'")
        .await
        .unwrap();
    let row = &pool.show_servers()[0];
    assert_eq!(row.remote_pid.to_string(), pid);
    let holder = &pool.holders()[0];
    let last = holder.last_command.map(|it| it.to_string());
    assert_eq!(
        (last.as_deref(), holder.idle_in_transaction),
        (Some("SET"), true)
    );
    let shown = holder.to_string();
    assert!(
        shown.ends_with("(last SET), idle in transaction"),
        "{shown}"
    );
}
