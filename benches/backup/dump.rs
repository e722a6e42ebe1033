//! A logical backup beside `pg_dump -Fc` and beside `pg_dump -Fc -Z0 | zstd -1 -T2`.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ops_backup::{Backup, Encryption};
use ops_core::database::ConnectInfo;
use ops_local::Local;
use ops_pg::binaries::Finder;
use ops_postgres::Postgres;
use ops_testkit::{Pg, peak_rss_bytes};

use crate::cluster::Cluster;
use crate::harness::Case;
use crate::{Result, Samples, megabytes};

const PG_DUMP: &str = "pg_dump -Fc";
const PG_DUMP_ZSTD: &str = "pg_dump -Fc -Z0 | zstd -1 -T2";
/// What the server and `pg_dump` take by themselves.
const FLOOR: &str = "pg_dump -Fc -Z0 > /dev/null";

pub(crate) async fn run(cluster: &Cluster, rounds: usize) -> Result<Vec<Case>> {
    let (pg, info) = (&cluster.pg, &cluster.info);
    let folder = cluster.folder().join("dumps");
    std::fs::create_dir_all(&folder)?;
    let backup = backup(info, &folder)?;
    let (mut seconds, mut sizes) = (Samples::new(), Samples::new());
    // One round to warm the caches, not counted.
    for round in 0..=rounds {
        let mut contenders = ["ours", PG_DUMP, PG_DUMP_ZSTD, FLOOR];
        if round % 2 == 1 {
            contenders.reverse();
        }
        for name in contenders {
            let target = folder.join("peer.dump");
            let begun = Instant::now();
            let stored = match name {
                "ours" => backup.dump().finish().await?.bytes_stored,
                PG_DUMP => pg_dump(pg, info, &target)?,
                FLOOR => floor(pg, info)?,
                _ => pg_dump_zstd(pg, info, &target)?,
            };
            let took = begun.elapsed().as_secs_f64();
            eprintln!(
                "round {round}: {name}: {took:.2} s, {} MB stored",
                stored / 1_000_000
            );
            if round > 0 {
                seconds.entry(name).or_default().push(took);
                if name == FLOOR {
                    continue;
                }
                sizes.entry(name).or_default().push(megabytes(stored));
            }
        }
    }
    if let Some(peak) = peak_rss_bytes() {
        println!("peak memory of this process: {} MB", peak / 1_000_000);
    }
    std::fs::remove_dir_all(&folder)?;
    let goals = [(PG_DUMP, 0.75), (PG_DUMP_ZSTD, 1.03), (FLOOR, 1.05)];
    Ok(vec![
        Case::new("wall time of a full dump", "s", &seconds, &goals),
        Case::new("stored", "MB", &sizes, &[]),
    ])
}

fn backup(info: &ConnectInfo, folder: &Path) -> Result<Backup> {
    let identity = age::x25519::Identity::generate();
    let database = Arc::new(Postgres::builder(info.clone()).build()?);
    let store = Arc::new(Local::builder(folder.join("store")).create(true).build()?);
    Ok(Backup::builder(database, store)
        .encryption(Encryption::recipients([identity.to_public().to_string()])?)
        .sweep_grace(Duration::from_hours(1))
        .finder(Finder::from_env())
        .build()?)
}

fn command(pg: &Pg, info: &ConnectInfo, arguments: &[&str]) -> Command {
    let mut command = Command::new(pg.bin("pg_dump"));
    let env = ops_pg::conninfo::libpq_env(info);
    env.plain().for_each(|(name, value)| {
        command.env(name, value);
    });
    command.args(arguments);
    command
}

fn flushed(target: &Path) -> Result<u64> {
    let file = File::options().write(true).open(target)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn pg_dump(pg: &Pg, info: &ConnectInfo, target: &Path) -> Result<u64> {
    let status = command(pg, info, &["-Fc"])
        .stdout(File::create(target)?)
        .status()?;
    if !status.success() {
        return Err("pg_dump failed".into());
    }
    flushed(target)
}

fn floor(pg: &Pg, info: &ConnectInfo) -> Result<u64> {
    let status = command(pg, info, &["-Fc", "-Z0"])
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(0)
    } else {
        Err("pg_dump failed".into())
    }
}

fn pg_dump_zstd(pg: &Pg, info: &ConnectInfo, target: &Path) -> Result<u64> {
    let mut dump = command(pg, info, &["-Fc", "-Z0"])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = dump.stdout.take().ok_or("pg_dump has no output")?;
    let status = Command::new("zstd")
        .args(["-1", "-T2", "-q", "-c"])
        .stdin(output)
        .stdout(File::create(target)?)
        .status()?;
    if !dump.wait()?.success() || !status.success() {
        return Err("pg_dump or zstd failed".into());
    }
    flushed(target)
}
