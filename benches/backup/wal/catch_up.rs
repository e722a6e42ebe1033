//! A backlog of segments that nobody has archived yet.

use std::fs;
use std::time::{Duration, Instant};

use ops_backup::Lsn;

use super::{BACKREST, Book, OURS, RECEIVEWAL, SEGMENT, position, wal_store};
use crate::Result;
use crate::cluster::{Cluster, stored};
use crate::measure::{Cost, measure};
use crate::ours::{Answer, Order, Place, Task};
use crate::pgbackrest::PgBackRest;

const PATIENCE: Duration = Duration::from_mins(5);

/// How long each needs for the same segments, which nobody has archived yet.
pub(super) async fn catch_up(
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
    // Whole segments: a rest would be stored when the next part is due.
    let end = position(&client).await?.as_u64();
    let end = Lsn::new(end - end % SEGMENT);
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
