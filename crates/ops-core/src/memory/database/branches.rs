//! Branches.

use async_trait::async_trait;

use super::super::{error, lock, missing};
use super::MemoryDatabase;
use super::state::{BranchRecord, made};
use crate::database::{Branch, Branching, ConnectInfo, CreateBranchRequest, DatabaseState};
use crate::error::{ErrorKind, Result};
use crate::id::BranchId;
use crate::memory::items;
use crate::object_store::{DeleteOutcome, ItemStream};

#[async_trait]
impl Branching for MemoryDatabase {
    async fn create_branch(&self, request: CreateBranchRequest) -> Result<Branch> {
        let operation = "database.create_branch";
        let now = self.shared.clock.now();
        let mut state = lock(&self.shared.state);
        let key = request.idempotency_key.clone();
        let asked = (&self.id, request);
        let known = state.branched.find(operation, key.as_ref(), &asked)?;
        let known = known.map(BranchId::new).transpose()?;
        let id = made!(BranchId, "branch-{}", state.sequence.next());
        let instance = state.instances.get_mut(&self.id);
        let instance = instance.ok_or_else(|| missing(operation, &self.id))?;
        instance.drop_ended_branches(now);
        if let Some(known) = known {
            let record = instance.branches.get(&known);
            return record
                .map(|record| record.branch.clone())
                .ok_or_else(|| missing(operation, known));
        }
        let request = &asked.1;
        let mut records = instance.branches.values();
        if let Some(other) = records.find(|record| record.branch.name == request.name) {
            let message = format!("a branch named {} exists already", request.name);
            return Err(error(ErrorKind::AlreadyExists, operation, message)
                .with_resource(other.branch.id.as_str()));
        }
        let parent = request
            .parent
            .as_ref()
            .unwrap_or(&instance.default_branch)
            .clone();
        let record = instance.branches.get(&parent);
        let record = record.ok_or_else(|| missing(operation, &parent))?;
        let at = request.at.unwrap_or(now);
        if at > now || at < instance.created_at {
            let message = format!("{at} lies outside what is kept");
            return Err(error(ErrorKind::InvalidInput, operation, message));
        }
        let log = record.until(at);
        let mut branch = Branch::new(id.clone(), request.name.as_str(), DatabaseState::Available)
            .with_parent(parent)
            .with_created_at(now);
        branch.expires_at = request.expires_at;
        instance.branches.insert(
            id.clone(),
            BranchRecord {
                branch: branch.clone(),
                log,
            },
        );
        state.branched.remember(key, &asked, id.as_str());
        Ok(branch)
    }

    async fn branch(&self, branch: &BranchId) -> Result<Branch> {
        let operation = "database.branch";
        self.with(operation, |instance| {
            let record = instance.branches.get(branch);
            record
                .map(|record| record.branch.clone())
                .ok_or_else(|| missing(operation, branch))
        })
    }

    async fn branch_connect_info(&self, branch: &BranchId) -> Result<ConnectInfo> {
        self.branch(branch).await?;
        self.with("database.branch_connect_info", |instance| {
            Ok(instance.connect_info(branch))
        })
    }

    fn list_branches(&self) -> ItemStream<Branch> {
        let listed = self.with("database.list_branches", |instance| {
            Ok(instance
                .branches
                .values()
                .map(|record| record.branch.clone())
                .collect::<Vec<_>>())
        });
        items::of(listed)
    }

    async fn delete_branch(&self, branch: &BranchId) -> Result<DeleteOutcome> {
        let operation = "database.delete_branch";
        self.with(operation, |instance| {
            let conflict = |message: String| Err(error(ErrorKind::Conflict, operation, message));
            if *branch == instance.default_branch {
                return conflict(format!("{branch} is the default branch"));
            }
            let mut records = instance.branches.values();
            if let Some(child) = records.find(|r| r.branch.parent.as_ref() == Some(branch)) {
                return conflict(format!("{branch} is the parent of {}", child.branch.id));
            }
            Ok(match instance.branches.remove(branch) {
                Some(_) => DeleteOutcome::Deleted,
                None => DeleteOutcome::AlreadyGone,
            })
        })
    }
}
