//! What a server has to give, and what happens where more is asked of it.

use ops_core::ErrorKind;
use ops_pool::{Budget, PoolSettings, SessionPool};
use ops_testkit::Pg;

/// A server with 10 connections: 3 for superusers, and with PostgreSQL 16 none for others.
async fn small() -> Option<Pg> {
    let server = Pg::builder().setting("max_connections", "10");
    server.start().await
}

#[tokio::test]
async fn the_terms_are_read_from_the_server_with_their_sources() {
    let server = Pg::builder()
        .setting("max_connections", "10")
        .setting("superuser_reserved_connections", "2");
    let Some(pg) = server.start().await else {
        return;
    };
    let budget = Budget::read(&pg.client("postgres").await).await.unwrap();
    assert_eq!(budget.available(), 8);
    let settings = PoolSettings::new().with_pool_size(5);
    budget.check(&settings, 1).unwrap();
    let err = budget.check(&settings, 2).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let text = err.message();
    for part in [
        "2 instances of 5 connections (pool_size 5) take 10, and 8 are available",
        "max_connections 10 (configuration file)",
        "superuser_reserved_connections 2 (configuration file)",
        "4 for each instance would fit",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn limits_of_the_role_and_of_the_database_are_read_for_those_they_bind() {
    let Some(pg) = small().await else { return };
    let owner = pg.client("postgres").await;
    for sql in [
        "CREATE ROLE app LOGIN CONNECTION LIMIT 4",
        "CREATE DATABASE shop CONNECTION LIMIT 5",
    ] {
        owner.batch_execute(sql).await.unwrap();
    }
    let as_superuser = Budget::read(&pg.client("shop").await).await.unwrap();
    assert_eq!(as_superuser.available(), 7);

    let info = pg.connect_info("shop").with_user("app");
    let pool = SessionPool::builder(info).pool_size(1).build().unwrap();
    // A session is a client.
    let session = pool.acquire().await.unwrap();
    let budget = Budget::read(&session).await.unwrap();
    assert_eq!(budget.available(), 4);
    assert_eq!(budget.clone().with_backup(2).available(), 3);
    let text = budget.to_string();
    assert!(text.contains("role app 4 (CONNECTION LIMIT)"), "{text}");
    assert!(
        text.contains("database shop 5 (CONNECTION LIMIT)"),
        "{text}"
    );
}

#[tokio::test]
async fn the_server_gives_what_the_budget_says_and_not_one_more() {
    let Some(pg) = small().await else { return };
    let owner = pg.client("postgres").await;
    owner.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
    let budget = Budget::read(&owner).await.unwrap().with_other("owner", 1);
    let pool_of = |size: usize| {
        let settings = PoolSettings::new()
            .with_pool_size(size)
            .with_max_connecting(1);
        let info = pg.connect_info("postgres").with_user("app");
        SessionPool::builder(info)
            .settings(settings)
            .build()
            .unwrap()
    };
    let pool = pool_of(budget.available());
    let mut sessions = Vec::new();
    for _ in 0..budget.available() {
        sessions.push(pool.acquire().await.unwrap());
    }

    // The owner's own connection is not one of the reserved.
    let more = pool_of(1);
    let err = more.acquire().await.unwrap_err();
    let err = ops_core::Report(&err).to_string();
    assert!(err.contains("slots are reserved"), "{err}");
}
