//! The routes beside an answer that never changes, of the same size and with the same
//! header fields.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::Result;
use crate::child::{Clients, Server};
use crate::job::Half;
use crate::load::{Connection, Load, Loaded};
use crate::measure::{Entry, interleave};
use crate::options::Options;
use crate::report::{Gate, Table};
use crate::site::{CHECKS, Site};

pub(crate) const NAME: &str = "routes";

const CONNECTIONS: u32 = 32;
const SPAN: Duration = Duration::from_secs(2);

const STATIC: &str = "static answer, axum";
const OURS: &str = "ours, router";
const SERVED: &str = "ours, Health::serve";

/// Columns of the table, and of [`Turn::figures`]; the last two compare with [`STATIC`].
const COLUMNS: [(&str, &str); 6] = [
    ("requests/s", ""),
    ("p50", "us"),
    ("p99", "us"),
    ("CPU/request", "us"),
    ("/ static", ""),
    ("CPU / static", ""),
];
const RATE: usize = 0;
const CPU: usize = 3;

/// A question, and where the static server answers it.
#[derive(Clone, Copy)]
struct Question {
    title: &'static str,
    path: &'static str,
    authorized: bool,
    on_static: &'static str,
}

const QUESTIONS: [Question; 4] = [
    Question {
        title: "/health, anonymous",
        path: "/health",
        authorized: false,
        on_static: "/health",
    },
    Question {
        title: "/health, authorized",
        path: "/health",
        authorized: true,
        // So long as the other: the request has the same size.
        on_static: "/detail",
    },
    Question {
        title: "/health/ready",
        path: "/health/ready",
        authorized: false,
        on_static: "/health/ready",
    },
    Question {
        title: "/health/live",
        path: "/health/live",
        authorized: false,
        on_static: "/health/live",
    },
];

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let slowest = Duration::ZERO;
    let start = |site| Server::start(site, options.workers, Some(Half::Servers));
    let ours = Arc::new(
        start(Site::Ours {
            whole: false,
            slowest,
        })
        .await?,
    );
    let whole = true;
    let served = Arc::new(start(Site::Ours { whole, slowest }).await?);
    let mut bodies = Vec::new();
    for it in QUESTIONS {
        let (_, body) = look(&ours, it.path, it.authorized).await?;
        bodies.push((it.on_static.to_owned(), body));
    }
    let fixed = Arc::new(start(Site::Static(bodies)).await?);
    let mut tables = Vec::new();
    for question in QUESTIONS {
        let size = compare(&ours, &fixed, question).await?;
        let entries = [
            entry(
                options,
                STATIC,
                &fixed,
                question.on_static,
                question.authorized,
            ),
            entry(options, OURS, &ours, question.path, question.authorized),
            entry(options, SERVED, &served, question.path, question.authorized),
        ];
        // Not counted: the first requests of all find caches empty.
        for Entry { turn, .. } in &entries {
            (turn)().await?;
        }
        let samples = interleave(options.rounds, &entries, Turn::figures).await?;
        let title = format!(
            "{}: {size} bytes, {CHECKS} checks, {CONNECTIONS} connections, {:?} a round",
            question.title,
            options.scaled(SPAN)
        );
        let mut table = Table::new(title, &COLUMNS);
        for Entry { name, .. } in &entries {
            let mut figures = samples.medians(name);
            figures.push(samples.ratio(name, STATIC, RATE));
            figures.push(samples.ratio(name, STATIC, CPU));
            table.row(*name, figures);
        }
        tables.push(table.with_gates([OURS, SERVED].map(|name| {
            let what = format!("requests/s, {name} / {STATIC}, {}", question.title);
            Gate::at_least(what, samples.ratio(name, STATIC, RATE), 0.9)
        })));
    }
    Ok(tables)
}

/// The header fields of an answer but for the date, and its body.
async fn look(server: &Server, path: &str, authorized: bool) -> Result<(Vec<String>, String)> {
    let mut connection = Connection::open(server.address).await?;
    let answer = connection.ask(&Load::request(path, authorized)).await?;
    connection.parts(answer)
}

/// Makes sure that both send the same header fields, and gives the size of the body.
async fn compare(ours: &Server, fixed: &Server, question: Question) -> Result<usize> {
    let Question {
        title,
        path,
        authorized,
        ..
    } = question;
    let (fields, body) = look(ours, path, authorized).await?;
    let (expected, other) = look(fixed, question.on_static, authorized).await?;
    // Numbers in a body have more or fewer digits from time to time.
    let alike = |fields: &[String]| -> Vec<String> {
        let kept = fields.iter().filter(|it| !it.starts_with("content-length"));
        kept.cloned().collect()
    };
    if alike(&fields) != alike(&expected) || body.len().abs_diff(other.len()) > 32 {
        return Err(format!("{title}: {fields:?} beside {expected:?}").into());
    }
    Ok(body.len())
}

fn entry(
    options: &Options,
    name: &'static str,
    server: &Arc<Server>,
    path: &str,
    authorized: bool,
) -> Entry<Turn> {
    let load = Load {
        address: server.address,
        path: path.to_owned(),
        authorized,
        connections: CONNECTIONS,
        span: Some(options.scaled(SPAN)),
        pace: None,
    };
    let (server, workers) = (Arc::clone(server), options.workers);
    let turn = move || turn(Arc::clone(&server), load.clone(), workers).boxed();
    Entry {
        name,
        turn: Box::new(turn),
    }
}

/// What happened in a turn.
#[derive(Debug)]
struct Turn {
    loaded: Loaded,
    cpu: Duration,
}

async fn turn(server: Arc<Server>, load: Load, workers: usize) -> Result<Turn> {
    let path = load.path.clone();
    let before = server.cpu().await?;
    let clients = Clients::start(load, workers, Some(Half::Clients)).await?;
    let loaded = clients.finish(&path).await?;
    let cpu = server.cpu().await?.saturating_sub(before);
    Ok(Turn { loaded, cpu })
}

impl Turn {
    fn figures(self) -> Vec<f64> {
        let Self { loaded, cpu } = self;
        vec![
            loaded.rate(),
            loaded.p50_us,
            loaded.p99_us,
            cpu.as_secs_f64() * 1e6 / loaded.requests as f64,
        ]
    }
}
