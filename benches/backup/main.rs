//! A logical backup beside `pg_dump -Fc` and beside `pg_dump -Fc -Z0 | zstd -1 -T2`.
//!
//! `--quick`: 300 MB and 3 rounds instead of 2.8 GB and 5. `--size BYTES`, `--rounds N`.
//!
//! All contenders read the same database in turn, in an order that is reversed from round
//! to round, and write to the same disk, the final fsync included. Ours also encrypts,
//! hashes every row, and stores roles and a fingerprint.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "peers are run as a user would run them"
)]

#[path = "../harness.rs"]
mod harness;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Case, Report};
use ops_backup::{Backup, Encryption};
use ops_core::database::ConnectInfo;
use ops_local::Local;
use ops_pg::binaries::Finder;
use ops_postgres::Postgres;
use ops_testkit::{Pg, data, peak_rss_bytes};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const PG_DUMP: &str = "pg_dump -Fc";
const PG_DUMP_ZSTD: &str = "pg_dump -Fc -Z0 | zstd -1 -T2";
/// What the server and `pg_dump` take by themselves.
const FLOOR: &str = "pg_dump -Fc -Z0 > /dev/null";

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let Some(pg) = Pg::builder()
        .setting("shared_buffers", "512MB")
        .setting("max_wal_size", "8GB")
        .setting("autovacuum", "off")
        .start()
        .await
    else {
        return Err("no PostgreSQL: run cargo xtask setup".into());
    };
    pg.create_database("bench").await;
    let info = pg.connect_info("bench");
    let size = options.size_bytes;
    data::load(&info, pg.binaries(), size / 3, size).await?;
    pg.client("bench").await.batch_execute("CHECKPOINT").await?;

    // On a disk: what is written is flushed to it.
    let folder = tempfile::Builder::new()
        .prefix("ops-bench-")
        .tempdir_in(target_folder())?;
    let backup = backup(&info, folder.path())?;
    let mut seconds: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut sizes: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    // One round to warm the caches, not counted.
    for round in 0..=options.rounds {
        let mut contenders = ["ours", PG_DUMP, PG_DUMP_ZSTD, FLOOR];
        if round % 2 == 1 {
            contenders.reverse();
        }
        for name in contenders {
            let target = folder.path().join("peer.dump");
            let begun = Instant::now();
            let stored = match name {
                "ours" => backup.dump().finish().await?.bytes_stored,
                PG_DUMP => pg_dump(&pg, &info, &target)?,
                FLOOR => floor(&pg, &info)?,
                _ => pg_dump_zstd(&pg, &info, &target)?,
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
                #[expect(clippy::cast_precision_loss, reason = "a size is shown in MB")]
                sizes.entry(name).or_default().push(stored as f64 / 1e6);
            }
        }
    }
    if let Some(peak) = peak_rss_bytes() {
        println!("peak memory of this process: {} MB", peak / 1_000_000);
    }
    Report {
        name: "backup",
        rounds: options.rounds,
        cases: vec![
            Case::new(
                "wall time of a full dump",
                "s",
                &seconds,
                &[(PG_DUMP, 0.75), (PG_DUMP_ZSTD, 1.03), (FLOOR, 1.05)],
            ),
            Case::new("stored", "MB", &sizes, &[]),
        ],
    }
    .publish()?;
    Ok(())
}

struct Options {
    size_bytes: u64,
    rounds: usize,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            size_bytes: 2_800_000_000,
            rounds: 5,
        };
        while let Some(name) = arguments.next() {
            let mut number = || -> Result<u64> {
                Ok(arguments
                    .next()
                    .ok_or(format!("{name} needs a number"))?
                    .parse()?)
            };
            match name.as_str() {
                "--quick" => {
                    options = Self {
                        size_bytes: 300_000_000,
                        rounds: 3,
                    }
                }
                "--size" => options.size_bytes = number()?,
                "--rounds" => options.rounds = usize::try_from(number()?)?.max(1),
                // What cargo bench adds.
                "--bench" => {}
                _ => return Err(format!("{name} is not known").into()),
            }
        }
        Ok(options)
    }
}

/// Where cargo builds: on a disk, not in memory.
fn target_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"))
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
