//! Canceling what a session runs, from another task.

use std::sync::Arc;
use std::time::Duration;

use ops_pool::{CloseReason, Released, Reset, SessionPool};
use ops_testkit::Pg;
use tokio::time::{Instant, sleep};

use crate::backend::Backend;
use crate::{CLEAN, next_after, one, over};

fn pool(backend: &Arc<Backend>) -> SessionPool {
    over(backend).build().unwrap()
}

#[tokio::test]
async fn a_query_is_canceled_and_the_session_goes_on() {
    let Some(pg) = Pg::start().await else { return };
    let pool = one(&pg).build().unwrap();
    let session = pool.acquire().await.unwrap();
    let cancel = session.cancel_token();
    let query = session.batch_execute("SELECT pg_sleep(60)");
    let canceled = async {
        sleep(Duration::from_millis(50)).await;
        cancel.cancel().await.unwrap()
    };
    let (ended, sent) = tokio::join!(query, canceled);
    let code = ended.unwrap_err().code().map(|code| code.code().to_owned());
    assert_eq!((code.as_deref(), sent), (Some("57014"), true));
    assert_eq!(session.release().await, Released::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_session_that_was_given_back_hits_nobody() {
    let backend = Backend::new();
    let pool = pool(&backend);
    let session = pool.acquire().await.unwrap();
    let cancel = session.cancel_token();
    let next = next_after(&pool, session).await;
    let query = next.batch_execute("SLEEP 100");
    let (ended, sent) = tokio::join!(query, cancel.cancel());
    assert!(ended.is_ok());
    assert!(!sent.unwrap());
    assert!(!backend.log().contains(&"canceled".to_owned()));
}

/// In every mode, also those that have nothing to wait for at release.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_under_way_is_waited_for_before_anybody_gets_the_session() {
    for reset in CLEAN.into_iter().chain([Reset::None]) {
        let backend = Backend::new();
        let pool = over(&backend).reset(reset.clone()).build().unwrap();
        backend.set_cancel_takes(Duration::from_millis(50));
        let session = pool.acquire().await.unwrap();
        session.batch_execute("SELECT 1").await.unwrap();
        let cancel = session.cancel_token();
        let request = tokio::time::timeout(Duration::from_millis(1), cancel.cancel());
        assert!(request.await.is_err(), "it takes longer");
        let next = next_after(&pool, session).await;
        let ended = next.batch_execute("SLEEP 100").await;
        assert!(ended.is_ok(), "{reset:?}: {ended:?}");
        assert_eq!(backend.connects(), 1);
        assert!(backend.log().contains(&"canceled".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_stays_under_way_closes_the_connection() {
    let backend = Backend::new();
    let pool = pool(&backend);
    backend.set_cancel_takes(Duration::from_secs(60));
    let session = pool.acquire().await.unwrap();
    let cancel = session.cancel_token();
    let request = tokio::time::timeout(Duration::from_millis(1), cancel.cancel());
    assert!(request.await.is_err(), "it takes longer");
    let begun = Instant::now();
    let closed = Released::Closed(CloseReason::ResetTimedOut);
    assert_eq!(session.release().await, closed);
    assert!(begun.elapsed() < Duration::from_secs(6));
}
