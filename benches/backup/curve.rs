//! What a backup and a restore cost as the cluster grows: in bytes, and in relations.

use tempfile::TempDir;

use crate::base::pg_basebackup;
use crate::book::OURS;
use crate::cluster::{Cluster, Content};
use crate::harness::Case;
use crate::measure::measure;
use crate::ours::{Answer, Order, Place, Task};
use crate::{Result, Samples};

const PEER: &str = "pg_basebackup server-zstd:3";

/// How much more memory the largest cluster may take than that of 3 GB.
const GROWTH: f64 = 1.1;

/// A point of the curve, and the names of what is measured there.
struct Step {
    content: Content,
    backup: &'static str,
    memory: &'static str,
    restore: &'static str,
}

macro_rules! step {
    ($name:literal, $content:expr) => {
        Step {
            content: $content,
            backup: concat!("curve, ", $name, ": base backup"),
            memory: concat!("curve, ", $name, ": memory above idle"),
            restore: concat!("curve, ", $name, ": restore"),
        }
    };
}

const STEPS: [Step; 7] = [
    step!("0.3 GB", Content::Bytes(300_000_000)),
    step!("1000 relations", Content::Relations(1_000)),
    step!("1 GB", Content::Bytes(1_000_000_000)),
    step!("10 000 relations", Content::Relations(10_000)),
    step!("100 000 relations", Content::Relations(100_000)),
    step!("3 GB", Content::Bytes(3_000_000_000)),
    step!("10 GB", Content::Bytes(10_000_000_000)),
];
/// The steps that are small enough for a quick run.
const QUICK: usize = 2;

pub(crate) async fn run(
    quick: bool,
    rounds: usize,
    written: &mut Vec<TempDir>,
) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let mut memory_before = None;
    for step in STEPS.iter().take(if quick { QUICK } else { STEPS.len() }) {
        let cluster = Cluster::start(step.content).await?;
        let (mut walls, mut memory, mut restores) =
            (Samples::new(), Samples::new(), Samples::new());
        for round in 0..=rounds {
            let (ours, above, back) = ours(&cluster).await?;
            cluster.checkpoint().await?;
            let folder = cluster.folder().join("peer");
            let (peer, ..) = pg_basebackup(&cluster, "server", &folder)?;
            eprintln!(
                "{} {round}: ours {ours:.2} s, {above:.1} MiB above idle, {PEER} {:.2} s, restored in {back:.2} s",
                step.backup, peer.seconds
            );
            if round > 0 {
                walls.entry(OURS).or_default().push(ours);
                walls.entry(PEER).or_default().push(peer.seconds);
                memory.entry(OURS).or_default().push(above);
                restores.entry(OURS).or_default().push(back);
            }
        }
        let mut goals = Vec::new();
        if matches!(step.content, Content::Bytes(bytes) if bytes > 3_000_000_000)
            && let Some(before) = memory_before
        {
            memory.insert("3 GB", vec![before]);
            goals.push(("3 GB", GROWTH));
        }
        cases.push(Case::new(step.backup, "s", &walls, &[]));
        let case = Case::new(step.memory, "MiB", &memory, &goals);
        memory_before = Some(case.ours);
        cases.push(case);
        cases.push(Case::new(step.restore, "s", &restores, &[]));
        written.push(cluster.end()?);
    }
    Ok(cases)
}

/// A backup and its restore: their seconds, and the memory of the backup.
async fn ours(cluster: &Cluster) -> Result<(f64, f64, f64)> {
    let place = Place::Folder(cluster.folder().join("store"));
    let pid = cluster.pg.pid();
    cluster.checkpoint().await?;
    let (mut command, input) = Order::new(cluster, Task::Backup, place.clone()).command()?;
    let (cost, output) = measure(pid, &mut command, &input)?;
    let answer: Answer = serde_json::from_slice(&output)?;
    let folder = cluster.folder().join("restored");
    let task = Task::Restore {
        id: answer.id.clone().ok_or("there is no backup")?,
        folder: folder.clone(),
        delta: false,
    };
    let (mut command, input) = Order::new(cluster, task, place).command()?;
    let (restored, _) = measure(None, &mut command, &input)?;
    cluster.discard(&folder)?;
    cluster.discard(&cluster.folder().join("store"))?;
    Ok((cost.seconds, answer.above_idle_mib(), restored.seconds))
}
