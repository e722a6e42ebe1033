//! A server that is replaced by another one under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ops_pool::{Acquire, SessionPool};
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg, wait_until};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{PATIENCE, backends_become};

const CALLERS: usize = 12;
const POOL_SIZE: usize = 4;
const DEADLINE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(5);

/// Two servers, behind one address.
struct Pair {
    old: Pg,
    new: Pg,
    proxy: FaultProxy,
    pool: SessionPool,
}

impl Pair {
    async fn start() -> Option<Self> {
        let server = |name| Pg::builder().setting("cluster_name", name).start();
        let (old, new) = tokio::join!(server("old"), server("new"));
        let (old, new) = (old?, new?);
        for server in [&old, &new] {
            server.create_database("shop").await;
        }
        let direct = old.connect_info("shop");
        let proxy = FaultProxy::start(Backend::of(&direct).await).await;
        let pool = SessionPool::builder(proxy.connect_info(&direct))
            .pool_size(POOL_SIZE)
            .server_connect_timeout(Duration::from_millis(500))
            .server_login_retry(Duration::from_millis(100))
            .build()
            .unwrap();
        Some(Self {
            old,
            new,
            proxy,
            pool,
        })
    }

    async fn switch(&self) {
        let info = self.new.connect_info("shop");
        self.proxy.set_backend(Backend::of(&info).await);
    }
}

/// What callers have met.
#[derive(Debug, Default)]
struct Met {
    old: AtomicU64,
    new: AtomicU64,
    errors: AtomicU64,
    /// No session of the old server may be handed out anymore.
    over: AtomicBool,
    stop: AtomicBool,
}

impl Met {
    fn new_sessions(&self) -> u64 {
        self.new.load(Ordering::Relaxed)
    }
}

fn load(pool: &SessionPool, met: &Arc<Met>) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (pool, met) = (pool.clone(), Arc::clone(met));
        callers.spawn(async move {
            while !met.stop.load(Ordering::Relaxed) {
                ask(&pool, &met).await;
            }
        });
    }
    callers
}

/// Asks which server it is.
async fn ask(pool: &SessionPool, met: &Met) {
    let over = met.over.load(Ordering::SeqCst);
    let begun = Instant::now();
    let session = pool.acquire_with(Acquire::new().timeout(DEADLINE)).await;
    let waited = begun.elapsed();
    assert!(waited < DEADLINE + SLACK, "heard after {waited:?}");
    let Ok(session) = session else {
        met.errors.fetch_add(1, Ordering::Relaxed);
        return tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let answer = timeout(DEADLINE, session.query_one("SHOW cluster_name", &[])).await;
    match answer.map(|row| row.map(|row| row.get::<_, String>(0))) {
        Ok(Ok(name)) if name == "new" => met.new.fetch_add(1, Ordering::Relaxed),
        Ok(Ok(name)) => {
            assert!(!over, "a session of the server {name}, after wait_close");
            met.old.fetch_add(1, Ordering::Relaxed)
        }
        Ok(Err(_)) | Err(_) => met.errors.fetch_add(1, Ordering::Relaxed),
    };
}

async fn ends(mut callers: JoinSet<()>, met: &Met) {
    met.stop.store(true, Ordering::Relaxed);
    while let Some(outcome) = callers.join_next().await {
        outcome.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_switchover_under_load_costs_no_caller_anything() {
    let Some(pair) = Pair::start().await else {
        return;
    };
    let met = Arc::new(Met::default());
    let callers = load(&pair.pool, &met);
    wait_until("the old server to be used", PATIENCE, async || {
        met.old.load(Ordering::Relaxed) > 200
    })
    .await;

    // Sessions that are out stay on the old server until they come back.
    let kept = pair.pool.acquire().await.unwrap();
    pair.switch().await;
    pair.pool.reconnect();
    let begun = Instant::now();
    let closed = pair.pool.wait_close();
    tokio::pin!(closed);
    assert!(
        timeout(Duration::from_millis(50), &mut closed)
            .await
            .is_err()
    );
    let row = kept.query_one("SHOW cluster_name", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "old");
    drop(kept);
    timeout(PATIENCE, closed).await.unwrap();
    met.over.store(true, Ordering::SeqCst);
    let took = begun.elapsed();

    let so_far = met.new_sessions();
    wait_until("the new server to be used", PATIENCE, async || {
        met.new_sessions() > so_far + 200
    })
    .await;
    let observer = pair.old.client("postgres").await;
    backends_become(&observer, "shop", 0).await;
    ends(callers, &met).await;
    println!("switched over in {took:.1?}: {met:?}");
    assert_eq!(met.errors.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failover_under_load_is_over_once_the_new_server_answers() {
    let Some(mut pair) = Pair::start().await else {
        return;
    };
    let met = Arc::new(Met::default());
    let callers = load(&pair.pool, &met);
    wait_until("the old server to be used", PATIENCE, async || {
        met.old.load(Ordering::Relaxed) > 200
    })
    .await;

    pair.old.kill9().await;
    pair.proxy.reset_connections().await;
    wait_until("the outage to be told", PATIENCE, async || {
        met.errors.load(Ordering::Relaxed) > 20
    })
    .await;
    pair.switch().await;
    pair.pool.reconnect();
    timeout(PATIENCE, pair.pool.wait_close()).await.unwrap();
    met.over.store(true, Ordering::SeqCst);
    wait_until("the new server to be used", PATIENCE, async || {
        met.new_sessions() > 200
    })
    .await;
    ends(callers, &met).await;
    println!("failed over: {met:?}");
    let observer = pair.new.client("postgres").await;
    let state = pair.pool.snapshot();
    assert_eq!((state.active, state.waiting), (0, 0));
    wait_until("resets to end", PATIENCE, async || {
        pair.pool.snapshot().resetting == 0
    })
    .await;
    backends_become(&observer, "shop", pair.pool.snapshot().idle).await;
}
