//! Objects by their definitions.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_128;

use crate::archive::TocEntry;

/// One entry of a dump's table of contents that defines something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct DefinitionFingerprint {
    pub(crate) kind: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    /// XXH3-128 of the defining SQL, in hex.
    pub(crate) hash: String,
}

/// Entries that are not objects of the database: session settings and rows, and what
/// names the database itself, which a copy may be called otherwise.
const LEFT_OUT: [&str; 11] = [
    "ENCODING",
    "STDSTRINGS",
    "SEARCHPATH",
    "TABLE DATA",
    "SEQUENCE SET",
    "MATERIALIZED VIEW DATA",
    "BLOBS",
    "LARGE OBJECTS",
    "DATABASE",
    "DATABASE PROPERTIES",
    "STATISTICS DATA",
];

/// The definitions of a table of contents, sorted.
pub(crate) fn definitions_of(toc: &[TocEntry]) -> Vec<DefinitionFingerprint> {
    let mut definitions: Vec<_> = toc
        .iter()
        .filter(|entry| !LEFT_OUT.contains(&entry.desc.as_str()))
        .filter(|entry| !entry.tag.starts_with("DATABASE "))
        // pg_dump 17 and newer groups large objects by owner and rights, not by oid.
        .filter(|entry| !entry.desc.starts_with("BLOB") && !entry.tag.starts_with("LARGE OBJECT"))
        .map(|entry| DefinitionFingerprint {
            kind: entry.desc.clone(),
            schema: entry.namespace.clone(),
            name: entry.tag.clone(),
            // Whoever restores owns an extension, and the privileges on what is in it.
            owner: if entry.desc == "ACL" {
                String::new()
            } else {
                entry.owner.clone()
            },
            hash: format!("{:032x}", xxh3_128(comparable(entry).as_bytes())),
        })
        .collect();
    definitions.sort_unstable();
    definitions
}

/// The definition, without what differs although it means the same.
fn comparable(entry: &TocEntry) -> Cow<'_, str> {
    if entry.desc != "POLICY" {
        return Cow::Borrowed(&entry.defn);
    }
    // A policy's roles are listed in the order in which they were made.
    let mut words: Vec<&str> = entry
        .defn
        .split([' ', ',', '\n'])
        .filter(|word| !word.is_empty())
        .collect();
    words.sort_unstable();
    Cow::Owned(words.join(" "))
}
