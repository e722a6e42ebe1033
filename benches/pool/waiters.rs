//! What waiting costs where many wait already.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use futures_util::{FutureExt, poll};

use crate::Result;
use crate::measure::{Entry, interleave, nanos};
use crate::on_memory;
use crate::options::Options;
use crate::peer::Pool;
use crate::report::Table;
use crate::wire::Memory;

pub(crate) const NAME: &str = "waiters";

const SIZE: u8 = 8;
const WAITERS: [u32; 3] = [10, 1_000, 10_000];
/// How many callers come and leave again.
const PASSERS: u32 = 10_000;
const CONTENDERS: [&str; 4] = ["ours", "deadpool", "bb8", "mobc"];

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for waiters in WAITERS {
        let entries = entries(waiters, options.scaled(PASSERS));
        let samples = interleave(options.rounds, &entries, |turn: Turn| {
            vec![nanos(turn.pass), nanos(turn.served)]
        })
        .await?;
        let columns = [("queue + leave", "ns"), ("to be served", "ns")];
        let title = format!("{waiters} waiters on {SIZE} connections, each caller");
        tables.push(Table::new(title, &columns).with_medians(&samples, &CONTENDERS));
    }
    Ok(tables)
}

fn entries(waiters: u32, passers: u32) -> Vec<Entry<Turn>> {
    let entry = |name, turn| Entry { name, turn };
    let [ours, deadpool, bb8, mobc] = CONTENDERS;
    vec![
        entry(
            ours,
            Box::new(move || {
                async move {
                    let pool = on_memory::ours(&Memory::default(), SIZE.into(), |pool| {
                        pool.server_reset_query("")
                    });
                    turn(pool?, waiters, passers).await
                }
                .boxed()
            }),
        ),
        entry(
            deadpool,
            Box::new(move || {
                async move {
                    let pool = on_memory::deadpool(&Memory::default(), SIZE.into());
                    turn(pool?, waiters, passers).await
                }
                .boxed()
            }),
        ),
        entry(
            bb8,
            Box::new(move || {
                async move {
                    let pool = on_memory::bb8(&Memory::default(), SIZE.into()).await;
                    turn(pool?, waiters, passers).await
                }
                .boxed()
            }),
        ),
        entry(
            mobc,
            Box::new(move || {
                async move {
                    let pool = on_memory::mobc(&Memory::default(), SIZE.into());
                    turn(pool, waiters, passers).await
                }
                .boxed()
            }),
        ),
    ]
}

/// What it took for each.
struct Turn {
    /// To come, to find a queue, and to leave it.
    pass: Duration,
    /// To be handed a session from the head of the queue and to hand it on.
    served: Duration,
}

async fn turn<P: Pool>(pool: P, waiters: u32, passers: u32) -> Result<Turn> {
    let held = (0..SIZE).map(|_| pool.acquire());
    let held = try_join_all(held).await?;
    let queued = Arc::new(AtomicU32::new(0));
    let tasks = (0..waiters).map(|_| {
        let (pool, queued) = (pool.clone(), Arc::clone(&queued));
        tokio::spawn(async move {
            let mut acquire = pin!(pool.acquire());
            let first = poll!(acquire.as_mut());
            queued.fetch_add(1, Ordering::SeqCst);
            match first {
                Poll::Ready(session) => session.map(drop),
                Poll::Pending => acquire.await.map(drop),
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    while queued.load(Ordering::SeqCst) < waiters {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    for _ in 0..passers {
        let mut acquire = pin!(pool.acquire());
        if poll!(acquire.as_mut()).is_ready() {
            return Err("a session came free while all were held".into());
        }
    }
    let pass = begun.elapsed() / passers;
    let begun = Instant::now();
    drop(held);
    for outcome in try_join_all(tasks).await? {
        outcome?;
    }
    let served = begun.elapsed() / waiters;
    Ok(Turn { pass, served })
}
