//! Snapshots, which Neon calls a beta, and the history of a branch.

use std::cmp::Reverse;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use ops_core::database::{
    CreateBackupRequest, DatabaseState, NativeBackup, NativeBackups, NativeRestore, RecoveryWindow,
    RestoreBackupRequest, RestorePoint, RestoreTarget,
};
use ops_core::id::{BranchId, IdempotencyKey, NativeBackupId};
use ops_core::{Error, ItemStream, Result, Retry, Timestamp};

use crate::model::{Operations, Snapshot};
use crate::{Neon, PROVIDER, api};

#[async_trait]
impl NativeBackups for Neon {
    fn list_backups(&self) -> ItemStream<NativeBackup> {
        let neon = self.clone();
        let listed = async move {
            let mut backups = neon.backups().await?;
            backups.sort_by_key(|backup| Reverse(backup.created_at));
            Ok(stream::iter(backups.into_iter().map(Ok)))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn backup(&self, backup: &NativeBackupId) -> Result<NativeBackup> {
        let all = self.snapshots().await?;
        let running = self.operations().await?;
        let found = all.into_iter().find(|snapshot| snapshot.id == *backup);
        let found = found.ok_or_else(|| {
            Error::not_found(backup.as_str())
                .with_provider(PROVIDER)
                .with_operation("database.backup")
        })?;
        Ok(told(found, &running))
    }

    /// After an unknown outcome look for the name in [`list_backups`](Self::list_backups).
    /// Neon has no idempotency keys for snapshots and a key is refused.
    async fn create_backup(&self, request: CreateBackupRequest) -> Result<NativeBackup> {
        refuse_key(
            request.idempotency_key.as_ref(),
            "an idempotency key for a snapshot",
        )?;
        let project = &self.inner.project;
        let branch = self.branch_of(project).await?;
        let call = api::create_snapshot(project, &branch.id, request.name.as_deref());
        let made = self.inner.api.execute(call).await?;
        let is_running = made.work.are_running();
        Ok(made.snapshot.into_backup(is_running))
    }

    /// Neon restores in place alone; for an instance beside this one make a branch at an
    /// instant. It always keeps the former state, as a branch: under `preserve_as`, else
    /// under a name with the present instant, or for a snapshot under a name of its own.
    ///
    /// After an unknown outcome that branch tells: it is there where the restore was
    /// applied.
    async fn restore_backup(&self, request: RestoreBackupRequest) -> Result<NativeRestore> {
        refuse_key(
            request.idempotency_key.as_ref(),
            "an idempotency key for a restore",
        )?;
        let RestoreTarget::InPlace { preserve_as } = request.target else {
            let refused = Error::unsupported("restoring into a new project");
            return Err(refused.with_provider(PROVIDER));
        };
        let branch = self.branch_of(&self.inner.project).await?.id;
        let work = match request.from {
            RestorePoint::Time(at) => self.go_back(&branch, at, preserve_as).await?,
            RestorePoint::Backup(backup) => self.put_back(&branch, &backup, preserve_as).await?,
            _ => return Err(Error::unsupported("this restore point").with_provider(PROVIDER)),
        };
        let state = if work.are_running() {
            DatabaseState::Updating
        } else {
            DatabaseState::Available
        };
        Ok(NativeRestore::new(self.inner.project.clone(), state))
    }

    /// The history that the project keeps, and not from before the branch was made.
    async fn recovery_window(&self) -> Result<Option<RecoveryWindow>> {
        let project = &self.inner.project;
        let answer = self.inner.api.execute(api::get_project(project)).await?;
        let kept = answer.project.history_retention_seconds.unwrap_or_default();
        let kept = Duration::from_secs(kept.try_into().unwrap_or_default());
        if kept.is_zero() {
            return Ok(None);
        }
        let born = self.branch_of(project).await?.created_at;
        let latest = self.inner.clock.now();
        let earliest = latest.saturating_sub(kept);
        let earliest = born.map_or(earliest, |born| earliest.max(born).min(latest));
        Ok(Some(RecoveryWindow::new(earliest, latest)))
    }
}

impl Neon {
    /// The snapshots of the branch that the provider stands for.
    async fn backups(&self) -> Result<Vec<NativeBackup>> {
        let branch = self.branch_of(&self.inner.project).await?.id;
        let all = self.snapshots().await?;
        let running = self.operations().await?;
        let is_ours = |snapshot: &Snapshot| {
            let source = snapshot.source_branch_id.as_ref();
            source.is_none_or(|source| *source == branch)
        };
        let ours = all.into_iter().filter(is_ours);
        Ok(ours.map(|snapshot| told(snapshot, &running)).collect())
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let call = api::list_snapshots(&self.inner.project);
        Ok(self.inner.api.execute(call).await?.snapshots)
    }

    async fn operations(&self) -> Result<Operations> {
        let call = api::list_operations(&self.inner.project);
        self.inner.api.execute(call).await
    }

    async fn go_back(
        &self,
        branch: &BranchId,
        at: Timestamp,
        preserve_as: Option<String>,
    ) -> Result<Operations> {
        // Neon requires a name here.
        let preserve_as = preserve_as.unwrap_or_else(|| {
            let now = self.inner.clock.now();
            now.strftime_utc("before-restore-%Y-%m-%dT%H-%M-%SZ")
        });
        let call = api::restore_branch(&self.inner.project, branch, at, &preserve_as);
        self.inner.api.execute(call).await
    }

    /// The branch that is replaced keeps its id and gets another name, which is put right
    /// afterwards.
    async fn put_back(
        &self,
        branch: &BranchId,
        backup: &NativeBackupId,
        preserve_as: Option<String>,
    ) -> Result<Operations> {
        let (api, project) = (&self.inner.api, &self.inner.project);
        let call = api::restore_snapshot(project, backup, branch);
        let work = api.execute(call).await?;
        if let Some(name) = preserve_as {
            let renamed = api
                .execute(api::rename_branch(project, branch, &name))
                .await;
            renamed.map_err(|err| left_behind(branch, &name, err))?;
        }
        Ok(work)
    }
}

/// What the restore did although its last step failed.
fn left_behind(branch: &BranchId, name: &str, source: Error) -> Error {
    let message = format!(
        "the restore was accepted, but the former state, branch {branch}, could not be renamed to {name}"
    );
    let err = Error::new(source.kind(), message)
        .with_provider(PROVIDER)
        .with_operation("database.restore_backup")
        .with_resource(branch.as_str())
        .with_retry(Retry::Never);
    let err = match source.request_id().map(str::to_owned) {
        Some(id) => err.with_request_id(id),
        None => err,
    };
    err.with_source(source)
}

fn told(snapshot: Snapshot, operations: &Operations) -> NativeBackup {
    let source = snapshot.source_branch_id.as_ref();
    let is_running = source.is_some_and(|branch| operations.run_on(branch));
    snapshot.into_backup(is_running)
}

fn refuse_key(key: Option<&IdempotencyKey>, what: &'static str) -> Result<()> {
    match key {
        Some(_) => Err(Error::unsupported(what).with_provider(PROVIDER)),
        None => Ok(()),
    }
}
