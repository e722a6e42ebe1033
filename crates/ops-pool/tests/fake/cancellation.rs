//! A caller that goes away, at every await point, in every state of the server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ops_core::ErrorKind;
use ops_pool::{Drain, Released, SessionPool};

use crate::over;
use crate::server::{Fake, Login, Reset};

const LOGINS: [Login; 5] = [
    Login::Works,
    Login::Takes(Duration::from_millis(30)),
    Login::Fails(ErrorKind::Unavailable),
    Login::Starting,
    Login::Hangs,
];
const RESETS: [Reset; 4] = [
    Reset::Works,
    Reset::Takes(Duration::from_millis(30)),
    Reset::Fails,
    Reset::Hangs,
];
const POOL_SIZE: usize = 2;

fn pool(fake: &Arc<Fake>) -> SessionPool {
    over(fake)
        .pool_size(POOL_SIZE)
        .server_connect_timeout(Duration::from_millis(100))
        .server_login_retry(Duration::from_millis(100))
        .reset_timeout(Duration::from_millis(100))
        .query_wait_timeout(Duration::from_millis(500))
        .build()
        .unwrap()
}

/// Polls a future up to `polls` times, with `pause` in between, and drops it.
async fn poll_and_drop<F: Future>(future: F, polls: usize, pause: Duration) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Some(outcome) = (&mut future).now_or_never() {
            return Some(outcome);
        }
        tokio::time::sleep(pause).await;
    }
    None
}

/// Whatever has happened, a healthy server serves the whole pool again, and no more.
async fn is_whole(fake: &Fake, pool: &SessionPool, what: &str) {
    fake.set_login(Login::Works);
    fake.set_reset(Reset::Works);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut sessions = Vec::new();
    for _ in 0..POOL_SIZE {
        let session = pool
            .acquire()
            .await
            .unwrap_or_else(|err| panic!("{what}: {err}"));
        session.batch_execute("SELECT 1").await.unwrap();
        sessions.push(session);
    }
    let state = pool.snapshot();
    assert_eq!(
        (state.active, state.waiting, state.connecting),
        (POOL_SIZE, 0, 0),
        "{what}"
    );
    assert_eq!(fake.standing(), POOL_SIZE, "{what}");
    assert!(
        pool.acquire().await.is_err(),
        "{what}: more sessions than pool_size"
    );
    drop(sessions);
    assert!(
        pool.shutdown(Drain::Sessions(Duration::from_secs(1)))
            .await
            .complete,
        "{what}"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fake.standing(), 0, "{what}");
}

#[tokio::test(start_paused = true)]
async fn acquiring_can_be_dropped_at_every_point() {
    for login in LOGINS {
        for reset in RESETS {
            for polls in 0..6 {
                let what = format!("{login:?}, {reset:?}, {polls} polls");
                let fake = Fake::new();
                let pool = pool(&fake);
                // One session is out and one comes back, while two callers come and go.
                let held = pool.acquire().await.unwrap();
                fake.set_login(login);
                fake.set_reset(reset);
                let pause = Duration::from_millis(20);
                let first = poll_and_drop(pool.acquire(), polls, pause);
                let second = poll_and_drop(pool.acquire(), 6 - polls, pause);
                let returns = async {
                    tokio::time::sleep(pause * 2).await;
                    drop(held);
                };
                let (first, second, ()) = tokio::join!(first, second, returns);
                drop((first, second));
                is_whole(&fake, &pool, &what).await;
            }
        }
    }
}

/// One who waits is dropped after each number of polls, in each state of the server; those
/// behind it do not notice.
#[tokio::test(start_paused = true)]
async fn acquiring_can_be_dropped_at_every_point_with_others_behind() {
    for login in [Login::Works, Login::Takes(Duration::from_millis(30))] {
        for reset in RESETS {
            for polls in 0..10 {
                let what = format!("{login:?}, {reset:?}, {polls} polls");
                let fake = Fake::new();
                let pool = pool(&fake);
                let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
                fake.set_login(login);
                fake.set_reset(reset);
                let mut leaves = Box::pin(pool.acquire());
                assert!((&mut leaves).now_or_never().is_none(), "{what}");
                let mut behind = Vec::new();
                for _ in 0..4 {
                    let pool = pool.clone();
                    let mut call = Box::pin(async move { pool.acquire().await.map(drop) });
                    assert!((&mut call).now_or_never().is_none(), "{what}");
                    behind.push(tokio::spawn(call));
                }
                let gives_back = async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    drop(held.0);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    drop(held.1);
                };
                let pause = Duration::from_millis(10);
                let (left, ()) = tokio::join!(poll_and_drop(leaves, polls, pause), gives_back);
                drop(left);
                for call in behind {
                    let outcome = call.await.unwrap();
                    assert!(outcome.is_ok(), "{what}: {outcome:?}");
                }
                is_whole(&fake, &pool, &what).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_had_arrived_at_a_dropped_caller_goes_to_the_next() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let held = pool.acquire().await.unwrap();
    let mut first = Box::pin(pool.acquire());
    let mut second = Box::pin(pool.acquire());
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(held.release().await, Released::Clean);
    // The session is the first one's, who has not looked.
    assert_eq!((pool.snapshot().active, pool.snapshot().waiting), (1, 1));
    drop(first);
    assert!(
        second
            .now_or_never()
            .expect("the second has it now")
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn releasing_can_be_dropped_at_every_point() {
    for reset in RESETS {
        for polls in 0..6 {
            let fake = Fake::new();
            let pool = pool(&fake);
            let session = pool.acquire().await.unwrap();
            fake.set_reset(reset);
            poll_and_drop(session.release(), polls, Duration::from_millis(20)).await;
            is_whole(&fake, &pool, &format!("{reset:?}, {polls} polls")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_can_be_dropped_at_every_point() {
    for query in ["SELECT 1", "BEGIN", "FAIL", "HANG"] {
        for polls in 0..5 {
            let fake = Fake::new();
            let pool = pool(&fake);
            let session = pool.acquire().await.unwrap();
            let pause = Duration::from_millis(1);
            drop(poll_and_drop(session.batch_execute(query), polls, pause).await);
            drop(session);
            is_whole(&fake, &pool, &format!("{query}, {polls} polls")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn shutting_down_can_be_dropped_at_every_point() {
    for polls in 1..4 {
        let fake = Fake::new();
        let pool = pool(&fake);
        let session = pool.acquire().await.unwrap();
        let shutdown = pool.shutdown(Drain::Sessions(Duration::from_secs(60)));
        poll_and_drop(shutdown, polls, Duration::from_millis(1)).await;
        drop(session);
        assert!(
            pool.shutdown(Drain::Sessions(Duration::from_secs(1)))
                .await
                .complete
        );
    }
}
