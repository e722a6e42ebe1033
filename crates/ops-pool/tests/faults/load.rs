//! Callers that behave in every way, and a network and an administrator that do not.

use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use ops_pool::{Acquire, Session, SessionPool, TransactionStatus};
use ops_testkit::FaultProxy;
use ops_testkit::proxy::{Close, Cut, Direction};
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

/// What a session that nobody has touched answers.
const PRISTINE: &str = "4MB|origin|t|0|0|0|0|none|f";
/// Everything that a session can leave behind, in one line.
const PROBE: &str = "SELECT concat_ws('|', current_setting('work_mem'), \
    current_setting('session_replication_role'), \
    (current_user, session_user) = (SELECT rolname, rolname FROM pg_roles WHERE oid = 10), \
    (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors), \
    (SELECT count(*) FROM pg_listening_channels()), \
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
    coalesce(to_regclass('pg_temp.leftover')::text, 'none'), \
    pg_catalog.now() <> pg_catalog.statement_timestamp())";
/// What callers leave behind.
const LEFTOVERS: [&str; 13] = [
    "SET work_mem = '9MB'",
    "SET session_replication_role = 'replica'",
    "SET ROLE pg_monitor",
    "SET SESSION AUTHORIZATION pg_monitor",
    "PREPARE leftover AS SELECT 1",
    "DECLARE leftover CURSOR WITH HOLD FOR SELECT 1",
    "LISTEN leftover",
    "SELECT pg_try_advisory_lock((random() * 1000000)::int)",
    "CREATE TEMP TABLE leftover (id int)",
    "BEGIN; SET LOCAL work_mem = '9MB'",
    "BEGIN; SELECT 1 / 0",
    "BEGIN; CREATE TEMP TABLE leftover (id int); SAVEPOINT one",
    "SET work_mem = '9MB'; CREATE TEMP TABLE leftover (id int); LISTEN leftover",
];
/// What callers begin and do not wait for.
const ABANDONED: [&str; 4] = [
    "SELECT pg_sleep(0.02)",
    "SET work_mem = '9MB'; SELECT pg_sleep(0.001)",
    "BEGIN; SELECT pg_sleep(0.001)",
    "COPY (SELECT generate_series(1, 10000)) TO STDOUT",
];
/// How long a caller waits for an answer.
const ANSWER: Duration = Duration::from_millis(500);
/// How long it waits for a session.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);
/// How much later than that it may hear, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(5);

/// What has happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) checkouts: AtomicU64,
    /// Looked at what the session before had left.
    pub(crate) probes: AtomicU64,
    /// Left something behind.
    pub(crate) leftovers: AtomicU64,
    /// Left a query running.
    pub(crate) abandoned: AtomicU64,
    /// Went away before they had a session.
    pub(crate) gone: AtomicU64,
    /// Heard that there is no session.
    pub(crate) refused: AtomicU64,
    /// Met a connection that broke, or broke under them.
    pub(crate) broken: AtomicU64,
    /// What was met that should not have been there.
    pub(crate) dirty: Mutex<Vec<String>>,
    /// Who heard too late.
    pub(crate) late: Mutex<Vec<Duration>>,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn any<T: Copy>(of: &[T]) -> T {
    *fastrand::choice(of).unwrap()
}

/// Calls until `target` sessions have been had by all callers together.
pub(crate) async fn call(pool: &SessionPool, tally: &Tally, target: u64) {
    while value(&tally.checkouts) < target {
        if let Some(session) = acquire(pool, tally).await {
            count(&tally.checkouts);
            use_it(session, tally).await;
        } else {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..5))).await;
        }
    }
}

async fn acquire(pool: &SessionPool, tally: &Tally) -> Option<Session> {
    let mut call = pin!(pool.acquire_with(Acquire::new().timeout(DEADLINE)));
    if fastrand::u8(0..32) == 0 {
        // Goes away: at once, or some time later.
        if let Some(outcome) = call.as_mut().now_or_never() {
            return outcome.ok();
        }
        let patience = Duration::from_micros(fastrand::u64(0..2_000));
        let outcome = timeout(patience, call).await;
        if outcome.is_err() {
            count(&tally.gone);
        }
        return outcome.ok()?.ok();
    }
    let begun = Instant::now();
    let outcome = call.await;
    let waited = begun.elapsed();
    if waited > DEADLINE + SLACK {
        tally.late.lock().unwrap().push(waited);
    }
    if outcome.is_err() {
        count(&tally.refused);
    }
    outcome.ok()
}

async fn use_it(session: Session, tally: &Tally) {
    if session.transaction_status() != TransactionStatus::Idle && session.close_reason().is_none() {
        let status = session.transaction_status();
        tally.dirty.lock().unwrap().push(format!("{status:?}"));
    }
    let what = fastrand::u8(0..100);
    // Most only have it: a pool that resets what was touched leaves those alone, so that
    // the next one who looks would see what they had got.
    if what >= 30 {
        return give_back(session).await;
    }
    if !is_pristine(&session, tally).await {
        count(&tally.broken);
        return give_back(session).await;
    }
    if what < 8 {
        count(&tally.leftovers);
        let left = timeout(ANSWER, session.batch_execute(any(&LEFTOVERS))).await;
        drop(left);
    } else if what < 10 {
        count(&tally.abandoned);
        let patience = Duration::from_micros(fastrand::u64(0..3_000));
        drop(timeout(patience, session.batch_execute(any(&ABANDONED))).await);
    }
    give_back(session).await;
}

async fn give_back(session: Session) {
    if fastrand::u8(0..16) == 0 {
        // Hears what became of it, or does not wait for that.
        let patience = Duration::from_micros(fastrand::u64(0..4_000));
        drop(timeout(patience, session.release()).await);
    }
}

/// Looks for what the one before has left. False where the connection is broken.
async fn is_pristine(session: &Session, tally: &Tally) -> bool {
    let Ok(Ok(answer)) = timeout(ANSWER, session.simple_query(PROBE)).await else {
        return false;
    };
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    count(&tally.probes);
    if row != Some(PRISTINE) {
        let met = row.unwrap_or("no row").to_owned();
        tally.dirty.lock().unwrap().push(met);
    }
    true
}

/// Asserts that the whole pool can be had, clean, with nothing left over on either side,
/// and returns how many backends there are.
pub(crate) async fn is_whole(pool: &SessionPool, tally: &Tally) -> usize {
    let size = pool.snapshot().pool_size;
    let mut sessions = Vec::new();
    while sessions.len() < size {
        let session = pool.acquire().await.unwrap();
        // What broke last may not have been noticed.
        if is_pristine(&session, tally).await {
            sessions.push(session);
        }
    }
    let state = pool.snapshot();
    let all = (state.active, state.idle, state.waiting, state.resetting);
    assert_eq!(all, (size, 0, 0, 0));
    size
}

/// What the network does, until it is told to stop.
pub(crate) async fn break_network(proxy: &FaultProxy, stop: &AtomicBool, faults: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        count(faults);
        match fastrand::u8(0..7) {
            0 => drop(proxy.reset_connections().await),
            1 => drop(proxy.end_connections().await),
            2 => proxy.set_frozen(true),
            3 => proxy.set_refuse(true).await,
            4 => proxy.set_hold_new(true),
            5 => proxy.set_latency(Duration::from_millis(fastrand::u64(1..10))),
            _ => proxy.set_cut(Some(Cut {
                direction: any(&[Direction::Up, Direction::Down]),
                after: fastrand::u64(1..4_000),
                close: any(&[Close::Reset, Close::End]),
            })),
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..40))).await;
        proxy.heal().await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..120))).await;
    }
}

/// Ends backends at random, until it is told to stop.
pub(crate) async fn end_backends(observer: &Client, stop: &AtomicBool, faults: &AtomicU64) {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
               WHERE datname LIKE 'soak%' ORDER BY random() LIMIT 1) AS victims";
    while !stop.load(Ordering::Relaxed) {
        observer.query_one(sql, &[]).await.unwrap();
        count(faults);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..60))).await;
    }
}
