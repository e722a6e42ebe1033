//! What is purged, and how far it has come.

use crate::id::{IdempotencyKey, PurgeId};
use crate::macros::setters;

/// What to purge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PurgeScope {
    /// All that is cached.
    Everything,
    /// These URLs, exactly, with their queries: `https://shop.example/app.js?v=2`.
    Urls(Vec<String>),
    /// Every URL that begins with one of these, which have no query:
    /// `https://shop.example/assets/`. The scheme does not matter.
    Prefixes(Vec<String>),
}

/// A request to purge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeRequest {
    /// What to purge.
    pub scope: PurgeScope,
    /// The same key makes the same purge, where the vendor knows keys. Defaults to a key
    /// of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl PurgeRequest {
    /// Purges a scope.
    #[must_use]
    pub fn new(scope: PurgeScope) -> Self {
        Self {
            scope,
            idempotency_key: None,
        }
    }

    /// Purges all that is cached.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(PurgeScope::Everything)
    }

    /// Purges these URLs.
    #[must_use]
    pub fn urls<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self::new(PurgeScope::Urls(urls))
    }

    /// Purges every URL that begins with one of these.
    #[must_use]
    pub fn prefixes<U: Into<String>>(prefixes: impl IntoIterator<Item = U>) -> Self {
        let prefixes = prefixes.into_iter().map(Into::into).collect();
        Self::new(PurgeScope::Prefixes(prefixes))
    }
}

setters! { PurgeRequest {
    opt { with_idempotency_key(idempotency_key: IdempotencyKey) }
} }

/// How far a purge has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum PurgeState {
    /// Some places may still answer what they had.
    InProgress,
    /// Every place has forgotten it.
    Done,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// What is known of a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Purge {
    /// The vendor's id, where it answers one. It stands for all the requests that the purge
    /// took.
    pub id: Option<PurgeId>,
    /// How far it has come.
    pub state: PurgeState,
}

impl Purge {
    /// A purge for which the vendor answers no id.
    #[must_use]
    pub fn new(state: PurgeState) -> Self {
        Self { id: None, state }
    }

    /// Sets the vendor's id.
    #[must_use]
    pub fn with_id(mut self, id: PurgeId) -> Self {
        self.id = Some(id);
        self
    }
}
