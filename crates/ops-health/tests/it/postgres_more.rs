//! The other checks of PostgreSQL, against real servers.

use std::sync::Arc;

use ops_core::Secret;
use ops_health::checks::{
    Migrations, PostgresConnections, PostgresDatabase, SizeSource, StorageSize,
};
use ops_health::{Check, CheckCtx, Code, DynCheck, Outcome, Status};
use ops_testkit::Pg;

use crate::support::seconds;

async fn run(check: &impl Check) -> Outcome {
    Check::run(check, &CheckCtx::new(seconds(10))).await
}

fn found(outcome: &Outcome) -> (Status, Code) {
    (outcome.status(), outcome.code())
}

fn observed(outcome: &Outcome, name: &str) -> f64 {
    let all = outcome.observations();
    all.iter().find(|o| o.name == name).unwrap().value
}

#[tokio::test]
async fn connections_are_counted_against_what_an_ordinary_user_may_open() {
    let builder = Pg::builder()
        .setting("max_connections", "13")
        .setting("superuser_reserved_connections", "3");
    let Some(pg) = builder.start().await else {
        return;
    };
    let admin = pg.client("postgres").await;
    admin
        .batch_execute("CREATE ROLE monitor LOGIN PASSWORD 'x'; CREATE ROLE app LOGIN PASSWORD 'x'")
        .await
        .unwrap();
    let as_role = |role: &str| {
        pg.connect_info("postgres")
            .with_user(role)
            .with_password(Secret::from("x"))
    };
    // Without pg_monitor: the others are seen, but not what they do.
    let check = PostgresConnections::new(as_role("monitor"));
    let first = run(&check).await;
    assert_eq!(found(&first), (Status::Healthy, Code::Ok), "{first:?}");
    // The administrator and the check itself.
    assert!(
        (observed(&first, "connections") - 2.0).abs() < 1e-9,
        "{first:?}"
    );
    assert!(
        (observed(&first, "utilization") - 0.2).abs() < 1e-9,
        "{first:?}"
    );

    let mut held = Vec::new();
    let connect = async || {
        ops_pg::connect::connect(&as_role("app"), &ops_pg::connect::ConnectOptions::default()).await
    };
    for _ in 0..6 {
        held.push(connect().await.unwrap());
    }
    assert_eq!(
        found(&run(&check).await),
        (Status::Degraded, Code::ThresholdWarn)
    );
    held.push(connect().await.unwrap());
    let full = run(&check).await;
    assert_eq!(found(&full), (Status::Unhealthy, Code::ThresholdFail));
    // With the role, what they do is seen as well.
    admin
        .batch_execute("GRANT pg_monitor TO monitor")
        .await
        .unwrap();
    held.first().unwrap().batch_execute("BEGIN").await.unwrap();
    let seen = run(&check).await;
    assert!(
        (observed(&seen, "idle_in_transaction") - 1.0).abs() < 1e-9,
        "{seen:?}"
    );

    // Nothing is left: the check that holds a connection goes on, a new one learns why.
    held.push(connect().await.unwrap());
    assert!(connect().await.is_err());
    assert_eq!(found(&run(&check).await).1, Code::ThresholdFail);
    let late = PostgresConnections::new(as_role("monitor"));
    assert_eq!(
        found(&run(&late).await),
        (Status::Unhealthy, Code::Exhausted)
    );
}

#[tokio::test]
async fn a_database_tells_its_size() {
    let Some(pg) = Pg::start().await else { return };
    let database = PostgresDatabase::new(pg.connect_info("postgres"));
    let before = database.size_bytes().await.unwrap();
    assert!(before > 1_000_000, "{before}");
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
        .await
        .unwrap();
    let grown = database.size_bytes().await.unwrap();
    assert!(grown > before + 4_000_000, "{before} -> {grown}");
    let check = StorageSize::new(Arc::new(database)).warn_at(before + 1);
    let outcome = run(&check).await;
    assert_eq!(found(&outcome), (Status::Degraded, Code::ThresholdWarn));
}

#[tokio::test]
async fn migrations_hold_the_start_back_until_they_are_applied() {
    let Some(pg) = Pg::start().await else { return };
    let database = PostgresDatabase::new(pg.connect_info("postgres"));
    let check = Migrations::new(20_260_301, Arc::new(database.clone()));
    let pending = (Status::Unhealthy, Code::MigrationsPending);
    assert_eq!(found(&run(&check).await), pending, "there is no table");
    let client = pg.client("postgres").await;
    // As sqlx makes it.
    let table = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, \
        description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), \
        success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)";
    client.batch_execute(table).await.unwrap();
    assert_eq!(found(&run(&check).await), pending, "the table is empty");
    let insert = async |version: i64, success: bool| {
        let insert = "INSERT INTO _sqlx_migrations VALUES ($1, 'x', now(), $2, '', 0)";
        client.execute(insert, &[&version, &success]).await.unwrap();
    };
    insert(20_260_201, true).await;
    assert_eq!(found(&run(&check).await), pending);
    insert(20_260_301, false).await;
    assert_eq!(found(&run(&check).await), pending, "it failed");
    client
        .batch_execute("UPDATE _sqlx_migrations SET success = true")
        .await
        .unwrap();
    assert_eq!(found(&run(&check).await), (Status::Healthy, Code::Ok));
    insert(20_260_401, true).await;
    assert_eq!(
        found(&run(&check).await),
        (Status::Degraded, Code::SchemaAhead)
    );
    let groups = DynCheck::policy(&check).groups();
    assert_eq!(groups, ops_health::Groups::STARTUP);

    client
        .batch_execute(
            "CREATE TABLE refinery_schema_history (version INT4 PRIMARY KEY, name VARCHAR(255)); \
             INSERT INTO refinery_schema_history VALUES (3, 'x')",
        )
        .await
        .unwrap();
    let check = Migrations::new(3, Arc::new(database.with_refinery()));
    assert_eq!(found(&run(&check).await), (Status::Healthy, Code::Ok));
}
