//! A server that cannot be reached, or not yet.

use std::time::Duration;

use futures_util::future::join_all;
use ops_core::{ErrorKind, Report};
use ops_pool::AcquireError;

use crate::server::{Fake, Login};
use crate::{all_of, over, settle};

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_told_at_once_with_its_cause() {
    let fake = Fake::new();
    fake.set_login(Login::Fails(ErrorKind::Unavailable));
    let pool = over(&fake).pool_size(4).build().unwrap();
    let begun = tokio::time::Instant::now();
    let errors = join_all((0..10).map(|_| pool.acquire())).await;
    assert!(begun.elapsed() < Duration::from_millis(50));
    for err in errors {
        let err = err.unwrap_err();
        assert!(matches!(err, AcquireError::ServerDown(_)), "{err:?}");
        let text = Report(&err).to_string();
        assert!(
            text.starts_with("the server is down, next attempt in "),
            "{text}"
        );
        assert!(text.ends_with(": the fake server fails"), "{text}");
    }
    assert_eq!(fake.attempts(), 1);
    let snapshot = pool.snapshot();
    let (cause, _) = snapshot.last_error().unwrap();
    assert_eq!(cause.message(), "the fake server fails");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_is_used_again() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(4).build().unwrap();
    drop(all_of(&pool, 4).await);
    settle().await;
    fake.set_login(Login::Fails(ErrorKind::Unavailable));
    fake.kill();
    settle().await;
    assert_eq!(pool.snapshot().idle, 0);

    let mut refused = 0;
    for _ in 0..200 {
        refused += u32::from(pool.acquire().await.is_err());
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(refused, 200);
    // 20 s of an outage: 50 ms, doubled each time.
    assert!(
        (4 + 6..=4 + 14).contains(&fake.attempts()),
        "{}",
        fake.attempts()
    );

    fake.set_login(Login::Works);
    tokio::time::advance(Duration::from_secs(15)).await;
    all_of(&pool, 4).await;
    assert!(pool.snapshot().last_error().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_starting_is_waited_for() {
    let fake = Fake::new();
    fake.set_login(Login::Starting);
    let pool = over(&fake).pool_size(4).build().unwrap();
    let begun = tokio::time::Instant::now();
    let back = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        fake.set_login(Login::Works);
    };
    let (session, ()) = tokio::join!(pool.acquire(), back);
    session.unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(7_300),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_then_says_nothing_does_not_hold_callers_up() {
    let fake = Fake::new();
    fake.set_login(Login::Hangs);
    let pool = over(&fake)
        .server_connect_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let begun = tokio::time::Instant::now();
    let err = pool.acquire().await.unwrap_err();
    assert!(
        Report(&err)
            .to_string()
            .contains("connecting took too long"),
        "{err:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_millis(2_050),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn fifty_callers_with_a_wrong_password_make_one_login() {
    let fake = Fake::new();
    fake.set_login(Login::Fails(ErrorKind::Unauthenticated));
    let pool = over(&fake).build().unwrap();
    for _ in 0..5 {
        for outcome in join_all((0..10).map(|_| pool.acquire())).await {
            let err = ops_core::Error::from(outcome.unwrap_err());
            assert_eq!(err.kind(), ErrorKind::Unauthenticated);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(fake.attempts(), 1);
}
