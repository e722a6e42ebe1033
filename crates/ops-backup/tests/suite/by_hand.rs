//! The commands of `docs/recover-by-hand.md`, exactly as they stand there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_backup::{Backup, Encryption, Manifest, ObjectRole, RestoreOptions};
use ops_core::database::ConnectInfo;
use ops_pg::process::{Exit, Io, Program};
use ops_testkit::{Pg, data, fixture};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::Bench;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recover-by-hand.md");
const PASSPHRASE: &str = "correct horse battery staple";
/// How long a block may take.
const SOON: Duration = Duration::from_secs(60);

/// The blocks of the page that are marked `run=NAME`.
fn blocks() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut blocks = BTreeMap::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("```sh run=") {
            let body = lines.by_ref().take_while(|line| *line != "```");
            let body: Vec<_> = body.collect();
            blocks.insert(name.to_owned(), body.join("\n"));
        }
    }
    blocks
}

/// Whether the tools of the page are there; says so where they are not.
fn have_tools(pg: &Pg, tools: &[&str]) -> bool {
    for tool in ["psql", "pg_restore", "createdb"] {
        if !pg.binaries().has(tool) {
            fixture::skip(format_args!(
                "{tool} is not among {}",
                pg.binaries().folder().display()
            ));
            return false;
        }
    }
    let path = path();
    let missing = tools
        .iter()
        .find(|tool| !std::env::split_paths(&path).any(|folder| folder.join(tool).exists()));
    if let Some(missing) = missing {
        fixture::skip(format_args!("{missing} is not installed"));
    }
    missing.is_none()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tools are where the shell of whoever runs the test finds them"
)]
fn path() -> String {
    std::env::var("PATH").unwrap()
}

/// A backup of the data set, a new server, and the variables of the page.
struct Scene {
    source: Pg,
    target: Pg,
    bench: Bench,
    backup: Backup,
    manifest: Manifest,
    variables: BTreeMap<&'static str, String>,
    /// The blocks that were run.
    run: BTreeSet<String>,
}

impl Scene {
    async fn new(encryption: Option<Encryption>, tools: &[&str]) -> Option<Self> {
        let source = Pg::start().await?;
        if !have_tools(&source, tools) {
            return None;
        }
        source.create_database("shop").await;
        data::install_schema(&source.connect_info("shop"))
            .await
            .unwrap();
        let target = Pg::start().await?;
        let bench = Bench::new();
        let builder = bench
            .builder(source.connect_info("shop"))
            .frame_bytes(128 << 10)
            .max_object_bytes(1 << 20);
        let builder = match encryption {
            Some(encryption) => builder.encryption(encryption),
            None => builder,
        };
        let backup = builder.build().unwrap();
        backup.dump().finish().await.unwrap();
        let manifest = backup.catalogue().await.unwrap().remove(0).manifest;
        let pieces = manifest.objects_of(ObjectRole::Dump).count();
        assert!(pieces > 2, "the loop over pieces must have some: {pieces}");

        let folder = bench.folder.path();
        let key_file = folder.join("age-key.txt");
        let key = format!("# a comment of age-keygen\n{}\n", bench.keys.identity);
        std::fs::write(&key_file, key).unwrap();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let variables = BTreeMap::from([
            ("STORE", text(folder.join("store"))),
            ("ID", manifest.id.to_string()),
            ("KEY_FILE", text(key_file)),
            ("WORK", text(folder.join("recover"))),
            ("ADMIN_URL", target.url("postgres")),
            ("TARGET_URL", target.url("shop")),
        ]);
        Some(Self {
            source,
            target,
            bench,
            backup,
            manifest,
            variables,
            run: BTreeSet::new(),
        })
    }

    /// A block in a shell of its own, with the variables of the page.
    fn shell(&mut self, program: Program, name: &str) -> Program {
        let block = blocks().remove(name);
        let block = block.unwrap_or_else(|| panic!("the page has no block run={name}"));
        self.run.insert(name.to_owned());
        let file = self.bench.folder.path().join(format!("{name}.sh"));
        std::fs::write(&file, block).unwrap();
        let folder = self.source.binaries().folder().display();
        let program = program.env("PATH", format!("{folder}:{}", path()));
        let variables = self.variables.iter();
        variables
            .fold(program, |program, (name, value)| program.env(*name, value))
            .stdout(Io::Piped)
    }

    /// Runs a block; answers how it ended, and what it printed.
    async fn run(&mut self, name: &str) -> (Exit, String) {
        let file = self.bench.folder.path().join(format!("{name}.sh"));
        let bash = Program::new("/bin/bash")
            .args(["-euo", "pipefail"])
            .arg(file);
        let mut child = self.shell(bash, name).spawn().unwrap();
        let mut stdout = child.take_stdout().unwrap();
        let mut printed = String::new();
        let work = async {
            stdout.read_to_string(&mut printed).await.unwrap();
            child.wait().await.unwrap()
        };
        let exit = tokio::time::timeout(SOON, work).await;
        let exit = exit.unwrap_or_else(|_| panic!("{name} takes too long"));
        (exit, printed)
    }

    /// Runs a block that must succeed.
    async fn succeeds(&mut self, name: &str) -> String {
        let (exit, printed) = self.run(name).await;
        assert!(exit.success(), "{name}: {exit}: {}", exit.stderr_tail());
        printed
    }

    /// Runs a block that asks for the passphrase on the terminal that `script` gives it.
    async fn succeeds_with_passphrase(&mut self, name: &str) {
        let file = self.bench.folder.path().join(format!("{name}.sh"));
        let command = format!("bash -euo pipefail '{}'", file.display());
        let script = Program::new("/usr/bin/script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .stdin(Io::Piped);
        let mut child = self.shell(script, name).spawn().unwrap();
        let mut keyboard = child.take_stdin().unwrap();
        let mut screen = child.take_stdout().unwrap();
        let mut shown = Vec::new();
        let work = async {
            // As somebody does who waits to be asked.
            while !String::from_utf8_lossy(&shown).contains("passphrase") {
                let read = screen.read_buf(&mut shown).await.unwrap();
                assert_ne!(read, 0, "{}", String::from_utf8_lossy(&shown));
            }
            let line = format!("{PASSPHRASE}\n");
            keyboard.write_all(line.as_bytes()).await.unwrap();
            screen.read_to_end(&mut shown).await.unwrap();
            child.wait().await.unwrap()
        };
        let exit = tokio::time::timeout(SOON, work).await;
        let exit = exit.unwrap_or_else(|_| panic!("{name} takes too long"));
        let shown = String::from_utf8_lossy(&shown);
        assert!(exit.success(), "{name}: {exit}: {shown}");
    }

    /// A database that was restored by hand has what the source had when it was backed up.
    async fn assert_equals_source(&self, database: &str) {
        let client = self.target.client(database).await;
        data::check_consistency(&client).await.unwrap();
        let by_hand = self.fingerprint(self.target.connect_info(database)).await;
        let source = self.fingerprint(self.source.connect_info("shop")).await;
        assert!(
            source["tables"].as_array().unwrap().len() > 10,
            "there is something to compare"
        );
        for part in [
            "tables",
            "sequences",
            "large_objects",
            "objects",
            "definitions",
        ] {
            assert_eq!(sorted(&by_hand[part]), sorted(&source[part]), "{part}");
        }
        for query in [
            "SELECT string_agg(concat_ws(' ', rolname, rolpassword, rolconnlimit), ', ' ORDER BY rolname) \
             FROM pg_authid WHERE rolname !~ '^pg_'",
            "SELECT concat_ws(' ', encoding, datcollate, datctype) FROM pg_database WHERE datname = 'shop'",
        ] {
            assert_eq!(
                one(&self.target, query).await,
                one(&self.source, query).await
            );
        }
    }

    /// The fingerprint that a backup of a database has: every table's rows by their hash,
    /// sequences, large objects, the number of objects, and definitions with their owners.
    async fn fingerprint(&self, info: ConnectInfo) -> Value {
        let bench = Bench::new();
        let backup = bench
            .builder(info)
            .encryption(Encryption::none())
            .build()
            .unwrap();
        let id = backup.dump().finish().await.unwrap().id;
        let file = format!("store/backups/{id}/fingerprint.json.zst");
        let content = std::fs::read(bench.folder.path().join(file)).unwrap();
        serde_json::from_slice(&zstd::decode_all(&content[..]).unwrap()).unwrap()
    }

    fn object(&self, number: usize) -> PathBuf {
        let object = self.manifest.objects_of(ObjectRole::Dump).nth(number);
        Path::new(&self.variables["STORE"]).join(object.unwrap().key.as_str())
    }

    /// The `check` block must fail of what is done to an object, and say its name.
    async fn check_finds(&mut self, what: &str, path: &Path, damaged: Option<Vec<u8>>) {
        let whole = std::fs::read(path).unwrap();
        match damaged {
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        let (exit, printed) = self.run("check").await;
        assert!(!exit.success(), "{what} was not found: {printed}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!printed.contains(&format!("{name}: ")), "{what}: {printed}");
        std::fs::write(path, whole).unwrap();
    }
}

async fn one(pg: &Pg, query: &str) -> Option<String> {
    let client = pg.client("postgres").await;
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// Rows by table, without the tables whose rows move between partitions in a restore.
fn unmoved(counted: &str) -> Vec<&str> {
    let moved = data::REPARTITIONED.trim_end_matches('*');
    counted
        .lines()
        .filter(|line| !line.starts_with(moved))
        .collect()
}

/// A list in some order.
fn sorted(value: &Value) -> Vec<String> {
    let mut lines: Vec<_> = match value {
        Value::Array(items) => items.iter().map(Value::to_string).collect(),
        Value::Object(items) => items
            .iter()
            .map(|(key, item)| format!("{key}: {item}"))
            .collect(),
        other => vec![other.to_string()],
    };
    lines.sort_unstable();
    lines
}

const ENCRYPTED: [&str; 4] = ["bash", "age", "zstd", "grep"];

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_by_the_documented_commands_with_a_key() {
    let Some(mut scene) = Scene::new(None, &ENCRYPTED).await else {
        return;
    };
    let listed = scene.succeeds("list").await;
    assert_eq!(listed.trim(), format!("{}.json", scene.manifest.id));
    scene.succeeds("identity-key").await;
    let checked = scene.succeeds("check").await;
    let good = checked.lines().filter(|line| line.ends_with(", good"));
    // All but the identity, which the step before has opened.
    assert_eq!(good.count(), scene.manifest.objects.len() - 1, "{checked}");
    scene.succeeds("globals").await;
    scene.succeeds("restore").await;
    let counted = scene.succeeds("count").await;
    assert!(counted.contains("shop."), "{counted}");
    scene.succeeds("analyze").await;
    scene.assert_equals_source("shop").await;

    // Beside it, under another name.
    scene
        .variables
        .insert("TARGET_URL", scene.target.url("again"));
    scene.succeeds("restore-elsewhere").await;
    assert_eq!(unmoved(&scene.succeeds("count").await), unmoved(&counted));
    scene.assert_equals_source("again").await;

    // And the engine's own restore comes to the same.
    scene.target.create_database("engine").await;
    let target = scene.target.connect_info("engine");
    let id = scene.manifest.id.clone();
    let restored = scene.backup.restore(&id, target, RestoreOptions::new());
    restored.finish().await.unwrap();
    scene
        .variables
        .insert("TARGET_URL", scene.target.url("engine"));
    assert_eq!(unmoved(&scene.succeeds("count").await), unmoved(&counted));

    scene.succeeds("clean").await;
    assert!(!Path::new(&scene.variables["WORK"]).exists());
    // Every block of the page is run by one of the tests here, or by that of base backups.
    let elsewhere = [
        "cluster-combine",
        "cluster-reached",
        "cluster-settings",
        "cluster-unpack",
        "cluster-verify",
        "wal-command",
        "wal-identities",
        "identity-passphrase",
        "globals-unencrypted",
        "restore-unencrypted",
    ];
    let known: BTreeSet<_> = scene
        .run
        .into_iter()
        .chain(elsewhere.map(str::to_owned))
        .collect();
    assert_eq!(known, blocks().into_keys().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unencrypted_backup_is_restored_by_the_documented_commands() {
    let tools = ["bash", "zstd", "grep"];
    let Some(mut scene) = Scene::new(Some(Encryption::none()), &tools).await else {
        return;
    };
    let checked = scene.succeeds("check").await;
    let good = checked.lines().filter(|line| line.ends_with(", good"));
    assert_eq!(good.count(), scene.manifest.objects.len(), "{checked}");
    scene.succeeds("globals-unencrypted").await;
    scene.succeeds("restore-unencrypted").await;
    scene.assert_equals_source("shop").await;
    let path = scene.object(1);
    let mut flipped = std::fs::read(&path).unwrap();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    scene
        .check_finds("a flipped bit", &path, Some(flipped))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_opens_a_backup_by_the_documented_commands() {
    let encryption = Encryption::passphrase(PASSPHRASE).unwrap();
    let tools = ["bash", "age", "zstd", "grep", "script"];
    let Some(mut scene) = Scene::new(Some(encryption), &tools).await else {
        return;
    };
    scene.succeeds_with_passphrase("identity-passphrase").await;
    scene.succeeds("check").await;
    scene.succeeds("globals").await;
    scene.succeeds("restore").await;
    let client = scene.target.client("shop").await;
    data::check_consistency(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_check_finds_a_damaged_object() {
    let Some(mut scene) = Scene::new(None, &ENCRYPTED).await else {
        return;
    };
    scene.succeeds("identity-key").await;
    scene.succeeds("check").await;
    let path = scene.object(1);
    let whole = std::fs::read(&path).unwrap();
    for at in [5, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        let what = format!("a flipped bit at {at}");
        scene.check_finds(&what, &path, Some(flipped)).await;
    }
    let cut = whole[..whole.len() - 1].to_vec();
    scene.check_finds("a lost byte", &path, Some(cut)).await;
    scene.check_finds("a lost object", &path, None).await;
    let other = std::fs::read(scene.object(0)).unwrap();
    scene
        .check_finds("another object in its place", &path, Some(other))
        .await;
    scene.succeeds("check").await;
}
