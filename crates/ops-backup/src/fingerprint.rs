//! What a restored copy must equal.
//!
//! The rows of each table are hashed from the dump itself while it streams past, so that
//! the server reads them once; the objects are counted in the catalogs within the same
//! exported snapshot. After a restore the same is taken from the copy by other means, by
//! `COPY ... TO STDOUT` and catalog queries, and compared.

mod catalogs;
mod compare;
mod definitions;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::{Archive, RowsDigest};

pub(crate) use catalogs::{count_objects, extension_tables, sequence_state};
pub use compare::{Check, CheckOutcome, Difference};
pub(crate) use compare::{compare_definitions, compare_fingerprints};
pub(crate) use definitions::{DefinitionFingerprint, definitions_of};
pub(crate) use rows::{digest_large_objects, digest_table, prepare_session};

/// One table's rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]

pub(crate) struct TableFingerprint {
    /// The schema.
    pub(crate) schema: String,
    /// The table; of a partitioned table each partition stands for itself, unless its rows
    /// are loaded through the root: then the first partition stands for all.
    pub(crate) name: String,
    /// The command that `pg_dump` wrote to load it: names the columns in their order.
    pub(crate) copy: String,
    /// Its rows.
    #[serde(flatten)]
    pub(crate) digest: RowsDigest,
}

/// One sequence's state, as the dump sets it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]

pub(crate) struct SequenceFingerprint {
    /// The schema.
    pub(crate) schema: String,
    /// The sequence.
    pub(crate) name: String,
    /// Its last value.
    pub(crate) last_value: i64,
    /// Whether `nextval` gives the value after it.
    pub(crate) is_called: bool,
}

/// What a restored copy must equal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]

pub(crate) struct Fingerprint {
    /// Every table with its rows.
    pub(crate) tables: Vec<TableFingerprint>,
    /// Every sequence with its state.
    pub(crate) sequences: Vec<SequenceFingerprint>,
    /// The large objects: how many, and a hash of oids and contents.
    pub(crate) large_objects: RowsDigest,
    /// How many objects of each kind the catalogs hold, without those of extensions. Not
    /// counted where only a part of the database was dumped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) objects: Option<BTreeMap<String, i64>>,
    /// A hash of every object's definition, owner and privileges.
    pub(crate) definitions: Vec<DefinitionFingerprint>,
}

impl Fingerprint {
    /// What the dump held, and what the catalogs counted in its snapshot.
    pub(crate) fn new(
        archive: &Archive,
        objects: Option<BTreeMap<String, i64>>,
        extension_tables: &BTreeSet<(String, String)>,
    ) -> Self {
        let tables = tables_of(archive, extension_tables);
        let sequences = archive
            .toc
            .iter()
            .filter(|entry| entry.desc == "SEQUENCE SET")
            .filter_map(|entry| {
                let (last_value, is_called) = parse_setval(&entry.defn)?;
                let (schema, name) = (entry.namespace.clone(), entry.tag.clone());
                Some(SequenceFingerprint {
                    schema,
                    name,
                    last_value,
                    is_called,
                })
            })
            .collect();
        Self {
            tables,
            sequences,
            large_objects: archive.large_objects,
            objects,
            definitions: definitions_of(&archive.toc),
        }
    }

    /// The rows of all tables.
    #[must_use]
    pub(crate) fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.digest.rows).sum()
    }
}

/// The rows by the table that they are loaded into.
///
/// That is seldom another than the one they were read from: where partitions are by the
/// hash of an enum, whose labels get other OIDs in a copy, `pg_dump` loads the rows of
/// every partition through the root, and only their sum can be compared.
fn tables_of(
    archive: &Archive,
    extension_tables: &BTreeSet<(String, String)>,
) -> Vec<TableFingerprint> {
    let mut tables: BTreeMap<&str, TableFingerprint> = BTreeMap::new();
    for entry in archive
        .toc
        .iter()
        .filter(|entry| entry.desc == "TABLE DATA")
    {
        // An extension fills its own tables before the dump's rows come to them.
        if extension_tables.contains(&(entry.namespace.clone(), entry.tag.clone())) {
            continue;
        }
        let copy = entry.copy_stmt.trim_end();
        let digest = archive
            .rows
            .get(&entry.dump_id)
            .copied()
            .unwrap_or_default();
        tables
            .entry(copy)
            .and_modify(|table| table.digest = table.digest.plus(digest))
            .or_insert_with(|| TableFingerprint {
                schema: entry.namespace.clone(),
                name: entry.tag.clone(),
                copy: copy.to_owned(),
                digest,
            });
    }
    tables.into_values().collect()
}

/// Reads `SELECT pg_catalog.setval('...', 42, true);` from its end: the name is quoted.
fn parse_setval(statement: &str) -> Option<(i64, bool)> {
    let arguments = statement.trim_end().strip_suffix(");")?;
    let (rest, is_called) = arguments.rsplit_once(", ")?;
    let (_, last_value) = rest.rsplit_once(", ")?;
    Some((last_value.parse().ok()?, is_called.parse().ok()?))
}

/// Quotes an identifier.
pub(crate) fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a literal, for a server with `standard_conforming_strings = on`.
pub(crate) fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setval_is_read_from_its_end() {
        let odd = "SELECT pg_catalog.setval('\"a, b\".\"s'');\"', -9223372036854775808, false);\n";
        assert_eq!(parse_setval(odd), Some((i64::MIN, false)));
        assert_eq!(
            parse_setval("SELECT pg_catalog.setval('public.s', 42, true);"),
            Some((42, true))
        );
        assert_eq!(parse_setval("SELECT 1;"), None);
    }
}
