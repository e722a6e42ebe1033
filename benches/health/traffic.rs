//! What the business gets of the database while probers ask for the health of a service on
//! the same machine.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::Result;
use crate::child::{Clients, Server};
use crate::database::Database;
use crate::load::Load;
use crate::measure::{Entry, interleave};
use crate::options::Options;
use crate::report::{Gate, Table};
use crate::site::Site;

pub(crate) const NAME: &str = "traffic";

const PROBERS: u32 = 64;
/// From one request of a prober to its next: together they ask 3 200 times a second.
const PACE: Duration = Duration::from_millis(20);
const SECONDS: u32 = 5;
/// Of pgbench: a million rows.
const SCALE: &str = "10";

const NONE: &str = "no probers";
const STATIC: &str = "static answer, axum";
const OURS: &str = "ours";
const NAIVE: &str = "SELECT 1 for each request";
const PEER: &str = "axum-health, SELECT 1";

/// Columns of the table, and the figures of a turn; the last compares with [`NONE`].
const COLUMNS: [(&str, &str); 5] = [
    ("transactions/s", ""),
    ("requests/s", ""),
    ("p50", "us"),
    ("p99", "us"),
    ("/ no probers", ""),
];
const RATE: usize = 0;

/// Who is asked; nobody where there are no probers.
type Asked = Option<Arc<Server>>;

pub(crate) async fn run(options: &Options, database: &Arc<Database>) -> Result<Vec<Table>> {
    let mut prepare = database.pgbench()?;
    let prepared = prepare.args(["-i", "-q", "-s", SCALE]).output().await?;
    if !prepared.status.success() {
        let said = String::from_utf8_lossy(&prepared.stderr).into_owned();
        return Err(said.into());
    }
    let port = database.port;
    let interval = Duration::from_secs(10);
    let body = r#"{"status":"healthy","timestamp":"2026-01-02T03:04:05.678Z"}"#;
    let fixed = Site::Static(vec![("/health".to_owned(), body.to_owned())]);
    let mut asked: Vec<(&'static str, Asked)> = vec![(NONE, None)];
    for (name, site) in [
        (STATIC, fixed),
        (OURS, Site::OursOnDatabase { port, interval }),
        (NAIVE, Site::Naive { port }),
        (PEER, Site::AxumHealth { port }),
    ] {
        let server = Server::start(site, options.workers, None).await?;
        asked.push((name, Some(Arc::new(server))));
    }
    let mut tables = Vec::new();
    for pace in [Some(PACE), None] {
        tables.push(measure(options, database, &asked, pace).await?);
    }
    Ok(tables)
}

async fn measure(
    options: &Options,
    database: &Arc<Database>,
    asked: &[(&'static str, Asked)],
    pace: Option<Duration>,
) -> Result<Table> {
    let seconds = options.scaled(SECONDS).max(2);
    let entries: Vec<_> = asked
        .iter()
        .map(|(name, server)| {
            let (server, database) = (server.clone(), Arc::clone(database));
            let workers = options.workers;
            let turn = move || {
                let load = server.as_ref().map(|server| load(server, pace));
                turn(load, Arc::clone(&database), seconds, workers).boxed()
            };
            Entry {
                name,
                turn: Box::new(turn) as Box<dyn Fn() -> _ + Send + Sync>,
            }
        })
        .collect();
    let samples = interleave(options.rounds, &entries, |figures| figures).await?;
    let how = pace.map_or_else(
        || "one request after the other".to_owned(),
        |pace| format!("a request each {pace:?}"),
    );
    let title = format!(
        "pgbench, 8 clients, simple updates, beside {PROBERS} probers, {how}, {seconds} s a round"
    );
    let mut table = Table::new(title, &COLUMNS);
    for Entry { name, .. } in &entries {
        let mut figures = samples.medians(name);
        figures.push(samples.ratio(name, NONE, RATE));
        table.row(*name, figures);
    }
    let ratio = samples.ratio(OURS, STATIC, RATE);
    let what = format!("transactions/s, {OURS} / {STATIC}, {how}");
    Ok(table.with_gates([Gate::at_least(what, ratio, 0.95)]))
}

fn load(server: &Server, pace: Option<Duration>) -> Load {
    Load {
        address: server.address,
        path: "/health".to_owned(),
        authorized: false,
        connections: PROBERS,
        span: None,
        pace,
    }
}

async fn turn(
    load: Option<Load>,
    database: Arc<Database>,
    seconds: u32,
    workers: usize,
) -> Result<Vec<f64>> {
    let clients = match load {
        Some(load) => Some(Clients::start(load, workers, None).await?),
        None => None,
    };
    let rate = transactions(&database, seconds).await?;
    let Some(clients) = clients else {
        return Ok(vec![rate, f64::NAN, f64::NAN, f64::NAN]);
    };
    let loaded = clients.finish("/health").await?;
    Ok(vec![rate, loaded.rate(), loaded.p50_us, loaded.p99_us])
}

/// The transactions per second that pgbench has.
async fn transactions(database: &Database, seconds: u32) -> Result<f64> {
    let mut command = database.pgbench()?;
    let output = command
        .args(["-n", "-N", "-M", "prepared", "-c", "8", "-j", "2"])
        .args(["-T", &seconds.to_string()])
        .stdin(Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = line.and_then(|rest| rest.split(' ').next());
    let Some(rate) = rate.filter(|_| output.status.success()) else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("pgbench told no rate: {said}").into());
    };
    Ok(rate.parse()?)
}
