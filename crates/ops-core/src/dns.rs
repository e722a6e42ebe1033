//! Zones of the domain name system.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{ProviderId, ZoneId};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::outcome::DeleteOutcome;

mod name;
mod record;
mod text;
mod tls;

pub use name::DnsName;
pub use record::{RecordData, RecordQuery, RecordSet, RecordType};
pub use tls::{EdgeTlsMode, EdgeTlsVersion, Hsts, ZoneTls, ZoneTlsChange, ZoneTlsSettings};

/// What a DNS vendor can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsLimits {
    /// The shortest time to live.
    pub min_ttl: Option<Duration>,
    /// The longest time to live.
    pub max_ttl: Option<Duration>,
    /// The most records of one set.
    pub max_records_per_set: Option<u32>,
}

setters! { DnsLimits {
    opt {
        with_min_ttl(min_ttl: Duration),
        with_max_ttl(max_ttl: Duration),
        with_max_records_per_set(max_records_per_set: u32),
    }
} }

/// How far a zone has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ZoneState {
    /// Its records are served.
    Active,
    /// Waits for the registrar to name [`Zone::name_servers`].
    Pending,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Zone {
    /// The vendor's id; with some vendors the name.
    pub id: ZoneId,
    /// Its apex, such as `shop.example`.
    pub name: DnsName,
    /// How far it has come.
    pub state: ZoneState,
    /// The servers that the registrar must name; empty where the vendor does not tell.
    pub name_servers: Vec<DnsName>,
}

impl Zone {
    /// What is known of every zone.
    #[must_use]
    pub fn new(id: ZoneId, name: DnsName, state: ZoneState) -> Self {
        Self {
            id,
            name,
            state,
            name_servers: Vec::new(),
        }
    }
}

setters! { Zone {
    val { with_name_servers(name_servers: Vec<DnsName>) }
} }

/// Zones of the domain name system: those of a Cloudflare account, of DigitalOcean, of
/// Route 53.
///
/// Implemented by each vendor that serves zones; called by applications, by what issues
/// certificates and by what sets up a stack, which hold an `Arc<dyn Dns>`.
///
/// What is read and written is the *record set*: all records of one name and type, which
/// share a time to live (RFC 2181, section 5.2). Setting one is the same done once or
/// twice, needs no ids, and makes no duplicates.
///
/// # Contract
/// 1. A provider stands for one account of a vendor.
/// 2. Methods may be called concurrently. Clones of a provider are the same account.
/// 3. Ids are opaque: they come from this provider and are given back to it.
/// 4. There is at most one set of a name and type. The order of its records says nothing.
/// 5. Texts of records go in and come out as they are: no quotes, no splitting.
/// 6. What a set asks for and the vendor cannot do is refused with `Unsupported`, or
///    `InvalidInput` for a number beyond [`limits`](Self::limits), before anything is
///    changed.
/// 7. Deleting what is not there succeeds.
/// 8. What was set is listed by the next call. When resolvers see it is another matter.
///
/// # Abilities
/// | accessor | ability |
/// | --- | --- |
/// | [`as_zone_tls`](Self::as_zone_tls) | [`ZoneTls`] |
///
/// # Errors
/// `NotFound` for a zone that must exist, `InvalidInput` for a name outside the zone and
/// for records that the vendor refuses, `Conflict` where other records of the zone refuse,
/// `Unauthenticated` and `PermissionDenied` for the token, `QuotaExceeded` for a plan
/// limit, `RateLimited`, `Unavailable`, `Timeout`. After a timeout of a change the outcome
/// is unknown; putting and deleting again is harmless.
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
/// use std::time::Duration;
///
/// use ops_core::dns::{DnsName, RecordData, RecordSet};
/// use ops_core::memory::MemoryDns;
/// use ops_core::{DnsExt, EnsureOutcome};
///
/// let dns = MemoryDns::new();
/// dns.seed_zone("shop.example")?;
/// let name = DnsName::new("www.shop.example")?;
/// let zone = dns.zone_of(&name).await?;
/// let wanted = RecordSet::new(name, vec![RecordData::A("192.0.2.7".parse()?)])?
///     .with_ttl(Duration::from_secs(300));
/// let answers = dns.ensure_record_sets(&zone.id, vec![wanted.clone()]).await?;
/// assert_eq!(answers.len(), 1);
/// for answer in dns.ensure_record_sets(&zone.id, vec![wanted]).await? {
///     assert_eq!(answer?.outcome, EnsureOutcome::Unchanged);
/// }
/// # Ok(())
/// # })
/// # }
/// # #[cfg(not(feature = "memory"))]
/// # fn main() {}
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Dns: fmt::Debug + Send + Sync + 'static {
    /// The provider's name, such as `cloudflare`.
    fn provider(&self) -> ProviderId;

    /// What the vendor can carry.
    fn limits(&self) -> DnsLimits;

    /// Lists the account's zones, page by page as the stream is polled, in no certain order.
    fn list_zones(&self) -> ItemStream<Zone>;

    /// What is known of a zone.
    ///
    /// # Errors
    /// `NotFound`; see the trait.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn zone(&self, zone: &ZoneId) -> Result<Zone>;

    /// Lists a zone's record sets, page by page as the stream is polled, in no certain
    /// order.
    ///
    /// # Behavior
    /// 1. A set is one item, also where the vendor has one entry per record.
    /// 2. A filter that the vendor does not have is applied by the provider.
    /// 3. What of a set this model cannot say is named by [`RecordSet::foreign`].
    ///
    /// The first item is `NotFound` where there is no such zone.
    fn list_record_sets(&self, zone: &ZoneId, query: RecordQuery) -> ItemStream<RecordSet>;

    /// Makes a record set what it is asked to be, whether it is there or not.
    ///
    /// # Behavior
    /// 1. Afterwards the set has these records and no others; no other set is changed.
    /// 2. Where the vendor cannot do it in one step, new records are made before old ones
    ///    are removed, so that the name never has none. What fails in between leaves more
    ///    records than asked for, and putting again makes it right.
    /// 3. Without a time to live the vendor's own is taken. Without
    ///    [`proxied`](RecordSet::proxied) a set that is there stays as it is in that, and a
    ///    new one is not proxied.
    /// 4. A `CNAME` beside other records of its name, and other records beside a `CNAME`,
    ///    are a `Conflict`, unless the vendor flattens it at the apex.
    /// 5. A set with [`foreign`](RecordSet::foreign) parts is not overwritten: `Conflict`.
    ///
    /// # Errors
    /// `NotFound` for the zone; `InvalidInput` for a name outside it and for a set without
    /// records; see the trait.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the set changed, also in part.
    async fn put_record_set(&self, zone: &ZoneId, set: RecordSet) -> Result<RecordSet>;

    /// Deletes all records of a name and type. None being there is fine.
    ///
    /// # Errors
    /// `NotFound` for the zone; `Conflict` for records that the vendor keeps itself, such
    /// as the name servers of the apex.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the records deleted, also in part.
    async fn delete_record_set(
        &self,
        zone: &ZoneId,
        name: &DnsName,
        kind: &RecordType,
    ) -> Result<DeleteOutcome>;

    /// How the vendor's edge speaks TLS for a zone, where it has one.
    #[expect(
        clippy::needless_lifetimes,
        reason = "automock cannot elide a borrowed return"
    )]
    fn as_zone_tls<'a>(&'a self) -> Option<&'a dyn ZoneTls> {
        None
    }
}

const _: fn(&dyn Dns) = |_| {};
