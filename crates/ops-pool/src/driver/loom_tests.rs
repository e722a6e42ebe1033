//! The lock, the wakers and the places in the queue under every schedule that there is.
//!
//! A few threads share one or two connections, to a server that is never asked for
//! anything. What the pool would have its tasks do is left undone, or done by the test.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::future::block_on;
use loom::thread;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;

use super::*;
use crate::core::bench::{ACQUIRE, settings};
use crate::core::{Action, Core};
use crate::sync::Checker;
use crate::tap::Tap;
use crate::{AcquireError, Connect, Drain, Reset, Session, SessionPool};

#[derive(Debug)]
struct Nowhere;

#[ops_core::async_trait]
impl Connect for Nowhere {
    async fn connect(&self) -> ops_core::Result<Connected> {
        Err(Error::new(ErrorKind::Unavailable, "nowhere"))
    }

    async fn cancel(&self, _: &tokio_postgres::CancelToken) -> ops_core::Result<()> {
        Ok(())
    }
}

/// Runs a scenario under every schedule.
fn check(scenario: fn()) {
    check_within(None, scenario);
}

/// Runs a scenario under every schedule in which threads are interrupted so many times.
fn check_within(interruptions: Option<usize>, scenario: fn()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let mut model = loom::model::Builder::new();
    model.max_branches = 10_000;
    model.preemption_bound = interruptions;
    let schedules = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&schedules);
    Checker::Loom.rules(|| {
        model.check(move || {
            count.fetch_add(1, Ordering::Relaxed);
            scenario();
        });
    });
    println!("{} schedules", schedules.load(Ordering::Relaxed));
}

/// The ids that every core gives to its first connections.
fn servers(count: usize) -> Vec<ServerId> {
    let mut core = Core::new(settings(count));
    let mut servers = Vec::new();
    let mut events = vec![ACQUIRE; count];
    while !events.is_empty() {
        let mut connected = Vec::new();
        for event in events {
            for action in core.step(event, Now::default()) {
                if let Action::Connect(server) = action {
                    servers.push(server);
                    connected.push(Event::Connected(server));
                }
            }
        }
        events = connected;
    }
    servers
}

/// Both ends of a connection.
struct Wired {
    line: Line,
    inbox: Inbox,
    _far: tokio::io::DuplexStream,
}

/// Has a connection stand, as its task would.
fn connect(shared: &Arc<Shared>, server: ServerId) -> Wired {
    use tokio::io::AsyncWriteExt;

    let (near, mut far) = tokio::io::duplex(1024);
    let welcome = [b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];
    far.write_all(&welcome).now_or_never().unwrap().unwrap();
    let (tap, wire) = Tap::new(near);
    let mut login = tokio_postgres::Config::new();
    login.user("somebody").ssl_mode(SslMode::Disable);
    let connected = login.connect_raw(tap, NoTls).now_or_never();
    let (client, connection) = connected.unwrap().unwrap();
    let Connected {
        client,
        messages,
        wire,
    } = Connected::new(client, connection, wire);
    let token = client.cancel_token();
    let limit = std::time::Duration::from_secs(5);
    let mut line = Line::new(messages, token, Arc::clone(&wire), limit);
    // Its driver has nothing more to do.
    assert!(line.drive().now_or_never().is_none());
    let (orders, inbox) = mpsc::unbounded_channel();
    let conn = Conn {
        server,
        lease: Lease::none(),
        client,
        wire,
        quiet: Arc::clone(line.quiet()),
        owes_reset: false,
        cancels: None,
        outcome: Released::Clean,
    };
    shared.connected(Box::new(conn), orders, Now::default());
    Wired {
        line,
        inbox,
        _far: far,
    }
}

/// A pool of so many connections, which stand and are out.
fn all_out(count: usize, reset: Reset) -> (SessionPool, Vec<Session>, Vec<Wired>) {
    let pool = SessionPool::builder_with(Arc::new(Nowhere))
        .pool_size(count)
        .max_connecting(count)
        .reset(reset)
        .build()
        .unwrap();
    let mut calls: Vec<_> = (0..count).map(|_| queued(&pool)).collect();
    let wired = servers(count).into_iter();
    let wired = wired.map(|server| connect(pool.shared(), server)).collect();
    let sessions = calls.iter_mut().map(|call| call.now_or_never().unwrap());
    (pool, sessions.map(Result::unwrap).collect(), wired)
}

type Call = std::pin::Pin<Box<dyn Future<Output = Result<Session, AcquireError>> + Send>>;

/// A caller that has its place in the queue.
fn queued(pool: &SessionPool) -> Call {
    let pool = pool.clone();
    let mut call: Call = Box::pin(async move { pool.acquire().await });
    assert!((&mut call).now_or_never().is_none());
    call
}

/// Ends a pool whose sessions are back.
fn end(pool: &SessionPool, idle: usize) {
    let state = pool.snapshot();
    assert_eq!((state.active, state.idle, state.waiting), (0, idle, 0));
    let report = pin!(pool.shutdown(Drain::Now)).now_or_never();
    assert!(report.is_some_and(|report| report.complete));
}

#[test]
fn whoever_comes_while_a_session_comes_back_gets_it() {
    check(|| {
        let (pool, sessions, _wired) = all_out(1, Reset::None);
        let comes = pool.clone();
        let comes = thread::spawn(move || drop(block_on(comes.acquire()).unwrap()));
        drop(sessions);
        comes.join().unwrap();
        end(&pool, 1);
    });
}

#[test]
fn two_callers_and_two_sessions_find_each_other() {
    check_within(Some(3), || {
        let (pool, mut sessions, _wired) = all_out(2, Reset::None);
        let comes = pool.clone();
        let comes = thread::spawn(move || drop(block_on(comes.acquire()).unwrap()));
        let other = sessions.pop();
        let gives_back = thread::spawn(move || drop(other));
        drop(sessions);
        drop(block_on(pool.acquire()).unwrap());
        comes.join().unwrap();
        gives_back.join().unwrap();
        end(&pool, 2);
    });
}

#[test]
fn a_session_that_reaches_a_caller_who_leaves_reaches_the_next() {
    check(|| {
        let (pool, sessions, _wired) = all_out(1, Reset::None);
        let (first, second) = (queued(&pool), queued(&pool));
        let leaves = thread::spawn(move || drop(first));
        let stays = thread::spawn(move || drop(block_on(second).unwrap()));
        drop(sessions);
        leaves.join().unwrap();
        stays.join().unwrap();
        end(&pool, 1);
    });
}

#[test]
fn a_session_that_reaches_a_caller_who_looks_once_and_leaves_is_not_lost() {
    check(|| {
        let (pool, sessions, _wired) = all_out(1, Reset::None);
        let (first, second) = (queued(&pool), queued(&pool));
        let leaves = thread::spawn(move || drop(first.now_or_never()));
        let stays = thread::spawn(move || drop(block_on(second).unwrap()));
        drop(sessions);
        leaves.join().unwrap();
        stays.join().unwrap();
        end(&pool, 1);
    });
}

#[test]
fn a_session_that_comes_back_from_its_reset_reaches_who_still_waits() {
    check(|| {
        let (pool, sessions, mut wired) = all_out(1, Reset::DiscardAll);
        let (first, second) = (queued(&pool), queued(&pool));
        drop(sessions);
        let mut wired = wired.pop().unwrap();
        let Ok(Order::Reset(conn)) = wired.inbox.try_recv() else {
            panic!("it is to be reset")
        };
        let leaves = thread::spawn(move || drop(first));
        let stays = thread::spawn(move || block_on(second).unwrap());
        pool.shared().reset_done(conn);
        leaves.join().unwrap();
        let session = stays.join().unwrap();
        drop(session.detach());
        drop(wired.line);
        end(&pool, 0);
    });
}

#[test]
fn a_pool_that_ends_while_a_session_comes_back_tells_whoever_waits() {
    check(|| {
        let (pool, sessions, _wired) = all_out(1, Reset::None);
        let call = queued(&pool);
        let waits = thread::spawn(move || match block_on(call) {
            Ok(session) => drop(session),
            Err(AcquireError::ShuttingDown) => {}
            Err(err) => panic!("{err}"),
        });
        let handle = pool.clone();
        let ends = thread::spawn(move || {
            drop(pin!(handle.shutdown(Drain::Now)).now_or_never());
        });
        drop(sessions);
        waits.join().unwrap();
        ends.join().unwrap();
        end(&pool, 0);
    });
}
