//! A deploy: the server is restarted under a running service, and the service ends
//! without cutting anybody off.
//!
//! ```text
//! DATABASE_URL=postgresql://app:secret@localhost/shop pool_drain
//! ```

#![expect(clippy::print_stdout, reason = "a program prints")]

mod database_url;

use std::error::Error;
use std::time::{Duration, Instant};

use ops_pool::{Acquire, AcquireError, Drain, SessionPool};

use database_url::database_url;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// How long a request takes.
const REQUEST: Duration = Duration::from_millis(300);
/// How long the end may take: what the platform grants between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<()> {
    let (info, options) = database_url().map_err(|err| err.to_string())?;
    let pool = SessionPool::builder(info)
        .connect_options(options)
        .pool_size(4)
        .build()?;

    // A restart of the server: callers wait for a moment, and nobody fails.
    let requests: Vec<_> = (0..4)
        .map(|_| tokio::spawn(request(pool.clone())))
        .collect();
    until_active(&pool, 4).await;
    let begun = Instant::now();
    let quiet = pool.pause().await;
    println!(
        "paused: no connection left: {quiet}, after {}",
        seconds(begun)
    );
    let late = tokio::spawn(request(pool.clone()));
    // Here the server is restarted.
    tokio::time::sleep(Duration::from_millis(100)).await;
    pool.resume();
    late.await??;
    println!("resumed: the caller that came meanwhile was served");
    for request in requests {
        request.await??;
    }

    // The end of the service: what is under way ends, what would be new is refused.
    let stuck = pool.acquire_with(Acquire::new().label("stuck")).await?;
    let last = tokio::spawn(request(pool.clone()));
    until_active(&pool, 2).await;
    let begun = Instant::now();
    let ending = tokio::spawn({
        let pool = pool.clone();
        async move { pool.shutdown(Drain::Sessions(GRACE)).await }
    });
    last.await??;
    println!(
        "draining: the request under way ended after {}",
        seconds(begun)
    );
    match pool.acquire().await {
        Err(err @ AcquireError::ShuttingDown) => println!("draining: a new caller: {err}"),
        other => return Err(format!("a new caller got {other:?}").into()),
    }
    let report = ending.await?;
    println!(
        "drained: complete: {}, after {}",
        report.complete,
        seconds(begun)
    );
    for holder in &report.holders {
        println!("drained: did not come back: {holder}");
    }
    drop(stuck);
    let report = pool.shutdown(Drain::Sessions(GRACE)).await;
    println!("at last: complete: {}", report.complete);
    Ok(())
}

async fn request(pool: SessionPool) -> Result<()> {
    let session = pool.acquire().await?;
    let pause = REQUEST.as_secs_f64();
    session.query_one("SELECT pg_sleep($1)", &[&pause]).await?;
    Ok(())
}

async fn until_active(pool: &SessionPool, sessions: usize) {
    while pool.snapshot().active < sessions {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn seconds(begun: Instant) -> String {
    format!("{:.1} s", begun.elapsed().as_secs_f64())
}
