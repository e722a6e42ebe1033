//! Many tasks on few connections, with a query that costs next to nothing.

use std::time::{Duration, Instant};

use deadpool_postgres::RecyclingMethod;
use futures_util::FutureExt;
use futures_util::future::try_join_all;
use ops_core::database::ConnectInfo;

use crate::Result;
use crate::measure::{Entry, Samples, Stopwatch, interleave};
use crate::on_postgres;
use crate::options::Options;
use crate::peer::{Query, warm};
use crate::report::{Gate, Table};

pub(crate) const NAME: &str = "contended";

const TASKS: usize = 64;
const SIZE: u32 = 8;
const SPAN: Duration = Duration::from_secs(2);

const OURS: &str = "ours, no reset";
const DEADPOOL: &str = "deadpool Fast";
const OURS_RESET: &str = "ours, DISCARD ALL at release";
const OURS_PIPELINED: &str = "ours, DISCARD ALL in front of the next query";
const DEADPOOL_RESET: &str = "deadpool Custom(DISCARD ALL)";

/// Columns of the table, and of [`Turn::figures`].
const COLUMNS: [(&str, &str); 9] = [
    ("ops/s", ""),
    ("p50 wait", "us"),
    ("p99 wait", "us"),
    ("max wait", "us"),
    ("p99/p50", ""),
    ("Jain", ""),
    ("slow/fast", ""),
    ("CPU/op", "us"),
    ("/ Fast", ""),
];
const RATE: usize = 0;
const TAIL: usize = 4;
const JAIN: usize = 5;
const EVEN: usize = 6;

pub(crate) async fn run(options: &Options, info: &ConnectInfo) -> Result<Vec<Table>> {
    let span = options.scaled(SPAN);
    let size = usize::try_from(SIZE)?;
    let custom = RecyclingMethod::Custom("DISCARD ALL".to_owned());
    let sqlx = |checks| {
        on_postgres::sqlx(info, |pool| {
            pool.max_connections(SIZE).test_before_acquire(checks)
        })
    };
    let ours = on_postgres::ours(info, size, |pool| pool.server_reset_query(""))?;
    let ours_reset = on_postgres::ours(info, size, |pool| pool)?;
    let pipelined = on_postgres::ours(info, size, |pool| pool.reset(ops_pool::Reset::Pipelined))?;
    let fast = on_postgres::deadpool(info, size, RecyclingMethod::Fast)?;
    let verified = on_postgres::deadpool(info, size, RecyclingMethod::Verified)?;
    let reset = on_postgres::deadpool(info, size, custom)?;
    let entries = [
        entry(OURS, ours, span).await?,
        entry(DEADPOOL, fast, span).await?,
        entry(
            "bb8, no check",
            on_postgres::bb8(info, SIZE, false).await?,
            span,
        )
        .await?,
        entry("sqlx, no check", sqlx(false)?, span).await?,
        entry(
            "mobc, no check",
            on_postgres::mobc(info, SIZE.into())?,
            span,
        )
        .await?,
        entry("deadpool Verified", verified, span).await?,
        entry(
            "bb8 as it comes",
            on_postgres::bb8(info, SIZE, true).await?,
            span,
        )
        .await?,
        entry("sqlx as it comes", sqlx(true)?, span).await?,
        entry(OURS_RESET, ours_reset, span).await?,
        entry(DEADPOOL_RESET, reset, span).await?,
        entry(OURS_PIPELINED, pipelined, span).await?,
    ];
    let samples = interleave(options.rounds, &entries, Turn::figures).await?;
    let mut table = Table::new(
        format!("{TASKS} tasks on {SIZE} connections, SELECT 1, {span:?} a round"),
        &COLUMNS,
    );
    for Entry { name, .. } in &entries {
        let mut figures = samples.medians(name);
        figures.push(samples.ratio(name, DEADPOOL, RATE));
        table.row(*name, figures);
    }
    Ok(vec![table.with_gates(gates(&samples))])
}

fn gates(samples: &Samples) -> Vec<Gate> {
    let mut gates = vec![
        Gate::at_least(
            format!("ops/s, {OURS} / {DEADPOOL}"),
            samples.ratio(OURS, DEADPOOL, RATE),
            0.97,
        ),
        Gate::at_least(
            format!("ops/s, {OURS_RESET} / {DEADPOOL_RESET}"),
            samples.ratio(OURS_RESET, DEADPOOL_RESET, RATE),
            1.0,
        ),
        Gate::at_least(
            format!("ops/s, {OURS_PIPELINED} / {DEADPOOL_RESET}"),
            samples.ratio(OURS_PIPELINED, DEADPOOL_RESET, RATE),
            1.3,
        ),
    ];
    for name in [OURS, OURS_RESET] {
        let median = |at| samples.median(name, at);
        gates.extend([
            Gate::at_least(format!("Jain, {name}"), median(JAIN), 0.999),
            Gate::at_least(format!("slowest/fastest task, {name}"), median(EVEN), 0.9),
            Gate::at_most(format!("p99/p50 wait, {name}"), median(TAIL), 3.0),
        ]);
    }
    gates
}

async fn entry<P: Query>(name: &'static str, pool: P, span: Duration) -> Result<Entry<Turn>> {
    warm(&pool, usize::try_from(SIZE)?).await?;
    let turn = move || turn(pool.clone(), span).boxed();
    Ok(Entry {
        name,
        turn: Box::new(turn),
    })
}

/// What happened in a turn.
#[derive(Debug)]
struct Turn {
    /// How long each task waited, each time.
    waits: Vec<Vec<Duration>>,
    wall: Duration,
    cpu: Duration,
}

async fn turn<P: Query>(pool: P, span: Duration) -> Result<Turn> {
    let watch = Stopwatch::start();
    let until = Instant::now() + span;
    let tasks = (0..TASKS).map(|_| tokio::spawn(task(pool.clone(), until)));
    let tasks: Vec<_> = tasks.collect();
    let waits: Result<Vec<_>> = try_join_all(tasks).await?.into_iter().collect();
    let spent = watch.stop();
    Ok(Turn {
        waits: waits?,
        wall: spent.wall,
        cpu: spent.cpu,
    })
}

async fn task<P: Query>(pool: P, until: Instant) -> Result<Vec<Duration>> {
    let mut waits = Vec::with_capacity(4_096);
    loop {
        let begun = Instant::now();
        if begun >= until {
            return Ok(waits);
        }
        let mut session = pool.acquire().await?;
        waits.push(begun.elapsed());
        P::select_1(&mut session).await?;
    }
}

impl Turn {
    fn figures(self) -> Vec<f64> {
        let Self { waits, wall, cpu } = self;
        let turns: Vec<f64> = waits.iter().map(|waits| waits.len() as f64).collect();
        let all: f64 = turns.iter().sum();
        let squares: f64 = turns.iter().map(|turns| turns * turns).sum();
        let fastest = turns.iter().copied().fold(0.0, f64::max);
        let slowest = turns.iter().copied().fold(fastest, f64::min);
        let mut waits: Vec<Duration> = waits.into_iter().flatten().collect();
        waits.sort_unstable();
        let at = |percent: usize| {
            let index = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
            waits
                .get(index)
                .map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e6)
        };
        vec![
            all / wall.as_secs_f64(),
            at(50),
            at(99),
            at(100),
            at(99) / at(50),
            all * all / (turns.len() as f64 * squares),
            slowest / fastest,
            cpu.as_secs_f64() * 1e6 / all,
        ]
    }
}
