//! Incremental backups beside pgBackRest: after one page in a hundred has changed.

use ops_backup::BackupId;
use ops_pg::binaries::{Finder, Major};
use ops_testkit::Pg;
use tempfile::TempDir;

use crate::book::{Book, OURS};
use crate::cluster::{Cluster, Content};
use crate::harness::Case;
use crate::measure::{Cost, measure};
use crate::ours::{Answer, Order, Place, Task};
use crate::pgbackrest::{self, Installed, PgBackRest};
use crate::{Result, megabytes};

/// The first minor of a major whose incremental backups ours relies upon.
const LEAST: [(u32, u32); 2] = [(17, 11), (18, 6)];

/// Writes a row anew in one page of a hundred of each large table, in others each round.
const CHANGES: &str = "
CREATE PROCEDURE change_pages(round int) LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT c.oid::regclass AS name, a.attname AS key, pg_relation_size(c.oid) / 8192 AS pages
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1
        WHERE c.relkind = 'r' AND pg_relation_size(c.oid) >= 100 * 8192
            AND (c.relnamespace = 'bulk'::regnamespace OR c.relname = 'pgbench_accounts')
    LOOP
        EXECUTE format('UPDATE %s SET %I = %I WHERE ctid = ANY (ARRAY(
            SELECT format(''(%%s,1)'', page)::tid FROM generate_series(%s, %s, 100) page))',
            t.name, t.key, t.key, round % 100, t.pages - 1);
    END LOOP;
END $$";

/// The names of what is measured on one major.
struct Names {
    backup: [&'static str; 3],
    stored: &'static str,
    restore: [&'static str; 3],
}

impl Names {
    fn of(major: u32) -> Self {
        let of = |what: &str| -> &'static str {
            format!("1 % changed, PostgreSQL {major}: {what}").leak()
        };
        Self {
            backup: [
                of("incremental, wall"),
                of("incremental, CPU of both sides"),
                of("incremental, peak of the process tree"),
            ],
            stored: of("incremental, stored"),
            restore: [
                of("restore of the chain, wall"),
                of("restore of the chain, CPU"),
                of("restore of the chain, peak of the process tree"),
            ],
        }
    }
}

/// Runs on each major that is installed with all of its programs and can do so.
pub(crate) async fn run(
    content: Content,
    rounds: usize,
    others: &[Installed],
    written: &mut Vec<TempDir>,
) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (major, minor) in LEAST {
        let server = Pg::builder().major(major).setting("summarize_wal", "on");
        if !is_there(major, minor).await {
            eprintln!("no PostgreSQL {major}.{minor} or newer with pgbench: left out");
            continue;
        }
        let cluster = Cluster::start_on(server, content).await?;
        eprintln!("PostgreSQL {}", cluster.pg.binaries().version());
        cases.extend(series(&cluster, Names::of(major), rounds, others).await?);
        written.push(cluster.end()?);
    }
    Ok(cases)
}

/// Whether the server that the test kit starts for a major is new enough and complete.
async fn is_there(major: u32, minor: u32) -> bool {
    let found = Finder::from_env().exact(Major(major)).await;
    found.is_ok_and(|it| it.version().minor() >= minor && it.has("pgbench"))
}

struct Series<'a> {
    cluster: &'a Cluster,
    backrest: Vec<PgBackRest>,
    /// Our newest backup.
    id: Option<BackupId>,
}

async fn series(
    cluster: &Cluster,
    names: Names,
    rounds: usize,
    others: &[Installed],
) -> Result<Vec<Case>> {
    let client = cluster.pg.client("bench").await;
    client.batch_execute(CHANGES).await?;
    let backrest = pgbackrest::peers(cluster, others);
    let mut contenders = vec![OURS];
    contenders.extend(backrest.iter().map(|it| it.name));
    let mut series = Series {
        cluster,
        backrest,
        id: None,
    };
    for &name in &contenders {
        let (cost, stored) = series.back_up(name, Task::Backup).await?;
        eprintln!("full: {name}: {cost:?}, {stored:.1} MB");
    }
    let mut book = Book::default();
    // The first round is not counted.
    for round in 0..=rounds {
        client
            .batch_execute(&format!("CALL change_pages({round})"))
            .await?;
        for &name in &contenders {
            cluster.checkpoint().await?;
            let (cost, stored) = series.back_up(name, Task::Increment).await?;
            let restored = series.restore(name)?;
            eprintln!("round {round}: {name}: {cost:?}, {stored:.1} MB, restored: {restored:?}");
            if round > 0 {
                book.cost(names.backup, name, cost);
                book.note(names.stored, name, stored);
                book.cost(names.restore, name, restored);
            }
        }
        contenders.reverse();
    }
    let seconds_and_memory =
        |[wall, cpu, memory]: [&'static str; 3]| [(wall, "s"), (cpu, "s"), (memory, "MiB")];
    let measured = seconds_and_memory(names.backup)
        .into_iter()
        .chain([(names.stored, "MB")])
        .chain(seconds_and_memory(names.restore));
    Ok(measured
        .filter_map(|(name, unit)| book.case(name, unit, &[]))
        .collect())
}

impl Series<'_> {
    /// Returns what it cost, and how much was stored, in MB.
    async fn back_up(&mut self, name: &str, task: Task) -> Result<(Cost, f64)> {
        if let Some(peer) = self.backrest.iter().find(|it| it.name == name) {
            let kind = if matches!(task, Task::Backup) {
                "full"
            } else {
                "incr"
            };
            let (cost, bytes, _) = peer.back_up(self.cluster, kind).await?;
            return Ok((cost, megabytes(bytes)));
        }
        let (cost, answer) = self.ours(task, self.cluster.pg.pid())?;
        self.id = answer.id;
        Ok((cost, megabytes(answer.stored)))
    }

    /// Restores the newest backup of a contender.
    fn restore(&self, name: &str) -> Result<Cost> {
        let folder = self.cluster.shared_folder("restored")?;
        let peer = self.backrest.iter().find(|it| it.name == name);
        let cost = if let Some(peer) = peer {
            measure(None, &mut peer.restore(&folder, false), b"")?.0
        } else {
            let task = Task::Restore {
                id: self.id.clone().ok_or("there is no backup")?,
                folder: folder.clone(),
                delta: false,
            };
            self.ours(task, None)?.0
        };
        self.cluster.discard(&folder)?;
        Ok(cost)
    }

    fn ours(&self, task: Task, postmaster: Option<u32>) -> Result<(Cost, Answer)> {
        let place = Place::Folder(self.cluster.folder().join("store"));
        let (mut command, input) = Order::new(self.cluster, task, place).command()?;
        let (cost, output) = measure(postmaster, &mut command, &input)?;
        Ok((cost, serde_json::from_slice(&output)?))
    }
}
