//! Checkouts without end, of sessions that are left in every state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ops_pool::{Drain, OnDirty, Reset, SessionPool};
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg};

use crate::load::{Tally, break_network, call, end_backends, is_whole, value};
use crate::{backends_become, number};

/// Callers of each pool.
const CALLERS: usize = 10;
const POOL_SIZE: usize = 4;
const DATABASES: [&str; 3] = ["soak_touched", "soak_pipelined", "soak_proxied"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_thousand_checkouts_leak_nothing_and_meet_nothing() {
    soak(50_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes: cargo nextest run -p ops-pool --all-features --run-ignored all a_million"]
async fn a_million_checkouts_leak_nothing_and_meet_nothing() {
    soak(1_000_000).await;
}

async fn soak(target: u64) {
    let settings = Pg::builder().setting("max_connections", "60");
    let Some(pg) = settings.start().await else {
        return;
    };
    for database in DATABASES {
        pg.create_database(database).await;
    }
    let observer = pg.client("postgres").await;
    let [touched, pipelined, proxied] = DATABASES.map(|database| pg.connect_info(database));
    let proxy = FaultProxy::start(Backend::of(&proxied).await).await;
    let builders = [
        SessionPool::builder(touched).reset(Reset::IfTouched),
        SessionPool::builder(pipelined)
            .reset(Reset::Pipelined)
            .on_dirty(OnDirty::Rollback),
        SessionPool::builder(proxy.connect_info(&proxied))
            .reset(Reset::DiscardAll)
            .on_dirty(OnDirty::Rollback),
    ];
    let pools = builders.map(|builder| {
        builder
            .pool_size(POOL_SIZE)
            .server_connect_timeout(Duration::from_millis(500))
            .server_login_retry(Duration::from_millis(100))
            .reset_timeout(Duration::from_millis(300))
            .cancel_timeout(Duration::from_millis(200))
            .build()
            .unwrap()
    });

    let (tally, begun) = (Arc::new(Tally::default()), Instant::now());
    let stop = AtomicBool::new(false);
    let (broken, ended) = (AtomicU64::new(0), AtomicU64::new(0));
    let callers: Vec<_> = pools
        .iter()
        .flat_map(|pool| std::iter::repeat_n(pool, CALLERS))
        .map(|pool| {
            let (pool, tally) = (pool.clone(), Arc::clone(&tally));
            tokio::spawn(async move { call(&pool, &tally, target).await })
        })
        .collect();
    let load = async {
        let outcomes = join_all(callers).await;
        stop.store(true, Ordering::Relaxed);
        outcomes
    };
    let (outcomes, (), ()) = tokio::join!(
        load,
        break_network(&proxy, &stop, &broken),
        end_backends(&observer, &stop, &ended)
    );
    for outcome in outcomes {
        outcome.unwrap();
    }
    let took = begun.elapsed();
    proxy.heal().await;

    let mut lent = [0; 3];
    for ((pool, database), lent) in pools.iter().zip(DATABASES).zip(&mut lent) {
        let size = is_whole(pool, &tally).await;
        // It goes by the pool's own count of what it has handed out.
        backends_become(&observer, database, size).await;
        let state = pool.snapshot();
        assert_eq!((state.active, state.waiting, state.connecting), (0, 0, 0));
        assert_eq!(pool.holders().len(), 0);
        *lent = state.totals.assignments;
        let report = pool
            .shutdown(Drain::Sessions(Duration::from_secs(10)))
            .await;
        assert!(report.complete, "{report:?}");
        backends_become(&observer, database, 0).await;
    }
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(number(&observer, locks).await, 0);
    tell(&tally, took, lent, value(&broken), value(&ended));
    let (dirty, late) = (&*tally.dirty.lock().unwrap(), &*tally.late.lock().unwrap());
    assert_eq!(dirty, &Vec::<String>::new());
    assert_eq!(late, &Vec::<Duration>::new());
    assert!(value(&tally.checkouts) >= target);
    // It was what it is meant to be.
    for counter in [
        &tally.probes,
        &tally.leftovers,
        &tally.abandoned,
        &tally.gone,
    ] {
        assert!(value(counter) >= target / 1_000, "{tally:?}");
    }
    assert!(value(&tally.broken) > 0 && value(&broken) > 0 && value(&ended) > 0);
}

fn tell(tally: &Tally, took: Duration, lent: [u64; 3], broken: u64, ended: u64) {
    let [touched, pipelined, proxied] = lent;
    println!(
        "{} checkouts in {took:.1?} ({touched} if_touched, {pipelined} pipelined, \
         {proxied} proxied): {} probes, {} leftovers, {} abandoned queries, {} dropped \
         acquires, {} refused, {} broken; {broken} network faults, {ended} backends ended; \
         {} dirty, {} late, 0 leaked",
        value(&tally.checkouts),
        value(&tally.probes),
        value(&tally.leftovers),
        value(&tally.abandoned),
        value(&tally.gone),
        value(&tally.refused),
        value(&tally.broken),
        tally.dirty.lock().unwrap().len(),
        tally.late.lock().unwrap().len(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_that_resets_nothing_is_found_out() {
    let Some(pg) = Pg::start().await else { return };
    let pool = SessionPool::builder(pg.connect_info("postgres"))
        .pool_size(POOL_SIZE)
        .reset(Reset::None)
        .build()
        .unwrap();
    let tally = Tally::default();
    call(&pool, &tally, 2_000).await;
    let dirty = tally.dirty.lock().unwrap();
    assert!(!dirty.is_empty(), "the probe sees nothing");
}
