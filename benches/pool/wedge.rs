//! A reset that never ends, and the callers that come meanwhile. Ours alone: no peer
//! resets behind the caller's back.

use std::time::{Duration, Instant};

use crate::Result;
use crate::measure::{Samples, millis};
use crate::on_memory;
use crate::options::Options;
use crate::report::{Gate, Table};
use crate::wire::Memory;

pub(crate) const NAME: &str = "wedge";

const CONNECT: Duration = Duration::from_millis(150);
/// What waking up may take on a busy machine.
const SLACK: Duration = Duration::from_millis(20);

/// When the caller comes, after the session whose reset hangs was given back.
const CASES: [(&str, Duration); 3] = [
    ("at once", Duration::ZERO),
    ("20 ms later", Duration::from_millis(20)),
    ("1 s later", Duration::from_secs(1)),
];

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let mut samples = Samples::default();
    for _ in 0..options.rounds {
        for (name, later) in CASES {
            samples.add(name, &[millis(wait(later).await?)]);
        }
    }
    let limit = millis(CONNECT + SLACK);
    let table = Table::new(
        format!("wedged reset: 1 of 2 connections stands, connect {CONNECT:?}; a caller comes"),
        &[("served after", "ms")],
    )
    .with_medians(&samples, &CASES.map(|(name, _)| name))
    .with_gates(CASES.map(|(name, _)| {
        let what = format!("served, ours, caller {name}, ms");
        Gate::at_most(what, samples.median(name, 0), limit)
    }));
    Ok(vec![table])
}

/// How long a caller waits.
async fn wait(later: Duration) -> Result<Duration> {
    let memory = Memory::default();
    let pool = on_memory::ours(&memory, 2, |pool| pool)?.0;
    let session = pool.acquire().await?;
    memory.set_connect_time(CONNECT);
    memory.set_hang_resets(true);
    drop(session);
    tokio::time::sleep(later).await;
    let begun = Instant::now();
    let session = pool.acquire().await?;
    let waited = begun.elapsed();
    memory.set_hang_resets(false);
    drop(session);
    Ok(waited)
}
