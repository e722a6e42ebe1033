//! Sessions that are put aside, and callers that do not give theirs back in order.

use std::time::Duration;

use ops_pool::{Acquire, AcquireError, CloseReason, Drain, Released, Reset};
use tokio::time::sleep;
use tokio_postgres::error::SqlState;

use crate::backend::Backend;
use crate::{CLEAN, POLICIES, over};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_session_that_was_put_aside_is_taken_up_in_its_state() {
    let backend = Backend::new();
    let pool = over(&backend).build().unwrap();
    let session = pool
        .acquire_with(Acquire::new().label("pages"))
        .await
        .unwrap();
    session.batch_execute("SET").await.unwrap();
    let kept = session.keep(MINUTE);

    let soon = Acquire::new().timeout(Duration::from_secs(1));
    let err = pool.acquire_with(soon).await.unwrap_err();
    let AcquireError::Timeout(report) = err else {
        panic!("{err}")
    };
    assert_eq!(report.holders[0].label.as_deref(), Some("pages"));
    let session = kept.take().unwrap();
    let dirty = session.batch_execute("PROBE").await.unwrap_err();
    assert_eq!(dirty.code().map(SqlState::code), Some("DIRTY"));
    assert_eq!(backend.log(), ["SET", "PROBE"]);
    assert_eq!(session.release().await, Released::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_takes_up_comes_back_when_its_time_is_over() {
    let backend = Backend::new();
    let pool = over(&backend).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session.batch_execute("SET").await.unwrap();
    let kept = session.keep(MINUTE);
    sleep(Duration::from_secs(59)).await;
    assert_eq!(pool.snapshot().active, 1);
    let next = pool.acquire().await.unwrap();
    next.batch_execute("PROBE").await.unwrap();
    assert!(kept.take().is_none());
    assert_eq!(backend.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_what_was_put_aside_gives_it_back_at_once() {
    let backend = Backend::new();
    let pool = over(&backend).reset(Reset::None).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session.batch_execute("SELECT 1").await.unwrap();
    drop(session.keep(MINUTE));
    assert_eq!((pool.snapshot().active, pool.snapshot().idle), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_shuts_down_does_not_wait_for_what_was_put_aside() {
    let backend = Backend::new();
    let pool = over(&backend).build().unwrap();
    let kept = pool.acquire().await.unwrap().keep(MINUTE);
    let begun = tokio::time::Instant::now();
    assert!(pool.shutdown(Drain::Sessions(MINUTE)).await.complete);
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(kept.take().is_none());
}

#[test]
fn what_was_put_aside_outlives_its_runtime() {
    let backend = Backend::new();
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    };
    let first = runtime();
    let (pool, kept, late) = first.block_on(async {
        let pool = over(&backend).pool_size(2).build().unwrap();
        let kept = pool.acquire().await.unwrap().keep(MINUTE);
        let late = pool.acquire().await.unwrap();
        (pool, kept, late)
    });
    drop(first);
    let late = late.keep(MINUTE);
    assert!(kept.take().is_none() && late.take().is_none());
    let limit = Drain::Sessions(Duration::from_secs(1));
    assert!(runtime().block_on(pool.shutdown(limit)).complete);
    assert_eq!(backend.standing(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_panics_leaves_nothing_to_the_next() {
    for reset in CLEAN {
        for on_dirty in POLICIES {
            for left in ["SET", "BEGIN", "HANG"] {
                let backend = Backend::new();
                let builder = over(&backend).reset(reset.clone()).on_dirty(on_dirty);
                let pool = builder.build().unwrap();
                let session = pool.acquire().await.unwrap();
                let panics = tokio::spawn(async move {
                    let limit = Duration::from_millis(10);
                    let _ = tokio::time::timeout(limit, session.batch_execute(left)).await;
                    panic!("this panic is part of the test, {}", session.is_closed());
                });
                assert!(panics.await.unwrap_err().is_panic());
                let next = pool.acquire().await.unwrap();
                let probed = next.batch_execute("PROBE").await;
                assert!(probed.is_ok(), "{reset:?} {on_dirty:?} {left}: {probed:?}");
            }
        }
    }
}

/// In every mode: nothing hangs, nothing panics, nothing is left.
#[test]
fn a_runtime_that_goes_while_sessions_are_out_takes_them_along() {
    for reset in CLEAN {
        for on_dirty in POLICIES {
            let backend = Backend::new();
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let builder = over(&backend).reset(reset.clone()).on_dirty(on_dirty);
            let (used, unused, busy) = runtime.block_on(async {
                let pool = builder.pool_size(3).build().unwrap();
                let used = pool.acquire().await.unwrap();
                used.batch_execute("SET").await.unwrap();
                drop(used);
                let used = pool.acquire().await.unwrap();
                used.batch_execute("BEGIN").await.unwrap();
                let busy = pool.acquire().await.unwrap();
                let limit = Duration::from_millis(10);
                let _ = tokio::time::timeout(limit, busy.batch_execute("HANG")).await;
                (used, pool.acquire().await.unwrap(), busy)
            });
            drop(runtime);
            drop(unused);
            let other = tokio::runtime::Builder::new_current_thread().build();
            let gone = other.unwrap().block_on(async {
                used.batch_execute("PROBE").await.unwrap_err();
                drop(busy);
                used.release().await
            });
            assert_eq!(gone, Released::Closed(CloseReason::ServerGone));
            assert_eq!(backend.standing(), 0);
        }
    }
}
