//! Finding the differences.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DefinitionFingerprint, Fingerprint, SequenceFingerprint, TableFingerprint, quote_ident,
};
use crate::archive::RowsDigest;

/// How many differences a check reports.
const MAX_DIFFERENCES: usize = 20;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckOutcome {
    /// Everything that was checked is right.
    Passed,
    /// Something is not right.
    Failed,
    /// It could not be checked. Never counted as passed.
    NotChecked,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// What differs, such as `table "public"."orders"`.
    pub subject: String,
    /// What the backup says.
    pub expected: String,
    /// What the copy has.
    pub found: String,
}

impl Difference {
    pub(crate) fn new(
        subject: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            subject: subject.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// One check of a drill.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// How many things were checked.
    pub checked: u64,
    /// The first differences, at most 20.
    pub differences: Vec<Difference>,
    /// How many differences there are in all.
    pub difference_count: u64,
    /// Why it was not checked, or what is worth knowing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

impl Check {
    pub(crate) fn new(
        name: impl Into<String>,
        checked: u64,
        mut differences: Vec<Difference>,
    ) -> Self {
        let difference_count = differences.len() as u64;
        differences.truncate(MAX_DIFFERENCES);
        let outcome = if difference_count == 0 {
            CheckOutcome::Passed
        } else {
            CheckOutcome::Failed
        };
        Self {
            name: name.into(),
            outcome,
            checked,
            differences,
            difference_count,
            note: None,
        }
    }

    pub(crate) fn not_checked(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome: CheckOutcome::NotChecked,
            checked: 0,
            differences: Vec::new(),
            difference_count: 0,
            note: Some(why.into()),
        }
    }
}

/// Compares two maps: what only one side has, and what both have otherwise.
fn compare_maps<K: Ord, V: PartialEq>(
    expected: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
    subject: impl Fn(&K) -> String,
    show: impl Fn(&V) -> String,
) -> Vec<Difference> {
    let keys: BTreeSet<&K> = expected.keys().chain(found.keys()).collect();
    let show = |value: Option<&V>| value.map_or_else(|| "nothing".to_owned(), &show);
    keys.into_iter()
        .filter(|key| expected.get(key) != found.get(key))
        .map(|key| Difference::new(subject(key), show(expected.get(key)), show(found.get(key))))
        .collect()
}

/// Compares rows, sequences, large objects and object counts.
pub(crate) fn compare_fingerprints(expected: &Fingerprint, found: &Fingerprint) -> Vec<Check> {
    let mut checks = vec![
        compare_tables(expected, found),
        compare_sequences(expected, found),
        compare_large_objects(expected, found),
    ];
    if let (Some(expected), Some(found)) = (&expected.objects, &found.objects) {
        let differences = compare_maps(expected, found, Clone::clone, ToString::to_string);
        let checked = expected.len() as u64;
        checks.push(Check::new("object counts", checked, differences));
    }
    checks
}

fn compare_tables(expected: &Fingerprint, found: &Fingerprint) -> Check {
    let by_name = |side: &Fingerprint| -> BTreeMap<_, _> {
        let tables = side.tables.iter();
        let entry =
            |table: &TableFingerprint| (qualified(&table.schema, &table.name), table.digest);
        tables.map(entry).collect()
    };
    let (expected, found) = (by_name(expected), by_name(found));
    let subject = |name: &String| format!("table {name}");
    let differences = compare_maps(&expected, &found, subject, show_digest);
    Check::new("tables", expected.len() as u64, differences)
}

fn compare_sequences(expected: &Fingerprint, found: &Fingerprint) -> Check {
    let by_name = |side: &Fingerprint| -> BTreeMap<_, _> {
        let entry = |sequence: &SequenceFingerprint| {
            let state = (sequence.last_value, sequence.is_called);
            (qualified(&sequence.schema, &sequence.name), state)
        };
        side.sequences.iter().map(entry).collect()
    };
    let (expected, found) = (by_name(expected), by_name(found));
    let subject = |name: &String| format!("sequence {name}");
    let show = |(last_value, is_called): &(i64, bool)| format!("{last_value}, called: {is_called}");
    let differences = compare_maps(&expected, &found, subject, show);
    Check::new("sequences", expected.len() as u64, differences)
}

fn compare_large_objects(expected: &Fingerprint, found: &Fingerprint) -> Check {
    let (expected, found) = (&expected.large_objects, &found.large_objects);
    let difference = || Difference::new("large objects", show_digest(expected), show_digest(found));
    let differences = (expected != found).then(difference).into_iter().collect();
    Check::new("large objects", expected.rows, differences)
}

fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_ident(schema), quote_ident(name))
}

fn show_digest(digest: &RowsDigest) -> String {
    format!("{} rows with hash {:032x}", digest.rows, digest.hash)
}

/// Compares definitions, as multisets: names are not always unique.
pub(crate) fn compare_definitions(
    expected: &[DefinitionFingerprint],
    found: &[DefinitionFingerprint],
) -> Check {
    let group = |side: &[DefinitionFingerprint]| -> BTreeMap<_, Vec<(String, String)>> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in side {
            let key = (entry.kind.clone(), entry.schema.clone(), entry.name.clone());
            groups
                .entry(key)
                .or_default()
                .push((entry.owner.clone(), entry.hash.clone()));
        }
        for group in groups.values_mut() {
            group.sort_unstable();
        }
        groups
    };
    let differences = compare_maps(
        &group(expected),
        &group(found),
        |(kind, schema, name)| {
            if schema.is_empty() {
                format!("{kind} {name}")
            } else {
                format!("{kind} {schema}.{name}")
            }
        },
        |group| {
            let shown: Vec<_> = group
                .iter()
                .map(|(owner, hash)| format!("owner {owner}, definition {hash}"))
                .collect();
            shown.join("; ")
        },
    );
    Check::new("definitions", expected.len() as u64, differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint() -> Fingerprint {
        let table = |name: &str, rows, hash| TableFingerprint {
            schema: "public".to_owned(),
            name: name.to_owned(),
            copy: format!("COPY public.{name} (id) FROM stdin;"),
            digest: RowsDigest { rows, hash },
        };
        Fingerprint {
            tables: vec![table("a", 3, 30), table("b", 0, 0)],
            sequences: vec![SequenceFingerprint {
                schema: "public".to_owned(),
                name: "s".to_owned(),
                last_value: 7,
                is_called: true,
            }],
            large_objects: RowsDigest { rows: 1, hash: 5 },
            objects: Some(BTreeMap::from([("relation r".to_owned(), 2)])),
            definitions: vec![
                definition("TABLE", "a", "1"),
                definition("POLICY", "a p", "2"),
            ],
        }
    }

    fn definition(kind: &str, name: &str, hash: &str) -> DefinitionFingerprint {
        DefinitionFingerprint {
            kind: kind.to_owned(),
            schema: "public".to_owned(),
            name: name.to_owned(),
            owner: "app".to_owned(),
            hash: hash.to_owned(),
        }
    }

    /// The names of the checks that fail after the copy was changed.
    fn failed(change: impl FnOnce(&mut Fingerprint)) -> Vec<String> {
        let (expected, mut found) = (fingerprint(), fingerprint());
        change(&mut found);
        let mut checks = compare_fingerprints(&expected, &found);
        checks.push(compare_definitions(
            &expected.definitions,
            &found.definitions,
        ));
        checks
            .into_iter()
            .filter(|check| check.outcome != CheckOutcome::Passed)
            .inspect(|check| assert!(!check.differences.is_empty(), "{check:?}"))
            .map(|check| check.name)
            .collect()
    }

    #[test]
    fn an_equal_copy_passes_every_check() {
        assert_eq!(failed(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn every_damage_to_a_copy_fails_the_check_that_is_about_it() {
        assert_eq!(failed(|copy| copy.tables[0].digest.hash += 1), ["tables"]);
        assert_eq!(failed(|copy| copy.tables[0].digest.rows -= 1), ["tables"]);
        assert_eq!(failed(|copy| drop(copy.tables.pop())), ["tables"]);
        assert_eq!(
            failed(|copy| copy.sequences[0].last_value -= 1),
            ["sequences"]
        );
        assert_eq!(
            failed(|copy| copy.sequences[0].is_called = false),
            ["sequences"]
        );
        assert_eq!(failed(|copy| copy.sequences.clear()), ["sequences"]);
        assert_eq!(
            failed(|copy| copy.large_objects.hash += 1),
            ["large objects"]
        );
        assert_eq!(
            failed(|copy| copy.objects.as_mut().unwrap().clear()),
            ["object counts"]
        );
        let more = || ("trigger".to_owned(), 1);
        assert_eq!(
            failed(|copy| copy.objects.as_mut().unwrap().extend([more()])),
            ["object counts"]
        );
        assert_eq!(
            failed(|copy| copy.definitions[0].hash.push('x')),
            ["definitions"]
        );
        assert_eq!(
            failed(|copy| copy.definitions[0].owner.push('x')),
            ["definitions"]
        );
        assert_eq!(failed(|copy| drop(copy.definitions.pop())), ["definitions"]);
        let twice = definition("TABLE", "a", "1");
        assert_eq!(failed(|copy| copy.definitions.push(twice)), ["definitions"]);
    }

    #[test]
    fn a_check_tells_all_differences_by_number_and_the_first_by_name() {
        let differences = (0..50)
            .map(|i| Difference::new(i.to_string(), "a", "b"))
            .collect();
        let check = Check::new("tables", 50, differences);
        assert_eq!(
            (check.difference_count, check.differences.len()),
            (50, MAX_DIFFERENCES)
        );
        assert_eq!(
            Check::not_checked("x", "why").outcome,
            CheckOutcome::NotChecked
        );
    }
}
