//! A pool with the settings of a `pgbouncer.ini`: what they become, and what has no effect
//! in a library.
//!
//! ```text
//! DATABASE_URL=postgresql://app:secret@localhost/shop pool_pgbouncer_settings
//! pool_pgbouncer_settings /etc/pgbouncer/pgbouncer.ini shop
//! ```

#![expect(clippy::print_stdout, reason = "a program prints")]

mod database_url;

use std::error::Error;
use std::time::Duration;

use ops_core::database::Host;
use ops_pool::{Budget, Drain, PgBouncerIni, PgBouncerPool};

use database_url::database_url;

const PGBOUNCER: &str = "
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = scram-sha-256
pool_mode = session
min_pool_size = 2
reserve_pool_timeout = 3
server_reset_query = DISCARD ALL
server_check_delay = 10
server_lifetime = 1800
query_wait_timeout = 30
max_client_conn = 200
";

/// How many instances of the service there are.
const INSTANCES: usize = 2;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let read = match (arguments.next(), arguments.next()) {
        (Some(file), Some(database)) => {
            let text = std::fs::read_to_string(&file)?;
            PgBouncerIni::new(&text)
                .file_name(file)
                .include_with(|path| std::fs::read_to_string(path))
                .read(&database)?
        }
        _ => example()?,
    };

    println!("the pool: {}", read.connect_info);
    println!("{:#?}", read.settings);
    for ignored in &read.ignored {
        println!("no effect: {ignored}");
    }

    let settings = read.settings.clone();
    let pool = read.builder().build()?;
    let session = pool.acquire().await?;
    // Whether the server has that many connections for all instances. A backup needs two.
    let budget = Budget::read(&session).await?.with_backup(2);
    for term in budget.terms() {
        println!("budget: {term}");
    }
    match budget.check(&settings, INSTANCES) {
        Ok(()) => println!("budget: {INSTANCES} instances fit"),
        Err(err) => println!("budget: {err}"),
    }
    drop(session);
    let _ = pool.shutdown(Drain::Sessions(Duration::from_secs(5))).await;
    Ok(())
}

/// An ini for the database of `DATABASE_URL`, as PgBouncer would have it in front of it.
fn example() -> Result<PgBouncerPool, Box<dyn Error>> {
    let (info, _) = database_url()?;
    let host = match &info.host {
        Host::Unix(folder) => folder.display().to_string(),
        host => host.to_string(),
    };
    let user = info.user.clone().unwrap_or_default();
    let database = info.database.clone().unwrap_or_else(|| user.clone());
    let text = format!(
        "[databases]\nshop = host={host} port={} dbname={database} user={user} \
         pool_size=10 reserve_pool_size=5\n{PGBOUNCER}",
        info.port
    );
    println!("{text}");
    let mut ini = PgBouncerIni::new(&text).tls(info.tls.clone());
    if let Some(password) = info.password.clone() {
        ini = ini.password(password);
    }
    Ok(ini.read("shop")?)
}
