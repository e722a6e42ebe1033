//! Archiving WAL beside `pg_receivewal` and pgBackRest.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use ops_backup::Lsn;

use crate::cluster::{Cluster, stored};
use crate::harness::Case;
use crate::measure::{Cost, measure};
use crate::ours::{Answer, Order, Place, Task};
use crate::pgbackrest::{self, PgBackRest};
use crate::{Result, Samples};

const OURS: &str = "ours";
const RECEIVEWAL: &str = "pg_receivewal";
const BACKREST: &str = "pgbackrest archive-push, async, zst:3";
const NOTHING: &str = "no archiver";
const SEGMENT: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Default)]
struct Book {
    /// Seconds per 100 segments of a backlog.
    catching_up: Samples,
    catching_up_cpu: Samples,
    latency: Samples,
    median_lag: Samples,
    high_lag: Samples,
}

pub(crate) async fn run(cluster: &Cluster, quick: bool, rounds: usize) -> Result<Vec<Case>> {
    let (segments, seconds) = if quick { (24, 4) } else { (64, 20) };
    let mut peer = None;
    if pgbackrest::version().is_some() {
        let settings = "compress-type=zst\ncompress-level=3\narchive-async=y";
        peer = Some(PgBackRest::new(cluster, BACKREST, settings)?);
    }
    // Segments wait for the archiver that a round is about.
    let mut book = Book::default();
    for round in 0..rounds.min(3) {
        catch_up(cluster, peer.as_ref(), segments, &mut book).await?;
        follow(cluster, peer.as_ref(), seconds, round, &mut book).await?;
    }
    let per_segment = [(RECEIVEWAL, 1.0), (BACKREST, 1.0)];
    let there = |samples: &Samples, goals: &[(&'static str, f64)]| {
        let goals = goals.iter().filter(|goal| samples.contains_key(goal.0));
        goals.copied().collect::<Vec<_>>()
    };
    let case = |name, unit, samples: &Samples, goals: &[(&'static str, f64)]| {
        Case::new(name, unit, samples, &there(samples, goals))
    };
    Ok(vec![
        case(
            "WAL, catching up: per 100 segments",
            "s",
            &book.catching_up,
            &per_segment,
        ),
        case(
            "WAL, catching up: CPU per 100 segments",
            "s",
            &book.catching_up_cpu,
            &[],
        ),
        case(
            "pgbench -c 8 while WAL is archived: latency",
            "ms",
            &book.latency,
            &[(NOTHING, 1.03)],
        ),
        case("WAL: median lag of the store", "ms", &book.median_lag, &[]),
        case(
            "WAL: lag of the store, 99th percentile",
            "ms",
            &book.high_lag,
            &[("limit", 1.0)],
        ),
    ])
}

/// How long each needs for the same segments, which nobody has archived yet.
async fn catch_up(
    cluster: &Cluster,
    peer: Option<&PgBackRest>,
    segments: u64,
    book: &mut Book,
) -> Result<()> {
    let client = cluster.pg.client("bench").await;
    cluster.set("archive_command", "false").await?;
    client.batch_execute("SELECT pg_switch_wal()").await?;
    for slot in ["ours", "receivewal"] {
        let sql = "SELECT pg_create_physical_replication_slot($1, true)";
        client.execute(sql, &[&slot]).await?;
    }
    let start = position(&client).await?;
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS wal_filler (i bigint, x text)")
        .await?;
    while position(&client).await?.as_u64() < start.as_u64() + segments * SEGMENT {
        let sql = "INSERT INTO wal_filler SELECT i, md5(random()::text) || repeat(md5(i::text), 8) \
                   FROM generate_series(1, 20000) i";
        client.batch_execute(sql).await?;
    }
    client
        .batch_execute("TRUNCATE wal_filler; SELECT pg_switch_wal()")
        .await?;
    let end = position(&client).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of segments")]
    let hundreds = (end.as_u64() - start.as_u64()) as f64 / SEGMENT as f64 / 100.0;
    let mut note = |who: &'static str, seconds: f64, cpu: Option<f64>| {
        let segments = hundreds * 100.0;
        eprintln!("catching up: {who}: {seconds:.2} s, CPU {cpu:.2?} s, {segments:.0} segments");
        let wall = book.catching_up.entry(who).or_default();
        wall.push(seconds / hundreds);
        if let Some(cpu) = cpu {
            let all = book.catching_up_cpu.entry(who).or_default();
            all.push(cpu / hundreds);
        }
    };
    let cost = ours_catches_up(cluster, end)?;
    note(OURS, cost.seconds, Some(cost.cpu()));
    let cost = receivewal_catches_up(cluster, end)?;
    note(RECEIVEWAL, cost.seconds, Some(cost.cpu()));
    if let Some(peer) = peer {
        note(BACKREST, backrest_catches_up(cluster, peer).await?, None);
    }
    cluster.set("archive_command", "true").await?;
    for slot in ["ours", "receivewal"] {
        client
            .execute("SELECT pg_drop_replication_slot($1)", &[&slot])
            .await?;
    }
    Ok(())
}

async fn position(client: &tokio_postgres::Client) -> Result<Lsn> {
    let row = client
        .query_one("SELECT pg_current_wal_lsn()::text", &[])
        .await?;
    Ok(row.get::<_, String>(0).parse()?)
}

fn wal_store(cluster: &Cluster) -> PathBuf {
    cluster.folder().join("wal-store")
}

fn ours_catches_up(cluster: &Cluster, end: Lsn) -> Result<Cost> {
    let task = Task::CatchUp {
        slot: "ours".to_owned(),
        end,
    };
    let _ = fs::remove_dir_all(wal_store(cluster));
    let (mut command, input) =
        Order::new(cluster, task, Place::Folder(wal_store(cluster))).command()?;
    let (cost, output) = measure(cluster.pg.pid(), &mut command, &input)?;
    let answer: Answer = serde_json::from_slice(&output)?;
    eprintln!(
        "ours: {} segments, {} parts, {} bytes",
        answer.segments, answer.parts, answer.stored
    );
    fs::remove_dir_all(wal_store(cluster))?;
    Ok(cost)
}

fn receivewal_catches_up(cluster: &Cluster, end: Lsn) -> Result<Cost> {
    let folder = cluster.shared_folder("receivewal")?;
    let path = folder.to_string_lossy().into_owned();
    let until = format!("--endpos={end}");
    let mut command = cluster.program("pg_receivewal", &["-D", &path, "-S", "receivewal", &until]);
    let (cost, _) = measure(cluster.pg.pid(), &mut command, b"")?;
    fs::remove_dir_all(&folder)?;
    Ok(cost)
}

/// Its processes are nobody's children: what they cost is not seen.
async fn backrest_catches_up(cluster: &Cluster, peer: &PgBackRest) -> Result<f64> {
    let status = cluster.pg.data_dir().join("pg_wal/archive_status");
    let waiting = || -> Result<usize> {
        let entries = fs::read_dir(&status)?.filter_map(|it| Some(it.ok()?.path()));
        Ok(entries
            .filter(|it| it.extension().is_some_and(|it| it == "ready"))
            .count())
    };
    let begun = Instant::now();
    cluster
        .set("archive_command", &peer.archive_command())
        .await?;
    while waiting()? > 0 {
        if begun.elapsed() > PATIENCE {
            return Err("pgbackrest does not archive".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (bytes, _) = stored(&peer.repository.join("archive"))?;
    eprintln!("pgbackrest: {bytes} bytes archived so far");
    Ok(seconds)
}

/// What archiving costs a workload, and how far the store is behind it.
async fn follow(
    cluster: &Cluster,
    peer: Option<&PgBackRest>,
    seconds: u64,
    round: usize,
    book: &mut Book,
) -> Result<()> {
    let mut names = vec![NOTHING, OURS, RECEIVEWAL];
    names.extend(peer.map(|_| BACKREST));
    if round % 2 == 1 {
        names.reverse();
    }
    for name in names {
        cluster.checkpoint().await?;
        let mut running = Running::start(cluster, peer, name, seconds + 1).await?;
        let latency = pgbench(cluster, seconds)?;
        let answer = running.stop(cluster).await?;
        book.latency.entry(name).or_default().push(latency);
        let mut lags = answer.lags;
        lags.sort_unstable();
        let at = |share: usize| lags.get(lags.len() * share / 100).copied();
        if let (Some(median), Some(high)) = (at(50), at(99)) {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let (median, high) = (median as f64, high as f64);
            book.median_lag.entry(OURS).or_default().push(median);
            book.high_lag.entry(OURS).or_default().push(high);
            book.high_lag.entry("limit").or_default().push(2000.0);
        }
        eprintln!(
            "following: {name}: {latency:.3} ms, {} segments",
            answer.segments
        );
    }
    Ok(())
}

/// The average latency in milliseconds.
fn pgbench(cluster: &Cluster, seconds: u64) -> Result<f64> {
    let time = seconds.to_string();
    let arguments = ["-c", "8", "-j", "2", "-n", "-T", &time, "bench"];
    let output = cluster.program("pgbench", &arguments).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("latency average = "));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("pgbench says no latency")?.parse()?)
}

/// An archiver beside the workload.
struct Running {
    child: Option<Child>,
    ours: bool,
    slot: Option<&'static str>,
}

impl Running {
    async fn start(
        cluster: &Cluster,
        peer: Option<&PgBackRest>,
        name: &'static str,
        seconds: u64,
    ) -> Result<Self> {
        let (mut child, mut slot) = (None, None);
        match name {
            OURS => {
                let task = Task::Follow {
                    slot: "follower".to_owned(),
                    seconds,
                };
                let _ = fs::remove_dir_all(wal_store(cluster));
                let place = Place::Folder(wal_store(cluster));
                let (mut command, input) = Order::new(cluster, task, place).command()?;
                let mut started = command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()?;
                if let Some(mut stdin) = started.stdin.take() {
                    std::io::Write::write_all(&mut stdin, &input)?;
                }
                (child, slot) = (Some(started), Some("follower"));
            }
            RECEIVEWAL => {
                let folder = cluster.shared_folder("receivewal")?;
                let path = folder.to_string_lossy().into_owned();
                let arguments = [
                    "-D",
                    &path,
                    "-S",
                    "follower",
                    "--create-slot",
                    "--if-not-exists",
                ];
                let status = cluster.program("pg_receivewal", &arguments).status()?;
                if !status.success() {
                    return Err("pg_receivewal makes no slot".into());
                }
                let mut command =
                    cluster.program("pg_receivewal", &["-D", &path, "-S", "follower"]);
                (child, slot) = (
                    Some(command.stderr(Stdio::null()).spawn()?),
                    Some("follower"),
                );
            }
            BACKREST => {
                let command = peer.map(PgBackRest::archive_command).unwrap_or_default();
                cluster.set("archive_command", &command).await?;
            }
            _ => {}
        }
        // It connects.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let ours = name == OURS;
        Ok(Self { child, ours, slot })
    }

    async fn stop(&mut self, cluster: &Cluster) -> Result<Answer> {
        let mut answer = Answer::default();
        if let Some(mut child) = self.child.take() {
            if self.ours {
                let output = child.wait_with_output()?;
                answer = serde_json::from_slice(&output.stdout)?;
                let _ = fs::remove_dir_all(wal_store(cluster));
            } else {
                child.kill()?;
                child.wait()?;
                let _ = fs::remove_dir_all(cluster.folder().join("receivewal"));
            }
        }
        cluster.set("archive_command", "true").await?;
        let client = cluster.pg.client("postgres").await;
        for _ in 0..100 {
            let Some(slot) = self.slot else { break };
            let sql = "SELECT pg_drop_replication_slot($1)";
            if client.execute(sql, &[&slot]).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(answer)
    }
}
