//! Pools that others make, on a real server: busy is not stuck.

use std::future::Future;
use std::time::Duration;

use ops_health::checks::{Percent, Pool, PoolCounters};
use ops_health::{Check, CheckCtx, Code, Status};
use ops_testkit::wait_until;
use tokio::task::JoinSet;

use crate::measure::{Found, HEALTHY};
use crate::support::seconds;

#[cfg(feature = "bb8")]
mod bb8;
#[cfg(feature = "deadpool")]
mod deadpool;
#[cfg(feature = "sqlx")]
mod sqlx;

const SATURATED: Found = (Status::Degraded, Code::Saturated);
const STUCK: Found = (Status::Unhealthy, Code::Exhausted);

/// After which the check calls a pool saturated, or stuck.
const LASTING: Duration = Duration::from_millis(400);

/// How long a pool is kept busy: three times as long as it takes to be stuck.
const BUSY: Duration = Duration::from_millis(1200);

fn check(counters: impl PoolCounters) -> Pool {
    Pool::new(counters)
        .warn_at(Percent::new(80), LASTING)
        .stuck_after(LASTING)
}

async fn found(check: &Pool) -> Found {
    let outcome = Check::run(check, &CheckCtx::new(seconds(1))).await;
    (outcome.status(), outcome.code())
}

async fn until(check: &Pool, expected: Found) {
    wait_until(&format!("{expected:?}"), seconds(10), async || {
        found(check).await == expected
    })
    .await;
}

/// What the check finds while ten callers keep a pool of two busy: everything, in order.
///
/// Each of them holds a connection for so long that every reading finds the pool full.
async fn while_busy<F>(check: &Pool, hold: impl Fn() -> F) -> Vec<Found>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        callers.spawn(hold());
    }
    let begun = tokio::time::Instant::now();
    let mut seen: Vec<Found> = Vec::new();
    // A reading between two callers finds room, and the time to be saturated begins anew.
    let saturated = |seen: &[Found]| seen.contains(&SATURATED);
    while begun.elapsed() < BUSY || (!saturated(&seen) && begun.elapsed() < seconds(10)) {
        let now = found(check).await;
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    callers.shutdown().await;
    seen
}

/// For how long a caller holds a connection.
const HELD: Duration = Duration::from_millis(20);
