//! Holds `docs/repository-format.md` to the types.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::gap::GapRecord;
use super::header::Header;
use super::hint::Hint;
use super::info::{ArchiveInfo, Lineage};
use super::restore_point::RestorePoint;
use crate::physical::{FileEntry, FrameTable};
use crate::repository::Manifest;

const PAGE: &str = include_str!("../../../../docs/repository-format.md");

/// A section of the page: an example of a type, and the table of its fields.
struct Section {
    example: String,
    fields: BTreeSet<String>,
}

fn section(name: &str) -> Section {
    let start = format!("<!-- type: {name} -->\n");
    let (_, rest) = PAGE
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name}"));
    let (_, rest) = rest.split_once('\n').unwrap();
    let (example, rest) = rest.split_once("```\n").unwrap();
    let rows = rest.lines().skip_while(|line| !line.starts_with("| `"));
    let rows = rows.take_while(|line| line.starts_with("| `"));
    let fields = rows
        .map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect();
    Section {
        example: example.to_owned(),
        fields,
    }
}

/// The paths of all values in a value.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                paths(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(items) => {
            for item in items {
                paths(item, &format!("{path}[]"), found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

fn check<T: Serialize + DeserializeOwned>(name: &str) {
    let Section { example, fields } = section(name);
    let value: T = serde_json::from_str(&example).unwrap_or_else(|err| panic!("{name}: {err}"));
    let written = serde_json::to_value(&value).unwrap();
    let shown: Value = serde_json::from_str(&example).unwrap();
    assert_eq!(
        written, shown,
        "{name}: the example has every field, and no other"
    );
    let mut found = BTreeSet::new();
    paths(&written, "", &mut found);
    assert_eq!(found, fields, "{name}: the table");
}

#[test]
fn each_example_is_read_and_written_as_it_stands_and_each_field_is_in_its_table() {
    check::<Manifest>("Manifest");
    check::<FileEntry>("FileEntry");
    check::<FrameTable>("FrameTable");
    check::<ArchiveInfo>("ArchiveInfo");
    check::<Lineage>("Lineage");
    check::<GapRecord>("GapRecord");
    check::<RestorePoint>("RestorePoint");
    check::<Hint>("Hint");
}

#[test]
fn the_line_in_the_open_has_the_fields_of_its_table() {
    let Section { example, fields } = section("Header");
    let line = format!("ops-backup-wal {example}");
    let mut object = 0x184D_2A57_u32.to_le_bytes().to_vec();
    object.extend_from_slice(&u32::try_from(line.len()).unwrap().to_le_bytes());
    object.extend_from_slice(line.as_bytes());
    let header = Header::find(&"the example", &object).unwrap();
    assert_eq!(header.fields().join(" "), example.trim_end());
    let names = header.fields().into_iter();
    let names: BTreeSet<_> = names
        .map(|it| it.split('=').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, fields);
    assert_eq!(
        Header {
            epoch: None,
            ..header
        }
        .skippable_frame()[..4],
        object[..4]
    );
}

#[test]
fn the_tombstone_and_the_seal_are_those_of_the_page() {
    let shown = PAGE
        .lines()
        .find(|line| line.contains("\"swept\":true}"))
        .unwrap();
    let stored = format!("{shown}\n");
    assert_eq!(stored.as_bytes(), crate::repository::TOMBSTONE);
    assert!(PAGE.contains(&format!("exactly these {} bytes", stored.len())));
    // As the page says: by hand, without the code that seals.
    let identity = crate::keys::BackupIdentity::generate();
    let manifest: Manifest = serde_json::from_str(&section("Manifest").example).unwrap();
    for identity in [None, Some(&identity)] {
        let stored = String::from_utf8(manifest.to_bytes(identity).unwrap()).unwrap();
        let (body, rest) = stored.rsplit_once(",\n  \"seal\": \"").unwrap();
        let seal = rest.strip_suffix("\"\n}\n").unwrap();
        let expected = match identity {
            None => format!("blake3:{}", blake3::hash(body.as_bytes()).to_hex()),
            Some(identity) => {
                let text = identity.secret_text();
                let key = blake3::derive_key("ops-backup manifest seal v1", text.as_bytes());
                format!(
                    "blake3-keyed:{}",
                    blake3::keyed_hash(&key, body.as_bytes()).to_hex()
                )
            }
        };
        assert_eq!(seal, expected);
        assert!(identity.is_none_or(|it| it.secret_text() == it.secret_text().to_uppercase()));
    }
}

#[test]
fn the_names_of_the_page_are_those_of_the_layout() {
    use super::layout::WalLayout;
    use crate::repository::{BackupId, Layout, ObjectRole};
    use ops_pg_replication::{Lsn, SegmentName, SystemId, Timeline, WalSegmentSize};
    let id: BackupId = "20261121T030000Z-00c0ffee".parse().unwrap();
    let layout = Layout::new("");
    let roles = [
        ObjectRole::Identity,
        ObjectRole::Dump,
        ObjectRole::Globals,
        ObjectRole::Fingerprint,
        ObjectRole::Data,
        ObjectRole::Files,
        ObjectRole::Frames,
        ObjectRole::BackupManifest,
    ];
    let listed = |key: String| {
        let shown = key.replace(id.as_str(), "<id>");
        assert!(PAGE.contains(&format!("<prefix>{shown}")), "{shown}");
    };
    for role in roles {
        listed(layout.object(&id, role, 0, true).unwrap().to_string());
    }
    listed(layout.manifest(&id).unwrap().to_string());
    listed(layout.lease(&id).unwrap().to_string());
    let (size, first) = (WalSegmentSize::DEFAULT, Timeline::FIRST);
    let wal = WalLayout::new("", SystemId::new(77), true);
    let name = SegmentName::new(first, 3);
    let shown = [
        WalLayout::lineage_of("").unwrap(),
        wal.info().unwrap(),
        wal.lease().unwrap(),
        wal.hint().unwrap(),
        wal.epoch(1).unwrap(),
        wal.segment(name, size).unwrap(),
        wal.part(name, size, 0, 4096).unwrap(),
        wal.history(first).unwrap(),
        wal.gap(first, Lsn::new(1), Lsn::new(2)).unwrap(),
        wal.restore_point(first, Lsn::new(2)).unwrap(),
        wal.expired_mark(crate::physical::WalRange::new(
            first,
            Lsn::new(1),
            Lsn::new(2),
        ))
        .unwrap(),
        wal.expire_lease().unwrap(),
        wal.restore_pin("0123456789abcdef").unwrap(),
    ];
    let replacements = [
        ("/77/", "/<system id>/"),
        ("/000000010000000000000003/", "/<name>/"),
        ("/000000010000000000000003.", "/<name>."),
        ("epochs/00000001/", "epochs/<number>/"),
        ("/00000001/00000000/", "/<timeline>/<log>/"),
        ("/00000001/", "/<timeline>/"),
        ("/00000001.", "/<timeline>."),
        ("00000000-00001000", "<from>-<to>"),
        ("0000000000000001-0000000000000002", "<from>-<to>"),
        ("/0000000000000002.", "/<end>."),
        ("/0123456789abcdef.", "/<random>."),
    ];
    for key in shown {
        let start = key.to_string();
        let replaced = replacements
            .iter()
            .fold(start, |key, (from, to)| key.replace(from, to));
        listed(replaced);
    }
}
