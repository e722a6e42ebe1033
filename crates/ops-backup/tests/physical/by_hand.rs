//! The commands of `docs/recover-by-hand.md` about clusters, exactly as they stand there.
#![expect(
    clippy::disallowed_methods,
    reason = "the commands run as a person runs them: in a shell, with its PATH"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ops_backup::{
    Backup, BaseBackupReport, BaseBackupRequest, Encryption, PhysicalKind, PhysicalOptions,
};
use ops_testkit::{Pg, fixture, wait_until};

use crate::judges::dump;
use crate::restore::{Place, TABLES, booted, client, ledger, source};
use crate::shared::Bench;
use crate::support::{folder_for, run};
use crate::wal::scene::{Running, flushed, quick, switch, write};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recover-by-hand.md");

/// A block of the page that is marked `run=NAME`.
fn block(name: &str) -> String {
    let page = fs::read_to_string(PAGE).unwrap();
    let start = format!("```sh run={name}\n");
    let (_, rest) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no block run={name}"));
    rest.split_once("\n```").unwrap().0.to_owned()
}

fn path() -> String {
    std::env::var("PATH").unwrap()
}

/// Whether the tools of the page are there; says so where they are not.
fn have_tools(pg: &Pg, tools: &[&str], programs: &[&str]) -> bool {
    let path = path();
    let there =
        |tool: &&&str| std::env::split_paths(&path).any(|folder| folder.join(tool).exists());
    let missing = tools.iter().find(|tool| !there(tool));
    let missing = missing.or_else(|| programs.iter().find(|program| !pg.binaries().has(program)));
    if let Some(missing) = missing {
        fixture::skip(format_args!("{missing} is not installed"));
    }
    missing.is_none()
}

const TOOLS: [&str; 7] = ["bash", "age", "zstd", "tar", "awk", "grep", "dd"];

/// A copy of a store, and the variables of the page.
struct Scene<'a> {
    pg: &'a Pg,
    place: Place,
    variables: BTreeMap<&'static str, String>,
}

impl<'a> Scene<'a> {
    fn new(pg: &'a Pg, bench: &Bench) -> Self {
        let place = Place::new();
        let store = bench.folder.path().join("store");
        run(Command::new("cp")
            .arg("-r")
            .arg(store)
            .arg(place.join("store")));
        run(Command::new("chmod")
            .args(["-R", "a+rX"])
            .arg(place.join("store")));
        let key = format!("# a comment of age-keygen\n{}\n", bench.keys.identity);
        fs::write(place.join("age-key.txt"), key).unwrap();
        let mut scene = Self {
            pg,
            place,
            variables: BTreeMap::new(),
        };
        for (name, file) in [
            ("STORE", "store"),
            ("KEY_FILE", "age-key.txt"),
            ("WORK", "work"),
            ("DATA", "data"),
            ("TABLESPACES", "tablespaces"),
        ] {
            scene.set(name, scene.place.join(file));
        }
        scene
    }

    fn set(&mut self, name: &'static str, value: impl AsRef<Path>) {
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.variables.insert(name, value);
    }

    fn folder(&self, name: &str) -> PathBuf {
        PathBuf::from(&self.variables[name])
    }

    /// Runs a block that must succeed.
    fn succeeds(&self, name: &str) -> String {
        let file = self.place.join(&format!("{name}.sh"));
        fs::write(&file, block(name)).unwrap();
        let folder = self.pg.binaries().folder().display();
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail"]).arg(&file);
        command.env("PATH", format!("{folder}:{}", path()));
        run(command.envs(&self.variables))
    }

    /// Runs the command that the server runs.
    fn fetch(&self, name: &str, to: &Path) -> Output {
        let work = self.folder("WORK");
        Command::new(work.join("fetch-wal"))
            .arg(&self.variables["WAL"])
            .arg(work.join("wal-identities.txt"))
            .arg(name)
            .arg(to)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Gives what was made to the user that the server runs as.
    fn hand_over(&self) {
        let Some(user) = self.pg.run_as() else { return };
        let owner = format!("{}:{}", user.uid(), user.gid());
        for name in ["DATA", "TABLESPACES", "WORK"] {
            if self.folder(name).exists() {
                run(Command::new("chown")
                    .args(["-R", &owner])
                    .arg(self.folder(name)));
            }
        }
    }
}

fn engine(pg: &Pg, bench: &Bench) -> Backup {
    bench
        .builder(pg.connect_info("postgres"))
        .physical(PhysicalOptions::new().with_pack_bytes(1 << 20))
        .build()
        .unwrap()
}

/// A backup of a cluster with a tablespace, and WAL that goes on from it.
async fn archived(pg: &Pg, backup: &Backup, there: &Place) -> BaseBackupReport {
    folder_for(pg, &there.join("there"));
    let database = pg.client("postgres").await;
    let tablespace = format!(
        "CREATE TABLESPACE fast LOCATION '{}'",
        there.join("there").display()
    );
    database.batch_execute(&tablespace).await.unwrap();
    let moved = "CREATE TABLE moved TABLESPACE fast AS SELECT generate_series(1, 5000) i";
    database.batch_execute(moved).await.unwrap();
    database.batch_execute(TABLES).await.unwrap();
    let running = Running::start(backup, quick());
    running.streaming().await;
    let taken = backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    assert!(taken.physical.packs.len() > 2 && taken.physical.archives.len() == 2);
    write(pg, 20).await;
    switch(pg).await;
    database
        .batch_execute("INSERT INTO ledger (i) VALUES (11)")
        .await
        .unwrap();
    write(pg, 1).await;
    database
        .batch_execute("INSERT INTO ledger (i) VALUES (12)")
        .await
        .unwrap();
    running.durable(flushed(pg).await).await;
    // Stopped at once, as if the machine were gone: the open segment is there in parts.
    running.abort().await;
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_recovered_by_the_documented_commands_to_the_newest_archived_commit() {
    let Some(pg) = source().start().await else {
        return;
    };
    if !have_tools(&pg, &TOOLS, &["psql", "pg_verifybackup", "pg_dump"]) {
        return;
    }
    let bench = Bench::new();
    let backup = engine(&pg, &bench);
    let there = Place::new();
    let taken = archived(&pg, &backup, &there).await;
    let expected = dump(&pg).await;

    let mut scene = Scene::new(&pg, &bench);
    scene.variables.insert("ID", taken.id.to_string());
    let wal = scene
        .folder("STORE")
        .join(format!("wal/{}", taken.physical.system_id));
    scene.set("WAL", &wal);
    assert!(scene.succeeds("list").contains(taken.id.as_str()));
    scene.succeeds("identity-key");
    let checked = scene.succeeds("check");
    let good = checked
        .lines()
        .filter(|line| line.ends_with(", good"))
        .count();
    let manifest = backup.latest().await.unwrap().unwrap().manifest;
    assert_eq!(good, manifest.objects.len() - 1, "{checked}");
    scene.succeeds("cluster-unpack");
    let verified = scene.succeeds("cluster-verify");
    assert!(
        verified.contains("backup successfully verified"),
        "{verified}"
    );
    scene.succeeds("wal-identities");
    scene.succeeds("wal-command");
    fetches_tell_the_end_from_a_loss(&scene, &wal);
    scene.succeeds("cluster-settings");
    scene.hand_over();

    let copy = booted(&pg, &scene.folder("DATA")).await;
    let recovered = client(&copy).await;
    wait_until("the end of recovery", Duration::from_secs(60), async || {
        let row = recovered.query_one("SELECT pg_is_in_recovery()", &[]).await;
        let row = row.unwrap_or_else(|err| panic!("{err}: {}", copy.log_tail()));
        !row.get::<_, bool>(0)
    })
    .await;
    assert_eq!(ledger(&recovered).await, (1..=12).collect::<Vec<_>>());
    // A sequence is logged in steps of 32, and one that recovered stands at the end of its step.
    let same = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| !line.contains("pg_catalog.setval("));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (found, expected) = (same(&dump(&copy).await), same(&expected));
    let differs = found
        .iter()
        .zip(&expected)
        .find(|(found, expected)| found != expected);
    assert!(
        differs.is_none() && found.len() == expected.len(),
        "{differs:?}"
    );
    let (host, port) = (copy.socket_dir().display().to_string(), copy.port());
    let url = format!("host={host} port={port} user=postgres dbname=postgres");
    scene.variables.insert("ADMIN_URL", url);
    let reached = scene.succeeds("cluster-reached");
    let (in_recovery, lsn) = reached.trim().split_once('|').unwrap();
    let lsn: ops_backup::Lsn = lsn.parse().unwrap();
    assert!(
        in_recovery == "f" && lsn >= taken.physical.end_lsn,
        "{reached}"
    );
    drop((recovered, copy));
    scene.succeeds("clean");
    assert!(!scene.folder("WORK").exists());
}

/// What is certain to be the end, and what is a loss.
fn fetches_tell_the_end_from_a_loss(scene: &Scene<'_>, wal: &Path) {
    let mut segments: Vec<_> = fs::read_dir(wal.join("segments/00000001/00000000"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    segments.sort();
    assert!(segments.len() > 1, "{segments:?}");
    let name = |path: &Path| {
        let file = path.file_name().unwrap().to_str().unwrap();
        file.split('.').next().unwrap().to_owned()
    };
    let to = scene.place.join("fetched");
    let code = |name: &str| scene.fetch(name, &to).status.code();
    let first = &segments[0];
    assert_eq!(code(&name(first)), Some(0));
    assert_eq!(fs::metadata(&to).unwrap().len(), 16 << 20);
    fs::remove_file(&to).unwrap();
    assert_eq!(code("0000000100000000000000F0"), Some(1), "beyond the end");
    assert_eq!(code("00000002.history"), Some(1), "no such timeline");
    assert_eq!(code("00000001.history"), Some(1), "the first has none");
    let whole = fs::read(first).unwrap();
    fs::remove_file(first).unwrap();
    assert_eq!(code(&name(first)), Some(255), "a later one is there");
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(first, flipped).unwrap();
    assert_eq!(code(&name(first)), Some(255), "it is damaged");
    assert!(!to.exists(), "nothing is handed out");
    fs::write(first, whole).unwrap();
    fs::set_permissions(first, fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(wal.join("segments/00000002")).unwrap();
    assert_eq!(code("00000002.history"), Some(255), "its timeline is there");
    fs::remove_dir(wal.join("segments/00000002")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unencrypted_cluster_is_unpacked_by_the_documented_commands() {
    let Some(pg) = source().start().await else {
        return;
    };
    if !have_tools(&pg, &["bash", "zstd", "tar", "grep"], &["pg_verifybackup"]) {
        return;
    }
    pg.client("postgres")
        .await
        .batch_execute(TABLES)
        .await
        .unwrap();
    let bench = Bench::new();
    let builder = bench
        .builder(pg.connect_info("postgres"))
        .encryption(Encryption::none());
    let backup = builder.build().unwrap();
    let taken = backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    let mut scene = Scene::new(&pg, &bench);
    scene.variables.insert("ID", taken.id.to_string());
    scene.succeeds("check");
    scene.succeeds("cluster-unpack");
    scene.succeeds("cluster-verify");
    scene.hand_over();
    let copy = booted(&pg, &scene.folder("DATA")).await;
    assert_eq!(
        ledger(&client(&copy).await).await,
        (1..=10).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_combined_by_the_documented_commands() {
    for major in Pg::available_majors().await {
        if major.0 < 17 {
            continue;
        }
        let started = source()
            .major(major.0)
            .setting("summarize_wal", "on")
            .start()
            .await;
        let pg = started.expect("it is installed");
        let programs = ["pg_verifybackup", "pg_combinebackup"];
        if programs.iter().any(|program| !pg.binaries().has(program)) {
            println!("no {programs:?} of PostgreSQL {major}");
            continue;
        }
        if !have_tools(&pg, &TOOLS, &[]) {
            return;
        }
        let database = pg.client("postgres").await;
        database.batch_execute(TABLES).await.unwrap();
        let bench = Bench::new();
        let backup = engine(&pg, &bench);
        backup
            .base_backup(BaseBackupRequest::full())
            .finish()
            .await
            .unwrap();
        database
            .batch_execute("INSERT INTO ledger (i) VALUES (11)")
            .await
            .unwrap();
        let taken = backup
            .base_backup(BaseBackupRequest::incremental())
            .finish()
            .await
            .unwrap();
        let PhysicalKind::Incremental { parent, .. } = &taken.physical.kind else {
            println!("PostgreSQL {major}: {taken:?}");
            continue;
        };
        let mut scene = Scene::new(&pg, &bench);
        let mut chain = Vec::new();
        for id in [parent, &taken.id] {
            scene.variables.insert("ID", id.to_string());
            scene.set("WORK", scene.place.join(&format!("work-{id}")));
            scene.set("DATA", scene.place.join(&format!("data-{id}")));
            scene.succeeds("identity-key");
            scene.succeeds("check");
            scene.succeeds("cluster-unpack");
            scene.succeeds("cluster-verify");
            chain.push(scene.variables["DATA"].clone());
        }
        scene.variables.insert("CHAIN", chain.join(" "));
        scene.set("DATA", scene.place.join("data"));
        scene.succeeds("cluster-combine");
        scene.succeeds("cluster-verify");
        scene.hand_over();
        let copy = booted(&pg, &scene.folder("DATA")).await;
        assert_eq!(
            ledger(&client(&copy).await).await,
            (1..=11).collect::<Vec<_>>()
        );
        println!("PostgreSQL {major}: combined");
    }
}
