//! What a restore will make, as the indexes of the backups say.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::chain::{Level, broken};
use super::lines::for_each_line;
use super::ranged::Source;
use crate::error::Result;
use crate::physical::format::{FileEntry, FileKind};
use crate::repository::ObjectRole;

/// A path in 16 bytes, for maps of a million of them.
pub(crate) type PathKey = [u8; 16];

/// The key of a path relative to the data folder.
pub(crate) fn path_key(path: &[u8]) -> PathKey {
    let mut key = [0; 16];
    blake3::Hasher::new()
        .update(path)
        .finalize_xof()
        .fill(&mut key);
    key
}

/// Where a file begins that is reconstructed.
#[derive(Clone, Copy, Debug)]
struct Base {
    /// The lowest level that is known to be needed.
    level: usize,
    /// Whether that level has it whole.
    whole: bool,
}

/// What a restore will make.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// The folders with their modes, each after its parent.
    pub(crate) folders: Vec<(Vec<u8>, u32)>,
    /// How many files there will be.
    pub(crate) files: u64,
    /// How many plain bytes are read at most, by archive of the newest backup; those of
    /// older ones are with those of the main archive.
    pub(crate) bytes: HashMap<u32, u64>,
    /// All paths that there will be. Empty unless it was asked for.
    pub(crate) known: HashSet<PathKey>,
    bases: HashMap<PathKey, Base>,
    /// How many files the present level must have, and how many it was seen to have.
    wanted: usize,
    found: usize,
}

/// What is to be done with an entry of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nothing: a newer backup has it, or it is gone by then.
    Nothing,
    /// Its content is the file.
    Write,
    /// Its content is applied to the file.
    Apply,
}

impl Outline {
    /// Reads the indexes, newest first. `known` asks for the set of all paths.
    pub(crate) async fn read(source: &Source, levels: &[Level], known: bool) -> Result<Self> {
        let mut outline = Self::default();
        let newest = levels.len().saturating_sub(1);
        for (index, level) in levels.iter().enumerate().rev() {
            outline.wanted = outline.bases.values().filter(|base| !base.whole).count();
            outline.found = 0;
            let here = level.clone();
            let take = move |outline: &mut Self, entry: FileEntry| {
                let (path, whole) = here.place(&entry)?;
                if index == newest {
                    outline.add_newest(path, &entry, whole, index, known);
                } else {
                    outline.add_older(&path, &entry, whole, index);
                }
                Ok(())
            };
            let (operation, store) = (source.operation, &source.store);
            let role = ObjectRole::Files;
            let backup = Arc::clone(&level.backup);
            outline = for_each_line(operation, store, &backup, role, outline, take).await?;
            if outline.found != outline.wanted {
                let what = "it does not have each file once that a later backup builds upon";
                return Err(broken(operation, level, what));
            }
        }
        Ok(outline)
    }

    fn add_newest(
        &mut self,
        path: Vec<u8>,
        entry: &FileEntry,
        whole: bool,
        level: usize,
        known: bool,
    ) {
        let key = path_key(&path);
        if known {
            self.known.insert(key);
        }
        match entry.kind {
            FileKind::Dir => self.folders.push((path, entry.mode)),
            FileKind::Symlink => {}
            FileKind::File => {
                self.files += 1;
                *self.bytes.entry(entry.archive).or_default() += entry.size;
                if !whole {
                    self.bases.insert(key, Base { level, whole });
                }
            }
        }
    }

    fn add_older(&mut self, path: &[u8], entry: &FileEntry, whole: bool, level: usize) {
        let Some(base) = self.bases.get_mut(&path_key(path)) else {
            return;
        };
        if entry.kind != FileKind::File || (base.whole && base.level != level) {
            return;
        }
        *base = Base { level, whole };
        self.found += 1;
        *self.bytes.entry(0).or_default() += entry.size;
    }

    /// What is to be done with a file of a level; `newest` is the last level.
    pub(crate) fn use_of(&self, path: &[u8], whole: bool, level: usize, newest: usize) -> Use {
        let base = self.bases.get(&path_key(path));
        let needed = level == newest || base.is_some_and(|base| base.level <= level);
        match (needed, whole) {
            (false, _) => Use::Nothing,
            (true, true) => Use::Write,
            (true, false) => Use::Apply,
        }
    }
}
