//! A backend that is killed, in order or by SIGKILL, in every state that it can be in.

use std::path::Path;
use std::time::Duration;

use ops_pool::{CloseReason, Drain, OnDirty, Released, Reset, Session, SessionPool};
use ops_testkit::{Pg, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::Client;

use crate::{POLICIES, one, pid, text};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kill {
    /// As `pg_terminate_backend`.
    Terminate,
    /// As a crash: the server ends all its backends and recovers.
    Nine,
}

impl Kill {
    fn send(self, pid: i32) {
        let signal = if self == Self::Nine {
            Signal::KILL
        } else {
            Signal::TERM
        };
        let sent = kill_process(Pid::from_raw(pid).unwrap(), signal);
        sent.unwrap();
    }

    /// Waits for what a crash does to others, which may take a while to begin.
    async fn is_over(self, witness: &Client) {
        if self == Self::Nine {
            wait_until("the server to notice", PATIENCE, async || {
                witness.is_closed()
            })
            .await;
        }
    }
}

/// Runs a test for each way to kill, each policy, and the ways to reset that differ in what
/// they do at release.
async fn each(test: impl AsyncFn(&Pg, &SessionPool, Kill)) {
    let Some(pg) = Pg::start().await else { return };
    for kill in [Kill::Terminate, Kill::Nine] {
        for on_dirty in POLICIES {
            for reset in [Reset::DiscardAll, Reset::Pipelined, Reset::None] {
                let pool = one(&pg).reset(reset).on_dirty(on_dirty).build().unwrap();
                let witness = pg.client("postgres").await;
                test(&pg, &pool, kill).await;
                kill.is_over(&witness).await;
                works_again(&pool).await;
            }
        }
    }
}

/// Whoever comes later gets a session that works, once the server is back, and the pool
/// knows of no other.
async fn works_again(pool: &SessionPool) {
    wait_until("a session", PATIENCE, async || match pool.acquire().await {
        Ok(session) => session.batch_execute("VACUUM pg_namespace").await.is_ok(),
        Err(_) => false,
    })
    .await;
    let session = pool.acquire().await.unwrap();
    assert_eq!(text(&session, "SELECT 'mine'").await, "mine");
    let state = pool.snapshot();
    assert_eq!((state.active, state.idle, state.connecting), (1, 0, 0));
    drop(session);
    let limit = Drain::Sessions(Duration::from_secs(5));
    assert!(pool.shutdown(limit).await.complete);
}

async fn is_gone(session: Session) {
    session.batch_execute("SELECT 1").await.unwrap_err();
    assert_eq!(session.close_reason(), Some(CloseReason::ServerGone));
    let gone = Released::Closed(CloseReason::ServerGone);
    assert_eq!(session.release().await, gone);
}

#[tokio::test]
async fn while_idle() {
    each(async |_, pool, kill| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        assert_eq!(session.release().await, Released::Clean);
        kill.send(backend);
        wait_until("the pool to notice", PATIENCE, async || {
            pool.snapshot().idle == 0
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn while_lent_and_idle() {
    each(async |_, pool, kill| {
        let session = pool.acquire().await.unwrap();
        kill.send(pid(&session).await);
        wait_until("the session to notice", PATIENCE, async || {
            session.close_reason().is_some()
        })
        .await;
        is_gone(session).await;
    })
    .await;
}

#[tokio::test]
async fn while_lent_and_given_back_before_anybody_noticed() {
    each(async |_, pool, kill| {
        let session = pool.acquire().await.unwrap();
        kill.send(pid(&session).await);
        // Whatever it is told, the next caller does not get it.
        let _ = session.release().await;
    })
    .await;
}

#[tokio::test]
async fn while_in_a_query() {
    each(async |_, pool, kill| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let mut query = Box::pin(session.batch_execute("SELECT pg_sleep(60)"));
        let begun = tokio::time::timeout(Duration::from_millis(20), &mut query);
        assert!(begun.await.is_err());
        kill.send(backend);
        query.await.unwrap_err();
        is_gone(session).await;
    })
    .await;
}

#[tokio::test]
async fn while_in_a_query_that_was_dropped() {
    each(async |_, pool, kill| {
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let query = session.batch_execute("SELECT pg_sleep(60)");
        let begun = tokio::time::timeout(Duration::from_millis(20), query);
        assert!(begun.await.is_err());
        kill.send(backend);
        let released = session.release().await;
        assert!(matches!(released, Released::Closed(_)), "{released:?}");
    })
    .await;
}

#[tokio::test]
async fn while_in_a_transaction() {
    each(async |_, pool, kill| {
        let session = pool.acquire().await.unwrap();
        session.batch_execute("BEGIN").await.unwrap();
        kill.send(pid(&session).await);
        is_gone(session).await;
    })
    .await;
}

/// A query by which the session of another backend can be told.
async fn runs(observer: &Client, query: &str) -> Option<i32> {
    let found = "SELECT pid FROM pg_stat_activity WHERE query = $1 AND state = 'active'";
    let row = observer.query_opt(found, &[&query]).await.unwrap()?;
    Some(row.get(0))
}

#[tokio::test]
async fn while_it_is_reset() {
    let Some(pg) = Pg::start().await else { return };
    for kill in [Kill::Terminate, Kill::Nine] {
        let observer = pg.client("postgres").await;
        // Hangs, for as long as somebody has the lock.
        let reset = "SELECT pg_advisory_lock(42); SELECT pg_advisory_unlock(42)";
        let lock = "SELECT pg_advisory_lock(42)";
        observer.query(lock, &[]).await.unwrap();
        let pool = one(&pg).server_reset_query(reset).build().unwrap();
        let session = pool.acquire().await.unwrap();
        let release = session.release();
        wait_until("the reset to run", PATIENCE, async || {
            runs(&observer, reset).await.is_some()
        })
        .await;
        kill.send(runs(&observer, reset).await.unwrap());
        let gone = match release.await {
            Released::Closed(reason) => reason,
            other => panic!("{other:?}"),
        };
        // By the server's last words, or without any.
        let reasons = [CloseReason::ServerGone, CloseReason::ResetFailed];
        assert!(reasons.contains(&gone), "{gone:?}");
        kill.is_over(&observer).await;
        drop(observer);
        works_again(&pool).await;
    }
}

#[tokio::test]
async fn while_a_transaction_is_rolled_back() {
    let Some(pg) = Pg::start().await else { return };
    for kill in [Kill::Terminate, Kill::Nine] {
        let builder = one(&pg).on_dirty(OnDirty::Rollback);
        let pool = builder.cancel_timeout(PATIENCE / 10).build().unwrap();
        let witness = pg.client("postgres").await;
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        session.batch_execute("BEGIN").await.unwrap();
        let release = session.release();
        kill.send(backend);
        // Either was first.
        let _ = release.await;
        kill.is_over(&witness).await;
        works_again(&pool).await;
    }
}

/// The processes that a server has forked and that have not said who they are yet.
fn starting(postmaster: u32) -> Vec<i32> {
    let stat = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let title = |pid: i32| std::fs::read(format!("/proc/{pid}/cmdline")).ok();
    let own = title(i32::try_from(postmaster).unwrap());
    let is_child = |pid: i32| {
        let fields = stat(pid).unwrap_or_default();
        let after_name = fields.rsplit(") ").next().unwrap_or_default().to_owned();
        after_name.split(' ').nth(1) == Some(&postmaster.to_string())
    };
    let all = Path::new("/proc").read_dir().unwrap();
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_child(*pid) && title(*pid) == own)
        .collect()
}

#[tokio::test]
async fn while_it_connects() {
    let delayed = Pg::builder().setting("pre_auth_delay", "1").start().await;
    let Some(pg) = delayed else { return };
    for kill in [Kill::Terminate, Kill::Nine] {
        let witness = pg.client("postgres").await;
        let pool = one(&pg).build().unwrap();
        let connecting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        let postmaster = pg.pid().unwrap();
        wait_until("a backend", PATIENCE, async || {
            !starting(postmaster).is_empty()
        })
        .await;
        for backend in starting(postmaster) {
            kill.send(backend);
        }
        // Served by another connection, or told that the server is down.
        let _ = connecting.await.unwrap();
        kill.is_over(&witness).await;
        works_again(&pool).await;
    }
}
