//! Alternatives that a caller expects, as values instead of errors.

/// What a delete found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DeleteOutcome {
    /// It was there and is gone, or the provider has accepted to remove it.
    Deleted,
    /// It was not there.
    AlreadyGone,
    /// It is gone; the provider does not say whether it was there.
    Gone,
}

/// What an `ensure` had to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum EnsureOutcome {
    /// It was not there and was made.
    Created,
    /// It was there, differed, and was changed.
    Updated,
    /// It was there as wanted; nothing was sent.
    Unchanged,
}

/// A resource that is now as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Ensured<T> {
    /// The resource as it is now.
    pub resource: T,
    /// What had to be done.
    pub outcome: EnsureOutcome,
}

impl<T> Ensured<T> {
    /// A resource, and what had to be done for it.
    pub fn new(resource: T, outcome: EnsureOutcome) -> Self {
        Self { resource, outcome }
    }
}
