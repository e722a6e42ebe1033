//! What only some caches can do.

use std::fmt;

use async_trait::async_trait;

use super::Purge;
use crate::error::Result;
use crate::id::PurgeId;

/// Purging by what the origin has marked with a header such as `Cache-Tag`. An ability of
/// [`Cdn`](super::Cdn).
#[async_trait]
pub trait PurgeTags: fmt::Debug + Send + Sync + 'static {
    /// Purges what has one of these tags.
    ///
    /// # Errors
    /// `InvalidInput` without tags, and for a tag that is empty or has a space or a comma;
    /// see [`Cdn`](super::Cdn).
    ///
    /// # Cancel safety
    /// Dropping the future may leave it purged, also in part.
    async fn purge_tags(&self, tags: Vec<String>) -> Result<Purge>;
}

/// Purging by host name. An ability of [`Cdn`](super::Cdn).
#[async_trait]
pub trait PurgeHosts: fmt::Debug + Send + Sync + 'static {
    /// Purges all that is cached for one of these host names.
    ///
    /// # Errors
    /// `InvalidInput` without hosts, and for what is no host name or outside the zone; see
    /// [`Cdn`](super::Cdn).
    ///
    /// # Cancel safety
    /// Dropping the future may leave it purged, also in part.
    async fn purge_hosts(&self, hosts: Vec<String>) -> Result<Purge>;
}

/// How far a purge has come. An ability of [`Cdn`](super::Cdn).
///
/// With it every purge that is not done at once has an id.
#[async_trait]
pub trait PurgeStatus: fmt::Debug + Send + Sync + 'static {
    /// What is known of a purge.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn purge_status(&self, purge: &PurgeId) -> Result<Purge>;
}

const _: fn(&dyn PurgeTags) = |_| {};
const _: fn(&dyn PurgeHosts) = |_| {};
const _: fn(&dyn PurgeStatus) = |_| {};
