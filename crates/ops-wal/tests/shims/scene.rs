//! A store, a configuration, and servers that use them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use age::secrecy::ExposeSecret;
use ops_backup::wal::{Archiver, ArchiverOptions, ArchiverState, WalArchive};
use ops_backup::{Backup, Encryption, Lsn, Unlock};
use ops_local::{Durability, Local};
use ops_pg::server::Shutdown;
use ops_postgres::Postgres;
use ops_testkit::{Pg, PgBuilder, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A folder that the server's user may use, too: the program, the store, the key.
pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    identity: String,
    recipient: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o777))
            .tempdir()
            .unwrap();
        let identity = age::x25519::Identity::generate();
        let scene = Self {
            recipient: identity.to_public().to_string(),
            identity: identity.to_string().expose_secret().to_owned(),
            folder,
        };
        // The folder that cargo builds into may be closed to the server's user.
        fs::copy(env!("CARGO_BIN_EXE_ops-wal"), scene.path("ops-wal")).unwrap();
        fs::write(scene.path("key"), &scene.identity).unwrap();
        for shared in ["store", "spool"] {
            fs::create_dir(scene.path(shared)).unwrap();
            fs::set_permissions(scene.path(shared), Permissions::from_mode(0o777)).unwrap();
        }
        scene.configure("config.toml", "");
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store_folder(&self) -> PathBuf {
        self.path("store/objects")
    }

    /// Writes a configuration. What is given stands in the part of restores.
    pub(crate) fn configure(&self, name: &str, restore: &str) -> PathBuf {
        self.configure_all(name, "", "key", &self.store_folder(), restore)
    }

    pub(crate) fn configure_all(
        &self,
        name: &str,
        top: &str,
        key: &str,
        store: &Path,
        restore: &str,
    ) -> PathBuf {
        let path = self.path(name);
        // Whoever recovers reads, and may belong to another user than whoever archives.
        let mode = if restore.is_empty() {
            "create"
        } else {
            "read_only"
        };
        let text = format!(
            "patience = 2\n{top}\n[store]\nprovider = \"local\"\npath = \"{}\"\n{mode} = true\n\
             [encryption]\nrecipients = [\"{}\"]\n\
             [restore]\nunlock = [{{ identity = {{ file = \"{}\" }} }}]\n{restore}\n",
            store.display(),
            self.recipient,
            self.path(key).display(),
        );
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, config: &Path, what: &str) -> String {
        let (program, config) = (self.path("ops-wal"), config.display());
        format!("{} --config {config} {what}", program.display())
    }

    /// Runs the program as a server would: in a data folder.
    pub(crate) fn run(&self, config: &Path, data: &Path, args: &[&str]) -> Output {
        program(self.path("ops-wal"))
            .arg("--config")
            .arg(config)
            .args(args)
            .current_dir(data)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The exit status, which is asserted, with what was printed where it is another one.
    pub(crate) fn expect(&self, status: i32, config: &Path, data: &Path, args: &[&str]) -> String {
        let output = self.run(config, data, args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {text}");
        assert!(!text.contains("AGE-SECRET"), "{text}");
        text
    }

    pub(crate) fn store(&self) -> Arc<Local> {
        let store = Local::builder(self.store_folder())
            .create(true)
            .durability(Durability::None)
            .build()
            .unwrap();
        Arc::new(store)
    }

    /// Lets the server's user use what this process has stored.
    pub(crate) fn share(&self) {
        let shared = program("chmod")
            .args(["-fR", "a+rwX"])
            .arg(self.path("store"))
            .status();
        // What was renamed or removed in the meantime is none of our business.
        assert!(shared.is_ok());
    }

    pub(crate) fn backup(&self, pg: &Pg) -> Backup {
        let database = Postgres::builder(pg.connect_info("postgres"))
            .build()
            .unwrap();
        Backup::builder(Arc::new(database), self.store())
            .encryption(Encryption::recipients([&self.recipient]).unwrap())
            .unlock(Unlock::identity(self.identity.as_str()))
            .build()
            .unwrap()
    }

    pub(crate) async fn archive(&self) -> WalArchive {
        let key = Unlock::identity(self.identity.as_str());
        let opened = WalArchive::open(self.store(), "", None, vec![key]).await;
        opened.unwrap().unwrap()
    }

    /// A server on a copy of another one, which is to recover by a command.
    pub(crate) async fn recovering(&self, copy: &Path, major: u32, command: &str) -> Pg {
        let pg = server()
            .major(major)
            .setting("restore_command", command)
            .setting("hot_standby", "off")
            .create_empty()
            .await
            .unwrap();
        let copied = program("cp")
            .arg("-a")
            .arg(copy.join("."))
            .arg(pg.data_dir())
            .status()
            .unwrap();
        assert!(copied.success());
        fs::set_permissions(pg.data_dir(), Permissions::from_mode(0o700)).unwrap();
        fs::write(pg.data_dir().join("recovery.signal"), "").unwrap();
        pg.adopt_data_dir().await.unwrap();
        pg
    }
}

/// A program that runs to its end at once.
#[expect(
    clippy::disallowed_methods,
    reason = "it needs no supervision: the test waits for its end"
)]
fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(path)
}

/// A server with segments of 1 MB.
pub(crate) fn server() -> PgBuilder {
    Pg::builder()
        .with(|server| server.wal_segment_size_mb(1))
        .setting("wal_keep_size", "1GB")
        .setting("archive_timeout", "0")
}

/// A server, and a copy of its data from before anything was written.
pub(crate) async fn server_and_copy(scene: &Scene, builder: PgBuilder) -> Option<(Pg, PathBuf)> {
    let mut pg = builder.start().await?;
    pg.stop(Shutdown::Fast).await;
    let copy = scene.path("copy");
    let copied = program("cp")
        .arg("-a")
        .arg(pg.data_dir())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    pg.start_again().await;
    Some((pg, copy))
}

/// Writes rows, each in a transaction of its own, in about so many megabytes of WAL.
pub(crate) async fn write(pg: &Pg, megabytes: u32) -> i64 {
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS ledger (i bigserial PRIMARY KEY, x text)")
        .await
        .unwrap();
    for _ in 0..megabytes * 10 {
        let insert = "INSERT INTO ledger (x) SELECT repeat(md5(random()::text), 30) FROM generate_series(1, 90)";
        client.batch_execute(insert).await.unwrap();
    }
    rows(pg).await
}

pub(crate) async fn rows(pg: &Pg) -> i64 {
    let client = pg.client("postgres").await;
    let row = client
        .query_one("SELECT count(*) FROM ledger", &[])
        .await
        .unwrap();
    row.get(0)
}

pub(crate) async fn flushed(pg: &Pg) -> Lsn {
    let client = pg.client("postgres").await;
    let row = client
        .query_one("SELECT pg_current_wal_flush_lsn()::text", &[])
        .await
        .unwrap();
    row.get::<_, String>(0).parse().unwrap()
}

pub(crate) struct Running {
    archiver: Archiver,
    stop: CancellationToken,
    task: JoinHandle<ops_backup::Result<()>>,
}

impl Running {
    pub(crate) async fn start(backup: &Backup) -> Self {
        let options = ArchiverOptions::new()
            .with_part_interval(Duration::from_millis(100))
            .with_lease_lifetime(Duration::from_secs(1));
        let archiver = backup.archiver(options).unwrap();
        let stop = CancellationToken::new();
        let (running, stopped) = (archiver.clone(), stop.clone());
        let task = tokio::spawn(async move { running.run(stopped).await });
        wait_until("the stream", SOON, async || {
            archiver.status().state == ArchiverState::Streaming
        })
        .await;
        Self {
            archiver,
            stop,
            task,
        }
    }

    pub(crate) async fn stop_at(self, end: Lsn) {
        wait_until("WAL to be durable", SOON, async || {
            self.archiver.status().durable.is_some_and(|it| it >= end)
        })
        .await;
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}
