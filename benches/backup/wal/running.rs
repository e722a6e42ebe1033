//! An archiver beside a workload.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{BACKREST, OURS, RECEIVEWAL, wal_store};
use crate::Result;
use crate::cluster::Cluster;
use crate::ours::{Answer, Order, Place, Task};
use crate::pgbackrest::PgBackRest;

/// An archiver beside the workload.
pub(super) struct Running {
    child: Option<Child>,
    ours: bool,
    slot: Option<&'static str>,
}

impl Running {
    pub(super) async fn start(
        cluster: &Cluster,
        peer: Option<&PgBackRest>,
        name: &'static str,
        seconds: u64,
    ) -> Result<Self> {
        let (mut child, mut slot) = (None, None);
        match name {
            OURS => {
                let task = Task::Follow {
                    slot: "follower".to_owned(),
                    seconds,
                };
                let _ = fs::remove_dir_all(wal_store(cluster));
                let place = Place::Folder(wal_store(cluster));
                let (mut command, input) = Order::new(cluster, task, place).command()?;
                let mut started = command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()?;
                if let Some(mut stdin) = started.stdin.take() {
                    std::io::Write::write_all(&mut stdin, &input)?;
                }
                (child, slot) = (Some(started), Some("follower"));
            }
            RECEIVEWAL => {
                let folder = cluster.shared_folder("receivewal")?;
                let path = folder.to_string_lossy().into_owned();
                let arguments = [
                    "-D",
                    &path,
                    "-S",
                    "follower",
                    "--create-slot",
                    "--if-not-exists",
                ];
                let status = cluster.program("pg_receivewal", &arguments).status()?;
                if !status.success() {
                    return Err("pg_receivewal makes no slot".into());
                }
                let mut command =
                    cluster.program("pg_receivewal", &["-D", &path, "-S", "follower"]);
                (child, slot) = (
                    Some(command.stderr(Stdio::null()).spawn()?),
                    Some("follower"),
                );
            }
            BACKREST => {
                let command = peer.map(PgBackRest::archive_command).unwrap_or_default();
                cluster.set("archive_command", &command).await?;
            }
            _ => {}
        }
        // It connects.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let ours = name == OURS;
        Ok(Self { child, ours, slot })
    }

    /// Its process; `None` where it has none of its own.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(super) async fn stop(&mut self, cluster: &Cluster) -> Result<Answer> {
        let mut answer = Answer::default();
        if let Some(mut child) = self.child.take() {
            if self.ours {
                let output = child.wait_with_output()?;
                answer = serde_json::from_slice(&output.stdout)?;
                let _ = fs::remove_dir_all(wal_store(cluster));
            } else {
                child.kill()?;
                child.wait()?;
                let _ = fs::remove_dir_all(cluster.folder().join("receivewal"));
            }
        }
        cluster.set("archive_command", "true").await?;
        let client = cluster.pg.client("postgres").await;
        for _ in 0..100 {
            let Some(slot) = self.slot else { break };
            let sql = "SELECT pg_drop_replication_slot($1)";
            if client.execute(sql, &[&slot]).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(answer)
    }
}
