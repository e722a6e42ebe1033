//! A database that is down, in each of the ways in which that looks different, and one that
//! is restarted under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ops_core::Secret;
use ops_core::database::{ConnectInfo, Engine, Host};
use ops_pg::server::Shutdown;
use ops_pool::{Acquire, AcquireError, SessionPool, SessionPoolBuilder};
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::PATIENCE;

const CALLERS: usize = 8;
/// How long a caller is ready to wait.
const DEADLINE: Duration = Duration::from_millis(300);
/// How much later it may hear, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(5);

fn pool(info: ConnectInfo) -> SessionPoolBuilder {
    SessionPool::builder(info)
        .pool_size(4)
        .server_connect_timeout(Duration::from_secs(1))
        .server_login_retry(Duration::from_millis(200))
}

/// Has callers ask for sessions that there are none of, again and again, and tells what
/// they heard.
async fn all_hear(what: &str, pool: &SessionPool) -> Vec<AcquireError> {
    let mut heard = Vec::new();
    let mut latest = Duration::ZERO;
    for _ in 0..4 {
        let calls = (0..CALLERS).map(|_| async {
            let begun = Instant::now();
            let outcome = pool.acquire_with(Acquire::new().timeout(DEADLINE)).await;
            (outcome.unwrap_err(), begun.elapsed())
        });
        for (err, after) in join_all(calls).await {
            assert!(after < DEADLINE + SLACK, "{what}: {err} after {after:?}");
            latest = latest.max(after);
            heard.push(err);
        }
    }
    println!(
        "{what}: {} errors, the latest after {latest:.1?}",
        heard.len()
    );
    let state = pool.snapshot();
    assert_eq!((state.active, state.waiting), (0, 0), "{what}");
    heard
}

/// Waits until the whole pool can be had again.
async fn comes_back(pool: &SessionPool) {
    wait_until("a session", PATIENCE, async || match pool.acquire().await {
        Ok(session) => session.batch_execute("SELECT 1").await.is_ok(),
        Err(_) => false,
    })
    .await;
    let sessions = join_all((0..4).map(|_| pool.acquire())).await;
    for session in &sessions {
        session
            .as_ref()
            .unwrap()
            .batch_execute("SELECT 1")
            .await
            .unwrap();
    }
}

async fn proxied() -> Option<(Pg, FaultProxy, SessionPool)> {
    let pg = Pg::start().await?;
    let direct = pg.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&direct).await).await;
    let pool = pool(proxy.connect_info(&direct)).build().unwrap();
    Some((pg, proxy, pool))
}

fn is_down(err: &AcquireError) -> bool {
    matches!(err, AcquireError::ServerDown(_))
}

#[tokio::test]
async fn a_server_that_refuses_connections() {
    let Some((_pg, proxy, pool)) = proxied().await else {
        return;
    };
    drop(pool.acquire().await.unwrap());
    proxy.set_refuse(true).await;
    proxy.reset_connections().await;
    wait_until("the pool to notice", PATIENCE, async || {
        pool.snapshot().idle == 0
    })
    .await;
    let heard = all_hear("refused", &pool).await;
    assert!(heard.iter().all(is_down), "{heard:?}");
    proxy.heal().await;
    comes_back(&pool).await;
}

#[tokio::test]
async fn a_server_that_accepts_connections_and_says_nothing() {
    let Some((_pg, proxy, pool)) = proxied().await else {
        return;
    };
    proxy.set_hold_new(true);
    let heard = all_hear("silent", &pool).await;
    let told = |err: &AcquireError| is_down(err) || matches!(err, AcquireError::Timeout(_));
    assert!(heard.iter().all(told), "{heard:?}");
    proxy.heal().await;
    proxy.reset_connections().await;
    comes_back(&pool).await;
}

#[tokio::test]
async fn a_server_that_stops_answering_while_sessions_are_out() {
    let Some((_pg, proxy, pool)) = proxied().await else {
        return;
    };
    let held = join_all((0..4).map(|_| pool.acquire())).await;
    proxy.set_frozen(true);
    all_hear_while_held("frozen", &pool).await;
    // What is given back cannot be reset, and is closed for it.
    drop(held);
    wait_until("the resets to be given up", PATIENCE, async || {
        pool.snapshot().resetting == 0
    })
    .await;
    assert_eq!(pool.snapshot().idle, 0);
    proxy.heal().await;
    proxy.reset_connections().await;
    comes_back(&pool).await;
}

async fn all_hear_while_held(what: &str, pool: &SessionPool) {
    let begun = Instant::now();
    let calls = (0..CALLERS).map(|_| pool.acquire_with(Acquire::new().timeout(DEADLINE)));
    for outcome in join_all(calls).await {
        let err = outcome.unwrap_err();
        let told = |err| {
            matches!(
                err,
                AcquireError::Timeout(_) | AcquireError::NestedAcquire(_)
            )
        };
        assert!(told(err), "{what}");
    }
    let after = begun.elapsed();
    assert!(after < DEADLINE + SLACK, "{what}: {after:?}");
}

#[tokio::test]
async fn a_host_that_drops_packets() {
    // Its queue of connections is full, and stays so.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let try_for = Duration::from_millis(200);
    while let Ok(connected) = timeout(try_for, TcpStream::connect(addr)).await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 16, "the queue is not full yet");
    }
    let host = Host::Tcp(addr.ip().to_string());
    let info = ConnectInfo::new(Engine::Postgres, host, addr.port()).with_user("nobody");
    let heard = all_hear("black hole", &pool(info).build().unwrap()).await;
    let told = |err: &AcquireError| is_down(err) || matches!(err, AcquireError::Timeout(_));
    assert!(heard.iter().all(told), "{heard:?}");
}

#[tokio::test]
async fn a_server_that_is_starting_up() {
    let Some(pg) = Pg::start().await else { return };
    let direct = pg.connect_info("postgres");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let starting = listener.local_addr().unwrap();
    let told = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn({
        let told = Arc::clone(&told);
        async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                told.fetch_add(1, Ordering::Relaxed);
                let _ = say_starting(&mut stream).await;
            }
        }
    });
    let proxy = FaultProxy::start(starting).await;
    let pool = pool(proxy.connect_info(&direct)).build().unwrap();
    let heard = all_hear("starting up", &pool).await;
    // It is worth waiting for, so they did.
    let waited = |err: &AcquireError| matches!(err, AcquireError::Timeout(_));
    assert!(heard.iter().all(waited), "{heard:?}");
    // And without a storm: at most every few milliseconds.
    let attempts = told.load(Ordering::Relaxed);
    assert!((1..200).contains(&attempts), "{attempts}");

    let call = pool.acquire_with(Acquire::new().timeout(PATIENCE));
    let starts = async { proxy.set_backend(Backend::of(&direct).await) };
    let (session, ()) = tokio::join!(call, starts);
    session.unwrap().batch_execute("SELECT 1").await.unwrap();
    server.abort();
}

/// What PostgreSQL answers before it can be used.
async fn say_starting(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut length = stream.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    stream.read_exact(&mut startup).await?;
    if startup == 80_877_103_u32.to_be_bytes() {
        // No TLS.
        stream.write_all(b"N").await?;
        length = stream.read_u32().await?;
        let mut startup = vec![0; length as usize - 4];
        stream.read_exact(&mut startup).await?;
    }
    let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
    let mut message = vec![b'E'];
    message.extend((u32::try_from(fields.len()).unwrap() + 4).to_be_bytes());
    message.extend(fields);
    stream.write_all(&message).await
}

#[tokio::test]
async fn a_server_that_knows_another_password() {
    let started = Pg::builder()
        .tcp(true)
        .with(|server| server.password("right"))
        .start()
        .await;
    let Some(pg) = started else { return };
    let mut info = pg.connect_info("postgres");
    info.password = Some(Secret::from("wrong"));
    let pool = pool(info).server_login_retry(PATIENCE).build().unwrap();
    let heard = all_hear("wrong password", &pool).await;
    assert!(heard.iter().all(is_down), "{heard:?}");
    // The server was not asked for each of them.
    let failures = pool.snapshot().totals.connect_failures;
    assert!((1..5).contains(&failures), "{failures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_restarted_under_load_is_used_again_by_everybody() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let pool = pool(pg.connect_info("postgres")).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (good, bad) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (pool, stop) = (pool.clone(), Arc::clone(&stop));
        let (good, bad) = (Arc::clone(&good), Arc::clone(&bad));
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let session = pool.acquire_with(Acquire::new().timeout(DEADLINE)).await;
                assert!(begun.elapsed() < DEADLINE + SLACK);
                let answered = match session {
                    Ok(session) => session.batch_execute("SELECT 1").await.is_ok(),
                    Err(_) => false,
                };
                let outcome = if answered { &good } else { &bad };
                outcome.fetch_add(1, Ordering::Relaxed);
                if !answered {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }
    for how in [Shutdown::Fast, Shutdown::Immediate] {
        let before = good.load(Ordering::Relaxed);
        wait_until("the server to be used", PATIENCE, async || {
            good.load(Ordering::Relaxed) > before + 200
        })
        .await;
        pg.stop(how).await;
        pg.start_again().await;
    }
    comes_back(&pool).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(outcome) = callers.join_next().await {
        outcome.unwrap();
    }
    println!("restarted twice: {good:?} good, {bad:?} bad");
    assert_eq!(pool.snapshot().waiting, 0);
}
