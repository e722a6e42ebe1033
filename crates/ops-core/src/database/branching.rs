//! Branches: copies of a database that share its storage until they differ.

use std::fmt;

use async_trait::async_trait;

use super::{ConnectInfo, DatabaseState};
use crate::error::Result;
use crate::id::{BranchId, IdempotencyKey};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::outcome::DeleteOutcome;
use crate::time::Timestamp;

/// A branch of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Branch {
    /// The vendor's id.
    pub id: BranchId,
    /// The name that somebody gave it.
    pub name: String,
    /// What it is doing.
    pub state: DatabaseState,
    /// Whether it is the one that the instance stands for by itself.
    pub is_default: bool,
    /// What it was made from.
    pub parent: Option<BranchId>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When the vendor removes it by itself.
    pub expires_at: Option<Timestamp>,
}

impl Branch {
    /// What is known of every branch.
    pub fn new(id: BranchId, name: impl Into<String>, state: DatabaseState) -> Self {
        Self {
            id,
            name: name.into(),
            state,
            is_default: false,
            parent: None,
            created_at: None,
            expires_at: None,
        }
    }
}

setters! { Branch {
    opt {
        with_parent(parent: BranchId),
        with_created_at(created_at: Timestamp),
        with_expires_at(expires_at: Timestamp),
    }
    val { with_is_default(is_default: bool) }
} }

/// A request to make a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateBranchRequest {
    /// The name, by the vendor's rules.
    pub name: String,
    /// What to make it from. Defaults to the default branch.
    pub parent: Option<BranchId>,
    /// The instant whose data it holds. Defaults to now.
    pub at: Option<Timestamp>,
    /// When the vendor removes it by itself. Defaults to never.
    pub expires_at: Option<Timestamp>,
    /// The same key makes the same branch. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl CreateBranchRequest {
    /// A branch of the default branch as it is now.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            parent: None,
            at: None,
            expires_at: None,
            idempotency_key: None,
        }
    }
}

setters! { CreateBranchRequest {
    opt {
        with_parent(parent: BranchId),
        with_at(at: Timestamp),
        with_expires_at(expires_at: Timestamp),
        with_idempotency_key(idempotency_key: IdempotencyKey),
    }
} }

/// Branches. An ability of [`Database`](super::Database).
#[async_trait]
pub trait Branching: fmt::Debug + Send + Sync + 'static {
    /// Makes a branch.
    ///
    /// # Behavior
    /// 1. What is written to the branch is not seen by its parent, and the other way round.
    /// 2. Returns when the vendor has accepted it; the state tells when it answers.
    /// 3. Two calls with one idempotency key make one branch and both answer it.
    ///
    /// # Errors
    /// `AlreadyExists` for the name, with the id as [`resource`](crate::Error::resource);
    /// `NotFound` for the parent; `InvalidInput` for an instant that the vendor does not
    /// keep; `QuotaExceeded`; `Unsupported` for an end that the vendor does not have. After
    /// a timeout the outcome is unknown: look for the name in
    /// [`list_branches`](Self::list_branches).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the branch made.
    async fn create_branch(&self, request: CreateBranchRequest) -> Result<Branch>;

    /// What is known of a branch.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn branch(&self, branch: &BranchId) -> Result<Branch>;

    /// How to reach a branch.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn branch_connect_info(&self, branch: &BranchId) -> Result<ConnectInfo>;

    /// Lists the branches, the default one among them, page by page as the stream is polled.
    fn list_branches(&self) -> ItemStream<Branch>;

    /// Deletes a branch and what was written to it. One that is not there is fine.
    ///
    /// # Errors
    /// `Conflict` for the default branch, and for one that has branches of its own where
    /// the vendor does not delete those with it.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the branch deleted.
    async fn delete_branch(&self, branch: &BranchId) -> Result<DeleteOutcome>;
}

const _: fn(&dyn Branching) = |_| {};
