//! Records to record sets.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use ops_core::Result;
use ops_core::dns::{RecordSet, RecordType};
use ops_core::object_store::ItemStream;

use super::content;
use crate::model::Record;

/// What the vendor calls a time to live of its own choice.
pub(super) const AUTOMATIC: f64 = 1.0;

/// The sets of a list of records in which those of one name stand together.
pub(super) fn sets(records: ItemStream<Record>) -> ItemStream<RecordSet> {
    let grouping = Grouping {
        records,
        of_name: Vec::new(),
        sets: VecDeque::new(),
        ended: false,
    };
    stream::try_unfold(grouping, Grouping::next).boxed()
}

struct Grouping {
    records: ItemStream<Record>,
    /// The records so far of the name that is being read.
    of_name: Vec<Record>,
    /// What has been read and not handed out.
    sets: VecDeque<RecordSet>,
    ended: bool,
}

impl Grouping {
    /// The next set, and what comes behind it.
    async fn next(mut self) -> Result<Option<(RecordSet, Self)>> {
        while self.sets.is_empty() && !self.ended {
            let record = self.records.next().await.transpose()?;
            let is_other = |first: &Record| record.as_ref().is_none_or(|it| it.name != first.name);
            if self.of_name.first().is_some_and(is_other) {
                self.sets = of_one_name(mem::take(&mut self.of_name))?;
            }
            self.ended = record.is_none();
            self.of_name.extend(record);
        }
        Ok(self.sets.pop_front().map(|set| (set, self)))
    }
}

fn of_one_name(records: Vec<Record>) -> Result<VecDeque<RecordSet>> {
    let mut by_kind: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in records {
        by_kind.entry(record.kind.clone()).or_default().push(record);
    }
    by_kind
        .values()
        .filter_map(|records| set(records).transpose())
        .collect()
}

/// The set that records of one name and type are; `None` without records.
pub(super) fn set(records: &[Record]) -> Result<Option<RecordSet>> {
    let Some(first) = records.first() else {
        return Ok(None);
    };
    let name = first.name()?;
    let data: Result<Vec<_>> = records.iter().map(content::read).collect();
    let understood = data.and_then(|data| RecordSet::new(name.clone(), data));
    let proxied = first.proxied.unwrap_or_default();
    let set = match understood {
        Ok(_)
            if records
                .iter()
                .any(|it| it.proxied.unwrap_or_default() != proxied) =>
        {
            let kind = RecordType::from_name(&first.kind);
            RecordSet::foreign(name, kind, Vec::new(), "proxied in part")
        }
        Ok(mut set) => {
            set.ttl = ttl(records);
            set.proxied = Some(proxied);
            set
        }
        Err(_) => {
            let kind = RecordType::from_name(&first.kind);
            RecordSet::foreign(name, kind, Vec::new(), "records that are not understood")
        }
    };
    Ok(Some(set))
}

/// The time to live that all have. Where they differ there is none that could be told.
fn ttl(records: &[Record]) -> Option<Duration> {
    let mut ttls = records.iter().map(|record| record.ttl.unwrap_or(AUTOMATIC));
    let first = ttls.next().filter(|ttl| *ttl > AUTOMATIC)?;
    let same = ttls.all(|ttl| (ttl - first).abs() < f64::EPSILON);
    same.then(|| Duration::try_from_secs_f64(first).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use serde_json::{Value, json};

    use super::*;

    fn record(name: &str, kind: &str, content: &str) -> Value {
        json!({"id": "r", "name": name, "type": kind, "content": content, "ttl": 300})
    }

    async fn grouped(records: Vec<Value>) -> Result<Vec<String>> {
        let records = records
            .into_iter()
            .map(|it| Ok(serde_json::from_value(it).unwrap()));
        let sets: Vec<RecordSet> = sets(stream::iter(records).boxed()).try_collect().await?;
        let shown = |set: &RecordSet| {
            let records: Vec<_> = set.records.iter().map(ToString::to_string).collect();
            let foreign = set.foreign.as_deref().unwrap_or_default();
            format!("{} {} {}{foreign}", set.name, set.kind, records.join(","))
        };
        Ok(sets.iter().map(shown).collect())
    }

    #[tokio::test]
    async fn records_of_one_name_and_type_are_one_set() {
        let sets = grouped(vec![
            record("a.example", "A", "192.0.2.1"),
            record("a.example", "TXT", "x"),
            record("a.example", "A", "192.0.2.2"),
            record("b.example", "A", "192.0.2.3"),
        ]);
        let expected = [
            "a.example A 192.0.2.1,192.0.2.2",
            "a.example TXT x",
            "b.example A 192.0.2.3",
        ];
        assert_eq!(sets.await.unwrap(), expected);
        assert!(grouped(Vec::new()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_not_understood_is_listed_as_foreign() {
        let mut half = record("a.example", "A", "192.0.2.2");
        half["proxied"] = json!(true);
        let sets = grouped(vec![
            record("a.example", "A", "192.0.2.1"),
            half,
            record("b.example", "MX", "no name of a host"),
            record("c.example", "NEW", "anything"),
        ]);
        let expected = [
            "a.example A proxied in part",
            "b.example MX records that are not understood",
            "c.example NEW anything",
        ];
        assert_eq!(sets.await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_name_that_is_none_ends_the_list_by_its_field() {
        let err = grouped(vec![record("ü.example", "A", "192.0.2.1")])
            .await
            .unwrap_err();
        assert_eq!(err.message(), "the field name is not what it should be");
    }

    #[test]
    fn a_time_to_live_is_told_where_all_have_it() {
        let ttl_of = |ttls: &[Value]| {
            let records = ttls.iter().map(|ttl| {
                let mut record = record("a.example", "A", "192.0.2.1");
                record["ttl"] = ttl.clone();
                serde_json::from_value(record).unwrap()
            });
            ttl(&records.collect::<Vec<_>>())
        };
        assert_eq!(
            ttl_of(&[json!(300), json!(300)]),
            Some(Duration::from_secs(300))
        );
        for none in [
            &[json!(1)][..],
            &[json!(null)],
            &[json!(300), json!(60)],
            &[json!(-5)],
        ] {
            assert_eq!(ttl_of(none), None, "{none:?}");
        }
    }
}
