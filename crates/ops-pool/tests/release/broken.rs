//! Servers and networks that break while a session is on its way back: whoever comes next
//! gets a session that works, or is told what is wrong.

use std::time::{Duration, Instant};

use ops_pool::{
    AcquireError, CloseReason, OnDirty, Released, Reset, SessionPool, SessionPoolBuilder,
};
use ops_testkit::proxy::{Backend, Close, Cut, Direction, FaultProxy};
use ops_testkit::{Pg, wait_until};

use crate::{CLEAN, one, pid, text};

const PATIENCE: Duration = Duration::from_secs(20);
/// What a server says when it has discarded all, and is ready.
const ANSWER: u64 = 5 + "DISCARD ALL\0".len() as u64 + 6;

/// A server behind a proxy, and a pool of one over that.
fn behind(
    proxy: &FaultProxy,
    pg: &Pg,
    settings: impl FnOnce(SessionPoolBuilder) -> SessionPoolBuilder,
) -> SessionPool {
    let info = proxy.connect_info(&pg.connect_info("postgres"));
    let builder = SessionPool::builder(info).pool_size(1);
    settings(builder.query_wait_timeout(PATIENCE))
        .build()
        .unwrap()
}

fn over_tcp() -> impl Future<Output = Option<Pg>> {
    Pg::builder().tcp(true).start()
}

async fn proxy_of(pg: &Pg) -> FaultProxy {
    FaultProxy::start(Backend::of(&pg.connect_info("postgres")).await).await
}

/// The next session works, as another backend than the one before.
async fn next_works(pool: &SessionPool, before: i32) {
    let mut next = None;
    wait_until("a session", PATIENCE, async || {
        next = pool.acquire().await.ok();
        next.is_some()
    })
    .await;
    let next = next.unwrap();
    assert_ne!(pid(&next).await, before);
    assert_eq!(text(&next, "SELECT 'mine'").await, "mine");
    assert_eq!(next.close_reason(), None);
    assert_eq!(next.release().await, Released::Clean);
    let state = pool.snapshot();
    assert_eq!((state.active, state.idle), (0, 1));
}

#[tokio::test]
async fn an_answer_to_the_reset_that_is_cut_off_anywhere_is_no_answer() {
    let Some(pg) = over_tcp().await else { return };
    for close in [Close::End, Close::Reset] {
        for length in 0..ANSWER {
            let proxy = proxy_of(&pg).await;
            let pool = behind(&proxy, &pg, |builder| builder);
            let session = pool.acquire().await.unwrap();
            let backend = pid(&session).await;
            let after = proxy.stats().bytes_down + length;
            let direction = Direction::Down;
            proxy.set_cut(Some(Cut {
                direction,
                after,
                close,
            }));
            let gone = Released::Closed(CloseReason::ServerGone);
            assert_eq!(session.release().await, gone, "{close:?} after {length}");
            proxy.heal().await;
            next_works(&pool, backend).await;
        }
    }
}

/// There the reset goes in front of what the next caller asks: that caller must not get
/// anything but an error.
#[tokio::test]
async fn a_pipelined_reset_that_is_cut_off_fails_the_query_behind_it() {
    let Some(pg) = over_tcp().await else { return };
    for close in [Close::End, Close::Reset] {
        for length in 0..ANSWER {
            let proxy = proxy_of(&pg).await;
            let pool = behind(&proxy, &pg, |builder| builder.reset(Reset::Pipelined));
            let session = pool.acquire().await.unwrap();
            let backend = pid(&session).await;
            session
                .batch_execute("SET work_mem = '77MB'")
                .await
                .unwrap();
            assert_eq!(session.release().await, Released::Clean);
            let session = pool.acquire().await.unwrap();
            let after = proxy.stats().bytes_down + length;
            let direction = Direction::Down;
            proxy.set_cut(Some(Cut {
                direction,
                after,
                close,
            }));
            let asked = session.simple_query("SHOW work_mem").await;
            assert!(asked.is_err(), "{close:?} after {length}");
            assert_eq!(session.close_reason(), Some(CloseReason::ServerGone));
            let gone = Released::Closed(CloseReason::ServerGone);
            assert_eq!(session.release().await, gone);
            proxy.heal().await;
            next_works(&pool, backend).await;
        }
    }
}

#[tokio::test]
async fn a_reset_whose_answer_does_not_come_closes_the_connection() {
    let Some(pg) = over_tcp().await else { return };
    for on_dirty in [OnDirty::Close, OnDirty::Rollback] {
        let proxy = proxy_of(&pg).await;
        let limit = Duration::from_millis(300);
        let pool = behind(&proxy, &pg, |builder| {
            let builder = builder.reset_timeout(limit).cancel_timeout(limit);
            builder.on_dirty(on_dirty)
        });
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        proxy.set_frozen(true);
        let begun = Instant::now();
        let closed = Released::Closed(CloseReason::ResetTimedOut);
        assert_eq!(session.release().await, closed);
        assert!(begun.elapsed() >= limit);
        proxy.heal().await;
        next_works(&pool, backend).await;
    }
}

#[tokio::test]
async fn a_reset_over_a_slow_network_is_waited_for() {
    let Some(pg) = over_tcp().await else { return };
    for reset in CLEAN {
        let proxy = proxy_of(&pg).await;
        let pool = behind(&proxy, &pg, |builder| builder.reset(reset));
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        session
            .batch_execute("SET work_mem = '77MB'")
            .await
            .unwrap();
        proxy.set_throttle(Some(200));
        proxy.set_latency(Duration::from_millis(20));
        assert_eq!(session.release().await, Released::Clean);
        let next = pool.acquire().await.unwrap();
        assert_ne!(text(&next, "SHOW work_mem").await, "77MB");
        assert_eq!(pid(&next).await, backend);
    }
}

#[tokio::test]
async fn a_reset_that_the_server_refuses_closes_the_connection() {
    let Some(pg) = Pg::start().await else { return };
    let gone = [CloseReason::ResetFailed, CloseReason::ServerGone];
    for (reset, reasons) in [
        ("SELECT 1 / 0", &gone[..1]),
        ("NONSENSE", &gone[..1]),
        ("BEGIN", &[CloseReason::ResetLeftTransaction]),
        // By the server's last words, or without any.
        ("SELECT pg_terminate_backend(pg_backend_pid())", &gone[..]),
    ] {
        let pool = one(&pg).server_reset_query(reset).build().unwrap();
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let closed = match session.release().await {
            Released::Closed(reason) => reason,
            other => panic!("{reset}: {other:?}"),
        };
        assert!(reasons.contains(&closed), "{reset}: {closed:?}");
        let next = pool.acquire().await.unwrap();
        assert_ne!(pid(&next).await, backend);
    }
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    for reset in CLEAN.into_iter().chain([Reset::None]) {
        let builder = one(&pg).reset(reset.clone());
        let limit = Duration::from_secs(1);
        let pool = builder.query_wait_timeout(limit).build().unwrap();
        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        pg.kill9().await;
        let released = session.release().await;
        let gone = Released::Closed(CloseReason::ServerGone);
        // Where nothing is asked of the server at release, it may look alive.
        let unasked = released == Released::Clean && !matches!(reset, Reset::DiscardAll);
        assert!(released == gone || unasked, "{reset:?}: {released:?}");
        wait_until("the pool to notice", PATIENCE, async || {
            pool.snapshot().idle == 0
        })
        .await;
        let refused = pool.acquire().await.unwrap_err();
        assert!(matches!(refused, AcquireError::ServerDown(_)), "{refused}");
        pg.start_again().await;
        next_works(&pool, backend).await;
    }
}

/// The server is another one when the reset gets there.
#[tokio::test]
async fn a_server_that_restarts_between_the_release_and_the_reset() {
    let Some(mut pg) = over_tcp().await else {
        return;
    };
    for reset in [Reset::DiscardAll, Reset::KeepPlans] {
        for on_dirty in [OnDirty::Close, OnDirty::Rollback] {
            let proxy = proxy_of(&pg).await;
            let pool = behind(&proxy, &pg, |builder| {
                builder
                    .reset(reset.clone())
                    .on_dirty(on_dirty)
                    .reset_timeout(PATIENCE)
            });
            let session = pool.acquire().await.unwrap();
            let backend = pid(&session).await;
            proxy.set_frozen(true);
            let release = session.release();
            pg.kill9().await;
            pg.start_again().await;
            proxy.heal().await;
            let gone = Released::Closed(CloseReason::ServerGone);
            assert_eq!(release.await, gone, "{reset:?}, {on_dirty:?}");
            next_works(&pool, backend).await;
        }
    }
}
