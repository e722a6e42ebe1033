//! What a pool itself costs: acquire and release, with nobody else around.
//!
//! Everything happens in one thread, and the gates compare its processor time: other
//! programs disturb that less than the time on the wall.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use ops_core::database::ConnectInfo;

use crate::Result;
use crate::measure::{Entry, Spent, Stopwatch, interleave, nanos};
use crate::options::Options;
use crate::peer::{Pool, warm};
use crate::report::{Gate, Table};
use crate::wire::Memory;
use crate::{on_memory, on_postgres};

pub(crate) const NAME: &str = "uncontended";

const SIZE: u32 = 8;
const TURNS: u32 = 1_000_000;
const FLOOR: &str = "floor: two locks, pop and push";
const OURS: &str = "ours";
const DEADPOOL: &str = "deadpool";
const BB8: &str = "bb8";
const MOBC: &str = "mobc";
const SQLX: &str = "sqlx (on PostgreSQL)";
const PG_OURS: &str = "ours (on PostgreSQL)";
const PG_DEADPOOL: &str = "deadpool-postgres Fast";

const CPU: usize = 1;

pub(crate) async fn run(options: &Options, info: &ConnectInfo) -> Result<Vec<Table>> {
    let (options, info) = (options.clone(), info.clone());
    let thread = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async { tokio::spawn(measure(options, info)).await? })
    });
    thread.await?
}

async fn measure(options: Options, info: ConnectInfo) -> Result<Vec<Table>> {
    let (options, info) = (&options, &info);
    let turns = options.scaled(TURNS);
    let memory = Memory::default();
    let no_reset = |builder: ops_pool::SessionPoolBuilder| builder.server_reset_query("");
    let entries = [
        Entry {
            name: FLOOR,
            turn: Box::new(move || async move { Ok((floor(turns), turns)) }.boxed()),
        },
        entry(OURS, on_memory::ours(&memory, 8, no_reset)?, turns).await?,
        entry(DEADPOOL, on_memory::deadpool(&memory, 8)?, turns).await?,
        entry(BB8, on_memory::bb8(&memory, SIZE).await?, turns).await?,
        // The slow ones have fewer turns.
        entry(MOBC, on_memory::mobc(&memory, SIZE.into()), turns / 10).await?,
        entry(PG_OURS, on_postgres::ours(info, 8, no_reset)?, turns).await?,
        entry(
            PG_DEADPOOL,
            on_postgres::deadpool(info, 8, deadpool_postgres::RecyclingMethod::Fast)?,
            turns,
        )
        .await?,
        entry(
            SQLX,
            on_postgres::sqlx(info, |pool| {
                pool.max_connections(SIZE).test_before_acquire(false)
            })?,
            turns / 20,
        )
        .await?,
    ];
    let samples = interleave(options.rounds, &entries, |(spent, turns): (Spent, u32)| {
        let each = |time| nanos(time) / f64::from(turns);
        vec![each(spent.wall), each(spent.cpu)]
    })
    .await?;
    let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
    let mut table = Table::new(
        format!("acquire + release, one task, {SIZE} connections, {turns} turns"),
        &[
            ("wall", "ns"),
            ("CPU", "ns"),
            ("/ floor", ""),
            ("/ deadpool", ""),
        ],
    );
    for name in names {
        let mut figures = samples.medians(name);
        figures.push(samples.ratio(name, FLOOR, CPU));
        figures.push(samples.ratio(name, DEADPOOL, CPU));
        table.row(name, figures);
    }
    Ok(vec![table.with_gates([
        Gate::at_most("ours / floor", samples.ratio(OURS, FLOOR, CPU), 2.5),
        Gate::at_most("ours / deadpool", samples.ratio(OURS, DEADPOOL, CPU), 0.35),
    ])])
}

async fn entry<P: Pool>(name: &'static str, pool: P, turns: u32) -> Result<Entry<(Spent, u32)>> {
    warm(&pool, 8).await?;
    let turn = move || {
        let pool = pool.clone();
        async move {
            // What the last contender left to do is done first.
            tokio::task::yield_now().await;
            let watch = Stopwatch::start_in_thread();
            for _ in 0..turns {
                drop(black_box(pool.acquire().await?));
            }
            Ok((watch.stop(), turns))
        }
        .boxed()
    };
    Ok(Entry {
        name,
        turn: Box::new(turn),
    })
}

/// What any pool has to do at least: take out under a lock, and put back under a lock.
fn floor(turns: u32) -> Spent {
    let idle: VecDeque<Box<u32>> = (0..SIZE).map(Box::new).collect();
    let idle = Arc::new(Mutex::new(idle));
    let lock = || idle.lock().unwrap_or_else(PoisonError::into_inner);
    let watch = Stopwatch::start_in_thread();
    for _ in 0..turns {
        let one = lock().pop_front();
        lock().extend(black_box(one));
    }
    watch.stop()
}
