//! [`DnsExt`].

use super::require;
use crate::dns::{
    Dns, DnsName, RecordQuery, RecordSet, Zone, ZoneTls, ZoneTlsChange, ZoneTlsSettings,
};
use crate::error::{Error, Result};
use crate::id::ZoneId;
use crate::outcome::{EnsureOutcome, Ensured};
use crate::stream;

/// What every [`Dns`] can do because it is one.
pub trait DnsExt: Dns {
    require! {
        require_zone_tls: as_zone_tls -> ZoneTls = "TLS settings of a zone";
    }

    /// The zone that a name is in: of several the one with the longest name.
    ///
    /// # Errors
    /// `NotFound` where no zone of the account has it; as [`list_zones`](Dns::list_zones).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    fn zone_of(&self, name: &DnsName) -> impl Future<Output = Result<Zone>> + Send {
        async move {
            let mut zones = self.list_zones();
            let mut found: Option<Zone> = None;
            while let Some(zone) = stream::next(&mut zones).await {
                let zone = zone?;
                let longest = found.as_ref().map_or(0, |f| f.name.as_str().len());
                if name.is_within(&zone.name) && zone.name.as_str().len() > longest {
                    found = Some(zone);
                }
            }
            found.ok_or_else(|| {
                Error::not_found(format!("a zone of {name}"))
                    .with_provider(self.provider())
                    .with_operation("dns.zone_of")
            })
        }
    }

    /// Makes record sets what they are asked to be, and sends only what differs.
    ///
    /// # Behavior
    /// 1. Lists the zone once, whatever the number of sets; one set is asked for by name
    ///    and type.
    /// 2. A set that [satisfies](RecordSet::satisfies) what is wanted is not put.
    /// 3. One answer per set, in the order of the sets; what fails for one does not fail
    ///    the others. Sets that are not named are not touched.
    ///
    /// # Errors
    /// `NotFound` for the zone, and whatever else the listing fails with; per set, as
    /// [`put_record_set`](Dns::put_record_set).
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the sets put.
    fn ensure_record_sets(
        &self,
        zone: &ZoneId,
        wanted: Vec<RecordSet>,
    ) -> impl Future<Output = Result<Vec<Result<Ensured<RecordSet>>>>> + Send {
        async move {
            let query = match wanted.as_slice() {
                [] => return Ok(Vec::new()),
                [one] => RecordQuery::default()
                    .with_name(one.name.clone())
                    .with_kind(one.kind.clone()),
                _ => RecordQuery::default(),
            };
            let mut listed = self.list_record_sets(zone, query);
            let mut present = Vec::new();
            while let Some(set) = stream::next(&mut listed).await {
                let set = set?;
                if wanted.iter().any(|w| is_same(w, &set)) {
                    present.push(set);
                }
            }
            let mut answers = Vec::with_capacity(wanted.len());
            for set in wanted {
                let there = present.iter().find(|there| is_same(there, &set));
                let outcome = match there {
                    Some(there) if there.foreign.is_none() && there.satisfies(&set) => {
                        let ensured = Ensured::new(there.clone(), EnsureOutcome::Unchanged);
                        answers.push(Ok(ensured));
                        continue;
                    }
                    Some(_) => EnsureOutcome::Updated,
                    None => EnsureOutcome::Created,
                };
                let put = self.put_record_set(zone, set).await;
                answers.push(put.map(|set| Ensured::new(set, outcome)));
            }
            Ok(answers)
        }
    }

    /// Makes the TLS settings of a zone what they are asked to be, and sends only what
    /// differs.
    ///
    /// # Errors
    /// `Unsupported` without [`ZoneTls`]; as its
    /// [`set_tls_settings`](ZoneTls::set_tls_settings).
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of it changed.
    fn ensure_tls_settings(
        &self,
        zone: &ZoneId,
        wanted: ZoneTlsChange,
    ) -> impl Future<Output = Result<Ensured<ZoneTlsSettings>>> + Send {
        async move {
            let tls = self.require_zone_tls()?;
            let present = tls.tls_settings(zone).await?;
            let change = wanted.differing_from(&present);
            if change.is_empty() {
                return Ok(Ensured::new(present, EnsureOutcome::Unchanged));
            }
            let changed = tls.set_tls_settings(zone, change).await?;
            Ok(Ensured::new(changed, EnsureOutcome::Updated))
        }
    }
}

impl<T: Dns + ?Sized> DnsExt for T {}

fn is_same(a: &RecordSet, b: &RecordSet) -> bool {
    a.name == b.name && a.kind == b.kind
}
