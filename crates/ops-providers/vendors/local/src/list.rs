//! Listing in the order of the keys' bytes.
//!
//! The order of a folder's names is not the order of keys: `/` sorts after `-` and `.`, so
//! `a-b` and `a.b` stand before everything in the folder `a`. A folder therefore sorts by its
//! name with a slash.
//!
//! A folder is read in batches of its smallest names, so that memory does not grow with the
//! number of objects: a folder that has more is read again for each further batch.

use std::collections::{BinaryHeap, VecDeque};
use std::os::fd::OwnedFd;

use futures_util::StreamExt;
use ops_core::object_store::{ListOptions, ObjectMeta};
use ops_core::{Error, ErrorKind, ItemStream, ObjectKey, Result};
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use crate::error::Context;
use crate::key::{KeyPath, LOST_AND_FOUND, PRIVATE, problem_of};
use crate::lock::freeze_names;
use crate::root::{Entry, Facts};
use crate::store::{Operation, Store, blocking};
use crate::version::glance;

/// How many names of one folder are held at once.
const BATCH_NAMES: usize = 16 * 1024;

/// How many objects are looked up in one blocking task.
const PAGE_OBJECTS: usize = 256;

/// Lists objects, reading the file system page by page as the stream is polled.
pub(crate) fn list(store: std::sync::Arc<Store>, options: ListOptions) -> ItemStream<ObjectMeta> {
    let lister = Lister::new(options, BATCH_NAMES);
    let pages = futures_util::stream::unfold(Some(lister), move |lister| {
        let (lister, store) = (lister, std::sync::Arc::clone(&store));
        async move {
            let mut lister = lister?;
            let next = blocking(move || {
                let page = lister.next_page(&store);
                Ok((page, lister))
            });
            match next.await {
                Err(err) => Some((vec![Err(err)], None)),
                Ok((page, _)) if page.is_empty() => None,
                Ok((page, lister)) => Some((page, Some(lister))),
            }
        }
    });
    let operation = Operation::new("object_store.list");
    Box::pin(
        pages
            .flat_map(futures_util::stream::iter)
            .map(move |item| item.map_err(|err| operation.decorate(err))),
    )
}

/// A walk over the folders of the store, depth first.
#[derive(Debug)]
struct Lister {
    prefix: String,
    after: String,
    batch_names: usize,
    stack: Vec<Folder>,
}

/// A folder on the way from the root to where the walk is.
#[derive(Debug)]
struct Folder {
    /// Empty for the root, else with a final slash.
    path: Vec<u8>,
    fd: Option<OwnedFd>,
    /// Names in key order, those of folders with a final slash.
    names: VecDeque<Vec<u8>>,
    /// Where the next batch begins; `None` before the first.
    read_until: Vec<u8>,
    has_more: bool,
}

impl Folder {
    fn new(path: Vec<u8>) -> Self {
        Self {
            path,
            fd: None,
            names: VecDeque::new(),
            read_until: Vec::new(),
            has_more: true,
        }
    }
}

impl Lister {
    fn new(options: ListOptions, batch_names: usize) -> Self {
        let prefix = options.prefix;
        let after = options.start_after.map(String::from).unwrap_or_default();
        let start = prefix.rsplit_once('/').map(|(folder, _)| folder);
        let stack = match start {
            // No key begins like this.
            Some(folder) if problem_of(folder).is_some() => Vec::new(),
            Some(folder) => vec![Folder::new(format!("{folder}/").into_bytes())],
            None => vec![Folder::new(Vec::new())],
        };
        Self {
            prefix,
            after,
            batch_names,
            stack,
        }
    }

    /// The next objects; empty at the end. An error is the last item of all.
    fn next_page(&mut self, store: &Store) -> Vec<Result<ObjectMeta>> {
        let mut page = Vec::new();
        while page.len() < PAGE_OBJECTS {
            match self.step(store) {
                Ok(Step::Object(meta)) => page.push(Ok(meta)),
                Ok(Step::Moved) => {}
                Ok(Step::End) => break,
                Err(err) => {
                    self.stack.clear();
                    page.push(Err(err));
                    break;
                }
            }
        }
        page
    }

    fn step(&mut self, store: &Store) -> Result<Step> {
        let Some(folder) = self.stack.last_mut() else {
            return Ok(Step::End);
        };
        if let Some(name) = folder.names.pop_front() {
            let path = [folder.path.as_slice(), &name].concat();
            if name.ends_with(b"/") {
                // Descriptors are held for the deepest folder only.
                folder.fd = None;
                utf8(&path)?;
                self.stack.push(Folder::new(path));
                return Ok(Step::Moved);
            }
            let found = object(store, folder, &name, utf8(&path)?)?;
            return Ok(found.map_or(Step::Moved, Step::Object));
        }
        if folder.has_more && open(store, folder)? {
            self.read_batch(store)?;
        } else {
            self.stack.pop();
        }
        Ok(Step::Moved)
    }

    /// Reads the smallest names that were not read before.
    fn read_batch(&mut self, store: &Store) -> Result<()> {
        let Some(folder) = self.stack.last_mut() else {
            return Ok(());
        };
        let Some(fd) = &folder.fd else { return Ok(()) };
        let wanted = Wanted {
            prefix: self.prefix.as_bytes(),
            after: self.after.as_bytes(),
        };
        let _names = freeze_names(store.root()).cannot("lock the names")?;
        let mut smallest = BinaryHeap::new();
        folder.has_more = false;
        for entry in Dir::read_from(fd).cannot("read a folder")? {
            let entry = entry.cannot("read a folder")?;
            let name = entry.file_name();
            if is_hidden(&folder.path, name.to_bytes()) {
                continue;
            }
            let Some(entry) = kind(fd, name, entry.file_type())? else {
                continue;
            };
            let mut name = name.to_bytes().to_vec();
            if entry == Entry::Folder {
                name.push(b'/');
            }
            if entry == Entry::Other
                || name <= folder.read_until
                || !wanted.includes(&[folder.path.as_slice(), &name].concat())
            {
                continue;
            }
            smallest.push(name);
            if smallest.len() > self.batch_names {
                smallest.pop();
                folder.has_more = true;
            }
        }
        folder.names = smallest.into_sorted_vec().into();
        if let Some(last) = folder.names.back() {
            folder.read_until.clone_from(last);
        }
        Ok(())
    }
}

enum Step {
    Object(ObjectMeta),
    Moved,
    End,
}

/// Which paths a listing is about.
struct Wanted<'a> {
    prefix: &'a [u8],
    after: &'a [u8],
}

impl Wanted<'_> {
    /// Whether an object, or anything in a folder, may be listed.
    fn includes(&self, path: &[u8]) -> bool {
        let folder = path.ends_with(b"/");
        let has_prefix = path.starts_with(self.prefix) || (folder && self.prefix.starts_with(path));
        has_prefix && (path > self.after || (folder && self.after.starts_with(path)))
    }
}

fn is_hidden(folder: &[u8], name: &[u8]) -> bool {
    let at_root = folder.is_empty();
    matches!(name, b"." | b"..")
        || (at_root
            && (name.eq_ignore_ascii_case(PRIVATE.as_bytes()) || name == LOST_AND_FOUND.as_bytes()))
}

/// Opens the folder; `false` where it is gone.
fn open(store: &Store, folder: &mut Folder) -> Result<bool> {
    if folder.fd.is_some() {
        return Ok(true);
    }
    let path = utf8(&folder.path)?;
    match store.root().open_folder(path.trim_end_matches('/')) {
        Ok(fd) => folder.fd = Some(fd),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(errno) => {
            return Err(errno)
                .cannot("open a folder")
                .map_err(|err| err.with_resource(path));
        }
    }
    Ok(true)
}

/// The kind of an entry, which not every file system tells; `None` where it is gone.
fn kind(fd: &OwnedFd, name: &std::ffi::CStr, told: FileType) -> Result<Option<Entry>> {
    if told != FileType::Unknown {
        return Ok(Some(Entry::from_type(told)));
    }
    match rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Entry::of(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno).cannot("look at an object"),
    }
}

/// Looks an object up; `None` where it is gone.
fn object(
    store: &Store,
    folder: &mut Folder,
    name: &[u8],
    path: &str,
) -> Result<Option<ObjectMeta>> {
    if !open(store, folder)? {
        return Ok(None);
    }
    let Some(fd) = &folder.fd else {
        return Ok(None);
    };
    let stat = match rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.cannot("look at an object")?,
    };
    if Entry::of(&stat) != Entry::Object {
        return Ok(None);
    }
    let named = |err: Error| err.with_resource(path);
    let key = ObjectKey::new(path)
        .and_then(|key| KeyPath::new(&key))
        .map_err(named)?;
    glance(store.root(), &key, Facts::of(&stat)).map_err(named)
}

fn utf8(path: &[u8]) -> Result<&str> {
    std::str::from_utf8(path).map_err(|source| {
        let lossy = String::from_utf8_lossy(path).into_owned();
        Error::new(
            ErrorKind::InvalidInput,
            format!("the name of the file {lossy:?} is not UTF-8"),
        )
        .with_resource(lossy)
        .with_source(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Durability;

    fn keys(store: &Store, options: ListOptions, batch_names: usize) -> Vec<String> {
        let mut lister = Lister::new(options, batch_names);
        let mut keys = Vec::new();
        loop {
            let page = lister.next_page(store);
            if page.is_empty() {
                return keys;
            }
            keys.extend(page.into_iter().map(|meta| String::from(meta.unwrap().key)));
        }
    }

    #[test]
    fn a_folder_with_more_names_than_a_batch_is_listed_whole_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for n in 0..50 {
            for name in [
                format!("a{n}"),
                format!("a{n}-x"),
                format!("b{n}/c"),
                format!("b{n}/d"),
            ] {
                let path = dir.path().join(&name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, &name).unwrap();
                expected.push(name);
            }
        }
        expected.sort();
        let store = Store::open(dir.path(), Durability::None, false).unwrap();
        for batch in [1, 2, 7, 1000] {
            assert_eq!(keys(&store, ListOptions::default(), batch), expected);
        }
    }
}
