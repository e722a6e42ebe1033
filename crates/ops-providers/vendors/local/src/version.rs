//! Which content an object has now.

use std::fs::File;
use std::io;
use std::sync::Arc;

use ops_core::Result;
use ops_core::object_store::{ObjectMeta, PutCondition};
use rustix::io::Errno;

use crate::error::{self, Context, integrity};
use crate::key::KeyPath;
use crate::lock::{Sharing, lock_shard};
use crate::meta::{self, BLOCK_BYTES, Candidate, MetaFile, MetaState};
use crate::root::{Entry, Facts, Root};
use crate::sums;

/// An object's file and its metadata, opened one after the other.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) file: File,
    pub(crate) facts: Facts,
    pub(crate) meta: MetaState,
}

/// An open object whose content is known by its checksums.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) facts: Facts,
    pub(crate) candidate: Candidate,
    /// Where the block checksums are; a file that was put there by other means has none.
    pub(crate) table: Option<Arc<MetaFile>>,
}

impl Found {
    pub(crate) fn describe(&self, key: &KeyPath) -> ObjectMeta {
        self.candidate.describe(key.key(), &self.facts)
    }
}

impl Snapshot {
    /// Opens an object; `None` where there is none.
    pub(crate) fn open(root: &Root, key: &KeyPath) -> Result<Option<Self>> {
        let file = match root.open_file(key.path()) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => return Err(error::not_an_object()),
            other => other.cannot("open the object")?,
        };
        let stat = rustix::fs::fstat(&file).cannot("look at the object")?;
        match Entry::of(&stat) {
            Entry::Folder => return Ok(None),
            Entry::Other => return Err(error::not_an_object()),
            Entry::Object => {}
        }
        let meta = MetaFile::load(root, key)?;
        Ok(Some(Self {
            file,
            facts: Facts::of(&stat),
            meta,
        }))
    }

    /// Finds out which content the file has, by reading it where nothing else tells.
    ///
    /// The snapshot must have been taken under the key's lock: between opening the file and
    /// its metadata a writer could have replaced both.
    pub(crate) fn identify(self) -> Result<Found> {
        let Self { file, facts, meta } = self;
        let meta = match meta {
            MetaState::Damaged => return Err(meta::damaged()),
            MetaState::Missing => {
                let candidate = foreign(&file, &facts, |_| Ok(()))?;
                return Ok(Found {
                    file,
                    facts,
                    candidate,
                    table: None,
                });
            }
            MetaState::Kept(meta) => meta,
        };
        let candidate = match meta.alike(&facts) {
            Some(candidate) => candidate.clone(),
            None => by_content(&meta, &file, &facts)?,
        };
        Ok(Found {
            file,
            facts,
            candidate,
            table: Some(Arc::new(meta)),
        })
    }

    /// As [`Self::identify`], without the lock, where inode, size and time tell it all.
    fn identify_exactly(self) -> Result<Found, Self> {
        let Self { file, facts, meta } = self;
        match meta {
            MetaState::Kept(meta) => match meta.exact(&facts).cloned() {
                Some(candidate) => Ok(Found {
                    file,
                    facts,
                    candidate,
                    table: Some(Arc::new(meta)),
                }),
                None => Err(Self {
                    file,
                    facts,
                    meta: MetaState::Kept(meta),
                }),
            },
            meta => Err(Self { file, facts, meta }),
        }
    }
}

/// Opens an object for reading.
pub(crate) fn find(root: &Root, key: &KeyPath) -> Result<Found> {
    let snapshot = Snapshot::open(root, key)?.ok_or_else(error::not_found)?;
    match snapshot.identify_exactly() {
        Ok(found) => Ok(found),
        Err(_) => settled_snapshot(root, key)?
            .ok_or_else(error::not_found)?
            .identify(),
    }
}

/// What a listing says about an object: no content is read.
pub(crate) fn glance(root: &Root, key: &KeyPath, facts: Facts) -> Result<Option<ObjectMeta>> {
    if let MetaState::Kept(meta) = MetaFile::load(root, key)?
        && let Some(candidate) = meta.exact(&facts)
    {
        return Ok(Some(candidate.describe(key.key(), &facts)));
    }
    let Some(snapshot) = settled_snapshot(root, key)? else {
        return Ok(None);
    };
    let facts = snapshot.facts;
    let known = match &snapshot.meta {
        MetaState::Kept(meta) => meta.alike(&facts),
        MetaState::Missing | MetaState::Damaged => None,
    };
    let described = known.map(|candidate| candidate.describe(key.key(), &facts));
    Ok(Some(
        described.unwrap_or_else(|| meta::bare(key.key(), &facts)),
    ))
}

/// Checks the condition of a write before any content is transferred, so that a write that
/// has lost already fails early. What decides is the check under the lock.
pub(crate) fn check_early(root: &Root, key: &KeyPath, condition: &PutCondition) -> Result<()> {
    match condition {
        PutCondition::IfNoneMatch if Snapshot::open(root, key)?.is_some() => {
            Err(error::already_exists())
        }
        PutCondition::IfMatch(etag) => match find(root, key) {
            Ok(found) if found.candidate.etag() == *etag => Ok(()),
            Ok(_) => Err(error::version_conflict()),
            Err(err) if err.is_not_found() => Err(error::version_conflict()),
            Err(err) => Err(err),
        },
        _ => Ok(()),
    }
}

/// Opens an object while no writer can be between its two renames.
fn settled_snapshot(root: &Root, key: &KeyPath) -> Result<Option<Snapshot>> {
    let _lock = match lock_shard(root, key.lock_shard(), Sharing::Shared) {
        Ok(lock) => Some(lock),
        // Nothing was ever written here, or it is a copy without the private folder.
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(errno).cannot("lock the key"),
    };
    Snapshot::open(root, key)
}

/// Describes a file that was put there by other means.
pub(crate) fn foreign(
    file: &File,
    facts: &Facts,
    table: impl FnMut(u32) -> io::Result<()>,
) -> Result<Candidate> {
    let (blake3, size_bytes) = sums::of_file(file, table).cannot("read the object")?;
    if size_bytes != facts.size_bytes {
        return Err(integrity("the file changes while it is read"));
    }
    Ok(Candidate {
        version: facts.modified_ns.cast_unsigned() ^ facts.inode.rotate_left(32),
        size_bytes,
        blake3,
        block_bytes: BLOCK_BYTES,
        table_offset: 0,
        inode: facts.inode,
        modified_ns: facts.modified_ns,
    })
}

fn by_content(meta: &MetaFile, file: &File, facts: &Facts) -> Result<Candidate> {
    let mut sized = meta
        .candidates()
        .iter()
        .filter(|one| one.size_bytes == facts.size_bytes)
        .peekable();
    if sized.peek().is_none() {
        return Err(integrity(format!(
            "the object has {} bytes, which is not what was written",
            facts.size_bytes
        )));
    }
    let (blake3, _) = sums::of_file(file, |_| Ok(())).cannot("read the object")?;
    sized
        .find(|candidate| candidate.blake3 == blake3)
        .cloned()
        .ok_or_else(|| integrity("the object is not what was written"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ops_core::ObjectKey;
    use ops_core::object_store::PutOptions;

    use super::*;
    use crate::config::Durability;
    use crate::store::Store;
    use crate::upload::Upload;

    #[test]
    fn a_file_that_was_opened_before_two_writes_is_not_taken_for_either() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Durability::None, false).unwrap();
        let key = KeyPath::new(&ObjectKey::new("x").unwrap()).unwrap();
        let put = |data: &'static str| {
            let mut upload = Upload::begin(&store, &key, PutOptions::default()).unwrap();
            upload.write(&[Bytes::from(data)]).unwrap();
            upload.commit(&store, &key).unwrap()
        };
        put("old");
        let before = Snapshot::open(store.root(), &key).unwrap().unwrap();
        put("mid");
        let newest = put("new");
        let meta = MetaFile::load(store.root(), &key).unwrap();
        let mixed = Snapshot { meta, ..before };
        assert!(mixed.identify_exactly().is_err());
        assert_eq!(find(store.root(), &key).unwrap().describe(&key), newest);
    }
}
