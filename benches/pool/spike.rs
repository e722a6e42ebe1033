//! Fifty callers at once where five connections stand, and a start from nothing.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use ops_core::database::ConnectInfo;
use tokio::sync::Barrier;

use crate::Result;
use crate::measure::{Entry, interleave, millis};
use crate::options::Options;
use crate::peer::{Pool, warm};
use crate::report::{Gate, Table};
use crate::wire::Memory;
use crate::{on_memory, on_postgres};

pub(crate) const NAME: &str = "spike";

const CONNECT: Duration = Duration::from_millis(150);
const HOLD: Duration = Duration::from_millis(2);
const WARM: usize = 5;
const CALLERS: usize = 50;
const COLD: usize = 64;
/// After this nobody is waited for anymore.
const PATIENCE: Duration = Duration::from_secs(30);

const OURS: &str = "ours";
const CONTENDERS: [&str; 5] = [OURS, "bb8", "deadpool", "mobc", "sqlx"];

const ALL: usize = 0;
const OPENED: usize = 2;
const SERVED: usize = 3;

pub(crate) async fn run(options: &Options, info: &ConnectInfo) -> Result<Vec<Table>> {
    let columns = [
        ("all served", "ms"),
        ("p50", "ms"),
        ("opened", ""),
        ("served", ""),
    ];
    let entries = entries(Scene::Spike, info);
    let samples = interleave(options.rounds, &entries, Turn::figures).await?;
    let spike = Table::new(
        format!(
            "spike: {CALLERS} callers at once, {WARM} warm of {CALLERS}, connect {CONNECT:?}, \
             hold {HOLD:?}"
        ),
        &columns,
    )
    .with_medians(&samples, &CONTENDERS)
    .with_gates([
        Gate::at_most("all served, ours, ms", samples.median(OURS, ALL), 35.0),
        Gate::at_most("opened, ours", samples.median(OURS, OPENED), 10.0),
    ]);
    let entries = self::entries(Scene::Cold, info);
    let samples = interleave(options.rounds.min(3), &entries, Turn::figures).await?;
    let served = samples.median(OURS, SERVED);
    let cold = Table::new(
        format!("cold start: {COLD} sessions held together of 100, connect {CONNECT:?}"),
        &columns,
    )
    .with_medians(&samples, &CONTENDERS)
    .with_gates([Gate::at_least("served, ours", served, COLD as f64)]);
    Ok(vec![spike, cold])
}

#[derive(Clone, Copy)]
enum Scene {
    Spike,
    Cold,
}

impl Scene {
    fn size(self) -> u8 {
        match self {
            Self::Spike => 50,
            Self::Cold => 100,
        }
    }

    /// Plays the scene on a fresh pool, whose connections `memory` times and counts.
    async fn play<P: Pool>(self, pool: P, memory: Memory) -> Result<Turn> {
        let warmth = match self {
            Self::Spike => WARM,
            Self::Cold => 0,
        };
        warm(&pool, warmth).await?;
        memory.set_connect_time(CONNECT);
        let before = memory.opened();
        let begun = Instant::now();
        let callers = match self {
            Self::Spike => CALLERS,
            Self::Cold => COLD,
        };
        let together = Arc::new(Barrier::new(callers));
        let tasks = (0..callers).map(|_| {
            let (pool, together) = (pool.clone(), Arc::clone(&together));
            tokio::spawn(async move {
                let session = pool.acquire().await?;
                let waited = begun.elapsed();
                match self {
                    Self::Spike => tokio::time::sleep(HOLD).await,
                    Self::Cold => {
                        together.wait().await;
                    }
                }
                drop(session);
                Ok(waited)
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let served = tokio::time::timeout(PATIENCE, try_join_all(tasks)).await;
        let took = begun.elapsed();
        let outcomes: Vec<Result<Duration>> = served.unwrap_or_else(|_| Ok(Vec::new()))?;
        let mut waits: Vec<Duration> = outcomes.into_iter().filter_map(Result::ok).collect();
        waits.sort_unstable();
        Ok(Turn {
            waits,
            took,
            opened: memory.opened() - before,
        })
    }
}

fn entries(scene: Scene, info: &ConnectInfo) -> Vec<Entry<Turn>> {
    let size = scene.size();
    let info = info.clone();
    vec![
        entry(OURS, move |memory| async move {
            scene
                .play(on_memory::ours(&memory, size.into(), |pool| pool)?, memory)
                .await
        }),
        entry("bb8", move |memory| async move {
            scene
                .play(on_memory::bb8(&memory, size.into()).await?, memory)
                .await
        }),
        entry("deadpool", move |memory| async move {
            scene
                .play(on_memory::deadpool(&memory, size.into())?, memory)
                .await
        }),
        entry("mobc", move |memory| async move {
            scene
                .play(on_memory::mobc(&memory, size.into()), memory)
                .await
        }),
        entry("sqlx", move |memory| {
            let info = info.clone();
            async move {
                let timed = memory.clone();
                let pool = on_postgres::sqlx(&info, |pool| {
                    pool.max_connections(size.into())
                        .after_connect(move |_, _| {
                            let memory = timed.clone();
                            Box::pin(async move {
                                memory.take_connect_time().await;
                                Ok(())
                            })
                        })
                })?;
                scene.play(pool, memory).await
            }
        }),
    ]
}

fn entry<F, T>(name: &'static str, play: F) -> Entry<Turn>
where
    F: Fn(Memory) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Turn>> + Send + 'static,
{
    Entry {
        name,
        turn: Box::new(move || play(Memory::default()).boxed()),
    }
}

#[derive(Debug)]
struct Turn {
    /// From the start until each was served, in order.
    waits: Vec<Duration>,
    /// From the start until the last was done.
    took: Duration,
    opened: u32,
}

impl Turn {
    fn figures(self) -> Vec<f64> {
        let Self {
            waits,
            took,
            opened,
        } = self;
        let middle = waits.get(waits.len() / 2).copied();
        vec![
            millis(took),
            middle.map_or(f64::NAN, millis),
            opened.into(),
            waits.len() as f64,
        ]
    }
}
