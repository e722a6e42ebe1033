//! How a pool ends.

use std::time::Duration;

use ops_pool::{Acquire, AcquireError, CloseReason, Drain, Released};

use crate::server::Fake;
use crate::{over, settle};

#[tokio::test(start_paused = true)]
async fn a_drained_pool_waits_for_its_sessions_and_serves_nobody() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(2).build().unwrap();
    let session = pool.acquire().await.unwrap();
    drop(pool.acquire().await.unwrap());
    let returns = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(matches!(
            pool.acquire().await,
            Err(AcquireError::ShuttingDown)
        ));
        session.release().await
    };
    let begun = tokio::time::Instant::now();
    let limit = Drain::Sessions(Duration::from_secs(60));
    let (report, released) = tokio::join!(pool.shutdown(limit), returns);
    assert!(report.complete && report.holders.is_empty(), "{report:?}");
    assert_eq!(released, Released::Closed(CloseReason::ShuttingDown));
    assert!(begun.elapsed() < Duration::from_secs(4));
    settle().await;
    assert_eq!(fake.standing(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_runs_out_of_time_names_who_did_not_come_back() {
    let fake = Fake::new();
    let pool = over(&fake).build().unwrap();
    let lost = pool
        .acquire_with(Acquire::new().label("lost"))
        .await
        .unwrap();
    let report = pool.shutdown(Drain::Sessions(Duration::from_secs(1))).await;
    assert!(!report.complete);
    assert_eq!(report.holders[0].label.as_deref(), Some("lost"));
    drop(lost);
    assert!(pool.shutdown(Drain::Now).await.complete);
}

#[tokio::test(start_paused = true)]
async fn waiters_are_refused_when_the_pool_shuts_down() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let _held = pool.acquire().await.unwrap();
    let (outcome, _) = tokio::join!(pool.acquire(), pool.shutdown(Drain::Now));
    assert!(matches!(outcome, Err(AcquireError::ShuttingDown)));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_everything() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(3).min_pool_size(2).build().unwrap();
    let session = pool.acquire().await.unwrap();
    settle().await;
    drop(pool.clone());
    assert_eq!(fake.standing(), 2);
    drop(pool);
    settle().await;
    assert_eq!(fake.standing(), 1);
    session.batch_execute("SELECT 1").await.unwrap();
    drop(session);
    settle().await;
    assert_eq!(fake.standing(), 0);
}

#[test]
fn a_runtime_that_goes_while_sessions_are_out_leaves_nothing_behind() {
    let fake = Fake::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let pool = {
        let _inside = runtime.enter();
        over(&fake).pool_size(2).build().unwrap()
    };
    let (session, second) = runtime.block_on(async {
        let sessions = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
        sessions.0.batch_execute("SELECT 1").await.unwrap();
        sessions
    });
    let waiting = {
        let pool = pool.clone();
        std::thread::spawn(move || {
            let other = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            other.block_on(pool.acquire()).map(|_| ())
        })
    };
    while pool.snapshot().waiting == 0 {
        std::thread::yield_now();
    }
    drop(runtime);
    drop(session);
    let release = second.release();
    let other = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    assert!(matches!(other.block_on(release), Released::Closed(_)));
    assert!(matches!(
        waiting.join().unwrap(),
        Err(AcquireError::ShuttingDown)
    ));
    assert!(matches!(
        other.block_on(pool.acquire()),
        Err(AcquireError::ShuttingDown)
    ));
    assert!(
        other
            .block_on(pool.shutdown(Drain::Sessions(Duration::from_secs(1))))
            .complete
    );
    assert_eq!(fake.standing(), 0);
}
