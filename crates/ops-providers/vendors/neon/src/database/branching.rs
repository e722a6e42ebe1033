//! Branches.

use async_trait::async_trait;
use futures_util::StreamExt;
use ops_core::database::{Branch, Branching, ConnectInfo, CreateBranchRequest};
use ops_core::id::BranchId;
use ops_core::{DeleteOutcome, Error, ErrorKind, ItemStream, Result};

use crate::model::body::BranchCreateRequest;
use crate::{Neon, PROVIDER, api};

#[async_trait]
impl Branching for Neon {
    /// The branch gets a compute of its own. Names are unique within a project and the
    /// idempotency key is kept as an annotation of the branch, so that the same request with
    /// the same key answers the same branch, also after an unknown outcome.
    async fn create_branch(&self, request: CreateBranchRequest) -> Result<Branch> {
        let body = BranchCreateRequest::from(&request);
        let call = api::create_branch(&self.inner.project, &body);
        match self.inner.api.execute(call).await {
            Ok(made) => Ok(made.branch.into()),
            Err(err) if err.kind() == ErrorKind::AlreadyExists => {
                self.made_before(&request, err).await
            }
            Err(err) => Err(err),
        }
    }

    async fn branch(&self, branch: &BranchId) -> Result<Branch> {
        let call = api::get_branch(&self.inner.project, branch);
        Ok(self.inner.api.execute(call).await?.branch.into())
    }

    async fn branch_connect_info(&self, branch: &BranchId) -> Result<ConnectInfo> {
        let (info, _) = self.address(&self.inner.project, Some(branch)).await?;
        Ok(info)
    }

    fn list_branches(&self) -> ItemStream<Branch> {
        let call = api::list_branches(&self.inner.project, None);
        let branches = self.inner.api.pages(call);
        branches.map(|branch| branch.map(Into::into)).boxed()
    }

    /// Looks before it deletes: what Neon answers for the default branch is not described.
    async fn delete_branch(&self, branch: &BranchId) -> Result<DeleteOutcome> {
        let (api, project) = (&self.inner.api, &self.inner.project);
        let Some(seen) = api.execute(api::find_branch(project, branch)).await? else {
            return Ok(DeleteOutcome::AlreadyGone);
        };
        if seen.branch.is_default() {
            let message = format!("{branch} is the default branch");
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_provider(PROVIDER)
                .with_resource(branch.as_str()));
        }
        let existed = api.execute(api::delete_branch(project, branch)).await?;
        Ok(super::deleted(existed))
    }
}

impl Neon {
    /// The branch that has the name already, where this very request made it; else the
    /// refusal, with the id of that branch.
    async fn made_before(&self, request: &CreateBranchRequest, refusal: Error) -> Result<Branch> {
        let project = &self.inner.project;
        let has_name = |branch: &crate::model::Branch| branch.name == request.name;
        let named = self
            .first_branch(project, Some(&request.name), has_name)
            .await?;
        let Some(named) = named else {
            return Err(refusal);
        };
        let refusal = refusal.with_resource(named.id.as_str());
        let Some(key) = &request.idempotency_key else {
            return Err(refusal);
        };
        let seen = self
            .inner
            .api
            .execute(api::get_branch(project, &named.id))
            .await?;
        if seen.idempotency_key() == Some(key.as_str()) {
            Ok(seen.branch.into())
        } else {
            Err(refusal)
        }
    }
}
