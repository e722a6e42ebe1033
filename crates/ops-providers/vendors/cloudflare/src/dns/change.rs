//! What must change so that a set is what it is asked to be.

use std::time::Duration;

use ops_core::dns::{RecordData, RecordSet, RecordType, Zone};
use ops_core::{Error, ErrorKind, Result};

use super::content;
use super::group::{self, AUTOMATIC};
use crate::model::{Batch, Named, NewRecord, Patch, Record};

/// The changes that put a set, given all records of its name, and the set as it is then.
///
/// A record that is not wanted is turned into one that is missing: only what is left of
/// either is deleted or made.
pub(super) fn put(
    zone: &Zone,
    of_name: Vec<Record>,
    mut wanted: RecordSet,
) -> Result<(Batch, RecordSet)> {
    let (mut present, others): (Vec<Record>, Vec<Record>) = of_name
        .into_iter()
        .partition(|it| RecordType::from_name(&it.kind) == wanted.kind);
    let of_set = group::set(&present)?;
    check(zone, &wanted, of_set.as_ref(), &others).map_err(|(kind, problem)| {
        Error::new(kind, format!("{} {}: {problem}", wanted.name, wanted.kind))
            .with_resource(wanted.name.as_str())
    })?;
    let proxied = of_set.and_then(|set| set.proxied).unwrap_or_default();
    wanted.proxied.get_or_insert(proxied);
    let mut batch = Batch::default();
    let mut missing = Vec::new();
    for data in &wanted.records {
        let record = new_record(&wanted, data)?;
        let same = |it: &Record| content::read(it).is_ok_and(|said| said == *data);
        match present.iter().position(same) {
            Some(index) => {
                let there = present.swap_remove(index);
                if !is_kept(&there, &record) {
                    batch.patches.push(Patch {
                        id: there.id,
                        record,
                    });
                }
            }
            None => missing.push(record),
        }
    }
    for record in missing {
        match present.pop() {
            Some(spare) => batch.patches.push(Patch {
                id: spare.id,
                record,
            }),
            None => batch.posts.push(record),
        }
    }
    batch.deletes = delete(present).deletes;
    Ok((batch, wanted))
}

/// The changes that delete records.
pub(super) fn delete(present: Vec<Record>) -> Batch {
    Batch {
        deletes: present
            .into_iter()
            .map(|record| Named { id: record.id })
            .collect(),
        ..Batch::default()
    }
}

/// Whether a record has the time to live and the proxying that it should.
fn is_kept(there: &Record, wanted: &NewRecord) -> bool {
    let ttl = there.ttl.unwrap_or(AUTOMATIC);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a time to live is less than a day"
    )]
    let same = (ttl - wanted.ttl as f64).abs() < f64::EPSILON;
    same && there.proxied.unwrap_or_default() == wanted.proxied.unwrap_or_default()
}

fn new_record(set: &RecordSet, data: &RecordData) -> Result<NewRecord> {
    Ok(NewRecord {
        name: set.name.to_string(),
        kind: set.kind.to_string(),
        ttl: set.ttl.map_or(1, |ttl| ttl.as_secs()),
        proxied: set.proxied.filter(|_| can_be_proxied(&set.kind)),
        says: content::write(data)?,
    })
}

fn can_be_proxied(kind: &RecordType) -> bool {
    matches!(kind, RecordType::A | RecordType::Aaaa | RecordType::Cname)
}

/// What must be refused before anything is changed. The vendor would take a name outside
/// the zone for one below it.
fn check(
    zone: &Zone,
    wanted: &RecordSet,
    present: Option<&RecordSet>,
    others: &[Record],
) -> Result<(), (ErrorKind, &'static str)> {
    let present_proxied = present.and_then(|set| set.proxied);
    let proxied = wanted.proxied.or(present_proxied).unwrap_or_default();
    let limits = Duration::from_secs(30)..=Duration::from_secs(86_400);
    let is_cname = |kind: &str| kind == RecordType::Cname.as_str();
    let clashes = others
        .iter()
        .any(|it| is_cname(&it.kind) || is_cname(wanted.kind.as_str()));
    let problem = if !wanted.name.is_within(&zone.name) {
        (ErrorKind::InvalidInput, "outside the zone")
    } else if wanted.records.is_empty() && wanted.foreign.is_none() {
        (ErrorKind::InvalidInput, "without records")
    } else if wanted
        .records
        .iter()
        .any(|record| record.kind() != wanted.kind)
    {
        (ErrorKind::InvalidInput, "a record of another type")
    } else if wanted.ttl.is_some_and(|ttl| !limits.contains(&ttl)) {
        (
            ErrorKind::InvalidInput,
            "a time to live beyond 30 s to 1 day",
        )
    } else if proxied && !can_be_proxied(&wanted.kind) {
        (
            ErrorKind::Unsupported,
            "only A, AAAA and CNAME can be proxied",
        )
    } else if proxied && wanted.ttl.is_some() {
        (
            ErrorKind::Unsupported,
            "a proxied set has the vendor's own time to live",
        )
    } else if clashes && wanted.name != zone.name {
        // At the apex a CNAME is flattened, and the vendor knows what may stand beside it.
        (
            ErrorKind::Conflict,
            "a CNAME and other records cannot have one name",
        )
    } else if wanted.foreign.is_some() || present.is_some_and(|set| set.foreign.is_some()) {
        (ErrorKind::Conflict, "the set cannot be said here whole")
    } else {
        return Ok(());
    };
    Err(problem)
}

#[cfg(test)]
mod tests {
    use ops_core::dns::{DnsName, ZoneState};
    use ops_core::id::ZoneId;
    use serde_json::{Value, json};

    use super::*;

    fn zone() -> Zone {
        let name = DnsName::new("shop.example").unwrap();
        Zone::new(ZoneId::new("z1").unwrap(), name, ZoneState::Active)
    }

    fn record(id: &str, kind: &str, content: &str) -> Record {
        let record = json!({
            "id": id, "name": "a.shop.example", "type": kind, "content": content, "ttl": 1,
        });
        serde_json::from_value(record).unwrap()
    }

    fn set(kind: &str, texts: &[&str]) -> RecordSet {
        let kind = RecordType::from_name(kind);
        let records = texts
            .iter()
            .map(|text| RecordData::parse(&kind, text).unwrap());
        RecordSet::new(DnsName::new("a.shop.example").unwrap(), records.collect()).unwrap()
    }

    #[track_caller]
    fn assert_changes(present: Vec<Record>, wanted: RecordSet, expected: &Value) {
        let (batch, _) = put(&zone(), present, wanted).unwrap();
        assert_eq!(serde_json::to_value(&batch).unwrap(), *expected);
    }

    #[test]
    fn a_new_set_is_made() {
        let new = |content: &str| json!({"name": "a.shop.example", "type": "A", "ttl": 1, "proxied": false, "content": content});
        let expected = json!({"posts": [new("192.0.2.1"), new("192.0.2.2")]});
        assert_changes(vec![], set("A", &["192.0.2.1", "192.0.2.2"]), &expected);
    }

    #[test]
    fn a_set_that_is_as_wanted_needs_nothing() {
        let present = vec![record("1", "A", "192.0.2.1"), record("2", "TXT", "\"x\"")];
        assert_changes(present, set("A", &["192.0.2.1"]), &json!({}));
    }

    #[test]
    fn records_are_changed_in_place_before_any_is_deleted() {
        let present = vec![
            record("1", "A", "192.0.2.1"),
            record("2", "A", "192.0.2.2"),
            record("3", "A", "192.0.2.3"),
        ];
        let wanted = set("A", &["192.0.2.2", "192.0.2.9"]);
        let patched = json!({
            "id": "3", "name": "a.shop.example", "type": "A", "ttl": 1, "proxied": false, "content": "192.0.2.9",
        });
        let expected = json!({"patches": [patched], "deletes": [{"id": "1"}]});
        assert_changes(present, wanted, &expected);
    }

    #[test]
    fn a_time_to_live_is_changed_in_place() {
        let wanted = set("TXT", &["x"]).with_ttl(Duration::from_secs(300));
        let patched = json!({
            "id": "1", "name": "a.shop.example", "type": "TXT", "ttl": 300, "content": "\"x\"",
        });
        let expected = json!({"patches": [patched]});
        assert_changes(vec![record("1", "TXT", "\"x\"")], wanted, &expected);
    }

    #[test]
    fn a_set_stays_proxied_where_nothing_else_is_asked() {
        let mut there = record("1", "A", "192.0.2.1");
        there.proxied = Some(true);
        let (batch, put) = put(&zone(), vec![there], set("A", &["192.0.2.1"])).unwrap();
        assert!(batch.is_empty());
        assert_eq!(put.proxied, Some(true));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let outside = {
            let name = DnsName::new("workshop.example").unwrap();
            RecordSet::new(name, set("A", &["192.0.2.1"]).records).unwrap()
        };
        let ttl = |seconds| set("A", &["192.0.2.1"]).with_ttl(Duration::from_secs(seconds));
        let foreign = RecordSet::foreign(
            DnsName::new("a.shop.example").unwrap(),
            RecordType::A,
            vec![],
            "alias",
        );
        for (wanted, kind) in [
            (outside, ErrorKind::InvalidInput),
            (ttl(29), ErrorKind::InvalidInput),
            (ttl(86_401), ErrorKind::InvalidInput),
            (ttl(300).with_proxied(true), ErrorKind::Unsupported),
            (
                set("TXT", &["x"]).with_proxied(true),
                ErrorKind::Unsupported,
            ),
            (set("CNAME", &["b.example"]), ErrorKind::Conflict),
            (foreign, ErrorKind::Conflict),
        ] {
            let present = vec![record("1", "MX", "mx.shop.example")];
            let err = put(&zone(), present, wanted).unwrap_err();
            assert_eq!(err.kind(), kind, "{err}");
        }
        let present = vec![record("1", "A", "no address")];
        let err = put(&zone(), present, set("A", &["192.0.2.1"])).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Conflict);
    }
}
