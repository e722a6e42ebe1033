//! Taking base backups.

use ops_backup::{FileEntry, FileKind};

#[test]
fn an_index_entry_can_be_made_by_hand() {
    let entry = FileEntry::new("base", FileKind::Dir);
    let line = serde_json::to_string(&entry).unwrap();
    assert!(line.contains("\"kind\":\"dir\""), "{line}");
}
