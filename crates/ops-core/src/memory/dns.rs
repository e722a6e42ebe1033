//! Zones in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{PROVIDER, Sequence, error, lock, missing};
use crate::dns::{
    Dns, DnsLimits, DnsName, EdgeTlsMode, EdgeTlsVersion, Hsts, RecordData, RecordQuery, RecordSet,
    RecordType, Zone, ZoneState, ZoneTls, ZoneTlsChange, ZoneTlsSettings,
};
use crate::error::{ErrorKind, Result};
use crate::id::{ProviderId, ZoneId};
use crate::memory::items;
use crate::object_store::ItemStream;
use crate::outcome::DeleteOutcome;

const OWN_TTL: Duration = Duration::from_secs(300);
const MIN_TTL: Duration = Duration::from_secs(30);
const MAX_TTL: Duration = Duration::from_secs(86_400);
const MAX_RECORDS: u32 = 100;

/// An account with zones in memory, with every ability.
///
/// Clones are the same account. A zone begins with the name servers of its apex, which
/// cannot be changed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::dns::ZoneTlsChange;
/// use ops_core::memory::MemoryDns;
/// use ops_core::{DnsExt, EnsureOutcome};
///
/// let dns = MemoryDns::new();
/// let zone = dns.seed_zone("shop.example")?;
/// let ensured = dns.ensure_tls_settings(&zone, ZoneTlsChange::hardened()).await?;
/// assert_eq!(ensured.outcome, EnsureOutcome::Updated);
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryDns(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    zones: BTreeMap<ZoneId, ZoneRecord>,
    listings: u64,
    changes: u64,
    sequence: Sequence,
}

struct ZoneRecord {
    zone: Zone,
    sets: BTreeMap<(DnsName, RecordType), RecordSet>,
    tls: ZoneTlsSettings,
}

impl MemoryDns {
    /// An account without zones.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a zone, for the start of a test.
    ///
    /// # Errors
    /// `InvalidInput` for what is no name.
    pub fn seed_zone(&self, name: &str) -> Result<ZoneId> {
        let name = DnsName::new(name)?;
        let server = DnsName::new("ns1.memory.invalid")?;
        let own = RecordSet::foreign(
            name.clone(),
            RecordType::Ns,
            vec![RecordData::Ns(server.clone())],
            "name servers of the zone",
        );
        let mut state = lock(&self.0);
        let id = ZoneId::new(format!("zone-{}", state.sequence.next()))?;
        let zone = Zone::new(id.clone(), name, ZoneState::Active).with_name_servers(vec![server]);
        let record = ZoneRecord {
            zone,
            sets: BTreeMap::from([((own.name.clone(), own.kind.clone()), own)]),
            tls: ZoneTlsSettings::default()
                .with_mode(EdgeTlsMode::Full)
                .with_min_version(EdgeTlsVersion::V1_0)
                .with_http3(false)
                .with_always_https(false)
                .with_hsts(Hsts::OFF),
        };
        state.zones.insert(id.clone(), record);
        Ok(id)
    }

    /// Makes a record set that [`put_record_set`](Dns::put_record_set) would refuse, such
    /// as one with [`foreign`](RecordSet::foreign) parts.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn seed_record_set(&self, zone: &ZoneId, set: RecordSet) -> Result<()> {
        self.with("memory.seed_record_set", zone, |record| {
            let key = (set.name.clone(), set.kind.clone());
            record.sets.insert(key, set);
            Ok(())
        })
    }

    /// How often record sets were listed.
    #[must_use]
    pub fn listings(&self) -> u64 {
        lock(&self.0).listings
    }

    /// How often something was changed, or tried to be.
    #[must_use]
    pub fn changes(&self) -> u64 {
        lock(&self.0).changes
    }

    fn with<T>(
        &self,
        operation: &'static str,
        zone: &ZoneId,
        work: impl FnOnce(&mut ZoneRecord) -> Result<T>,
    ) -> Result<T> {
        let mut state = lock(&self.0);
        let record = state.zones.get_mut(zone);
        work(record.ok_or_else(|| missing(operation, zone))?)
    }

    fn change<T>(
        &self,
        operation: &'static str,
        zone: &ZoneId,
        work: impl FnOnce(&mut ZoneRecord) -> Result<T>,
    ) -> Result<T> {
        lock(&self.0).changes += 1;
        self.with(operation, zone, work)
    }
}

impl fmt::Debug for MemoryDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDns")
            .field("zones", &lock(&self.0).zones.len())
            .finish_non_exhaustive()
    }
}

impl ZoneRecord {
    fn put(&mut self, mut set: RecordSet) -> Result<RecordSet> {
        let operation = "dns.put_record_set";
        let refuse = |kind, problem: &str| {
            let message = format!("{} {}: {problem}", set.name, set.kind);
            Err(error(kind, operation, message).with_resource(set.name.as_str()))
        };
        if let Some(problem) = self.problem_of(&set) {
            return refuse(ErrorKind::InvalidInput, problem);
        }
        if self.clashes(&set) {
            let problem = "a CNAME and other records cannot have one name";
            return refuse(ErrorKind::Conflict, problem);
        }
        let key = (set.name.clone(), set.kind.clone());
        let present = self.sets.get(&key);
        if set.foreign.is_some() || present.is_some_and(|present| present.foreign.is_some()) {
            return refuse(ErrorKind::Conflict, "the set cannot be said here whole");
        }
        set.ttl.get_or_insert(OWN_TTL);
        let proxied = present.and_then(|present| present.proxied);
        set.proxied.get_or_insert(proxied.unwrap_or_default());
        self.sets.insert(key, set.clone());
        Ok(set)
    }

    fn problem_of(&self, set: &RecordSet) -> Option<&'static str> {
        let ttl = set.ttl.unwrap_or(OWN_TTL);
        let has_addresses = matches!(
            set.kind,
            RecordType::A | RecordType::Aaaa | RecordType::Cname
        );
        if !set.name.is_within(&self.zone.name) {
            Some("outside the zone")
        } else if set.records.is_empty() && set.foreign.is_none() {
            Some("without records")
        } else if set.records.iter().any(|record| record.kind() != set.kind) {
            Some("a record of another type")
        } else if set.records.len() > MAX_RECORDS as usize {
            Some("more records than the vendor takes")
        } else if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            Some("a time to live beyond the vendor's limits")
        } else if set.proxied == Some(true) && !has_addresses {
            Some("only addresses can be proxied")
        } else {
            None
        }
    }

    fn clashes(&self, set: &RecordSet) -> bool {
        let is_cname = |kind: &RecordType| *kind == RecordType::Cname;
        let mut others = self
            .sets
            .keys()
            .filter(|(name, kind)| *name == set.name && *kind != set.kind);
        others.any(|(_, kind)| is_cname(kind) || is_cname(&set.kind))
    }
}

#[async_trait]
impl Dns for MemoryDns {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> DnsLimits {
        DnsLimits::default()
            .with_min_ttl(MIN_TTL)
            .with_max_ttl(MAX_TTL)
            .with_max_records_per_set(MAX_RECORDS)
    }

    fn list_zones(&self) -> ItemStream<Zone> {
        let state = lock(&self.0);
        let zones: Vec<_> = state.zones.values().map(|r| Ok(r.zone.clone())).collect();
        items::iter(zones)
    }

    async fn zone(&self, zone: &ZoneId) -> Result<Zone> {
        self.with("dns.zone", zone, |record| Ok(record.zone.clone()))
    }

    fn list_record_sets(&self, zone: &ZoneId, query: RecordQuery) -> ItemStream<RecordSet> {
        lock(&self.0).listings += 1;
        items::of(self.with("dns.list_record_sets", zone, |record| {
            let sets = record.sets.values();
            Ok(sets.filter(|set| query.matches(set)).cloned().collect())
        }))
    }

    async fn put_record_set(&self, zone: &ZoneId, set: RecordSet) -> Result<RecordSet> {
        self.change("dns.put_record_set", zone, |record| record.put(set))
    }

    async fn delete_record_set(
        &self,
        zone: &ZoneId,
        name: &DnsName,
        kind: &RecordType,
    ) -> Result<DeleteOutcome> {
        let operation = "dns.delete_record_set";
        self.change(operation, zone, |record| {
            if *kind == RecordType::Ns && *name == record.zone.name {
                let message = "the name servers of a zone cannot be deleted";
                return Err(error(ErrorKind::Conflict, operation, message));
            }
            let removed = record.sets.remove(&(name.clone(), kind.clone()));
            Ok(match removed {
                Some(_) => DeleteOutcome::Deleted,
                None => DeleteOutcome::AlreadyGone,
            })
        })
    }

    fn as_zone_tls(&self) -> Option<&dyn ZoneTls> {
        Some(self)
    }
}

#[async_trait]
impl ZoneTls for MemoryDns {
    async fn tls_settings(&self, zone: &ZoneId) -> Result<ZoneTlsSettings> {
        self.with("dns.tls_settings", zone, |record| Ok(record.tls.clone()))
    }

    async fn set_tls_settings(
        &self,
        zone: &ZoneId,
        change: ZoneTlsChange,
    ) -> Result<ZoneTlsSettings> {
        let operation = "dns.set_tls_settings";
        self.change(operation, zone, |record| {
            let refused = change.check(&record.tls);
            refused.map_err(|err| err.with_provider(PROVIDER).with_operation(operation))?;
            let ZoneTlsChange {
                mode,
                min_version,
                http3,
                always_https,
                hsts,
            } = change;
            let tls = &mut record.tls;
            tls.mode = mode.or(tls.mode.take());
            tls.min_version = min_version.or(tls.min_version);
            tls.http3 = http3.or(tls.http3);
            tls.always_https = always_https.or(tls.always_https);
            tls.hsts = hsts.or(tls.hsts);
            Ok(tls.clone())
        })
    }
}
