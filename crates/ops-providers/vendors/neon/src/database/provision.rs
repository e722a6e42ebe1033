//! Projects.

use async_trait::async_trait;
use futures_util::StreamExt;
use ops_core::database::{
    ConnectInfo, CreateDatabaseRequest, CreatedDatabase, DatabaseInstance, DatabaseSize, Provision,
};
use ops_core::id::DatabaseId;
use ops_core::{DeleteOutcome, Error, ItemStream, Result};

use crate::model::body::{ComputeSize, EndpointUpdateRequest, ProjectCreateRequest};
use crate::model::{ConnectionDetails, Endpoint, Instance};
use crate::{Neon, PROVIDER, api};

#[async_trait]
impl Provision for Neon {
    /// Neon has no unique names and no idempotency keys for projects: a key is refused, and a
    /// second project of a name is made. After an unknown outcome look for the name in
    /// [`list_databases`](Provision::list_databases) before trying again.
    async fn create_database(&self, request: CreateDatabaseRequest) -> Result<CreatedDatabase> {
        let organization = self.inner.settings.organization.as_deref();
        let body = ProjectCreateRequest::new(&request, organization)
            .map_err(|err| err.with_provider(PROVIDER))?;
        let made = self.inner.api.execute(api::create_project(&body)).await?;
        let uri = made.connection_uris.into_iter().next();
        let instance = Instance {
            project: made.project,
            branch: made.branch,
            endpoint: made.endpoints.into_iter().find(Endpoint::is_read_write),
        };
        let created = CreatedDatabase::new(instance.into());
        Ok(match uri {
            Some(ConnectionDetails { connection_uri }) => {
                let (info, _) =
                    self.read_uri("connection_uris[0].connection_uri", &connection_uri)?;
                created.with_connect_info(info)
            }
            None => created,
        })
    }

    async fn instance(&self, database: &DatabaseId) -> Result<DatabaseInstance> {
        Ok(self.look_at(database).await?.into())
    }

    async fn connect_info_of(&self, database: &DatabaseId) -> Result<ConnectInfo> {
        let (info, _) = self.address(database, None).await?;
        Ok(info)
    }

    /// The state of each is `unknown`: Neon's listing does not tell it, and
    /// [`instance`](Provision::instance) does.
    fn list_databases(&self) -> ItemStream<DatabaseInstance> {
        let organization = self.inner.settings.organization.as_deref();
        let projects = self.inner.api.pages(api::list_projects(organization));
        projects.map(|project| project.map(Into::into)).boxed()
    }

    /// Changes the compute that writes of the branch that stands for the project.
    async fn resize_database(
        &self,
        database: &DatabaseId,
        size: DatabaseSize,
    ) -> Result<DatabaseInstance> {
        let endpoint = ComputeSize::new(&size).map_err(|err| err.with_provider(PROVIDER))?;
        let branch = self.branch_of(database).await?;
        let Some(compute) = self.endpoint_of(database, &branch.id).await? else {
            let missing = Error::not_found(format!("a compute of branch {}", branch.id));
            return Err(missing.with_provider(PROVIDER));
        };
        let body = EndpointUpdateRequest { endpoint };
        let call = api::update_endpoint(database, &compute.id, &body);
        self.inner.api.execute(call).await?;
        self.instance(database).await
    }

    async fn delete_database(&self, database: &DatabaseId) -> Result<DeleteOutcome> {
        let existed = self
            .inner
            .api
            .execute(api::delete_project(database))
            .await?;
        Ok(super::deleted(existed))
    }
}
