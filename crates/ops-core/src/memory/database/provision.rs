//! Making, changing and removing instances.

use async_trait::async_trait;

use super::super::{error, lock, missing};
use super::MemoryDatabase;
use super::state::{BranchRecord, State};
use crate::database::{
    ConnectInfo, CreateDatabaseRequest, CreatedDatabase, DatabaseInstance, DatabaseSize,
    DatabaseState, Engine, Provision,
};
use crate::error::{ErrorKind, Result};
use crate::id::DatabaseId;
use crate::memory::items;
use crate::object_store::{DeleteOutcome, ItemStream};
use crate::time::Timestamp;

#[async_trait]
impl Provision for MemoryDatabase {
    async fn create_database(&self, request: CreateDatabaseRequest) -> Result<CreatedDatabase> {
        let operation = "database.create_database";
        let now = self.shared.clock.now();
        let mut state = lock(&self.shared.state);
        let key = request.idempotency_key.as_ref();
        let id = match state.created.find(operation, key, &request)? {
            Some(id) => DatabaseId::new(id)?,
            None => state.create(operation, request, now)?,
        };
        let instance = state
            .instances
            .get_mut(&id)
            .ok_or_else(|| missing(operation, &id))?;
        let info = instance.connect_info(&instance.default_branch);
        Ok(CreatedDatabase::new(instance.listed()).with_connect_info(info))
    }

    async fn instance(&self, database: &DatabaseId) -> Result<DatabaseInstance> {
        let operation = "database.instance";
        let mut state = lock(&self.shared.state);
        let instance = state.instances.get_mut(database);
        Ok(instance
            .ok_or_else(|| missing(operation, database))?
            .listed())
    }

    async fn connect_info_of(&self, database: &DatabaseId) -> Result<ConnectInfo> {
        let operation = "database.connect_info_of";
        let state = lock(&self.shared.state);
        let instance = state.instances.get(database);
        let instance = instance.ok_or_else(|| missing(operation, database))?;
        Ok(instance.connect_info(&instance.default_branch))
    }

    fn list_databases(&self) -> ItemStream<DatabaseInstance> {
        let mut state = lock(&self.shared.state);
        let listed: Vec<_> = state
            .instances
            .values_mut()
            .map(|instance| Ok(instance.listed()))
            .collect();
        items::iter(listed)
    }

    async fn resize_database(
        &self,
        database: &DatabaseId,
        size: DatabaseSize,
    ) -> Result<DatabaseInstance> {
        let operation = "database.resize_database";
        check_size(operation, &size)?;
        let mut state = lock(&self.shared.state);
        let instance = state.instances.get_mut(database);
        let instance = instance.ok_or_else(|| missing(operation, database))?;
        if instance.description.state != DatabaseState::Available {
            let message = format!("the instance is {}", instance.description.state.as_str());
            return Err(error(ErrorKind::Conflict, operation, message));
        }
        let held = instance
            .default_record()
            .map_or(0, BranchRecord::size_bytes);
        if size.storage_bytes.is_some_and(|storage| storage < held) {
            let message = format!("the instance holds {held} bytes already");
            return Err(error(ErrorKind::InvalidInput, operation, message));
        }
        merge(&mut instance.size, size);
        instance.description.state = DatabaseState::Updating;
        Ok(instance.listed())
    }

    async fn delete_database(&self, database: &DatabaseId) -> Result<DeleteOutcome> {
        Ok(match lock(&self.shared.state).instances.remove(database) {
            Some(_) => DeleteOutcome::Deleted,
            None => DeleteOutcome::AlreadyGone,
        })
    }
}

impl State {
    fn create(
        &mut self,
        operation: &'static str,
        request: CreateDatabaseRequest,
        now: Timestamp,
    ) -> Result<DatabaseId> {
        check(operation, &request)?;
        if let Some(other) = self
            .instances
            .values()
            .find(|known| known.name == request.name)
        {
            let message = format!("a database named {} exists already", request.name);
            return Err(error(ErrorKind::AlreadyExists, operation, message)
                .with_resource(other.id.as_str()));
        }
        let id = self.seed(
            &request.name,
            request.engine.clone(),
            DatabaseState::Starting,
            now,
        );
        self.created
            .remember(request.idempotency_key.clone(), &request, id.as_str());
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.description.region = request.region;
            instance.size = request.size;
            if let Some(version) = request.version {
                instance.description.version = version;
            }
        }
        Ok(id)
    }
}

fn merge(size: &mut DatabaseSize, change: DatabaseSize) {
    let DatabaseSize {
        plan,
        storage_bytes,
        min_cpu_millis,
        max_cpu_millis,
        replicas,
    } = change;
    size.plan = plan.or(size.plan.take());
    size.storage_bytes = storage_bytes.or(size.storage_bytes);
    size.min_cpu_millis = min_cpu_millis.or(size.min_cpu_millis);
    size.max_cpu_millis = max_cpu_millis.or(size.max_cpu_millis);
    size.replicas = replicas.or(size.replicas);
}

fn check(operation: &'static str, request: &CreateDatabaseRequest) -> Result<()> {
    let problem = if request.name.is_empty() || request.name.len() > 63 {
        "the name of a database has 1 to 63 bytes"
    } else if request.dimensions.is_some() != (request.engine == Engine::Vector) {
        "a vector database has dimensions, and no other has"
    } else {
        return check_size(operation, &request.size);
    };
    Err(error(ErrorKind::InvalidInput, operation, problem))
}

fn check_size(operation: &'static str, size: &DatabaseSize) -> Result<()> {
    match (size.min_cpu_millis, size.max_cpu_millis) {
        (Some(min), Some(max)) if min > max => {
            let message = "the minimum of processor time is above the maximum";
            Err(error(ErrorKind::InvalidInput, operation, message))
        }
        _ => Ok(()),
    }
}
