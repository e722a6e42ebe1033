//! [`Database`] for one branch of a Neon project.
//!
//! Neon's API v2 (<https://api-docs.neon.tech/reference>, as described in April 2026). An
//! *instance* is a Neon *project*; what a provider stands for inside of it is one branch, the
//! default one unless another is named, with the one compute of it that writes. Neon
//! accepts a change, answers, and works on: the states of branch and compute tell when it is
//! done, and while it runs other changes of the project are refused with 423, which is
//! `Conflict` and safe to repeat.
//!
//! There is no restore into a new project, no backup by somebody else's idempotency key, and no
//! state in a listing of projects.

use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt;
use ops_core::database::{
    Branching, ConnectInfo, Database, DatabaseDescription, NativeBackups, Ping, Provision, Usage,
};
use ops_core::id::{BranchId, DatabaseId};
use ops_core::{DeleteOutcome, Error, ErrorKind, ProviderId, Result, Secret};
use ops_pg::connect::ConnectOptions;
use ops_pg::conninfo::parse_with_options;
use ops_pg::ping::Pinger;

use crate::PROVIDER;
use crate::api::{self, Login};
use crate::config::Neon;
use crate::model::{self, Endpoint, Instance};

mod branching;
mod native_backups;
mod provision;
mod usage;

#[async_trait]
impl Database for Neon {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    async fn describe(&self) -> Result<DatabaseDescription> {
        let instance = self.look_at(&self.inner.project).await?;
        Ok(instance.into())
    }

    async fn connect_info(&self) -> Result<ConnectInfo> {
        let (info, _) = self.address(&self.inner.project, None).await?;
        Ok(info)
    }

    /// Wakes a compute that sleeps; Neon bills the time that it is awake.
    async fn ping(&self) -> Result<Ping> {
        let pinger = self.pinger().await?;
        pinger.ping().await.map_err(|err| {
            // The password or the address may be another by now: the next ping asks Neon.
            *self.kept_pinger() = None;
            err.with_provider(PROVIDER).with_operation("database.ping")
        })
    }

    fn as_provision(&self) -> Option<&dyn Provision> {
        Some(self)
    }

    fn as_native_backups(&self) -> Option<&dyn NativeBackups> {
        Some(self)
    }

    fn as_branching(&self) -> Option<&dyn Branching> {
        Some(self)
    }

    fn as_usage(&self) -> Option<&dyn Usage> {
        Some(self)
    }
}

impl Neon {
    /// A project with the branch that stands for it and the compute of that.
    async fn look_at(&self, project: &DatabaseId) -> Result<Instance> {
        let api = &self.inner.api;
        let answer = api.execute(api::get_project(project)).await?;
        let branch = self.branch_of(project).await?;
        let endpoint = self.endpoint_of(project, &branch.id).await?;
        Ok(Instance {
            project: answer.project,
            branch,
            endpoint,
        })
    }

    /// The branch that stands for a project: for our own the one that was named, else the
    /// default one.
    async fn branch_of(&self, project: &DatabaseId) -> Result<model::Branch> {
        let named = self.inner.settings.branch.as_deref();
        let name = named.filter(|_| *project == self.inner.project);
        let is_meant = |branch: &model::Branch| match name {
            Some(name) => branch.name == name,
            None => branch.is_default(),
        };
        let what = name.map_or_else(
            || "the default branch".to_owned(),
            |it| format!("branch {it}"),
        );
        let found = self.first_branch(project, name, is_meant).await?;
        found.ok_or_else(|| Error::not_found(what).with_provider(PROVIDER))
    }

    /// The first branch that is meant, out of those whose name contains a text.
    async fn first_branch(
        &self,
        project: &DatabaseId,
        name: Option<&str>,
        is_meant: impl Fn(&model::Branch) -> bool,
    ) -> Result<Option<model::Branch>> {
        let mut branches = self.inner.api.pages(api::list_branches(project, name));
        while let Some(branch) = branches.next().await.transpose()? {
            if is_meant(&branch) {
                return Ok(Some(branch));
            }
        }
        Ok(None)
    }

    /// The compute of a branch that writes, where it has one.
    async fn endpoint_of(
        &self,
        project: &DatabaseId,
        branch: &BranchId,
    ) -> Result<Option<Endpoint>> {
        let call = api::list_endpoints(project, branch);
        let listed = self.inner.api.execute(call).await?;
        Ok(listed.endpoints.into_iter().find(Endpoint::is_read_write))
    }

    /// How to reach a branch; without one the branch that stands for the project.
    async fn address(
        &self,
        project: &DatabaseId,
        branch: Option<&BranchId>,
    ) -> Result<(ConnectInfo, ConnectOptions)> {
        let settings = &self.inner.settings;
        let branch = match branch {
            Some(branch) => branch.clone(),
            None => self.branch_of(project).await?.id,
        };
        let is_ours = *project == self.inner.project;
        let wanted = |given: &Option<String>| given.clone().filter(|_| is_ours);
        let (database, role) = match (wanted(&settings.database), wanted(&settings.role)) {
            (Some(database), Some(role)) => (database, role),
            (database, role) => {
                let found = self
                    .database_in(project, &branch, database.as_deref())
                    .await?;
                (found.name, role.unwrap_or(found.owner_name))
            }
        };
        let call = api::connection_uri(
            project,
            Login {
                branch: Some(&branch),
                database: &database,
                role: &role,
                is_pooled: settings.is_pooled,
            },
        );
        let answer = self.inner.api.execute(call).await?;
        self.read_uri("uri", &answer.uri)
    }

    /// A database of a branch by its name, else the oldest.
    async fn database_in(
        &self,
        project: &DatabaseId,
        branch: &BranchId,
        name: Option<&str>,
    ) -> Result<model::Database> {
        let call = api::list_databases(project, branch);
        let databases = self.inner.api.execute(call).await?.databases.into_iter();
        let found = databases
            .filter(|database| name.is_none_or(|name| database.name == name))
            .min_by_key(|database| database.created_at);
        found.ok_or_else(|| {
            let what = name.map_or_else(|| "a database".to_owned(), |it| format!("database {it}"));
            Error::not_found(format!("{what} of branch {branch}")).with_provider(PROVIDER)
        })
    }

    /// Reads a connection URI, which says `sslmode=require` and so leaves open whom one
    /// talks to: our own settings take the place of that.
    fn read_uri(&self, field: &str, uri: &Secret) -> Result<(ConnectInfo, ConnectOptions)> {
        let (info, options) = parse_with_options(uri.expose()).map_err(|err| {
            let message = format!("the field {field} is not what it should be");
            Error::new(ErrorKind::Decode, message)
                .with_provider(PROVIDER)
                .with_source(err)
        })?;
        Ok((info.with_tls(self.inner.settings.tls.clone()), options))
    }

    async fn pinger(&self) -> Result<Arc<Pinger>> {
        if let Some(kept) = self.kept_pinger().as_ref() {
            return Ok(Arc::clone(kept));
        }
        let (info, mut options) = self.address(&self.inner.project, None).await?;
        let timeout = self.inner.settings.ping_timeout;
        // A step of connecting that takes too long should be the one that is named.
        options.connect_timeout = options.connect_timeout.min(timeout);
        let made = Arc::new(Pinger::new(info, options, timeout));
        *self.kept_pinger() = Some(Arc::clone(&made));
        Ok(made)
    }

    /// No code that could panic runs under this lock.
    fn kept_pinger(&self) -> MutexGuard<'_, Option<Arc<Pinger>>> {
        let kept = self.inner.pinger.lock();
        kept.unwrap_or_else(PoisonError::into_inner)
    }
}

fn deleted(existed: bool) -> DeleteOutcome {
    if existed {
        DeleteOutcome::Deleted
    } else {
        DeleteOutcome::AlreadyGone
    }
}
