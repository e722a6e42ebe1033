//! Callers that go away after any number of polls.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ops_pool::{Drain, OnDirty, Reset, SessionPool};
use tokio::time::{sleep, timeout};

use crate::backend::{Backend, How};
use crate::{CLEAN, POLICIES, over};

const POOL_SIZE: usize = 2;
const LEFT: [&[&str]; 6] = [
    &[],
    &["SELECT 1"],
    &["SET"],
    &["BEGIN", "SET"],
    &["BEGIN", "FAIL"],
    &["SLEEP 30"],
];
const RESETS: [How; 5] = [
    How::Works,
    How::Takes(Duration::from_millis(30)),
    How::Fails,
    How::Hangs,
    How::LeavesTransaction,
];

/// Polls a future up to `polls` times, or until nothing happens anymore, and drops it.
async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    let polled = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    });
    timeout(Duration::from_secs(10), polled).await.ok()?
}

fn pool(backend: &Arc<Backend>, reset: Reset, on_dirty: OnDirty) -> SessionPool {
    over(backend)
        .pool_size(POOL_SIZE)
        .reset(reset)
        .on_dirty(on_dirty)
        .reset_timeout(Duration::from_millis(200))
        .cancel_timeout(Duration::from_millis(100))
        .query_wait_timeout(Duration::from_millis(500))
        .build()
        .unwrap()
}

/// Whatever has happened, the pool serves as many sessions as it has, each clean.
async fn is_whole(backend: &Backend, pool: SessionPool, what: &str) {
    backend.set_reset(How::Works);
    sleep(Duration::from_secs(2)).await;
    let mut sessions = Vec::new();
    for _ in 0..POOL_SIZE {
        let session = pool.acquire().await;
        let session = session.unwrap_or_else(|err| panic!("{what}: {err}"));
        let probed = session.batch_execute("PROBE").await;
        assert!(probed.is_ok(), "{what}: {probed:?}");
        sessions.push(session);
    }
    let state = pool.snapshot();
    let counts = (state.active, state.idle, state.waiting, state.resetting);
    assert_eq!(counts, (POOL_SIZE, 0, 0, 0), "{what}");
    assert!(pool.acquire().await.is_err(), "{what}: too many sessions");
    drop(sessions);
    let limit = Drain::Sessions(Duration::from_secs(1));
    assert!(pool.shutdown(limit).await.complete, "{what}");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(backend.standing(), 0, "{what}");
}

/// A caller that acquires, leaves something behind and gives back.
async fn turn(pool: &SessionPool, leaves: &[&str]) {
    let session = pool.acquire().await.unwrap();
    for query in leaves {
        let _ = session.batch_execute(query).await;
    }
    let _ = session.release().await;
}

/// Runs a turn that is dropped after the first poll, after the second, and so on until it
/// ends by itself. The answer is after how many that was.
async fn at_every_poll(reset: &Reset, on_dirty: OnDirty, leaves: &[&str], how: How) -> usize {
    for polls in 0.. {
        let what = format!("{reset:?}, {on_dirty:?}, {leaves:?}, {how:?}, {polls} polls");
        let backend = Backend::new();
        let pool = pool(&backend, reset.clone(), on_dirty);
        // One that has been used before, so that it may owe a reset.
        let before = if *reset == Reset::None {
            "SELECT 1"
        } else {
            "SET"
        };
        turn(&pool, &[before]).await;
        backend.set_reset(how);
        let ended = drop_after(polls, turn(&pool, leaves)).await.is_some();
        is_whole(&backend, pool, &what).await;
        if ended {
            return polls;
        }
    }
    unreachable!("every turn ends")
}

async fn every_turn_can_be_dropped(reset: Reset) {
    let mut most = 0;
    for on_dirty in POLICIES {
        for leaves in LEFT {
            for how in RESETS {
                most = most.max(at_every_poll(&reset, on_dirty, leaves, how).await);
            }
        }
    }
    assert!(most >= 3, "turns of {most} polls prove little");
}

#[tokio::test(start_paused = true)]
async fn a_turn_can_be_dropped_at_every_poll_with_a_reset_at_release() {
    every_turn_can_be_dropped(Reset::DiscardAll).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_can_be_dropped_at_every_poll_with_a_reset_in_front() {
    every_turn_can_be_dropped(Reset::Pipelined).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_can_be_dropped_at_every_poll_with_a_reset_if_touched() {
    every_turn_can_be_dropped(Reset::IfTouched).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_can_be_dropped_at_every_poll_without_a_reset() {
    for on_dirty in POLICIES {
        // Without what only a reset takes back.
        for leaves in [LEFT[0], LEFT[1], &["BEGIN"], LEFT[4], LEFT[5]] {
            at_every_poll(&Reset::None, on_dirty, leaves, How::Works).await;
        }
    }
}

/// The one that waits gets what the one before leaves, wherever that one was.
#[tokio::test(start_paused = true)]
async fn whoever_waits_meets_nothing_of_a_caller_that_was_dropped() {
    for reset in CLEAN {
        for on_dirty in POLICIES {
            for leaves in LEFT {
                for polls in 0..8 {
                    let backend = Backend::new();
                    let pool = over(&backend).reset(reset.clone()).on_dirty(on_dirty);
                    let pool = pool.build().unwrap();
                    let what = format!("{reset:?}, {on_dirty:?}, {leaves:?}, {polls} polls");
                    let dropped = drop_after(polls, turn(&pool, leaves));
                    let waits = async {
                        let session = pool.acquire().await.unwrap();
                        session.batch_execute("PROBE").await
                    };
                    let (_, probed) = tokio::join!(dropped, waits);
                    assert!(probed.is_ok(), "{what}: {probed:?}");
                }
            }
        }
    }
}
