//! The pool under schedules that a checker draws: real handles, sessions, tasks and driver,
//! over a server in memory. A schedule in which somebody waits for ever is a deadlock, which
//! the checker tells.

mod server;

use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::FutureExt;
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, future, rand, thread};

use super::*;
use crate::sync::Checker;
use crate::{Drain, PoolGroup, Reset, Session, SessionPool};
use server::{Server, To};

/// How many schedules of each kind a test tries.
const SCHEDULES: usize = 400;
/// How often a schedule is disturbed at most, where it is by priorities.
const DEPTH: usize = 4;

/// Tries a scenario under schedules at random, and under such that let one task run for as
/// long as it can but for a few changes.
fn check(scenario: fn()) {
    check_for(SCHEDULES, scenario);
}

fn check_for(schedules: usize, scenario: fn()) {
    // Its clock stands still, so that nothing but the hand-off can end a wait.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    run(RandomScheduler::new(schedules), scenario);
    run(PctScheduler::new(DEPTH, schedules), scenario);
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.silence_warnings = true;
    Checker::Shuttle.rules(|| {
        Runner::new(scheduler, config).run(scenario);
    });
}

fn pool(server: &Arc<Server>, size: usize, reset: Reset) -> SessionPool {
    SessionPool::builder_with(Arc::new(To(Arc::clone(server))))
        .pool_size(size)
        .reset(reset)
        .build()
        .unwrap()
}

fn any(below: usize) -> usize {
    rand::thread_rng().gen_range(0..below)
}

fn any_reset() -> Reset {
    match any(3) {
        0 => Reset::None,
        1 => Reset::DiscardAll,
        _ => Reset::Pipelined,
    }
}

/// Polls a future up to `polls` times and drops it.
async fn poll_and_drop<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Some(outcome) = future.as_mut().now_or_never() {
            return Some(outcome);
        }
        future::yield_now().await;
    }
    None
}

/// Sessions that are out, and how many there may be.
#[derive(Debug, Default)]
struct Out {
    now: AtomicUsize,
    most: AtomicUsize,
    served: AtomicU64,
}

impl Out {
    /// Uses a session and gives it back in any way.
    async fn hold(&self, session: Session) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.served.fetch_add(1, Ordering::SeqCst);
        match any(4) {
            0 => drop(session.batch_execute("SELECT 1").await),
            1 => drop(poll_and_drop(session.batch_execute("SELECT 1"), any(3)).await),
            2 => future::yield_now().await,
            _ => {}
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
        match any(5) {
            0 => drop(session.release().await),
            1 => drop(poll_and_drop(session.release(), any(3)).await),
            2 => drop(session.detach()),
            _ => drop(session),
        }
    }

    /// Acquires, or begins to and goes away.
    async fn call(&self, pool: &SessionPool) -> Result<(), AcquireError> {
        let outcome = match any(3) {
            0 => poll_and_drop(pool.acquire(), 1 + any(4)).await,
            _ => Some(pool.acquire().await),
        };
        if let Some(session) = outcome.transpose()? {
            self.hold(session).await;
        }
        Ok(())
    }
}

/// Whatever has happened, the whole pool can be had, and no more of it; and then it ends.
async fn is_whole(server: &Server, pool: SessionPool) {
    let size = pool.size().pool_size;
    let mut sessions = Vec::new();
    for _ in 0..size {
        sessions.push(pool.acquire().await.unwrap());
    }
    let state = pool.snapshot();
    assert_eq!((state.active, state.idle, state.waiting), (size, 0, 0));
    assert!(pool.acquire().now_or_never().is_none());
    drop(sessions);
    assert!(
        pool.shutdown(Drain::Sessions(Duration::from_secs(1)))
            .await
            .complete
    );
    ends(server).await;
}

/// Every connection is closed, on both sides, and every task of the pool ends.
async fn ends(server: &Server) {
    while server.standing() > 0 || sync::tasks() > 0 {
        future::yield_now().await;
    }
}

fn callers(count: usize, what: impl Fn() -> future::JoinHandle<()>) -> Vec<future::JoinHandle<()>> {
    (0..count).map(|_| what()).collect()
}

async fn joined(handles: Vec<future::JoinHandle<()>>) {
    for handle in handles {
        handle.await.unwrap();
    }
}

/// Callers that come, wait, go away and give back, each as a thread of its own.
fn come_and_go() {
    let (server, size) = (Server::new(), 1 + any(2));
    let pool = pool(&server, size, any_reset());
    let out = Arc::new(Out::default());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (pool, out) = (pool.clone(), Arc::clone(&out));
            thread::spawn(move || {
                future::block_on(async {
                    for _ in 0..2 {
                        out.call(&pool).await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(out.most.load(Ordering::SeqCst) <= size);
    future::block_on(is_whole(&server, pool));
}

#[test]
fn nobody_waits_for_ever_and_nothing_is_lost() {
    check(come_and_go);
}

#[test]
#[ignore = "a million schedules, for when the hand-off has changed: takes minutes"]
fn nobody_waits_for_ever_and_nothing_is_lost_in_a_million_schedules() {
    check_for(500_000, come_and_go);
}

#[test]
fn a_caller_that_leaves_while_it_is_served_costs_nobody_anything() {
    check(|| {
        let server = Server::new();
        let pool = pool(&server, 1, Reset::None);
        future::block_on(async {
            let held = pool.acquire().await.unwrap();
            let mut first = Box::pin({
                let pool = pool.clone();
                async move { pool.acquire().await }
            });
            assert!((&mut first).now_or_never().is_none());
            let stays = future::spawn({
                let pool = pool.clone();
                async move { drop(pool.acquire().await.unwrap()) }
            });
            let leaves = thread::spawn(move || drop(first));
            let gives_back = thread::spawn(move || drop(held));
            stays.await.unwrap();
            leaves.join().unwrap();
            gives_back.join().unwrap();
            is_whole(&server, pool).await;
        });
    });
}

#[test]
fn callers_are_served_in_the_order_in_which_they_came() {
    check(|| {
        let server = Server::new();
        let pool = pool(&server, 1, any_reset());
        future::block_on(async {
            let out = pool.acquire().await.unwrap();
            let turns = Arc::new(AtomicUsize::new(0));
            let mut waiting = Vec::new();
            for turn in 0..4 {
                let (pool, turns) = (pool.clone(), Arc::clone(&turns));
                let mut call = Box::pin(async move {
                    let session = pool.acquire().await.unwrap();
                    assert_eq!(turns.fetch_add(1, Ordering::SeqCst), turn);
                    drop(session);
                });
                // Each has its place before the next one comes.
                assert!((&mut call).now_or_never().is_none());
                waiting.push(future::spawn(call));
            }
            drop(out);
            joined(waiting).await;
            is_whole(&server, pool).await;
        });
    });
}

#[test]
fn an_operator_that_interferes_costs_nobody_anything() {
    check(|| {
        let server = Server::new();
        let pool = pool(&server, 2, any_reset());
        let out = Arc::new(Out::default());
        future::block_on(async {
            let callers = callers(3, || {
                let (pool, out) = (pool.clone(), Arc::clone(&out));
                future::spawn(async move {
                    for _ in 0..2 {
                        out.call(&pool).await.unwrap();
                    }
                })
            });
            let operator = thread::spawn({
                let pool = pool.clone();
                move || future::block_on(interfere(&pool))
            });
            joined(callers).await;
            operator.join().unwrap();
            let size = pool.size();
            pool.resize(size.with_pool_size(2)).unwrap();
            pool.wait_close().await;
            assert!(server.most() <= 3 + 2, "{}", server.most());
            is_whole(&server, pool).await;
        });
    });
}

async fn interfere(pool: &SessionPool) {
    for _ in 0..2 {
        match any(4) {
            0 => pool.resize(pool.size().with_pool_size(1 + any(3))).unwrap(),
            1 => pool.reconnect(),
            2 => {
                poll_and_drop(pool.pause(), 1 + any(4)).await;
                pool.resume();
            }
            _ => {
                pool.reconnect();
                pool.wait_close().await;
            }
        }
        future::yield_now().await;
    }
}

#[test]
fn a_server_that_breaks_connections_at_any_time_costs_no_place() {
    check(|| {
        let server = Server::new();
        let pool = pool(&server, 2, any_reset());
        let out = Arc::new(Out::default());
        future::block_on(async {
            let callers = callers(3, || {
                let (pool, out) = (pool.clone(), Arc::clone(&out));
                future::spawn(async move {
                    for _ in 0..2 {
                        // It may break while it is being opened, too.
                        let _ = out.call(&pool).await;
                    }
                })
            });
            let breaks = thread::spawn({
                let server = Arc::clone(&server);
                move || {
                    for _ in 0..2 {
                        server.kill();
                        thread::yield_now();
                    }
                }
            });
            joined(callers).await;
            breaks.join().unwrap();
            assert!(
                pool.shutdown(Drain::Sessions(Duration::from_secs(1)))
                    .await
                    .complete
            );
            ends(&server).await;
        });
    });
}

#[test]
fn a_pool_that_ends_refuses_whoever_waits_and_closes_everything() {
    check(|| {
        let server = Server::new();
        let pool = pool(&server, 1 + any(2), any_reset());
        let out = Arc::new(Out::default());
        future::block_on(async {
            let callers = callers(3, || {
                let (pool, out) = (pool.clone(), Arc::clone(&out));
                future::spawn(async move {
                    for _ in 0..2 {
                        match out.call(&pool).await {
                            Ok(()) | Err(AcquireError::ShuttingDown) => {}
                            Err(err) => panic!("{err}"),
                        }
                    }
                })
            });
            let ends_it = thread::spawn(move || match any(3) {
                // The callers' handles go first then.
                0 => drop(pool),
                1 => drop(future::block_on(pool.shutdown(Drain::Now))),
                _ => {
                    let patience = Drain::Sessions(Duration::from_secs(1));
                    assert!(future::block_on(pool.shutdown(patience)).complete);
                }
            });
            joined(callers).await;
            ends_it.join().unwrap();
            ends(&server).await;
        });
    });
}

#[test]
fn pools_of_a_group_do_not_wait_for_each_other_for_ever() {
    check(|| {
        let server = Server::new();
        let group = PoolGroup::new(1 + any(2));
        let pools: Vec<_> = (0..2)
            .map(|_| {
                SessionPool::builder_with(Arc::new(To(Arc::clone(&server))))
                    .pool_size(2)
                    .reset(any_reset())
                    .group(&group)
                    .build()
                    .unwrap()
            })
            .collect();
        let out = Arc::new(Out::default());
        future::block_on(async {
            let mut handles = Vec::new();
            for pool in &pools {
                handles.extend(callers(2, || {
                    let (pool, out) = (pool.clone(), Arc::clone(&out));
                    future::spawn(async move {
                        for _ in 0..2 {
                            out.call(&pool).await.unwrap();
                        }
                    })
                }));
            }
            joined(handles).await;
            for pool in pools {
                assert!(
                    pool.shutdown(Drain::Sessions(Duration::from_secs(1)))
                        .await
                        .complete
                );
            }
            ends(&server).await;
            // Places are given back after the last connection was seen to be closed.
            assert_eq!(group.in_use(), 0);
        });
    });
}
