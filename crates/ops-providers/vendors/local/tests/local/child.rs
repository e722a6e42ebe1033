//! Work that a test does in a process of its own.
//!
//! A test starts the test binary again and names [`works_for_another_process`], which reads
//! what it is to do from its standard input.

use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ops_core::object_store::{PutCondition, PutOptions};
use ops_core::{ErrorKind, ObjectStore};
use ops_local::{Durability, Local};

use crate::support::{Random, key, noise};

/// How many keys the writers write to.
pub(crate) const KEYS: u64 = 6;

/// What a child does.
pub(crate) enum Work<'a> {
    /// Writes, replaces and deletes until it is killed, and keeps a log.
    Churn {
        root: &'a Path,
        log: &'a Path,
        durability: Durability,
        seed: u64,
    },
    /// Adds 1 to a counter object so many times, by compare-and-swap.
    Count { root: &'a Path, times: u64 },
    /// Creates the keys `0`, `1`, ... that nobody else has created, and prints how many.
    Create { root: &'a Path, keys: u64 },
}

/// A child that is killed when it is dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.0)
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits for it to succeed, and returns what it printed.
    pub(crate) fn finish(mut self) -> String {
        let mut text = String::new();
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert!(self.0.wait().unwrap().success(), "{text}");
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a child.
#[expect(
    clippy::disallowed_methods,
    reason = "the child is this test binary itself"
)]
pub(crate) fn start(work: &Work<'_>) -> Process {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "child::works_for_another_process",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let order = match work {
        Work::Churn {
            root,
            log,
            durability,
            seed,
        } => {
            format!(
                "churn\t{}\t{}\t{durability:?}\t{seed}",
                root.display(),
                log.display()
            )
        }
        Work::Count { root, times } => format!("count\t{}\t{times}", root.display()),
        Work::Create { root, keys } => format!("create\t{}\t{keys}", root.display()),
    };
    writeln!(child.stdin.take().unwrap(), "{order}").unwrap();
    Process(child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "does its work only when another test starts it"]
async fn works_for_another_process() {
    let mut order = String::new();
    std::io::stdin().lock().read_line(&mut order).unwrap();
    let order: Vec<&str> = order.trim_end().split('\t').collect();
    match order[..] {
        ["churn", root, log, durability, seed] => {
            let durability = if durability == "Full" {
                Durability::Full
            } else {
                Durability::None
            };
            churn(root.into(), log.into(), durability, seed.parse().unwrap()).await;
        }
        ["count", root, times] => count(root.into(), times.parse().unwrap()).await,
        ["create", root, keys] => create(root.into(), keys.parse().unwrap()).await,
        _ => {}
    }
}

/// The content of a generation of a key.
pub(crate) fn content(name: &str, generation: u64) -> Vec<u8> {
    let seed = generation.wrapping_mul(1_000_003) ^ name.len() as u64;
    let length = Random(seed).below(400_000);
    let mut data = format!("{name} {generation}\n").into_bytes();
    data.extend(noise(seed, usize::try_from(length).unwrap()));
    data
}

pub(crate) fn name(number: u64) -> String {
    // Folders that come and go.
    if number.is_multiple_of(2) {
        format!("k{number}")
    } else {
        format!("d{number}/e/k{number}")
    }
}

async fn churn(root: PathBuf, log: PathBuf, durability: Durability, seed: u64) {
    let store = Local::builder(root).durability(durability).build().unwrap();
    let mut log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(log)
        .unwrap();
    let mut random = Random(seed);
    for generation in 1.. {
        let number = random.below(KEYS);
        let name = name(number);
        // One line is one write, so it is in the log whole or not at all.
        if random.below(5) == 0 {
            log.write_all(format!("begin {number} gone\n").as_bytes())
                .unwrap();
            store.delete(&key(&name)).await.unwrap();
        } else {
            let generation = seed + generation;
            log.write_all(format!("begin {number} {generation}\n").as_bytes())
                .unwrap();
            let data = content(&name, generation);
            if random.below(2) == 0 {
                store
                    .put(&key(&name), data.into(), PutOptions::default())
                    .await
                    .unwrap();
            } else {
                let parts = data
                    .chunks(50_000)
                    .map(|part| Ok(part.to_vec().into()))
                    .collect();
                let parts = crate::support::stream(parts);
                store
                    .put_stream(&key(&name), parts, PutOptions::default())
                    .await
                    .unwrap();
            }
        }
        log.write_all(b"done\n").unwrap();
    }
}

async fn count(root: PathBuf, times: u64) {
    let store = Local::builder(root)
        .durability(Durability::None)
        .build()
        .unwrap();
    for _ in 0..times {
        increment(&store).await;
    }
}

/// Adds 1 to the counter object by compare-and-swap.
pub(crate) async fn increment(store: &Local) {
    let counter = key("counter");
    loop {
        let read = crate::support::read(store, "counter").await;
        let (value, condition) = match read {
            Ok(data) => {
                let meta = store.head(&counter).await.unwrap();
                let hash =
                    ops_core::object_store::Checksum::Blake3(*blake3::hash(&data).as_bytes());
                if meta.checksum != Some(hash) {
                    continue;
                }
                let value: u64 = String::from_utf8(data).unwrap().parse().unwrap();
                (value, PutCondition::IfMatch(meta.etag.unwrap()))
            }
            Err(err) if err.is_not_found() => (0, PutCondition::IfNoneMatch),
            Err(err) => panic!("{err:?}"),
        };
        let mut options = PutOptions::default();
        options.condition = condition;
        match store
            .put(&counter, (value + 1).to_string().into(), options)
            .await
        {
            Ok(_) => return,
            Err(err) => assert!(
                matches!(err.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists),
                "{err:?}"
            ),
        }
    }
}

async fn create(root: PathBuf, keys: u64) {
    let store = Local::builder(root)
        .durability(Durability::None)
        .build()
        .unwrap();
    let mut won = 0;
    for number in 0..keys {
        let name = format!("{number}/x");
        let put = store
            .put(&key(&name), "mine".into(), PutOptions::if_none_match())
            .await;
        match put {
            Ok(_) => won += 1,
            Err(err) => assert_eq!(err.kind(), ErrorKind::AlreadyExists, "{err:?}"),
        }
    }
    println!("won {won}");
}
