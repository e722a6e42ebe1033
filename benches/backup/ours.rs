//! Ours, in a process of its own: an order on standard input, an answer on standard output.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::ArchiverOptions;
use ops_backup::{
    Backup, BackupId, BaseBackupRequest, ClusterRestoreOptions, Encryption, Lsn, Recovery,
    RestoreTarget, Unlock,
};
use ops_core::{ObjectStore, Secret};
use ops_local::Local;
use ops_pg::binaries::Finder;
use ops_pg_replication::SlotName;
use ops_postgres::Postgres;
use ops_s3::{S3Credentials, S3Store};
use ops_testkit::peak_rss_bytes;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::{Result, megabytes};

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Place {
    Folder(PathBuf),
    S3 {
        endpoint: String,
        region: String,
        access: String,
        signing: String,
        bucket: String,
    },
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Task {
    Backup,
    /// An incremental base backup; a full one in its stead is an error.
    Increment,
    Restore {
        id: BackupId,
        folder: PathBuf,
        delta: bool,
    },
    /// Archives up to a position.
    CatchUp {
        slot: String,
        end: Lsn,
    },
    /// Archives for some seconds.
    Follow {
        slot: String,
        seconds: u64,
    },
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Order {
    pub(crate) task: Task,
    pub(crate) url: String,
    pub(crate) place: Place,
    pub(crate) recipient: String,
    pub(crate) identity: String,
}

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: Option<BackupId>,
    pub(crate) stored: u64,
    pub(crate) objects: usize,
    pub(crate) segments: u64,
    pub(crate) parts: u64,
    /// How far the store was behind the server, in milliseconds, each 20 ms.
    pub(crate) lags: Vec<u64>,
    pub(crate) idle_bytes: u64,
    pub(crate) peak_bytes: u64,
}

impl Answer {
    /// What the task took beside what the idle process has, in MiB.
    pub(crate) fn above_idle_mib(&self) -> f64 {
        megabytes(self.peak_bytes.saturating_sub(self.idle_bytes)) / 1.048_576
    }
}

impl Order {
    pub(crate) fn new(cluster: &Cluster, task: Task, place: Place) -> Self {
        Self {
            task,
            url: cluster.pg.url("bench"),
            place,
            recipient: cluster.recipient.clone(),
            identity: cluster.identity.clone(),
        }
    }

    /// The process that does it, and what it reads.
    pub(crate) fn command(&self) -> Result<(Command, Vec<u8>)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--ours");
        Ok((command, serde_json::to_vec(self)?))
    }

    async fn store(&self) -> Result<Arc<dyn ObjectStore>> {
        Ok(match &self.place {
            Place::Folder(folder) => Arc::new(Local::builder(folder).create(true).build()?),
            Place::S3 {
                endpoint,
                region,
                access,
                signing,
                bucket,
            } => {
                let secret = Secret::from(signing.as_str());
                let store = S3Store::builder(bucket.as_str())
                    .endpoint(endpoint.as_str())
                    .region(region.as_str())
                    .credentials(S3Credentials::new(access.as_str(), secret))
                    .allow_http(true)
                    .open()
                    .await?;
                Arc::new(store)
            }
        })
    }

    async fn run(&self) -> Result<Answer> {
        let backup = Backup::builder(
            Arc::new(Postgres::from_url(&self.url)?),
            self.store().await?,
        )
        .encryption(Encryption::recipients([&self.recipient])?)
        .unlock(Unlock::identity(self.identity.as_str()))
        .workers(2)
        .finder(Finder::from_env())
        .build()?;
        let idle_bytes = peak_rss_bytes().unwrap_or_default();
        let mut answer = match &self.task {
            Task::Backup => base_backup(&backup, BaseBackupRequest::full()).await?,
            Task::Increment => base_backup(&backup, BaseBackupRequest::incremental()).await?,
            Task::Restore { id, folder, delta } => {
                let options = ClusterRestoreOptions::new()
                    .with_delta(*delta)
                    .with_workers(2)
                    .with_recovery(Recovery::Prepare {
                        restore_command: "false".to_owned(),
                    });
                let target = RestoreTarget::Immediate { backup: id.clone() };
                backup
                    .restore_cluster(target, folder, options)
                    .finish()
                    .await?;
                Answer::default()
            }
            Task::CatchUp { slot, end } => {
                archive(&backup, slot, Some(*end), Duration::MAX).await?
            }
            Task::Follow { slot, seconds } => {
                archive(&backup, slot, None, Duration::from_secs(*seconds)).await?
            }
        };
        answer.idle_bytes = idle_bytes;
        answer.peak_bytes = peak_rss_bytes().unwrap_or_default();
        Ok(answer)
    }
}

async fn base_backup(backup: &Backup, request: BaseBackupRequest) -> Result<Answer> {
    let report = backup.base_backup(request).finish().await?;
    if let Some(reason) = &report.full_because {
        return Err(format!("no incremental backup: {reason:?}").into());
    }
    eprintln!("phases: {:?}", report.phases);
    Ok(Answer {
        id: Some(report.id),
        stored: report.bytes_stored,
        objects: report.objects,
        ..Answer::default()
    })
}

async fn archive(backup: &Backup, slot: &str, end: Option<Lsn>, time: Duration) -> Result<Answer> {
    let options = ArchiverOptions::new()
        .with_slot(SlotName::new(slot)?)
        .with_part_interval(Duration::from_secs(1));
    let archiver = backup.archiver(options)?;
    let stop = CancellationToken::new();
    let (running, stopped) = (archiver.clone(), stop.clone());
    let task = tokio::spawn(async move { running.run(stopped).await });
    let begun = tokio::time::Instant::now();
    let mut lags = Vec::new();
    while begun.elapsed() < time && !task.is_finished() {
        let status = archiver.status();
        if end.is_some_and(|end| status.durable.is_some_and(|it| it >= end)) {
            break;
        }
        lags.push(u64::try_from(status.lag.as_millis())?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = archiver.status();
    stop.cancel();
    task.await??;
    Ok(Answer {
        stored: status.stored_bytes,
        segments: status.segments,
        parts: status.parts,
        lags,
        ..Answer::default()
    })
}

pub(crate) async fn main() -> Result<()> {
    let order: Order = serde_json::from_reader(std::io::stdin())?;
    println!("{}", serde_json::to_string(&order.run().await?)?);
    Ok(())
}
