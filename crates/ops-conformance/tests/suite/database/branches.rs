//! Branches, with their faults.

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::database::{Branch, Branching, ConnectInfo, CreateBranchRequest};
use ops_core::id::BranchId;
use ops_core::{Database, DeleteOutcome, Error, ErrorKind, ItemStream, Result};

use super::sabotage::Sabotaged;
use crate::saboteur::wrong;

const MISSING: &str = "ops-test-no-such-branch";

#[async_trait]
impl Branching for Sabotaged {
    async fn create_branch(&self, mut request: CreateBranchRequest) -> Result<Branch> {
        if self.is("D-061") && self.is_known(request.idempotency_key.as_ref()) {
            request.idempotency_key = None;
            request.name.push_str("-2");
        }
        let made = match self.memory().create_branch(request).await {
            Err(err) if self.is("D-062") && err.kind() == ErrorKind::AlreadyExists => {
                let resource = err.resource().unwrap_or_default().to_owned();
                return Err(Error::new(ErrorKind::Conflict, "sabotaged").with_resource(resource));
            }
            Err(err) if self.is("D-063") && err.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::new(err.kind(), "sabotaged"));
            }
            Err(err) if self.is("D-069") && err.is_not_found() => return wrong(),
            made => made?,
        };
        if self.is("D-072") {
            self.memory().open_branch(&made.id)?.write("text", "")?;
        }
        self.notes().branches.push(made.id.clone());
        Ok(made)
    }

    async fn branch(&self, branch: &BranchId) -> Result<Branch> {
        let mut seen = match self.memory().branch(branch).await {
            Err(_) if self.is("D-066") && branch.as_str() != MISSING => {
                let listed: Vec<Branch> = self.memory().list_branches().try_collect().await?;
                return listed
                    .into_iter()
                    .next()
                    .ok_or_else(|| Error::not_found("a branch"));
            }
            Err(err) if self.is("D-068") && branch.as_str() == MISSING && err.is_not_found() => {
                return wrong();
            }
            seen => seen?,
        };
        if self.is("D-076") {
            seen.parent = None;
        }
        Ok(seen)
    }

    async fn branch_connect_info(&self, branch: &BranchId) -> Result<ConnectInfo> {
        match self.memory().branch_connect_info(branch).await {
            Err(err) if self.is("D-070") && err.is_not_found() => wrong(),
            Ok(_) if self.is("D-071") => self.memory().connect_info().await,
            info => info,
        }
    }

    fn list_branches(&self) -> ItemStream<Branch> {
        let this = self.clone();
        let listed = async move {
            let mut listed: Vec<Branch> =
                this.memory().list_branches().try_collect().await.unwrap();
            if this.is("D-060") {
                // Shows a branch only when there are several.
                let hidden = this.notes().branches.clone();
                if hidden.len() == 1 {
                    listed.retain(|branch| !hidden.contains(&branch.id));
                }
            }
            if this.is("D-064") && listed.len() > 1 {
                let last = listed.last_mut().unwrap();
                last.is_default = true;
            }
            if this.is("D-075") {
                listed.truncate(5);
            }
            stream::iter(listed.into_iter().map(Ok))
        };
        Box::pin(stream::once(listed).flatten())
    }

    async fn delete_branch(&self, branch: &BranchId) -> Result<DeleteOutcome> {
        match self.memory().delete_branch(branch).await {
            Err(_) if self.is("D-065") => Ok(DeleteOutcome::Deleted),
            Ok(DeleteOutcome::AlreadyGone) if self.is("D-067") => {
                Err(Error::not_found(branch.as_str()))
            }
            outcome => outcome,
        }
    }
}
