//! The wrapper that does one thing wrong.

use std::fmt;

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::dns::{
    Dns, DnsLimits, DnsName, EdgeTlsMode, EdgeTlsVersion, Hsts, RecordData, RecordQuery, RecordSet,
    RecordType, Zone, ZoneTls, ZoneTlsChange, ZoneTlsSettings,
};
use ops_core::id::{ProviderId, ZoneId};
use ops_core::memory::MemoryDns;
use ops_core::{DeleteOutcome, Error, ErrorKind, ItemStream, Result};

use crate::saboteur::{Saboteur, wrong};

pub(super) type Sabotaged = Saboteur<MemoryDns, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    asked: Option<RecordSet>,
    is_refused: bool,
    deleted: Vec<DnsName>,
}

/// One item for each record.
fn split(sets: Vec<RecordSet>) -> Vec<RecordSet> {
    let alone = |set: RecordSet| {
        let records = set.records.clone().into_iter();
        records.map(move |record| {
            let mut one = set.clone();
            one.records = vec![record];
            one
        })
    };
    sets.into_iter().flat_map(alone).collect()
}

impl Sabotaged {
    async fn sets(&self, zone: &ZoneId) -> Vec<RecordSet> {
        let query = RecordQuery::default();
        let listed = self.memory().list_record_sets(zone, query).try_collect();
        listed.await.unwrap_or_default()
    }

    /// Whether a set is answered as put and never stored.
    fn drops(&self, set: &RecordSet) -> bool {
        let fault = match set.kind {
            RecordType::Aaaa => "DNS-011",
            RecordType::Mx => "DNS-013",
            RecordType::Srv => "DNS-014",
            RecordType::Caa => "DNS-015",
            RecordType::Ns => "DNS-016",
            _ if set.name.as_str().starts_with('*') => "DNS-017",
            _ => return false,
        };
        self.is(fault)
    }

    /// What a fault makes of a set that is put.
    fn twist(&self, set: &mut RecordSet) {
        let limits = self.memory().limits();
        let is_short = set.ttl < limits.min_ttl;
        let is_long = set.ttl > limits.max_ttl;
        let forgets = match set.ttl {
            None => false,
            Some(_) if is_short => self.is("DNS-026"),
            Some(_) if is_long => self.is("DNS-027"),
            Some(_) => self.is("DNS-025"),
        };
        if forgets {
            set.ttl = None;
        }
        if self.is("DNS-010") && set.name.as_str().starts_with("addresses") {
            set.records.truncate(1);
        }
        for record in &mut set.records {
            match record {
                RecordData::Cname(name) if self.is("DNS-012") => {
                    *name = DnsName::new("another.example").unwrap();
                }
                RecordData::Txt(text) if self.is("DNS-018") => *text = text.replace('"', ""),
                RecordData::Txt(text) if self.is("DNS-019") => text.truncate(255),
                _ => {}
            }
        }
    }

    /// What a fault breaks beside the set that is put.
    async fn break_others(&self, zone: &ZoneId, set: &mut RecordSet) {
        let sets = self.sets(zone).await;
        let mut same = sets
            .iter()
            .filter(|there| there.name == set.name && there.kind == set.kind);
        let Some(there) = same.next() else {
            return;
        };
        if self.is("DNS-020") {
            set.records.extend(there.records.clone());
            set.records.sort();
            set.records.dedup();
        }
        for other in &sets {
            let goes = (self.is("DNS-021") && other.name != set.name && other.kind == set.kind)
                || (self.is("DNS-022") && other.name == set.name && other.kind != set.kind);
            if goes {
                let deleted = self
                    .memory()
                    .delete_record_set(zone, &other.name, &other.kind);
                deleted.await.unwrap();
            }
        }
    }

    /// What a fault makes of a set that was refused.
    async fn excuse(&self, zone: &ZoneId, set: RecordSet, err: Error) -> Result<RecordSet> {
        self.notes().is_refused = true;
        let is_cname = set.kind == RecordType::Cname;
        let is_conflict = err.kind() == ErrorKind::Conflict;
        let apex = self.memory().zone(zone).await.map(|zone| zone.name);
        let is_near = |apex: DnsName| {
            set.name.as_str().ends_with(apex.as_str()) && !set.name.is_within(&apex)
        };
        if self.is("DNS-006") && err.is_not_found() {
            return wrong();
        }
        let accepts = (self.is("DNS-029") && apex.is_ok_and(is_near))
            || (self.is("DNS-030") && is_conflict && is_cname)
            || (self.is("DNS-031") && is_conflict && !is_cname);
        if accepts {
            return Ok(set);
        }
        if self.is("DNS-028") {
            let mut without = set;
            without.ttl = None;
            let _ = self.memory().put_record_set(zone, without).await;
        }
        Err(err)
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sabotaged({})", self.fault())
    }
}

#[async_trait]
impl Dns for Sabotaged {
    fn provider(&self) -> ProviderId {
        self.memory().provider()
    }

    fn limits(&self) -> DnsLimits {
        self.memory().limits()
    }

    fn list_zones(&self) -> ItemStream<Zone> {
        if self.is("DNS-003") {
            return stream::empty().boxed();
        }
        self.memory().list_zones()
    }

    async fn zone(&self, zone: &ZoneId) -> Result<Zone> {
        match self.memory().zone(zone).await {
            Ok(mut zone) if self.is("DNS-002") => {
                zone.name = DnsName::new("another.example")?;
                Ok(zone)
            }
            Err(_) if self.is("DNS-004") => wrong(),
            answer => answer,
        }
    }

    fn list_record_sets(&self, zone: &ZoneId, mut query: RecordQuery) -> ItemStream<RecordSet> {
        let (by_name, by_kind) = (query.name.is_some(), query.kind.is_some());
        if self.is("DNS-050") && !by_kind {
            query.name = None;
        }
        if self.is("DNS-051") && !by_name {
            query.kind = None;
        }
        let (this, is_whole) = (self.clone(), !by_name && !by_kind);
        let listed = self.memory().list_record_sets(zone, query);
        let items = async move {
            let mut sets: Vec<RecordSet> = match listed.try_collect().await {
                Ok(sets) => sets,
                Err(_) if this.is("DNS-005") => Vec::new(),
                Err(err) => return stream::iter(vec![Err(err)]),
            };
            if is_whole && this.is("DNS-052") && sets.len() > 5 {
                sets.remove(0);
            }
            if is_whole && this.is("DNS-053") {
                sets = split(sets);
            }
            if is_whole && this.is("DNS-054") {
                sets.retain(|set| set.kind != RecordType::Txt);
            }
            stream::iter(sets.into_iter().map(Ok).collect::<Vec<_>>())
        };
        stream::once(items).flatten().boxed()
    }

    async fn put_record_set(&self, zone: &ZoneId, mut set: RecordSet) -> Result<RecordSet> {
        if self.is("DNS-032") {
            self.notes().asked = Some(set.clone());
            tokio::task::yield_now().await;
            set = self.notes().asked.clone().unwrap();
        }
        if self.drops(&set) {
            return Ok(set);
        }
        let there = self.sets(zone).await;
        if self.is("DNS-023") && there.iter().any(|there| there.satisfies(&set)) {
            return wrong();
        }
        if self.is("DNS-055") && self.notes().is_refused {
            let apex = self.memory().zone(zone).await?.name;
            if set.name.is_within(&apex) {
                return wrong();
            }
        }
        self.twist(&mut set);
        self.break_others(zone, &mut set).await;
        match self.memory().put_record_set(zone, set.clone()).await {
            Ok(mut put) => {
                if self.is("DNS-024") {
                    put.records.clear();
                }
                Ok(put)
            }
            Err(err) => self.excuse(zone, set, err).await,
        }
    }

    async fn delete_record_set(
        &self,
        zone: &ZoneId,
        name: &DnsName,
        kind: &RecordType,
    ) -> Result<DeleteOutcome> {
        if self.is("DNS-040") && self.memory().zone(zone).await.is_ok() {
            let mut notes = self.notes();
            if notes.deleted.contains(name) {
                return Ok(DeleteOutcome::AlreadyGone);
            }
            notes.deleted.push(name.clone());
            return Ok(DeleteOutcome::Deleted);
        }
        for other in self.sets(zone).await {
            let goes = (self.is("DNS-041") && other.name == *name)
                || (self.is("DNS-042") && other.kind == *kind);
            if goes && (other.name != *name || other.kind != *kind) {
                let deleted = self
                    .memory()
                    .delete_record_set(zone, &other.name, &other.kind);
                deleted.await?;
            }
        }
        match self.memory().delete_record_set(zone, name, kind).await {
            Ok(DeleteOutcome::AlreadyGone) if self.is("DNS-043") => wrong(),
            Err(_) if self.is("DNS-007") => Ok(DeleteOutcome::AlreadyGone),
            answer => answer,
        }
    }

    fn as_zone_tls(&self) -> Option<&dyn ZoneTls> {
        (!self.is_bare() && !self.is("DNS-001")).then_some(self as &dyn ZoneTls)
    }
}

#[async_trait]
impl ZoneTls for Sabotaged {
    async fn tls_settings(&self, zone: &ZoneId) -> Result<ZoneTlsSettings> {
        match self.memory().tls_settings(zone).await {
            Ok(mut settings) if self.is("DNS-068") => {
                settings.always_https = None;
                Ok(settings)
            }
            Err(_) if self.is("DNS-069") => Ok(ZoneTlsSettings::default()),
            answer => answer,
        }
    }

    async fn set_tls_settings(
        &self,
        zone: &ZoneId,
        mut change: ZoneTlsChange,
    ) -> Result<ZoneTlsSettings> {
        let is_preload = change.hsts.is_some_and(|hsts| hsts.preload);
        if self.is("DNS-060") && change.min_version == Some(EdgeTlsVersion::V1_3) {
            change.min_version = Some(EdgeTlsVersion::V1_2);
        }
        if self.is("DNS-061") && change.http3.is_none() && change.hsts.is_none() {
            change.http3 = Some(true);
        }
        if self.is("DNS-062") && change.mode == Some(EdgeTlsMode::Flexible) {
            change.mode = Some(EdgeTlsMode::Full);
        }
        if self.is("DNS-063") && change.check(&ZoneTlsSettings::default()).is_ok() {
            change.hsts = change.hsts.map(|hsts| Hsts::new(hsts.max_age));
        }
        if self.is("DNS-064") && change.hsts == Some(Hsts::OFF) {
            change.hsts = None;
        }
        let http3 = change.http3;
        match self.memory().set_tls_settings(zone, change).await {
            Err(err) if err.is_not_found() => {
                if self.is("DNS-070") {
                    return Ok(ZoneTlsSettings::default());
                }
                Err(err)
            }
            Err(_) if self.is("DNS-065") && !is_preload => self.memory().tls_settings(zone).await,
            Err(_) if self.is("DNS-066") && is_preload => self.memory().tls_settings(zone).await,
            Err(err) => {
                if let (true, Some(http3)) = (self.is("DNS-067"), http3) {
                    let change = ZoneTlsChange::default().with_http3(http3);
                    self.memory().set_tls_settings(zone, change).await?;
                }
                Err(err)
            }
            answer => answer,
        }
    }
}
