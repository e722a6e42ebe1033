//! The WAL that a backup needs, where it is not in the backup.

use std::sync::Arc;
use std::time::Duration;

use super::OPERATION;
use super::source::ServerInfo;
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::WalRange;
use crate::wal::{Coverage, WalArchive};

/// How often the archive is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Opens the cluster's archive; fails where there is none.
pub(super) async fn open(inner: &Inner, server: &ServerInfo) -> Result<WalArchive> {
    let repository = &inner.repository;
    let store = Arc::clone(&repository.store);
    let prefix = repository.layout.prefix();
    let system_id = Some(server.identity.system_id);
    let archive = WalArchive::open(store, prefix, system_id, Vec::new()).await?;
    archive.ok_or_else(|| {
        let message = "there is no archive of the cluster's WAL";
        Error::new(ErrorKind::WalMissing, OPERATION, message)
            .with_hint("run an archiver, or include the WAL in the backup")
    })
}

/// Waits until the archive has everything that a backup needs; fails where it does not get
/// it in time.
pub(super) async fn wait(inner: &Inner, server: &ServerInfo, needed: &[WalRange]) -> Result<()> {
    let archive = open(inner, server).await?;
    let from = needed.iter().map(|range| range.start).min();
    let within = inner.settings.stall_timeout;
    let waiting = async {
        loop {
            let coverage = archive.coverage(from).await?;
            if needed.iter().all(|range| covers(&coverage, range)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(within, waiting)
        .await
        .unwrap_or_else(|_| {
            let message = format!(
                "the archive has not got the WAL that the backup needs within {} seconds",
                within.as_secs()
            );
            Err(
                Error::new(ErrorKind::WalMissing, OPERATION, message).with_hint(
                    "see whether the archiver runs and keeps up, or include the WAL in the backup",
                ),
            )
        })
}

fn covers(coverage: &Coverage, needed: &WalRange) -> bool {
    coverage.runs.iter().any(|run| {
        run.timeline == needed.timeline && run.start <= needed.start && run.end >= needed.end
    })
}
