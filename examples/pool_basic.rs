//! A pool of two sessions: what it gives, what it takes back, and what it says when it
//! has nothing to give.
//!
//! ```text
//! DATABASE_URL=postgresql://app:secret@localhost/shop pool_basic
//! ```

#![expect(clippy::print_stdout, reason = "a program prints")]

mod database_url;

use std::error::Error;
use std::time::Duration;

use ops_pool::{Acquire, Drain, Session, SessionPool};

use database_url::database_url;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (info, options) = database_url()?;
    let pool = SessionPool::builder(info)
        .connect_options(options)
        .pool_size(2)
        .query_wait_timeout(Duration::from_secs(10))
        .build()?;

    // A session is a client of tokio-postgres, and the caller's alone.
    let mut session = pool.acquire().await?;
    let before = backend(&session).await?;
    println!("a session: process {before} of the server");
    let transaction = session.transaction().await?;
    let row = transaction.query_one("SELECT 6 * 7", &[]).await?;
    transaction.commit().await?;
    println!("an answer: {}", row.get::<_, i32>(0));

    // What it leaves behind is gone before anybody else gets it.
    session
        .batch_execute("SET work_mem = '64MB'; CREATE TEMPORARY TABLE notes (text text)")
        .await?;
    println!(
        "given back with a setting and a table: {:?}",
        session.release().await
    );
    let session = pool.acquire().await?;
    let row = session
        .query_one(
            "SELECT current_setting('work_mem'), to_regclass('pg_temp.notes') IS NULL",
            &[],
        )
        .await?;
    println!(
        "the next caller, process {}: work_mem {}, no table: {}",
        backend(&session).await?,
        row.get::<_, String>(0),
        row.get::<_, bool>(1)
    );

    // A transaction that nobody ended costs the connection, not the next caller.
    session.batch_execute("BEGIN").await?;
    println!("given back in a transaction: {:?}", session.release().await);

    // Dropping gives back too, without waiting. Who waits in vain is told for whom.
    let nightly = pool.acquire_with(Acquire::new().label("nightly")).await?;
    let report = pool.acquire_with(Acquire::new().label("report")).await?;
    let hurried = Acquire::new().timeout(Duration::from_millis(200));
    match pool.acquire_with(hurried).await {
        Ok(_) => return Err("there was a third session of two".into()),
        Err(err) => println!("in vain: {err}"),
    }
    drop((nightly, report));

    println!("{:#?}", pool.show_pools());
    let ended = pool.shutdown(Drain::Sessions(Duration::from_secs(5))).await;
    println!("shut down, complete: {}", ended.complete);
    Ok(())
}

async fn backend(session: &Session) -> Result<i32, Box<dyn Error>> {
    let row = session.query_one("SELECT pg_backend_pid()", &[]).await?;
    Ok(row.get(0))
}
