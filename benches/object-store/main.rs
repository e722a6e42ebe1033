//! One large object and many small ones, beside the `object_store` crate and boto3.
//!
//! `--quick`: 128 MiB and 1 000 objects in 2 rounds instead of 1 GiB and 10 000 in 5.
//! `--server s3s-fs|localstack`: which server they all talk to; defaults to `s3s-fs`.
//!
//! Each job is done by all contenders in turn, each in a process of its own, in an order that
//! is reversed from round to round. A contender times itself, so that starting an interpreter
//! does not count, and reports the most memory that it has had. Small objects are sent by 32
//! tasks or threads.

#![expect(clippy::print_stdout, reason = "a program prints")]
#![expect(
    clippy::disallowed_methods,
    reason = "contenders are processes, and boto3 is run as a user would run it"
)]

#[path = "../harness.rs"]
mod harness;

mod contender;
mod job;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::{Case, Report};
use job::{Job, Kind, Measured};
use ops_testkit::s3::S3Server;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const MIB: u64 = 1024 * 1024;
const OBJECT_STORE: &str = "object_store crate";
const BOTO3: &str = "boto3";
/// The faster of the peers, by medians.
const BEST: &str = "best peer";
const MEMORY_LIMIT: &str = "limit";

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--contender", name)) = args
        .first()
        .map(String::as_str)
        .zip(args.get(1).map(String::as_str))
    {
        let job: Job = serde_json::from_reader(std::io::stdin())?;
        let measured = contender::run(name, &job).await?;
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(());
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let localstack = args.iter().any(|arg| arg == "localstack");
    let server = if localstack {
        S3Server::localstack().await
    } else {
        S3Server::s3s_fs().await
    };
    let server = server.ok_or("no S3 server: run cargo xtask setup")?;
    let rounds = if quick { 2 } else { 5 };
    println!("server: {}", server.name());

    let folder = tempfile::Builder::new().prefix("ops-bench-s3-").tempdir()?;
    let source = folder.path().join("large");
    let bytes = if quick { 128 * MIB } else { 1024 * MIB };
    job::write_noise(&source, bytes)?;
    let job = |kind| Job {
        kind,
        endpoint: server.endpoint().to_owned(),
        region: server.region().to_owned(),
        // The server's own test credentials, known to everybody.
        access: server.access_key().to_owned(),
        signing: server.secret_key().to_owned(),
        bucket: String::new(),
        source: source.clone(),
        bytes,
        objects: if quick { 1_000 } else { 10_000 },
        object_bytes: 4096,
    };
    let mut samples: BTreeMap<(Kind, &'static str), Vec<Measured>> = BTreeMap::new();
    // One round to warm the server, not counted.
    for round in 0..=rounds {
        let mut contenders = ["ours", OBJECT_STORE, BOTO3];
        if round % 2 == 1 {
            contenders.reverse();
        }
        let mut buckets = BTreeMap::new();
        for name in contenders {
            buckets.insert(name, server.create_bucket().await);
        }
        for kind in Kind::ALL {
            for (name, bucket) in contenders.iter().filter_map(|it| buckets.get_key_value(it)) {
                let job = Job {
                    bucket: bucket.clone(),
                    ..job(kind)
                };
                let measured = contend(name, &job)?;
                println!(
                    "round {round}: {name}: {kind:?}: {:.2} s, {:.1} MiB",
                    measured.seconds, measured.peak_mib
                );
                if round > 0 {
                    samples.entry((kind, name)).or_default().push(measured);
                }
            }
        }
        for bucket in buckets.into_values() {
            contender::clean(&Job {
                bucket,
                ..job(Kind::PutLarge)
            })
            .await?;
        }
    }
    Ok(report(rounds, bytes, &samples).publish()?)
}

/// Runs one contender in a process of its own.
fn contend(name: &str, job: &Job) -> Result<Measured> {
    let mut command = if name == BOTO3 {
        let python = contender::python().ok_or("no boto3: run cargo xtask setup")?;
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("object-store/peer.py"));
        command
    } else {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--contender", name]);
        command
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(job)?)?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{name} failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn report(
    rounds: usize,
    bytes: u64,
    samples: &BTreeMap<(Kind, &'static str), Vec<Measured>>,
) -> Report {
    let of = |kind: Kind, value: fn(&Measured) -> f64| -> BTreeMap<&'static str, Vec<f64>> {
        let chosen = samples.iter().filter(|((of, _), _)| *of == kind);
        chosen
            .map(|((_, name), all)| (*name, all.iter().map(value).collect()))
            .collect()
    };
    let mut cases = Vec::new();
    for kind in Kind::ALL {
        let mut seconds = of(kind, |it| it.seconds);
        let peers = [OBJECT_STORE, BOTO3].into_iter();
        let best = peers
            .filter_map(|peer| seconds.get(peer))
            .min_by(|a, b| harness::median(a).total_cmp(&harness::median(b)))
            .cloned();
        seconds.insert(BEST, best.unwrap_or_default());
        cases.push(Case::new(kind.title(), "s", &seconds, &[(BEST, 1.0)]));
    }
    for (kind, title) in [
        (Kind::PutLarge, "peak memory, put of a large object"),
        (Kind::GetLarge, "peak memory, get of a large object"),
    ] {
        let mut memory = of(kind, |it| it.peak_mib);
        memory.insert(MEMORY_LIMIT, vec![96.0]);
        cases.push(Case::new(title, "MiB", &memory, &[(MEMORY_LIMIT, 1.0)]));
    }
    println!("large object: {} MiB", bytes / MIB);
    Report {
        name: "object-store",
        rounds,
        cases,
    }
}
