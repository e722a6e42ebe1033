//! The postgres check against real servers.

use std::time::Duration;

use ops_core::database::{ConnectInfo, Role};
use ops_health::checks::Postgres;
use ops_health::{Check, CheckCtx, Code, DynCheck, Question, Scope, Status};
use ops_pg::server::Shutdown;
use ops_testkit::proxy::{Backend, Close, Cut, Direction};
use ops_testkit::{FaultProxy, Pg, wait_until};
use tokio_postgres::Client;

use crate::support::{codes, seconds, service};

type Found = (Status, Code);

const HEALTHY: Found = (Status::Healthy, Code::Ok);

async fn run_within(check: &Postgres, limit: Duration) -> Found {
    let ctx = CheckCtx::new(limit);
    // As the scheduler does: the run is dropped at the deadline.
    match tokio::time::timeout(limit, Check::run(check, &ctx)).await {
        Ok(outcome) => (outcome.status(), outcome.code()),
        Err(_) => (Status::Unhealthy, Code::Timeout),
    }
}

async fn run(check: &Postgres) -> Found {
    run_within(check, seconds(5)).await
}

async fn until(check: &Postgres, expected: Found) {
    wait_until(&format!("{expected:?}"), seconds(30), async || {
        run(check).await == expected
    })
    .await;
}

async fn connections(client: &Client) -> i64 {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ops-health'";
    client.query_one(query, &[]).await.unwrap().get(0)
}

async fn alter(client: &Client, setting: &str) {
    client
        .batch_execute(&format!("ALTER SYSTEM SET {setting}"))
        .await
        .unwrap();
    client
        .batch_execute("SELECT pg_reload_conf()")
        .await
        .unwrap();
}

#[tokio::test]
async fn many_runs_use_one_connection_outside_of_any_pool() {
    let Some(pg) = Pg::start().await else { return };
    let client = pg.client("postgres").await;
    let check = Postgres::new(pg.connect_info("postgres"));
    for _ in 0..20 {
        assert_eq!(run(&check).await, HEALTHY);
    }
    assert_eq!(connections(&client).await, 1);
    let query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'ops-health'";
    let pid: i32 = client.query_one(query, &[]).await.unwrap().get(0);
    assert_eq!(run(&check).await, HEALTHY);
    assert_eq!(
        client.query_one(query, &[]).await.unwrap().get::<_, i32>(0),
        pid
    );
    drop(check);
    wait_until("the connection to close", seconds(5), async || {
        connections(&client).await == 0
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_is_unreachable_and_is_found_again() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let check = Postgres::new(pg.connect_info("postgres"));
    assert_eq!(run(&check).await, HEALTHY);
    pg.stop(Shutdown::Fast).await;
    assert_eq!(run(&check).await, (Status::Unhealthy, Code::Unreachable));
    pg.start_again().await;
    until(&check, HEALTHY).await;
    pg.kill9().await;
    assert_eq!(run(&check).await, (Status::Unhealthy, Code::Unreachable));
    pg.start_again().await;
    until(&check, HEALTHY).await;
}

#[tokio::test]
async fn a_server_that_is_down_is_not_tried_at_every_run() {
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    let proxy = FaultProxy::start(Backend::of(&pg.connect_info("postgres")).await).await;
    let check = Postgres::new(proxy.connect_info(&pg.connect_info("postgres")));
    proxy.set_cut(Some(Cut {
        direction: Direction::Up,
        after: 0,
        close: Close::Reset,
    }));
    let before = proxy.stats();
    for _ in 0..50 {
        assert_ne!(run(&check).await, HEALTHY);
    }
    let tried = proxy.stats().accepted - before.accepted;
    assert!((1..=2).contains(&tried), "{tried} attempts in 50 runs");
    proxy.heal().await;
    until(&check, HEALTHY).await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_read_only_for_those_who_need_a_primary() {
    let Some(pg) = Pg::start().await else { return };
    let client = pg.client("postgres").await;
    let writes = Postgres::new(pg.connect_info("postgres"));
    let reads = Postgres::new(pg.connect_info("postgres")).expect(Role::Unknown);
    assert_eq!(run(&writes).await, HEALTHY);
    alter(&client, "default_transaction_read_only = on").await;
    until(&writes, (Status::Unhealthy, Code::ReadOnly)).await;
    assert_eq!(run(&reads).await, HEALTHY);
    client
        .batch_execute("SET default_transaction_read_only = off")
        .await
        .unwrap();
    alter(&client, "default_transaction_read_only = off").await;
    until(&writes, HEALTHY).await;
}

#[tokio::test]
async fn a_standby_has_the_wrong_role_until_it_is_promoted() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let primary = Postgres::new(pg.connect_info("postgres"));
    let replica = Postgres::new(pg.connect_info("postgres")).expect(Role::Replica);
    let any = Postgres::new(pg.connect_info("postgres")).expect(Role::Unknown);
    let wrong = (Status::Unhealthy, Code::WrongRole);
    assert_eq!((run(&primary).await, run(&replica).await), (HEALTHY, wrong));

    pg.stop(Shutdown::Fast).await;
    std::fs::write(pg.data_dir().join("standby.signal"), "").unwrap();
    pg.start_again().await;
    until(&primary, wrong).await;
    until(&replica, HEALTHY).await;
    until(&any, HEALTHY).await;

    pg.client("postgres")
        .await
        .batch_execute("SELECT pg_promote()")
        .await
        .unwrap();
    until(&primary, HEALTHY).await;
    until(&replica, wrong).await;
}

#[tokio::test]
async fn a_refused_login_says_so_and_keeps_the_password_to_itself() {
    let started = Pg::builder()
        .tcp(true)
        .with(|server| server.password("right-c4n4ry-7d0f"))
        .start()
        .await;
    let Some(pg) = started else { return };
    let right = pg.connect_info("postgres");
    assert_eq!(run(&Postgres::new(right.clone())).await, HEALTHY);
    let wrong = |info: ConnectInfo| Postgres::new(info.with_password("wrong-c4n4ry-7d0f"));
    let check = wrong(right);
    assert_eq!(run(&check).await, (Status::Unhealthy, Code::AuthFailed));
    assert!(!format!("{check:?}").contains("c4n4ry"));
    let outcome = Check::run(&check, &CheckCtx::new(seconds(5))).await;
    assert!(!format!("{outcome:?}").contains("c4n4ry"));
}

#[tokio::test]
async fn a_missing_database_is_not_found() {
    let Some(pg) = Pg::start().await else { return };
    let check = Postgres::new(pg.connect_info("nothing"));
    assert_eq!(run(&check).await, (Status::Unhealthy, Code::NotFound));
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_exhausted() {
    let builder = Pg::builder().setting("max_connections", "6");
    let Some(pg) = builder
        .setting("superuser_reserved_connections", "3")
        .start()
        .await
    else {
        return;
    };
    let admin = pg.client("postgres").await;
    admin.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
    let (_a, _b) = (pg.client("postgres").await, pg.client("postgres").await);
    let check = Postgres::new(pg.connect_info("postgres").with_user("app"));
    assert_eq!(run(&check).await, (Status::Unhealthy, Code::Exhausted));
}

#[tokio::test]
async fn a_run_dropped_half_way_leaves_no_answer_for_the_next() {
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    let direct = pg.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let check = Postgres::new(proxy.connect_info(&direct));
    assert_eq!(run(&check).await, HEALTHY);
    proxy.set_frozen(true);
    let timeout = (Status::Unhealthy, Code::Timeout);
    assert_eq!(
        run_within(&check, Duration::from_millis(300)).await,
        timeout
    );
    // A new connection hangs as well.
    assert_eq!(
        run_within(&check, Duration::from_millis(300)).await,
        timeout
    );
    proxy.set_frozen(false);
    until(&check, HEALTHY).await;
    let client = pg.client("postgres").await;
    wait_until("old connections to close", seconds(10), async || {
        connections(&client).await == 1
    })
    .await;
}

#[tokio::test]
async fn an_outage_shows_in_the_routes_and_ends() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let check = Postgres::new(pg.connect_info("postgres")).named("database");
    assert_eq!(DynCheck::policy(&check).scope(), Scope::SharedDependency);
    let quick = Duration::from_millis(100);
    let health = service()
        .check(check)
        .policy(|policy| policy.with_interval(quick).with_jitter(0.0))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    let healthy = async || health.verdict(Question::Health).status == Status::Healthy;
    wait_until("the database", seconds(10), healthy).await;
    assert_eq!(codes(&health), [200; 4]);
    pg.stop(Shutdown::Fast).await;
    wait_until("the outage", seconds(10), async || !healthy().await).await;
    assert_eq!(codes(&health), [200, 200, 200, 503]);
    pg.start_again().await;
    wait_until("the database again", seconds(30), healthy).await;
    assert_eq!(codes(&health), [200; 4]);
}
