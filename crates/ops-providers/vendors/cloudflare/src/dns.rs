//! [`Dns`] of an account.
//!
//! A *zone* is a Cloudflare zone. Cloudflare has records with ids: a *record set* is all
//! records of one name and type. A set is put by one batch, which is one transaction there;
//! what reaches the name servers is not, so records are changed in place before any is
//! deleted and the name never has none. A time to live of 1 is the vendor's own choice.
//!
//! Not supported: a time to live for proxied sets, which have the vendor's own; writing
//! records of the types `LOC`, `NAPTR` and `URI`.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, future};
use ops_core::dns::{Dns, DnsLimits, DnsName, RecordQuery, RecordSet, RecordType, Zone, ZoneTls};
use ops_core::id::ZoneId;
use ops_core::object_store::ItemStream;
use ops_core::{DeleteOutcome, Error, ProviderId, Result};

use crate::{Cloudflare, PROVIDER, api, model};

mod change;
mod content;
mod group;
mod text;

#[async_trait]
impl Dns for Cloudflare {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> DnsLimits {
        // 60 s outside of the enterprise plan; the vendor refuses what is below.
        DnsLimits::default()
            .with_min_ttl(Duration::from_secs(30))
            .with_max_ttl(Duration::from_secs(86_400))
    }

    fn list_zones(&self) -> ItemStream<Zone> {
        let zones = self.api.pages(api::list_zones());
        Box::pin(zones.and_then(|zone| future::ready(zone.try_into().map_err(named("zones.list")))))
    }

    async fn zone(&self, zone: &ZoneId) -> Result<Zone> {
        let wire = self.api.execute(api::get_zone(zone)).await?.result;
        wire.try_into().map_err(named("zones.get"))
    }

    fn list_record_sets(&self, zone: &ZoneId, query: RecordQuery) -> ItemStream<RecordSet> {
        let sets = group::sets(self.records(zone, &query));
        Box::pin(
            sets.map_err(named("dns.records.list"))
                .try_filter(move |set| {
                    // What the vendor takes for equal may not be so here.
                    future::ready(query.matches(set))
                }),
        )
    }

    async fn put_record_set(&self, zone: &ZoneId, set: RecordSet) -> Result<RecordSet> {
        let of_name = RecordQuery::default().with_name(set.name.clone());
        let present = self.records(zone, &of_name).try_collect();
        let (owner, present) = future::try_join(self.zone(zone), present).await?;
        let (batch, set) =
            change::put(&owner, present, set).map_err(named("dns.put_record_set"))?;
        if !batch.is_empty() {
            self.api.execute(api::batch_records(zone, &batch)).await?;
        }
        Ok(set)
    }

    async fn delete_record_set(
        &self,
        zone: &ZoneId,
        name: &DnsName,
        kind: &RecordType,
    ) -> Result<DeleteOutcome> {
        let of_set = RecordQuery::default()
            .with_name(name.clone())
            .with_kind(kind.clone());
        let present = self.records(zone, &of_set).try_collect().await?;
        let batch = change::delete(present);
        if batch.is_empty() {
            return Ok(DeleteOutcome::AlreadyGone);
        }
        self.api.execute(api::batch_records(zone, &batch)).await?;
        Ok(DeleteOutcome::Deleted)
    }

    fn as_zone_tls(&self) -> Option<&dyn ZoneTls> {
        Some(self)
    }
}

impl Cloudflare {
    fn records(&self, zone: &ZoneId, query: &RecordQuery) -> ItemStream<model::Record> {
        self.api.pages(api::list_records(zone, query))
    }
}

/// Names what was being done where an answer or an argument was not understood here.
fn named(operation: &'static str) -> impl Fn(Error) -> Error {
    move |err| err.with_provider(PROVIDER).with_operation(operation)
}
