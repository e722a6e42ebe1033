//! Backups and points in time.

use async_trait::async_trait;

use super::super::{error, lock, missing};
use super::MemoryDatabase;
use super::state::{BackupRecord, BranchRecord, Change, Instance, made};
use crate::database::{
    Branch, CreateBackupRequest, DatabaseState, NativeBackup, NativeBackupState, NativeBackups,
    NativeRestore, RecoveryWindow, RestoreBackupRequest, RestorePoint, RestoreTarget,
};
use crate::error::{ErrorKind, Result};
use crate::id::{BranchId, DatabaseId, NativeBackupId};
use crate::memory::items;
use crate::object_store::ItemStream;
use crate::time::Timestamp;

#[async_trait]
impl NativeBackups for MemoryDatabase {
    fn list_backups(&self) -> ItemStream<NativeBackup> {
        let listed = self.with("database.list_backups", |instance| {
            let mut backups: Vec<_> = instance
                .backups
                .values()
                .map(|record| record.backup.clone())
                .collect();
            backups.sort_by_key(|backup| std::cmp::Reverse(backup.created_at));
            Ok(backups)
        });
        items::of(listed)
    }

    async fn backup(&self, backup: &NativeBackupId) -> Result<NativeBackup> {
        let operation = "database.backup";
        self.with(operation, |instance| {
            let record = instance.backups.get_mut(backup);
            let record = record.ok_or_else(|| missing(operation, backup))?;
            let seen = record.backup.clone();
            // One step further next time.
            record.backup.state = NativeBackupState::Complete;
            Ok(seen)
        })
    }

    async fn create_backup(&self, request: CreateBackupRequest) -> Result<NativeBackup> {
        let operation = "database.create_backup";
        let now = self.shared.clock.now();
        let mut state = lock(&self.shared.state);
        let key = request.idempotency_key.clone();
        let asked = (&self.id, request);
        let known = state.backed_up.find(operation, key.as_ref(), &asked)?;
        let known = known.map(NativeBackupId::new).transpose()?;
        let id = made!(NativeBackupId, "backup-{}", state.sequence.next());
        let instance = state.instances.get_mut(&self.id);
        let instance = instance.ok_or_else(|| missing(operation, &self.id))?;
        if let Some(known) = known {
            let record = instance.backups.get(&known);
            return record
                .map(|record| record.backup.clone())
                .ok_or_else(|| missing(operation, known));
        }
        let running = |record: &&BackupRecord| record.backup.state == NativeBackupState::Running;
        if let Some(other) = instance.backups.values().find(running) {
            let message = format!("{} is still running", other.backup.id);
            return Err(error(ErrorKind::Conflict, operation, message));
        }
        let log = instance
            .default_record()
            .map(|branch| branch.log.clone())
            .unwrap_or_default();
        let size: usize = log
            .iter()
            .map(|change| change.key.len() + change.value.len())
            .sum();
        let mut backup = NativeBackup::new(id.clone(), NativeBackupState::Running, now)
            .with_size_bytes(size as u64);
        backup.name.clone_from(&asked.1.name);
        instance.backups.insert(
            id.clone(),
            BackupRecord {
                backup: backup.clone(),
                log,
            },
        );
        state.backed_up.remember(key, &asked, id.as_str());
        Ok(backup)
    }

    async fn restore_backup(&self, request: RestoreBackupRequest) -> Result<NativeRestore> {
        let operation = "database.restore_backup";
        let now = self.shared.clock.now();
        let mut state = lock(&self.shared.state);
        let key = request.idempotency_key.clone();
        let asked = (&self.id, request);
        if let Some(id) = state.restored.find(operation, key.as_ref(), &asked)? {
            let id = DatabaseId::new(id)?;
            let instance = state
                .instances
                .get(&id)
                .ok_or_else(|| missing(operation, &id))?;
            return Ok(NativeRestore::new(
                id.clone(),
                instance.description.state.clone(),
            ));
        }
        let instance = state.instances.get(&self.id);
        let instance = instance.ok_or_else(|| missing(operation, &self.id))?;
        let log = content_at(operation, instance, &asked.1.from, now)?;
        let engine = instance.description.engine.clone();
        let target = match &asked.1.target {
            RestoreTarget::NewInstance { name } => {
                if let Some(other) = state.instances.values().find(|other| other.name == *name) {
                    let message = format!("a database named {name} exists already");
                    return Err(error(ErrorKind::AlreadyExists, operation, message)
                        .with_resource(other.id.as_str()));
                }
                state.seed(name, engine, DatabaseState::Starting, now)
            }
            RestoreTarget::InPlace { preserve_as } => {
                let branch = made!(BranchId, "branch-{}", state.sequence.next());
                let instance = state.instances.get_mut(&self.id);
                let instance = instance.ok_or_else(|| missing(operation, &self.id))?;
                if let Some(name) = preserve_as {
                    preserve(operation, instance, branch, name, now)?;
                }
                instance.description.state = DatabaseState::Updating;
                self.id.clone()
            }
        };
        let restored = state.instances.get_mut(&target);
        let restored = restored.ok_or_else(|| missing(operation, &target))?;
        if let Some(branch) = restored.branches.get_mut(&restored.default_branch) {
            branch.log = log;
        }
        let outcome = NativeRestore::new(target.clone(), restored.description.state.clone());
        state.restored.remember(key, &asked, target.as_str());
        Ok(outcome)
    }

    async fn recovery_window(&self) -> Result<Option<RecoveryWindow>> {
        let now = self.shared.clock.now();
        self.with("database.recovery_window", |instance| {
            Ok(Some(RecoveryWindow::new(instance.created_at, now)))
        })
    }
}

/// What the default branch held at a restore point.
fn content_at(
    operation: &'static str,
    instance: &Instance,
    point: &RestorePoint,
    now: Timestamp,
) -> Result<Vec<Change>> {
    match point {
        RestorePoint::Backup(id) => {
            let record = instance
                .backups
                .get(id)
                .ok_or_else(|| missing(operation, id))?;
            if record.backup.state == NativeBackupState::Complete {
                return Ok(record.log.clone());
            }
            Err(error(
                ErrorKind::Conflict,
                operation,
                format!("{id} is not complete"),
            ))
        }
        RestorePoint::Time(at) => {
            if !RecoveryWindow::new(instance.created_at, now).contains(*at) {
                let message = format!("{at} lies outside the recovery window");
                return Err(error(ErrorKind::InvalidInput, operation, message));
            }
            Ok(instance
                .default_record()
                .map(|branch| branch.until(*at))
                .unwrap_or_default())
        }
    }
}

/// Keeps what the default branch holds now as a branch of its own.
fn preserve(
    operation: &'static str,
    instance: &mut Instance,
    id: BranchId,
    name: &str,
    now: Timestamp,
) -> Result<()> {
    if instance
        .branches
        .values()
        .any(|record| record.branch.name == name)
    {
        let message = format!("a branch named {name} exists already");
        return Err(error(ErrorKind::AlreadyExists, operation, message));
    }
    let log = instance
        .default_record()
        .map(|branch| branch.log.clone())
        .unwrap_or_default();
    let branch = Branch::new(id.clone(), name, DatabaseState::Available)
        .with_parent(instance.default_branch.clone())
        .with_created_at(now);
    instance.branches.insert(id, BranchRecord { branch, log });
    Ok(())
}
