//! Instances and backups, with their faults.

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::database::{
    ConnectInfo, CreateBackupRequest, CreateDatabaseRequest, CreatedDatabase, DatabaseInstance,
    DatabaseSize, DatabaseState, NativeBackup, NativeBackupState, NativeBackups, NativeRestore,
    Provision, RecoveryWindow, RestoreBackupRequest, RestorePoint, RestoreTarget,
};
use ops_core::id::{DatabaseId, NativeBackupId};
use ops_core::{DeleteOutcome, Error, ErrorKind, ItemStream, Result};

use super::sabotage::Sabotaged;
use crate::saboteur::wrong;

const MISSING: &str = "ops-test-no-such-database";

#[async_trait]
impl Provision for Sabotaged {
    async fn create_database(&self, mut request: CreateDatabaseRequest) -> Result<CreatedDatabase> {
        if self.is("D-021") && self.is_known(request.idempotency_key.as_ref()) {
            request.idempotency_key = None;
            request.name.push_str("-2");
        }
        let mut made = match self.memory().create_database(request).await {
            Err(err) if self.is("D-022") => {
                let resource = err.resource().unwrap_or_default().to_owned();
                return Err(Error::new(ErrorKind::Conflict, "sabotaged").with_resource(resource));
            }
            Err(err) if self.is("D-023") => return Err(Error::new(err.kind(), "sabotaged")),
            made => made?,
        };
        if self.is("D-025") {
            made.instance.name.push_str("-x7f3");
        }
        Ok(made)
    }

    async fn instance(&self, database: &DatabaseId) -> Result<DatabaseInstance> {
        let mut asked = database.clone();
        if self.is("D-026") && database.as_str() == MISSING {
            return wrong();
        }
        if self.is("D-036") {
            asked = DatabaseId::new(database.as_str().split('?').next().unwrap_or_default())?;
        }
        if self.is("D-031") {
            let deleted = self.notes().deleted.clone();
            if let Some(kept) = deleted.into_iter().find(|kept| kept.id == *database) {
                return Ok(kept);
            }
        }
        let mut seen = self.memory().instance(&asked).await?;
        if self.is("D-029") && self.notes().resized.contains(database) {
            seen.description.state = DatabaseState::Failed;
        }
        Ok(seen)
    }

    async fn connect_info_of(&self, database: &DatabaseId) -> Result<ConnectInfo> {
        match self.memory().connect_info_of(database).await {
            Err(err) if self.is("D-027") && err.is_not_found() => wrong(),
            info => info,
        }
    }

    fn list_databases(&self) -> ItemStream<DatabaseInstance> {
        let this = self.clone();
        let listed = async move { stream::iter(this.listed().await.into_iter().map(Ok)) };
        Box::pin(stream::once(listed).flatten())
    }

    async fn resize_database(
        &self,
        database: &DatabaseId,
        size: DatabaseSize,
    ) -> Result<DatabaseInstance> {
        let is_odd = size.min_cpu_millis > size.max_cpu_millis;
        match self.memory().resize_database(database, size).await {
            Err(err) if self.is("D-028") && err.is_not_found() => wrong(),
            Err(_) if self.is("D-030") && is_odd => self.memory().instance(database).await,
            resized => {
                self.notes().resized.push(database.clone());
                resized
            }
        }
    }

    async fn delete_database(&self, database: &DatabaseId) -> Result<DeleteOutcome> {
        if let Ok(kept) = self.memory().instance(database).await {
            self.notes().deleted.push(kept);
        }
        if self.is("D-034") && database.as_str() != MISSING {
            let all: Vec<DatabaseInstance> = self.memory().list_databases().try_collect().await?;
            for other in all
                .into_iter()
                .filter(|other| other.id != *self.memory().id())
            {
                self.memory().delete_database(&other.id).await?;
            }
            return Ok(DeleteOutcome::Gone);
        }
        match self.memory().delete_database(database).await? {
            DeleteOutcome::AlreadyGone if self.is("D-032") => {
                Err(Error::not_found(database.as_str()))
            }
            outcome => Ok(outcome),
        }
    }
}

impl Sabotaged {
    async fn listed(&self) -> Vec<DatabaseInstance> {
        let kept = self.notes().listing.clone();
        let mut listed = match kept {
            Some(kept) if self.is("D-020") => kept,
            _ => self.memory().list_databases().try_collect().await.unwrap(),
        };
        self.notes().listing = Some(listed.clone());
        if self.is("D-033") {
            listed.extend(self.notes().deleted.clone());
        }
        if self.is("D-035") {
            let again: Vec<_> = listed.last().cloned().into_iter().collect();
            listed.extend(again);
        }
        listed
    }
}

#[async_trait]
impl NativeBackups for Sabotaged {
    fn list_backups(&self) -> ItemStream<NativeBackup> {
        let listed = self.memory().list_backups();
        if self.is("D-041") {
            let all = stream::once(listed.collect::<Vec<_>>());
            return Box::pin(all.flat_map(|all| stream::iter(all.into_iter().rev())));
        }
        listed
    }

    async fn backup(&self, backup: &NativeBackupId) -> Result<NativeBackup> {
        let mut seen = match self.memory().backup(backup).await {
            Err(err) if self.is("D-043") && err.is_not_found() => return wrong(),
            seen => seen?,
        };
        if self.is("D-040") && seen.state == NativeBackupState::Complete {
            seen.state = NativeBackupState::Failed;
        }
        Ok(seen)
    }

    async fn create_backup(&self, mut request: CreateBackupRequest) -> Result<NativeBackup> {
        if self.is("D-042") && self.is_known(request.idempotency_key.as_ref()) {
            request.idempotency_key = None;
            let backups: Vec<NativeBackup> = self.memory().list_backups().try_collect().await?;
            for backup in backups {
                self.memory().backup(&backup.id).await?;
            }
        }
        self.memory().create_backup(request).await
    }

    async fn restore_backup(&self, request: RestoreBackupRequest) -> Result<NativeRestore> {
        let mut sent = request.clone();
        let is_new = matches!(request.target, RestoreTarget::NewInstance { .. });
        let window = self.memory().recovery_window().await?.unwrap();
        let now = window.latest;
        match &request.from {
            RestorePoint::Backup(id) => {
                let backup = self.memory().list_backups();
                let backups: Vec<NativeBackup> = backup.try_collect().await?;
                let is_complete = |backup: &&NativeBackup| {
                    backup.id == *id && backup.state == NativeBackupState::Complete
                };
                let is_complete = backups.iter().find(is_complete).is_some();
                if is_complete
                    && ((self.is("D-048") && is_new)
                        || (self.is("D-052") && Self::keeps_nothing(&request)))
                {
                    sent.from = RestorePoint::Time(now);
                }
            }
            RestorePoint::Time(at) if self.is("D-051") && *at <= now && *at >= window.earliest => {
                sent.from = RestorePoint::Time(now);
            }
            _ => {}
        }
        if let (true, RestoreTarget::InPlace { preserve_as }) = (self.is("D-053"), &request.target)
        {
            let restored = self.memory().restore_backup(sent).await?;
            // Preserved only after it was written over.
            if let Some(name) = preserve_as {
                self.preserve(name).await?;
            }
            return Ok(restored);
        }
        let name = format!("{}-2", self.memory().id());
        match self.memory().restore_backup(sent.clone()).await {
            Err(err) if self.is("D-045") && err.is_not_found() => wrong(),
            Err(err) if self.is("D-046") && err.kind() == ErrorKind::InvalidInput => {
                Ok(self.here())
            }
            Err(err) if self.is("D-047") && err.kind() == ErrorKind::Conflict => Ok(self.here()),
            Err(err) if self.is("D-050") && err.kind() == ErrorKind::AlreadyExists => {
                let again = RestoreBackupRequest::to_new_instance(sent.from, name);
                self.memory().restore_backup(again).await
            }
            restored => {
                if self.is("D-049") && is_new && restored.is_ok() {
                    self.memory().write("text", "written over")?;
                }
                restored
            }
        }
    }

    async fn recovery_window(&self) -> Result<Option<RecoveryWindow>> {
        let mut window = self.memory().recovery_window().await?;
        if let (true, Some(window)) = (self.is("D-044"), &mut window) {
            std::mem::swap(&mut window.earliest, &mut window.latest);
        }
        Ok(window)
    }
}

impl Sabotaged {
    fn keeps_nothing(request: &RestoreBackupRequest) -> bool {
        request.target == RestoreTarget::InPlace { preserve_as: None }
    }

    fn here(&self) -> NativeRestore {
        let here = self.memory().id().clone();
        NativeRestore::new(here, DatabaseState::Available)
    }

    async fn preserve(&self, name: &str) -> Result<()> {
        use ops_core::database::{Branching, CreateBranchRequest};
        let request = CreateBranchRequest::new(name);
        self.memory().create_branch(request).await.map(drop)
    }
}
