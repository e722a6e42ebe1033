//! Servers that refuse, go and come back.

use std::time::{Duration, Instant};

use ops_core::{ErrorKind, Report, Secret};
use ops_pg::server::Shutdown;
use ops_pool::{AcquireError, SessionPool};
use ops_testkit::{Pg, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_database_that_crashes_and_comes_back_is_used_again() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let info = pg.connect_info("postgres");
    let pool = SessionPool::builder(info).pool_size(3).build().unwrap();
    let out = pool.acquire().await.unwrap();
    drop((pool.acquire().await.unwrap(), pool.acquire().await.unwrap()));

    pg.kill9().await;
    wait_until("the pool to notice", PATIENCE, async || {
        pool.snapshot().idle == 0
    })
    .await;
    out.batch_execute("SELECT 1").await.unwrap_err();
    drop(out);
    let begun = Instant::now();
    let err = pool.acquire().await.unwrap_err();
    assert!(matches!(err, AcquireError::ServerDown(_)), "{err:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );

    pg.start_again().await;
    wait_until("a session", PATIENCE, async || match pool.acquire().await {
        Ok(session) => session.batch_execute("SELECT 1").await.is_ok(),
        Err(_) => false,
    })
    .await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(pool.acquire().await.unwrap());
    }
    assert!(pool.snapshot().last_error().is_none());
}

#[tokio::test]
async fn a_database_that_is_stopped_in_order_is_told_as_down() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let pool = SessionPool::builder(pg.connect_info("postgres"))
        .min_pool_size(1)
        .build()
        .unwrap();
    drop(pool.acquire().await.unwrap());
    pg.stop(Shutdown::Fast).await;
    wait_until("a refusal", PATIENCE, async || {
        matches!(pool.acquire().await, Err(AcquireError::ServerDown(_)))
    })
    .await;
    // The minimum is opened again without anybody asking.
    pg.start_again().await;
    wait_until("the minimum", PATIENCE, async || pool.snapshot().idle == 1).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_once_by_the_server_and_nowhere_shown() {
    let started = Pg::builder()
        .tcp(true)
        .with(|server| server.password("right"))
        .start()
        .await;
    let Some(pg) = started else { return };
    let mut info = pg.connect_info("postgres");
    info.password = Some(Secret::from("canary-of-a-password"));
    let pool = SessionPool::builder(info).build().unwrap();
    for _ in 0..10 {
        let err = pool.acquire().await.unwrap_err();
        let shown = format!(
            "{err} {err:?} {} {pool:?} {:?}",
            Report(&err),
            pool.snapshot()
        );
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("password authentication failed"), "{shown}");
        assert_eq!(
            ops_core::Error::from(err).kind(),
            ErrorKind::Unauthenticated
        );
    }
    assert_eq!(pool.snapshot().totals.connect_failures, 1);
}

#[tokio::test]
async fn a_right_password_works_and_is_nowhere_shown() {
    let started = Pg::builder()
        .tcp(true)
        .with(|server| server.password("canary"))
        .start()
        .await;
    let Some(pg) = started else { return };
    let builder = SessionPool::builder(pg.connect_info("postgres")).pool_size(1);
    let before = format!("{builder:?}");
    let pool = builder.build().unwrap();
    let session = pool.acquire().await.unwrap();
    let (state, row) = (pool.snapshot(), pool.show_pools());
    let shown = format!("{before} {pool:?} {session:?} {state:?} {row:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let Some(pg) = Pg::start().await else { return };
    let pool = SessionPool::builder(pg.connect_info("nowhere"))
        .build()
        .unwrap();
    let err = ops_core::Error::from(pool.acquire().await.unwrap_err());
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert!(
        Report(&err)
            .to_string()
            .contains("\"nowhere\" does not exist"),
        "{err:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_full_gives_what_it_has() {
    let settings = Pg::builder()
        .setting("max_connections", "8")
        .setting("superuser_reserved_connections", "0")
        .setting("max_wal_senders", "0");
    let Some(pg) = settings.start().await else {
        return;
    };
    let pool = SessionPool::builder(pg.connect_info("postgres"))
        .pool_size(20)
        .build()
        .unwrap();
    // More callers than the server has connections: each gets its turn.
    let turns = (0..40).map(|_| async {
        let session = pool.acquire().await.unwrap();
        session
            .batch_execute("SELECT pg_sleep(0.01)")
            .await
            .unwrap();
    });
    futures_util::future::join_all(turns).await;
    assert!(pool.snapshot().idle <= 8);
}
