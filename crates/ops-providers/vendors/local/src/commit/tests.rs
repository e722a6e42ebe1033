//! The process stops between two steps of a write.

use bytes::Bytes;
use ops_core::ObjectKey;
use ops_core::object_store::{Checksum, PutOptions};

use super::*;
use crate::config::Durability;
use crate::upload::Upload;
use crate::version::find;

/// The steps after which a process can stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    CheckPlace,
    PublishMeta,
    PublishData,
}

const STEPS: [Step; 4] = [
    Step::Begin,
    Step::CheckPlace,
    Step::PublishMeta,
    Step::PublishData,
];

impl Commit<'_> {
    /// Takes the steps up to one, and then does what a dead process does: nothing.
    fn stop_after(mut self, last: Step) {
        for step in STEPS {
            match step {
                Step::Begin => {}
                Step::CheckPlace => self.check_place().unwrap(),
                Step::PublishMeta => self.publish_meta().unwrap(),
                Step::PublishData => self.publish_data().unwrap(),
            }
            if step == last {
                break;
            }
        }
        let Self { data, table, .. } = self;
        data.abandon();
        if let Some(table) = table {
            table.abandon();
        }
    }
}

struct Scratch {
    dir: tempfile::TempDir,
    key: KeyPath,
}

impl Scratch {
    fn new() -> Self {
        let key = KeyPath::new(&ObjectKey::new("a/b").unwrap()).unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            key,
        }
    }

    fn store(&self) -> Store {
        Store::open(self.dir.path(), Durability::None, false).unwrap()
    }

    fn upload(&self, store: &Store, data: &[u8]) -> Upload {
        let mut upload = Upload::begin(store, &self.key, PutOptions::default()).unwrap();
        upload.write(&[Bytes::copy_from_slice(data)]).unwrap();
        upload
    }

    fn put(&self, data: &[u8]) -> ObjectMeta {
        let store = self.store();
        self.upload(&store, data).commit(&store, &self.key).unwrap()
    }

    fn put_and_stop(&self, data: &[u8], last: Step) {
        let store = self.store();
        let (sealed, condition) = self.upload(&store, data).seal(&store).unwrap();
        Commit::begin(&store, &self.key, &condition, sealed)
            .unwrap()
            .stop_after(last);
    }

    /// What a reader finds, each block verified; `None` where there is no object.
    fn read(&self) -> Result<Option<(ObjectMeta, Vec<u8>)>> {
        let found = match find(self.store().root(), &self.key) {
            Err(err) if err.is_not_found() => return Ok(None),
            other => other?,
        };
        let meta = found.describe(&self.key);
        let data = crate::read::Reader::new(found, 0..meta.size_bytes).read_to_end()?;
        Ok(Some((meta, data)))
    }
}

fn checksum(data: &[u8]) -> Checksum {
    Checksum::Blake3(*blake3::hash(data).as_bytes())
}

fn content(fill: u8) -> Vec<u8> {
    vec![fill; 300_000]
}

#[test]
fn a_create_that_stops_is_absent_or_whole() {
    for last in STEPS {
        let scratch = Scratch::new();
        scratch.put_and_stop(&content(1), last);
        let found = scratch.read().unwrap();
        if last == Step::PublishData {
            let (meta, data) = found.unwrap();
            assert_eq!(meta.checksum, Some(checksum(&content(1))));
            assert!(data == content(1));
        } else {
            assert!(found.is_none(), "{last:?}");
        }
    }
}

#[test]
fn a_replacement_that_stops_leaves_the_old_version_or_the_new() {
    for last in STEPS {
        let scratch = Scratch::new();
        let old = scratch.put(&content(1));
        scratch.put_and_stop(&content(2), last);
        let (meta, data) = scratch.read().unwrap().unwrap();
        if last == Step::PublishData {
            assert_eq!(meta.checksum, Some(checksum(&content(2))));
            assert!(data == content(2));
        } else {
            assert_eq!(meta, old, "{last:?}");
            assert!(data == content(1));
        }
    }
}

#[test]
fn any_sequence_of_two_stops_and_a_write_ends_well() {
    for first in STEPS {
        for second in STEPS {
            let scratch = Scratch::new();
            scratch.put(&content(1));
            scratch.put_and_stop(&content(2), first);
            scratch.put_and_stop(&content(3), second);
            let (meta, data) = scratch.read().unwrap().unwrap();
            let expected = match (first, second) {
                (_, Step::PublishData) => content(3),
                (Step::PublishData, _) => content(2),
                _ => content(1),
            };
            assert!(data == expected, "{first:?} {second:?}");
            assert_eq!(meta.checksum, Some(checksum(&expected)));
            let last = scratch.put(&content(4));
            assert_eq!(scratch.read().unwrap().unwrap(), (last, content(4)));
        }
    }
}

#[test]
fn a_stop_is_survived_where_times_and_inodes_are_lost_too() {
    for last in STEPS {
        let scratch = Scratch::new();
        scratch.put(&content(1));
        scratch.put_and_stop(&content(2), last);
        let path = scratch.dir.path().join("a/b");
        let data = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &data).unwrap();
        // The clock of the file system may not have moved since the other version.
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let (meta, read) = scratch.read().unwrap().unwrap();
        assert!(read == data, "{last:?}");
        assert_eq!(meta.checksum, Some(checksum(&data)));
    }
}

#[test]
fn a_file_that_was_put_there_by_other_means_survives_a_stop_on_it() {
    for last in STEPS {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.dir.path().join("a")).unwrap();
        std::fs::write(scratch.dir.path().join("a/b"), content(9)).unwrap();
        scratch.put_and_stop(&content(2), last);
        let expected = if last == Step::PublishData {
            content(2)
        } else {
            content(9)
        };
        let (meta, data) = scratch.read().unwrap().unwrap();
        assert!(data == expected, "{last:?}");
        assert_eq!(meta.checksum, Some(checksum(&expected)));
    }
}

#[test]
fn a_stop_on_damage_does_not_make_it_look_good() {
    for last in [Step::Begin, Step::CheckPlace, Step::PublishMeta] {
        let scratch = Scratch::new();
        scratch.put(&content(1));
        std::fs::write(scratch.dir.path().join("a/b"), content(8)).unwrap();
        scratch.put_and_stop(&content(2), last);
        assert_eq!(
            scratch.read().unwrap_err().kind(),
            ErrorKind::Integrity,
            "{last:?}"
        );
    }
}

#[test]
fn a_delete_after_a_stop_leaves_nothing() {
    for last in STEPS {
        let scratch = Scratch::new();
        scratch.put_and_stop(&content(1), last);
        let outcome = delete(&scratch.store(), &scratch.key).unwrap();
        assert_eq!(
            outcome == DeleteOutcome::Deleted,
            last == Step::PublishData,
            "{last:?}"
        );
        assert!(!scratch.dir.path().join(scratch.key.meta_path()).exists());
        assert!(!scratch.dir.path().join("a/b").exists());
    }
}

#[test]
fn a_stop_of_a_delete_leaves_metadata_that_no_reader_takes_for_an_object() {
    let scratch = Scratch::new();
    scratch.put(&content(1));
    std::fs::remove_file(scratch.dir.path().join("a/b")).unwrap();
    assert!(scratch.read().unwrap().is_none());
    let again = scratch.put(&content(2));
    assert_eq!(scratch.read().unwrap().unwrap(), (again, content(2)));
}
