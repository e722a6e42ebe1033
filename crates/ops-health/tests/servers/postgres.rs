//! A PostgreSQL server that goes away, hangs, fills up, or takes no writes.

use std::time::{Duration, Instant};

use ops_core::database::ConnectInfo;
use ops_health::checks::{Postgres, PostgresConnections};
use ops_health::{Code, Health, Question, Status};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::Shutdown;
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg};
use tokio_postgres::Client;

use crate::measure::{Found, HEALTHY, Rhythm, TENTH, Watched};
use crate::support::codes;

const UNREACHABLE: Found = (Status::Unhealthy, Code::Unreachable);

/// How much later than the rhythm says a check can find out that a server is back: the wait
/// before the next attempt to connect is at most as long as all before it and half a second,
/// and its end falls between two runs.
fn until_it_connects(outage: Duration) -> Duration {
    outage + Duration::from_millis(500) + TENTH.retry
}

async fn alter(client: &Client, setting: &str) {
    for sql in [
        &*format!("ALTER SYSTEM SET {setting}"),
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(sql).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_stopped_is_told_in_time_and_so_is_its_return() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let check = Postgres::new(pg.connect_info("postgres"));
    let watched = Watched::start(check, TENTH, HEALTHY).await;
    pg.stop(Shutdown::Fast).await;
    let down = Instant::now();
    watched
        .detects("PostgreSQL stopped", "postgres", down, UNREACHABLE)
        .await;
    // Every replica shares it: it is told, and no traffic is taken away.
    assert_eq!(codes(&watched.health), [200, 200, 200, 503]);
    pg.start_again().await;
    let (up, outage) = (Instant::now(), down.elapsed());
    let late = until_it_connects(outage);
    watched
        .recovers("PostgreSQL stopped", "postgres", up, late)
        .await;
    pg.kill9().await;
    let down = Instant::now();
    watched
        .detects("PostgreSQL killed", "postgres", down, UNREACHABLE)
        .await;
}

#[tokio::test]
async fn a_restart_within_the_failure_threshold_costs_a_connection_and_no_verdict() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    // So that a server has 4 s to come back.
    let patient = Rhythm {
        interval: Duration::from_secs(2),
        retry: Duration::from_secs(2),
        ..TENTH
    };
    let check = Postgres::new(pg.connect_info("postgres"));
    let watched = Watched::start(check, patient, HEALTHY).await;
    let backend = async |pg: &Pg| {
        let query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'ops-health'";
        let row = pg
            .client("postgres")
            .await
            .query_opt(query, &[])
            .await
            .unwrap();
        row.map(|row| row.get::<_, i32>(0))
    };
    let before = backend(&pg).await;
    let down = Instant::now();
    pg.stop(Shutdown::Fast).await;
    pg.start_again().await;
    let took = down.elapsed();
    while down.elapsed() < patient.detection() {
        assert_eq!(
            watched.found("postgres"),
            HEALTHY,
            "after {:?}",
            down.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let after = backend(&pg).await;
    assert!(
        after.is_some() && before.is_some() && after != before,
        "{before:?} {after:?}"
    );
    println!(
        "a restart of PostgreSQL that took {:.2} s was no outage",
        took.as_secs_f64()
    );
}

#[tokio::test]
async fn a_server_that_hangs_is_told_in_time() {
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    let direct = pg.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let check = Postgres::new(proxy.connect_info(&direct));
    let watched = Watched::start(check, TENTH, HEALTHY).await;
    proxy.set_frozen(true);
    let down = Instant::now();
    let timeout = (Status::Unhealthy, Code::Timeout);
    watched
        .detects("PostgreSQL hanging", "postgres", down, timeout)
        .await;
    proxy.set_frozen(false);
    let late = until_it_connects(down.elapsed());
    watched
        .recovers("PostgreSQL hanging", "postgres", Instant::now(), late)
        .await;
}

#[tokio::test]
async fn a_server_that_turns_read_only_is_told_in_time() {
    let Some(pg) = Pg::start().await else { return };
    let admin = pg.client("postgres").await;
    let check = Postgres::new(pg.connect_info("postgres"));
    let watched = Watched::start(check, TENTH, HEALTHY).await;
    alter(&admin, "default_transaction_read_only = on").await;
    let since = Instant::now();
    let read_only = (Status::Unhealthy, Code::ReadOnly);
    watched
        .detects("PostgreSQL read-only", "postgres", since, read_only)
        .await;
    admin
        .batch_execute("SET default_transaction_read_only = off")
        .await
        .unwrap();
    alter(&admin, "default_transaction_read_only = off").await;
    let since = Instant::now();
    watched
        .recovers("PostgreSQL read-only", "postgres", since, TENTH.retry)
        .await;
}

async fn open(info: &ConnectInfo) -> Option<Client> {
    connect(info, &ConnectOptions::default()).await.ok()
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_told_in_time() {
    let builder = Pg::builder().setting("max_connections", "13");
    let builder = builder.setting("superuser_reserved_connections", "3");
    let Some(pg) = builder.start().await else {
        return;
    };
    let admin = pg.client("postgres").await;
    admin.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
    let app = pg.connect_info("postgres").with_user("app");
    let check = PostgresConnections::new(app.clone());
    let connections = Watched::start(check, TENTH, HEALTHY).await;
    let database = Watched::start(Postgres::new(app.clone()), TENTH, HEALTHY).await;

    let mut held = Vec::new();
    while let Some(client) = open(&app).await {
        held.push(client);
    }
    let since = Instant::now();
    let full = (Status::Unhealthy, Code::ThresholdFail);
    let what = "max_connections reached";
    connections
        .detects(what, "postgres_connections", since, full)
        .await;
    // Who has a connection needs no other; who comes later learns why there is none.
    assert_eq!(database.found("postgres"), HEALTHY);
    let exhausted = (Status::Unhealthy, Code::Exhausted);
    let late = Watched::start(Postgres::new(app), TENTH, exhausted).await;
    assert_eq!(
        late.health.verdict(Question::Health).status,
        Status::Unhealthy
    );

    held.clear();
    let since = Instant::now();
    connections
        .recovers(what, "postgres_connections", since, TENTH.retry)
        .await;
    let stayed: fn(&Health) -> bool = |health| health.verdict(Question::Health).status.is_up();
    assert!(stayed(&database.health));
    late.recovers(what, "postgres", since, until_it_connects(since.elapsed()))
        .await;
}
