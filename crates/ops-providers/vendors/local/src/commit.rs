//! How an object becomes visible: two renames, and a crash at any point between them.
//!
//! An object is a file of content and a file of metadata, and no file system renames two
//! files at once. The order makes every point between them a good one:
//!
//! 1. The content is complete in a temporary file, and synced.
//! 2. The key's lock is taken. The content that is visible now is looked at, and the
//!    condition of the write is checked against it.
//! 3. Metadata with *two* candidates, the content that is visible and the one to come, is
//!    written to a temporary file, synced, renamed into its place, and its folder synced.
//! 4. The content is renamed into its place. This is the moment of the write.
//! 5. The folder of the object is synced, the lock released, the write acknowledged.
//!
//! | stopped after | a reader finds | and takes it for |
//! | --- | --- | --- |
//! | 1, 2 | old content, metadata that has it | the old version |
//! | 3 | old content, metadata that has both | the old version |
//! | 4, 5 | new content, metadata that has both | the new version |
//!
//! A reader tells the candidates apart by inode, size and time of the file that it opened.
//! Where the store was copied and these have changed, it hashes the content. The old
//! candidate stays in the metadata until the next write replaces it: removing it would cost
//! a third synced rename and protect from nothing.
//!
//! A file that was put there by other means gets a candidate in step 3, so that it stays
//! readable if the write stops there. Content that is not what was written gets none, so that
//! an interrupted write does not make damage look good.
//!
//! Deleting goes the other way: content first, metadata when that is durable.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ops_core::object_store::{DeleteOutcome, ObjectMeta, PutCondition};
use ops_core::{Error, ErrorKind, Result, Retry};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::error::{self, Context};
use crate::key::KeyPath;
use crate::lock::{Sharing, hold_names, lock_shard};
use crate::meta::{Candidate, MetaFile, MetaState, MetaWriter};
use crate::root::{Entry, Facts};
use crate::store::Store;
use crate::temp::TempFile;
use crate::version::{Snapshot, foreign};

/// How often a folder is made again that others remove because it is empty.
const ATTEMPTS: u32 = 1000;

/// Content that is complete and synced, but not visible.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) data: TempFile,
    /// Holds the table of `new`, and nothing behind it yet.
    pub(crate) table: MetaWriter,
    pub(crate) new: Candidate,
    pub(crate) facts: Facts,
}

/// What is visible under the key before the write.
#[derive(Debug)]
enum Old {
    Absent,
    /// Put there by other means.
    Foreign(File, Facts),
    /// Not what was written.
    Broken,
    Kept(Candidate, Arc<MetaFile>),
}

impl Old {
    /// Must be called under the key's lock.
    fn look(store: &Store, key: &KeyPath) -> Result<Self> {
        let Some(snapshot) = Snapshot::open(store.root(), key)? else {
            return Ok(Self::Absent);
        };
        match snapshot.meta {
            MetaState::Missing => return Ok(Self::Foreign(snapshot.file, snapshot.facts)),
            MetaState::Damaged => return Ok(Self::Broken),
            MetaState::Kept(_) => {}
        }
        match snapshot.identify() {
            Ok(found) => Ok(found
                .table
                .map_or(Self::Broken, |table| Self::Kept(found.candidate, table))),
            Err(err) if err.kind() == ErrorKind::Integrity => Ok(Self::Broken),
            Err(err) => Err(err),
        }
    }

    fn check(&self, condition: &PutCondition) -> Result<()> {
        let expected = match condition {
            PutCondition::Always => return Ok(()),
            PutCondition::IfNoneMatch if matches!(self, Self::Absent) => return Ok(()),
            PutCondition::IfNoneMatch => return Err(error::already_exists()),
            PutCondition::IfMatch(etag) => etag,
            _ => return Err(Error::unsupported("this condition of a write")),
        };
        let actual = match self {
            Self::Absent => return Err(error::version_conflict()),
            Self::Broken => {
                return Err(error::integrity("the object is damaged and has no version"));
            }
            Self::Kept(candidate, _) => candidate.etag(),
            Self::Foreign(file, facts) => foreign(file, facts, |_| Ok(()))?.etag(),
        };
        if actual == *expected {
            Ok(())
        } else {
            Err(error::version_conflict())
        }
    }

    /// Writes the candidate of the content that is visible, with its table.
    fn write_candidate(&self, table: &mut MetaWriter) -> Result<Option<Candidate>> {
        match self {
            Self::Absent | Self::Broken => Ok(None),
            Self::Kept(candidate, from) => table
                .adopt(from, candidate)
                .cannot("write the object's metadata")
                .map(Some),
            Self::Foreign(file, facts) => {
                let table_offset = table.position();
                let candidate = foreign(file, facts, |crc| table.push(crc))?;
                Ok(Some(Candidate {
                    table_offset,
                    ..candidate
                }))
            }
        }
    }
}

/// A write between its steps. Dropping it undoes what is not visible.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    store: &'a Store,
    key: &'a KeyPath,
    create_only: bool,
    old: Old,
    data: TempFile,
    table: Option<MetaWriter>,
    new: Candidate,
    facts: Facts,
    /// The folder of the object, once the object is in it.
    folder: Option<OwnedFd>,
    _lock: File,
}

impl<'a> Commit<'a> {
    /// Takes the lock and checks the condition.
    pub(crate) fn begin(
        store: &'a Store,
        key: &'a KeyPath,
        condition: &PutCondition,
        sealed: Sealed,
    ) -> Result<Self> {
        let lock = lock_key(store, key)?;
        let old = Old::look(store, key)?;
        old.check(condition)?;
        let Sealed {
            data,
            table,
            new,
            facts,
        } = sealed;
        Ok(Self {
            store,
            key,
            create_only: *condition == PutCondition::IfNoneMatch,
            old,
            data,
            table: Some(table),
            new,
            facts,
            folder: None,
            _lock: lock,
        })
    }

    /// Takes all steps.
    pub(crate) fn run(mut self) -> Result<ObjectMeta> {
        if let Err(err) = self.publish() {
            self.roll_back();
            return Err(err);
        }
        // The object is visible, but a power failure may take it back.
        self.sync()
            .map_err(|err| err.with_retry(Retry::OutcomeUnknown))?;
        Ok(self.new.describe(self.key.key(), &self.facts))
    }

    fn publish(&mut self) -> Result<()> {
        self.check_place()?;
        self.publish_meta()?;
        self.publish_data()
    }

    /// Refuses a key that is a folder, or whose folder is an object.
    fn check_place(&self) -> Result<()> {
        let folder = self.ensure_folder()?;
        match rustix::fs::statat(&folder, self.key.leaf(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if Entry::of(&stat) != Entry::Folder => Ok(()),
            // A write that died may have left empty folders, which are in nobody's way.
            Ok(_) if !self.store.root().remove_empty(self.key.path()) => Err(error::is_folder()),
            _ => Ok(()),
        }
    }

    fn publish_meta(&mut self) -> Result<()> {
        let Some(mut table) = self.table.take() else {
            return Ok(());
        };
        let root = self.store.root();
        let old = self.old.write_candidate(&mut table)?;
        let candidates = old.into_iter().chain([self.new.clone()]).collect();
        let mut temp = table
            .finish(self.key, candidates)
            .cannot("write the object's metadata")?;
        root.sync(temp.file())
            .cannot("sync the object's metadata")?;
        let folder = root
            .ensure_folder(&self.key.meta_folder())
            .cannot("make the folder for metadata")?;
        temp.publish(&folder, &self.key.meta_leaf())
            .cannot("publish the object's metadata")?;
        root.sync(&folder).cannot("sync the folder for metadata")
    }

    fn publish_data(&mut self) -> Result<()> {
        let _names = match self.old {
            Old::Absent => None,
            _ => Some(hold_names(self.store.root()).cannot("lock the names")?),
        };
        for _ in 0..ATTEMPTS {
            let folder = self.ensure_folder()?;
            let leaf = self.key.leaf();
            let renamed = if self.create_only {
                self.data.publish_new(&folder, leaf)
            } else {
                self.data.publish(&folder, leaf)
            };
            match renamed {
                // The folder was empty, and a delete beside it has removed it.
                Err(Errno::NOENT) if self.data.is_linked().unwrap_or(false) => {}
                Err(Errno::EXIST) => return Err(error::already_exists()),
                other => {
                    self.folder = Some(folder);
                    return other.cannot("publish the object");
                }
            }
        }
        Err(folder_vanishes())
    }

    fn sync(&self) -> Result<()> {
        match &self.folder {
            Some(folder) => self
                .store
                .root()
                .sync(folder)
                .cannot("sync the object's folder"),
            None => Ok(()),
        }
    }

    fn ensure_folder(&self) -> Result<OwnedFd> {
        for _ in 0..ATTEMPTS {
            match self.store.root().ensure_folder(self.key.folder()) {
                Err(Errno::NOENT) => {}
                other => return other.cannot("make the object's folder"),
            }
        }
        Err(folder_vanishes())
    }

    /// Removes what would stay behind: metadata without an object, and empty folders.
    fn roll_back(&self) {
        if matches!(self.old, Old::Absent) {
            if let Err(err) = forget(self.store, self.key) {
                tracing::warn!(error = %err, key = %self.key.key(), "metadata stays behind");
            }
            self.store.root().prune(self.key.folder());
        }
    }
}

/// Deletes an object, its metadata, and the folders that are empty then.
pub(crate) fn delete(store: &Store, key: &KeyPath) -> Result<DeleteOutcome> {
    store.temp()?;
    let _lock = lock_key(store, key)?;
    let root = store.root();
    let folder = match root.open_folder(key.folder()) {
        Err(Errno::NOENT | Errno::NOTDIR) => {
            forget(store, key)?;
            return Ok(DeleteOutcome::AlreadyGone);
        }
        other => other.cannot("open the object's folder")?,
    };
    let outcome = match rustix::fs::statat(&folder, key.leaf(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => DeleteOutcome::AlreadyGone,
        Err(errno) => return Err(errno).cannot("look at the object"),
        Ok(stat) => match Entry::of(&stat) {
            Entry::Folder => return Ok(DeleteOutcome::AlreadyGone),
            Entry::Other => return Err(error::not_an_object()),
            Entry::Object => DeleteOutcome::Deleted,
        },
    };
    if outcome == DeleteOutcome::Deleted {
        rustix::fs::unlinkat(&folder, key.leaf(), AtFlags::empty()).cannot("delete the object")?;
        root.sync(&folder).cannot("sync the object's folder")?;
    }
    forget(store, key)?;
    root.prune(key.folder());
    Ok(outcome)
}

fn lock_key(store: &Store, key: &KeyPath) -> Result<File> {
    lock_shard(store.root(), key.lock_shard(), Sharing::Exclusive).cannot("lock the key")
}

/// Removes the metadata of a key that has no object.
fn forget(store: &Store, key: &KeyPath) -> Result<()> {
    let folder = match store.root().open_folder(&key.meta_folder()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.cannot("open the folder for metadata")?,
    };
    match rustix::fs::unlinkat(&folder, key.meta_leaf(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno).cannot("delete the object's metadata"),
    }
}

#[cold]
fn folder_vanishes() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the object's folder is removed again and again",
    )
}

#[cfg(test)]
mod tests;
