//! A cache in front of an application.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::ProviderId;
use crate::macros::setters;

mod abilities;
mod purge;

pub use abilities::{PurgeHosts, PurgeStatus, PurgeTags};
pub use purge::{Purge, PurgeRequest, PurgeScope, PurgeState};

/// What a cache can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CdnLimits {
    /// The most URLs, prefixes, tags or hosts of one request to the vendor. A provider
    /// cuts what is more into several.
    pub max_per_request: Option<u32>,
}

setters! { CdnLimits {
    opt { with_max_per_request(max_per_request: u32) }
} }

/// A cache in front of an application: a zone of Cloudflare, a distribution at AWS.
///
/// Implemented by each vendor that caches; called by applications and by what deploys
/// them, which hold an `Arc<dyn Cdn>`.
///
/// # Contract
/// 1. A provider stands for one zone or distribution.
/// 2. Methods may be called concurrently. Clones of a provider are the same zone.
/// 3. What is purged is asked for again at the origin by the next request that comes after
///    the purge is done; what is not named stays cached.
/// 4. Purging what is not cached succeeds.
/// 5. A URL is absolute, with scheme and host. One that is none, and one outside the
///    zone, is refused with `InvalidInput` before anything is purged.
/// 6. What is more than the vendor takes at once is sent in several requests.
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_purge_tags`](Self::as_purge_tags) | [`PurgeTags`] |
/// | [`as_purge_hosts`](Self::as_purge_hosts) | [`PurgeHosts`] |
/// | [`as_purge_status`](Self::as_purge_status) | [`PurgeStatus`] |
///
/// # Errors
/// `NotFound` for the zone, `InvalidInput`, `Unauthenticated` and `PermissionDenied` for
/// the token, `QuotaExceeded` for a plan limit, `RateLimited`, `Unavailable`, `Timeout`.
/// After a failure some of it may be purged; purging again is harmless.
///
/// # Implementing
/// Implement the base methods, return `Some(self)` from the accessor of each ability
/// that the vendor has, and run the conformance suite. A wrapper wraps the abilities
/// too: handing out the inner accessor would go around the wrapper.
///
/// # Examples
/// ```
/// # #[cfg(feature = "memory")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::cdn::{Cdn, PurgeRequest};
/// use ops_core::memory::MemoryCdn;
///
/// let cdn = MemoryCdn::new(["shop.example"]);
/// cdn.cache("https://shop.example/assets/app.js", &["assets"])?;
/// cdn.cache("https://shop.example/", &[])?;
/// cdn.purge(PurgeRequest::prefixes(["https://shop.example/assets/"])).await?;
/// assert_eq!(cdn.cached(), ["https://shop.example/"]);
/// # Ok(())
/// # })
/// # }
/// # #[cfg(not(feature = "memory"))]
/// # fn main() {}
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Cdn: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `cloudflare`.
    fn provider(&self) -> ProviderId;

    /// What the cache can carry.
    fn limits(&self) -> CdnLimits;

    /// Purges what is cached.
    ///
    /// # Behavior
    /// 1. Returns when the vendor has accepted the purge. Whether it is done by then, the
    ///    answer tells; where it is not, [`PurgeStatus`] tells when.
    /// 2. A scope without URLs is `InvalidInput`: it is never taken for everything.
    ///
    /// # Errors
    /// See the trait.
    ///
    /// # Cancel safety
    /// Dropping the future may leave it purged, also in part.
    async fn purge(&self, request: PurgeRequest) -> Result<Purge>;

    /// Purging by what the origin has marked, where the vendor can.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_purge_tags<'a>(&'a self) -> Option<&'a dyn PurgeTags> {
        None
    }

    /// Purging by host name, where the vendor can.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_purge_hosts<'a>(&'a self) -> Option<&'a dyn PurgeHosts> {
        None
    }

    /// How far a purge has come, where it takes time.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_purge_status<'a>(&'a self) -> Option<&'a dyn PurgeStatus> {
        None
    }
}

const _: fn(&dyn Cdn) = |_| {};
