//! A web service whose requests and jobs share a pool, and do not starve each other.
//!
//! ```text
//! DATABASE_URL=postgresql://app:secret@localhost/shop pool_axum [ADDRESS]
//! DATABASE_URL=postgresql://app:secret@localhost/shop pool_axum --show
//! ```
//!
//! Serves `/hits`, `/pool` and the health routes on ADDRESS (127.0.0.1:8080) until Ctrl-C.
//! `--show` asks itself instead: a flood of requests while jobs run, and who waited.

#![expect(clippy::print_stdout, reason = "a program prints")]

#[path = "../database_url.rs"]
mod database_url;
mod jobs;
mod routes;
mod show;

use std::error::Error;
use std::time::Duration;

use ops_health::Health;
use ops_health::checks::Pool;
use ops_pool::{Drain, Lane, SessionPool};
use tokio::net::TcpListener;

use database_url::database_url;
use jobs::Jobs;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    let argument = std::env::args().nth(1);
    let show = argument.as_deref() == Some("--show");
    let address = match argument {
        Some(address) if !show => address,
        _ if show => "127.0.0.1:0".to_owned(),
        _ => "127.0.0.1:8080".to_owned(),
    };
    let (info, options) = database_url().map_err(|err| err.to_string())?;
    let pool = SessionPool::builder(info)
        .connect_options(options)
        .pool_size(4)
        // Four requests for each job while both wait. Jobs take what requests leave.
        .lane(Lane::new("default").weight(4))
        .lane(Lane::new("jobs").weight(1))
        // A request would rather be refused than be late.
        .query_wait_timeout(Duration::from_secs(5))
        .shed(true)
        .build()?;

    let health = Health::builder()
        .service("pool_axum")
        .version(env!("CARGO_PKG_VERSION"))
        .check(Pool::new(pool.clone()))
        .critical()
        .build()?;
    let _scheduler = health.start()?;
    let jobs = Jobs::start(&pool);
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let app = routes::router(pool.clone()).merge(health.router());
    let server = axum::serve(listener, app).with_graceful_shutdown(health.shutdown_requested());
    let server = tokio::spawn(server.into_future());
    println!("serving on http://{address}");

    if show {
        show::flood(address).await?;
    } else {
        tokio::signal::ctrl_c().await?;
    }

    // First no new requests, then no new jobs, then the pool.
    health.stop();
    server.await??;
    let done = jobs.stop().await?;
    println!("jobs done: {done}");
    let ended = pool
        .shutdown(Drain::Sessions(Duration::from_secs(10)))
        .await;
    for holder in &ended.holders {
        println!("did not come back: {holder}");
    }
    Ok(())
}
