//! How many statements reach the database while the health of the service is asked for.

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

pub(crate) const NAME: &str = "queries";

const CONNECTIONS: u32 = 64;
const SPAN: Duration = Duration::from_secs(10);
/// Of our check. Its default is ten times as long.
const INTERVAL: Duration = Duration::from_secs(1);
/// The most rounds: what is counted hardly differs.
const ROUNDS: usize = 3;

const OURS: &str = "ours, one check each second";

/// Columns of the table, and the figures of a turn.
const COLUMNS: [(&str, &str); 5] = [
    ("requests/s", ""),
    ("statements", ""),
    ("statements/s", ""),
    ("/ request", ""),
    ("p99", "us"),
];
const STATEMENTS: usize = 1;

pub(crate) async fn run(options: &Options, database: &Arc<Database>) -> Result<Vec<Table>> {
    let (port, interval) = (database.port, INTERVAL);
    let sites = [
        (OURS, Site::OursOnDatabase { port, interval }),
        ("SELECT 1 for each request", Site::Naive { port }),
        ("axum-health, SELECT 1", Site::AxumHealth { port }),
    ];
    let (span, workers) = (options.scaled(SPAN), options.workers);
    let mut entries = Vec::new();
    for (name, site) in sites {
        let server = Arc::new(Server::start(site, workers, None).await?);
        let database = Arc::clone(database);
        let turn = move || {
            let (server, database) = (Arc::clone(&server), Arc::clone(&database));
            turn(server, database, span, workers).boxed()
        };
        entries.push(Entry {
            name,
            turn: Box::new(turn),
        });
    }
    let samples = interleave(options.rounds.min(ROUNDS), &entries, |figures| figures).await?;
    let title = format!("statements at the database, {CONNECTIONS} connections, {span:?} a round");
    let names = entries.iter().map(|it| it.name).collect::<Vec<_>>();
    let table = Table::new(title, &COLUMNS).with_medians(&samples, &names);
    // As many intervals begin within the span, and one that began before may end in it.
    let allowed = span.as_secs_f64() / INTERVAL.as_secs_f64() + 1.0;
    let what = format!("statements in {span:?}, {OURS}");
    let gate = Gate::at_most(what, samples.median(OURS, STATEMENTS), allowed);
    Ok(vec![table.with_gates([gate])])
}

async fn turn(
    server: Arc<Server>,
    database: Arc<Database>,
    span: Duration,
    workers: usize,
) -> Result<Vec<f64>> {
    let load = Load {
        address: server.address,
        path: "/health".to_owned(),
        authorized: false,
        connections: CONNECTIONS,
        span: Some(span),
        pace: None,
    };
    let clients = Clients::start(load, workers, None).await?;
    let before = database.probes().await?;
    let loaded = clients.finish("/health").await?;
    let statements = database.probes().await? - before;
    Ok(vec![
        loaded.rate(),
        statements,
        statements / loaded.seconds,
        statements / loaded.requests as f64,
        loaded.p99_us,
    ])
}
