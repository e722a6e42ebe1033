//! Beginning a backup: an incremental one where that was asked for and can be had.

use ops_core::Timestamp;
use ops_pg_replication::{BackupStart, BaseBackup, Failure, ReplicationClient};

use super::Run;
use super::parent::{self, Parent, Uploaded};
use super::source::{self, Moment, Route, ServerInfo, Source, failed};
use super::thread::ConnectionThread;
use crate::backup::Inner;
use crate::error::Result;
use crate::physical::format::{PhysicalKind, WalMethod};
use crate::physical::report::FullReason;
use crate::repository::Repository;

/// A backup that has begun to arrive.
pub(super) struct Begun {
    /// Until it is being received.
    pub(super) backup: Option<BaseBackup>,
    pub(super) start: BackupStart,
    pub(super) kind: PhysicalKind,
    pub(super) snapshot_at: Timestamp,
    pub(super) label: String,
    /// Where it is read.
    pub(super) thread: ConnectionThread,
}

impl Begun {
    fn new(
        backup: BaseBackup,
        route: Route,
        kind: PhysicalKind,
        label: String,
        inner: &Inner,
    ) -> Self {
        Self {
            thread: route.into_thread(),
            start: backup.start().clone(),
            backup: Some(backup),
            kind,
            snapshot_at: inner.settings.clock.now(),
            label,
        }
    }
}

impl Run<'_> {
    /// Begins a backup: an incremental one where that was asked for and can be had.
    pub(super) async fn begin(
        &mut self,
        source: Source,
        repositories: &[Repository],
    ) -> Result<(ServerInfo, Begun)> {
        let Source {
            mut client,
            route,
            server,
        } = source;
        let chosen = self.request.label.clone();
        let label = chosen.unwrap_or_else(|| format!("ops-backup {}", self.id));
        if self.request.incremental {
            let (inner, now) = (self.inner, self.started_at);
            match parent::find(inner, &mut client, &server, repositories, now).await? {
                Ok(parent) => match self.begin_incremental(client, &parent, &label).await? {
                    Ok(backup) => {
                        let begun = Begun::new(backup, route, parent.kind, label, self.inner);
                        return Ok((server, begun));
                    }
                    Err(reason) => {
                        self.full_because = Some(reason);
                        client = route.connect_again(&server).await?;
                    }
                },
                Err(reason) => self.full_because = Some(reason),
            }
        }
        self.hold_wal(&mut client).await?;
        let backup = source::begin(client, self.inner, &self.request, &label, false).await;
        let backup = backup.map_err(|err| failed(err, Moment::Asking))?;
        Ok((
            server,
            Begun::new(backup, route, PhysicalKind::Full, label, self.inner),
        ))
    }

    async fn begin_incremental(
        &mut self,
        mut client: ReplicationClient,
        parent: &Parent,
        label: &str,
    ) -> Result<Result<BaseBackup, FullReason>> {
        let refused = |err: ops_core::Error| {
            if Failure::of(&err) != Some(Failure::NoIncremental) {
                return Err(failed(err, Moment::Asking));
            }
            let message = ops_core::Report(&err).to_string();
            Ok(Err(FullReason::SummariesMissing { message }))
        };
        match parent::upload(parent, &mut client).await? {
            Uploaded::Done => {}
            Uploaded::Refused(err) => return refused(err),
            Uploaded::Unreadable(reason) => return Ok(Err(reason)),
        }
        self.hold_wal(&mut client).await?;
        match source::begin(client, self.inner, &self.request, label, true).await {
            Ok(backup) => Ok(Ok(backup)),
            Err(err) => refused(err),
        }
    }

    /// Sees to it that the server keeps the WAL that is to be included.
    async fn hold_wal(&mut self, client: &mut ReplicationClient) -> Result<()> {
        if self.request.wal == WalMethod::Included && !source::hold_wal(client, &self.id).await? {
            self.warn(
                "the server has no replication slot left: the backup fails where the server \
                 removes WAL before it has sent it",
            );
        }
        Ok(())
    }
}

/// About how many bytes will come: as many as in the last full backup of the cluster.
pub(super) async fn expected_bytes(
    repositories: &[Repository],
    server: &ServerInfo,
    kind: &PhysicalKind,
) -> Option<u64> {
    if *kind != PhysicalKind::Full {
        return None;
    }
    let entries = repositories.first()?.catalogue().await.ok()?;
    let full = entries.iter().rev().find(|entry| {
        let physical = entry.manifest.physical.as_ref();
        physical.is_some_and(|it| {
            it.system_id == server.identity.system_id && it.kind == PhysicalKind::Full
        })
    });
    full.map(|entry| entry.manifest.bytes_in)
}
