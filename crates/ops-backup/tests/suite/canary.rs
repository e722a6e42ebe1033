//! Secrets stay where they belong: whatever happens, none is logged, printed, stored, or
//! an argument of a program.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::{
    Assertion, Backup, BackupReport, Encryption, Error, ErrorKind, Event, Job, RestoreOptions,
    Unlock,
};
use ops_core::Report;
use ops_core::database::ConnectInfo;
use ops_local::{Durability, Local};
use ops_pg::binaries::Finder;
use ops_postgres::Postgres;
use ops_testkit::proxy::{Backend, Close, Cut, Direction};
use ops_testkit::{FaultProxy, Pg};
use rustix::process::Signal;
use serde::Serialize;

use crate::processes::{self, Watch};
use crate::recorder;
use crate::support::{self, Keys};

/// Each secret has a part that no encoding changes.
const PASSWORD: &str = "canary-password-9c41/ @%\u{e9}";
const WRONG_PASSWORD: &str = "canary-wrong-password-03b7";
const PASSPHRASE: &str = "canary-passphrase-52de correct horse";
const WRONG_PASSPHRASE: &str = "canary-wrong-passphrase-e881";
const CANARIES: [&str; 5] = [
    "canary-password-9c41",
    "canary-wrong-password-03b7",
    "canary-passphrase-52de",
    "canary-wrong-passphrase-e881",
    // Whosever: ours, or the one that a backup has of its own.
    "age-secret-key-1",
];

/// Texts in which no secret may be.
#[derive(Default)]
struct Evidence(Vec<(String, String)>);

impl Evidence {
    fn text(&mut self, what: &str, text: impl Into<String>) {
        self.0.push((what.to_owned(), text.into()));
    }

    fn debug(&mut self, what: &str, value: &impl Debug) {
        self.text(what, format!("{value:?} {value:#?}"));
    }

    /// As it is printed, and as it is stored or sent.
    fn value(&mut self, what: &str, value: &(impl Debug + Serialize)) {
        self.debug(what, value);
        self.text(what, serde_json::to_string(value).unwrap());
    }

    /// In every way in which an error can be printed, with all that caused it.
    fn error(&mut self, what: &str, err: &Error) {
        self.debug(what, err);
        self.text(what, format!("{err} {}", Report(err)));
        self.debug(what, &(err.left_behind(), err.hint()));
        let mut next = std::error::Error::source(err);
        while let Some(source) = next {
            self.text(what, format!("{source} {source:?}"));
            next = source.source();
        }
    }

    /// A job that must fail, with its events.
    async fn fails<R>(&mut self, what: &str, job: Job<R>, kind: ErrorKind)
    where
        R: Debug + Send + 'static,
    {
        let err = self.ends(what, job).await.unwrap_err();
        assert_eq!(err.kind(), kind, "{what}: {err:?}");
        self.error(what, &err);
    }

    async fn ends<R: Send + 'static>(&mut self, what: &str, mut job: Job<R>) -> Result<R, Error> {
        self.debug(what, &job);
        while let Some(event) = job.next_event().await {
            self.value(what, &event);
        }
        job.finish().await
    }

    /// Every file below a folder, byte for byte, and its name.
    fn files(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            self.text("a file's name", path.to_string_lossy());
            if path.is_dir() {
                self.files(&path);
                continue;
            }
            let content = std::fs::read(&path).unwrap();
            let what = path.to_string_lossy().into_owned();
            if path.extension().is_some_and(|it| it == "zst") {
                let plain = zstd::decode_all(&content[..]).unwrap_or_default();
                self.text(&what, String::from_utf8_lossy(&plain));
            }
            self.text(&what, String::from_utf8_lossy(&content));
        }
    }

    /// Where a secret was found.
    fn leaks(&self, canaries: &[&str]) -> Vec<String> {
        let mut leaks = Vec::new();
        for (what, text) in &self.0 {
            let text = text.to_lowercase();
            for canary in canaries {
                if let Some((before, _)) = text.split_once(*canary) {
                    let start = before.char_indices().rev().nth(200).map_or(0, |(at, _)| at);
                    leaks.push(format!("{canary} in {what}, after {:?}", &before[start..]));
                }
            }
        }
        leaks
    }
}

struct Scene {
    pg: Pg,
    proxy: FaultProxy,
    folder: tempfile::TempDir,
    keys: Keys,
    seen: Evidence,
}

impl Scene {
    async fn new() -> Option<Self> {
        let pg = Pg::builder()
            .with(|server| server.password(PASSWORD))
            .tcp(true)
            .start()
            .await?;
        pg.create_database("shop").await;
        let client = pg.client("shop").await;
        client
            .batch_execute(
                "CREATE TABLE big AS SELECT i, sha256(i::text::bytea) AS x \
                 FROM generate_series(1, 30000) i; CREATE ROLE clerk; ALTER TABLE big OWNER TO clerk",
            )
            .await
            .unwrap();
        let proxy = FaultProxy::start(Backend::of(&pg.connect_info("shop")).await).await;
        Some(Self {
            pg,
            proxy,
            folder: tempfile::tempdir().unwrap(),
            keys: Keys::generate(),
            seen: Evidence::default(),
        })
    }

    fn info(&self, database: &str) -> ConnectInfo {
        self.proxy.connect_info(&self.pg.connect_info(database))
    }

    fn engine(&mut self, store: &str, encryption: Encryption, unlock: Option<Unlock>) -> Backup {
        // By its URL, as a service has it.
        let direct = format!("127.0.0.1:{}", self.pg.port());
        let through = self.proxy.addr().to_string();
        let url = self.pg.url("shop").replace(&direct, &through);
        assert!(url.contains(&through) && url.contains(CANARIES[0]), "{url}");
        let database = Postgres::from_url(&url).unwrap();
        self.seen.debug("a database", &database);
        let store = Local::builder(self.folder.path().join(store))
            .create(true)
            .durability(Durability::None)
            .build()
            .unwrap();
        let builder = Backup::builder(Arc::new(database), Arc::new(store))
            .encryption(encryption)
            .finder(Finder::from_env());
        let builder = unlock
            .into_iter()
            .fold(builder, ops_backup::BackupBuilder::unlock);
        self.seen.debug("a builder", &builder);
        let backup = builder.build().unwrap();
        self.seen.debug("an engine", &backup);
        backup
    }

    fn encrypted(&mut self, store: &str) -> Backup {
        let encryption = Encryption::recipients([&self.keys.recipient]).unwrap();
        let unlock = Unlock::identity(self.keys.identity.as_str());
        self.engine(store, encryption, Some(unlock))
    }

    /// A backup, its restore and its drill, all of which succeed.
    async fn succeed(&mut self, name: &str, backup: &Backup) -> BackupReport {
        let report = self.seen.ends("a backup", backup.dump()).await.unwrap();
        self.seen.value("the report of a backup", &report);
        self.pg.create_database(name).await;
        let options = RestoreOptions::new().with_roles(true);
        let job = backup.restore(&report.id, self.info(name), options);
        let restored = self.seen.ends("a restore", job).await.unwrap();
        self.seen.value("the report of a restore", &restored);
        let options = support::drill_options()
            .with_assertion(Assertion::new("rows", "SELECT count(*) = 30000 FROM big"))
            .with_assertion(Assertion::new(
                "no such table",
                "SELECT count(*) = 1 FROM nowhere",
            ));
        let job = backup.drill(&report.id, options);
        let drill = self.seen.ends("a drill", job).await.unwrap();
        assert_eq!(drill.differences().count(), 1, "{drill:#?}");
        self.seen.value("the report of a drill", &drill);
        let entries = backup.catalogue().await.unwrap();
        self.seen.debug("the catalogue", &entries);
        let drills = backup.drills(&report.id).await.unwrap();
        self.seen.value("stored drills", &drills);
        self.seen.value("a sweep", &backup.sweep().await.unwrap());
        report
    }

    /// Sources that do not give what is asked of them.
    async fn break_sources(&mut self) {
        let store = Arc::new(Local::open(self.folder.path().join("keys")).unwrap());
        let wrong = self.info("shop").with_password(WRONG_PASSWORD);
        let refused = Backup::builder(support::database(wrong), store)
            .encryption(Encryption::none())
            .build()
            .unwrap();
        let job = refused.dump();
        self.seen
            .fails("a wrong password", job, ErrorKind::Unauthenticated)
            .await;

        let backup = self.encrypted("broken");
        self.proxy.set_cut(Some(Cut {
            direction: Direction::Down,
            after: 1_000_000,
            close: Close::Reset,
        }));
        let job = backup.dump();
        self.seen
            .fails("a cut connection", job, ErrorKind::SourceLost)
            .await;
        self.proxy.heal().await;

        self.proxy.set_throttle(Some(2_000_000));
        let mut job = backup.dump();
        while let Some(event) = job.next_event().await {
            if matches!(event, Event::Progress(progress) if progress.bytes_in > 500_000) {
                processes::kill_child("pg_dump", self.proxy.addr().port(), Signal::KILL);
                break;
            }
        }
        self.seen
            .fails("a killed pg_dump", job, ErrorKind::ClientFailed)
            .await;

        self.proxy.set_refuse(true).await;
        let job = backup.dump();
        self.seen
            .fails("a dead server", job, ErrorKind::SourceUnavailable)
            .await;
        self.proxy.heal().await;
    }

    /// Targets that refuse, and keys that do not fit.
    async fn break_restores(&mut self, backup: &Backup, report: &BackupReport) {
        let (id, options) = (&report.id, RestoreOptions::new);
        let job = backup.restore(id, self.info("shop"), options());
        self.seen
            .fails("a full target", job, ErrorKind::TargetNotEmpty)
            .await;
        let wrong = self.info("postgres").with_password(WRONG_PASSWORD);
        let job = backup.restore(id, wrong, options());
        self.seen
            .fails("a wrong password", job, ErrorKind::TargetUnavailable)
            .await;

        self.pg.create_database("cut").await;
        self.proxy.set_cut(Some(Cut {
            direction: Direction::Up,
            after: 1_000_000,
            close: Close::Reset,
        }));
        let job = backup.restore(id, self.info("cut"), options());
        self.seen
            .fails("a cut target", job, ErrorKind::RestoreFailed)
            .await;
        self.proxy.heal().await;

        let stranger = Keys::generate().identity;
        let torn = &self.keys.identity[..40].to_owned();
        for (what, unlock, kind) in [
            ("no key", None, ErrorKind::WrongKey),
            (
                "a wrong key",
                Some(Unlock::identity(stranger)),
                ErrorKind::WrongKey,
            ),
            (
                "a torn key",
                Some(Unlock::identity(torn.as_str())),
                ErrorKind::InvalidInput,
            ),
            (
                "a wrong passphrase",
                Some(Unlock::passphrase(WRONG_PASSPHRASE)),
                ErrorKind::WrongKey,
            ),
        ] {
            self.seen.debug(what, &unlock);
            let engine = self.engine("keys", Encryption::none(), unlock);
            let job = engine.drill(id, support::drill_options());
            self.seen.fails(what, job, kind).await;
        }
    }

    async fn break_objects(&mut self, backup: &Backup, report: &BackupReport) {
        let folder = self.folder.path().join("keys");
        for (object, from, to) in [
            (format!("manifests/{}.json", report.id), "shop", "shoq"),
            (
                format!("backups/{}/identity.age", report.id),
                "X25519",
                "X25518",
            ),
        ] {
            let path = folder.join(object);
            let whole = std::fs::read(&path).unwrap();
            let position = whole
                .windows(from.len())
                .position(|it| it == from.as_bytes());
            let mut damaged = whole.clone();
            damaged[position.unwrap()..][..to.len()].copy_from_slice(to.as_bytes());
            std::fs::write(&path, damaged).unwrap();
            let job = backup.drill(&report.id, support::drill_options());
            self.seen
                .fails("a damaged object", job, ErrorKind::Integrity)
                .await;
            std::fs::write(&path, whole).unwrap();
        }
    }

    /// Secrets where something public belongs.
    fn mistake_secrets(&mut self) {
        let identity = &self.keys.identity;
        let torn = &identity[..identity.len() - 3];
        for mistaken in [
            identity.clone(),
            identity.to_lowercase(),
            torn.to_owned(),
            format!(
                "# created: 2026-11-20\n# public key: {}\n{identity}\n",
                self.keys.recipient
            ),
            format!("\"{identity}\""),
            format!("{},{identity}", self.keys.recipient),
            PASSPHRASE.to_owned(),
        ] {
            let err = Encryption::recipients([&self.keys.recipient, &mistaken]).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig);
            self.seen.error("a secret for a recipient", &err);
        }
        for url in [
            format!("postgres://postgres:{}@127.0.0.1:port/shop", CANARIES[0]),
            format!("postgres://postgres:{}@[::1/shop?sslmode=x", CANARIES[0]),
            format!("host=127.0.0.1 password={}", CANARIES[0]),
        ] {
            let err = Postgres::from_url(&url).unwrap_err();
            self.seen.debug("a wrong URL", &err);
            self.seen.text("a wrong URL", Report(&err).to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_printed_stored_or_an_argument() {
    recorder::start();
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    let watch = Watch::start(PASSWORD);
    // So that every client program runs for long enough to be looked at.
    scene.proxy.set_latency(Duration::from_millis(2));
    scene.proxy.set_throttle(Some(8_000_000));
    let backup = scene.encrypted("keys");
    let report = scene.succeed("copy", &backup).await;
    let encryption = Encryption::passphrase(PASSPHRASE).unwrap();
    let phrase = scene.engine("phrase", encryption, Some(Unlock::passphrase(PASSPHRASE)));
    scene.succeed("copy of the second", &phrase).await;
    let plain = scene.engine("plain", Encryption::none(), None);
    scene.succeed("copy of the third", &plain).await;
    scene.proxy.heal().await;

    scene.break_sources().await;
    scene.break_restores(&backup, &report).await;
    scene.break_objects(&backup, &report).await;
    scene.mistake_secrets();

    let processes = watch.stop();
    for program in ["pg_dump", "pg_dumpall", "pg_restore", "postgres"] {
        assert!(
            processes.command_lines.contains_key(program),
            "{processes:#?}"
        );
    }
    for program in ["pg_dump", "pg_dumpall", "pg_restore"] {
        assert!(
            processes.told.contains(program),
            "the way that is meant: {:?}",
            processes.told
        );
    }
    scene.seen.debug("command lines", &processes.command_lines);
    // What roles log in with is in a backup, which may be unencrypted; it is in no log, not
    // even in the driver's, which tells every statement.
    // (The test's own server is given its password by a statement of the fixture.)
    let fixture = |line: &String| line.contains("batch: ALTER ROLE \"postgres\" PASSWORD ");
    for line in recorder::lines().into_iter().filter(|line| !fixture(line)) {
        scene.seen.text("the log", line);
    }
    assert_eq!(scene.seen.leaks(&["scram-sha-256$"]), Vec::<String>::new());

    scene.seen.files(scene.folder.path());
    let logged = recorder::lines();
    for target in [
        "ops_backup::event event",
        "object_store",
        "tokio_postgres::",
    ] {
        let found = logged.iter().any(|line| line.contains(target));
        assert!(found, "{target} was not recorded");
    }
    for line in logged {
        scene.seen.text("the log", line);
    }
    let leaks = scene.seen.leaks(&CANARIES);
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
