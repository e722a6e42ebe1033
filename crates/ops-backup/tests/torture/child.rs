//! The process that is killed.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::{ArchiverOptions, CommitMode, WalRetention};
use ops_backup::{
    Backup, BackupBuilder, BackupId, BaseBackupRequest, ClusterRestoreOptions, Encryption,
    Recovery, RestoreTarget, Unlock,
};
use ops_core::ObjectStore;
use ops_pg::binaries::Finder;
use ops_pg_replication::SlotName;
use ops_postgres::Postgres;
use ops_testkit::FaultStore;
use tokio::io::AsyncWriteExt;
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::harm::Trap;
use crate::place::Place;

/// How long others let a job be silent.
pub(crate) const GRACE: Duration = Duration::from_secs(900);

/// What a process is to do.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Order {
    pub(crate) task: Task,
    pub(crate) url: String,
    pub(crate) store: Place,
    pub(crate) recipient: String,
    pub(crate) identity: String,
    pub(crate) trap: Trap,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Task {
    Backup,
    Sweep,
    /// Marks all WAL that no backup needs, and removes what is marked.
    Expire,
    Restore {
        id: BackupId,
        folder: PathBuf,
        delta: bool,
    },
    /// Restores, and recovers to a target.
    Recover {
        target: RestoreTarget,
        folder: PathBuf,
        /// Where the private server has its socket.
        servers: PathBuf,
    },
    Archive {
        slot: String,
        spool: Option<PathBuf>,
    },
}

impl Order {
    pub(crate) fn builder(&self, store: Arc<dyn ObjectStore>) -> Result<BackupBuilder> {
        let database = Arc::new(Postgres::from_url(&self.url)?);
        Ok(Backup::builder(database, store)
            .encryption(Encryption::recipients([&self.recipient])?)
            .unlock(Unlock::identity(self.identity.as_str()))
            .sweep_grace(Duration::ZERO)
            .finder(Finder::from_env()))
    }

    /// The engine over the store as it is.
    pub(crate) async fn backup(&self) -> Result<Backup> {
        Ok(self.builder(self.store.open().await?)?.build()?)
    }

    /// Does it; archiving ends where `stop` says so. What was done for good is returned.
    pub(crate) async fn perform(
        &self,
        store: Arc<dyn ObjectStore>,
        stop: CancellationToken,
    ) -> Result<String, ops_backup::Error> {
        let internal = |what: crate::Error| {
            let message = what.to_string();
            unreachable!("the scene is wrong: {message}")
        };
        // Packs of the smallest size there is, so that there are several.
        let physical = ops_backup::PhysicalOptions::new().with_pack_bytes(8 << 20);
        let mut builder = self.builder(store).unwrap_or_else(internal);
        if matches!(self.task, Task::Backup) {
            builder = builder.sweep_grace(GRACE);
        }
        let backup = builder.physical(physical).workers(2).build()?;
        match &self.task {
            Task::Backup => {
                let report = backup
                    .base_backup(BaseBackupRequest::full())
                    .finish()
                    .await?;
                Ok(report.id.to_string())
            }
            Task::Sweep => {
                backup.sweep().await?;
                Ok(String::new())
            }
            Task::Expire => {
                let now = WalRetention::new()
                    .with_window(Duration::ZERO)
                    .with_grace(Duration::ZERO);
                for store in backup.expire_wal(&now).await {
                    store.outcome?;
                }
                Ok(String::new())
            }
            Task::Restore { id, folder, delta } => {
                let target = RestoreTarget::Immediate { backup: id.clone() };
                let options = prepare(*delta);
                backup
                    .restore_cluster(target, folder, options)
                    .finish()
                    .await?;
                Ok(String::new())
            }
            Task::Recover {
                target,
                folder,
                servers,
            } => {
                let options = recovering(servers);
                let job = backup.restore_cluster(target.clone(), folder, options);
                job.finish().await?;
                Ok(String::new())
            }
            Task::Archive { slot, spool } => {
                let slot = SlotName::new(slot.as_str());
                let slot = slot.unwrap_or_else(|err| unreachable!("{err}"));
                let archiver = backup.archiver(archiving(slot, spool.as_deref()))?;
                archiver.run(stop).await?;
                Ok(String::new())
            }
        }
    }

    /// Starts a process that does it.
    pub(crate) async fn spawn(&self) -> Result<Child> {
        let mut child = tokio::process::Command::new(std::env::current_exe()?)
            .arg("child")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().ok_or("it has no input")?;
        stdin.write_all(&serde_json::to_vec(self)?).await?;
        stdin.write_all(b"\n").await?;
        // It stays open: its end would end an archiver.
        child.stdin = Some(stdin);
        Ok(child)
    }
}

/// Files alone: what recovers them is not under test here.
pub(crate) fn prepare(delta: bool) -> ClusterRestoreOptions {
    let restore_command = "false".to_owned();
    ClusterRestoreOptions::new()
        .with_delta(delta)
        .with_workers(2)
        .with_recovery(Recovery::Prepare { restore_command })
}

/// Files and recovery, over whatever is there.
pub(crate) fn recovering(servers: &Path) -> ClusterRestoreOptions {
    ClusterRestoreOptions::new()
        .with_delta(true)
        .with_workers(2)
        .with_server_folder(servers)
        .with_server_setting("fsync", "off")
}

pub(crate) fn archiving(slot: SlotName, spool: Option<&Path>) -> ArchiverOptions {
    let options = ArchiverOptions::new()
        .with_slot(slot)
        .with_part_interval(Duration::from_millis(40))
        .with_lease_lifetime(Duration::from_millis(300))
        .with_max_backoff(Duration::from_millis(200))
        .with_guard_interval(Duration::from_millis(500));
    match spool {
        Some(folder) => options
            .with_commits(CommitMode::Synchronous)
            .with_spool(folder.to_owned()),
        None => options,
    }
}

/// The process: an order on standard input, and what was done on standard output.
pub(crate) async fn main() -> Result {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    let store = FaultStore::new(order.store.open().await?);
    order.trap.set(&store);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_line(&mut String::new());
        stopped.cancel();
    });
    let done = order.perform(Arc::new(store), stop).await?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "done {done}")?;
    stdout.flush()?;
    // A read of standard input cannot be ended.
    std::process::exit(0);
}
