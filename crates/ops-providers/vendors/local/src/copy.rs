//! Copies that share their blocks with the original.

use std::fs::File;

use ops_core::Result;
use ops_core::object_store::{ObjectMeta, PutCondition};

use crate::commit::{Commit, Sealed};
use crate::error::{self, Context};
use crate::key::KeyPath;
use crate::meta::{Candidate, MetaWriter};
use crate::root::Facts;
use crate::store::Store;
use crate::temp::random;
use crate::version::{check_early, find};

/// Copies without reading, where the file system can; `None` where it cannot.
///
/// The checksums go with the content: damage in the original stays visible in the copy.
pub(crate) fn reflink(
    store: &Store,
    from: &KeyPath,
    to: &KeyPath,
    condition: &PutCondition,
) -> Result<Option<ObjectMeta>> {
    let temp = store.temp()?;
    let found = find(store.root(), from).map_err(|err| {
        if err.is_not_found() {
            error::source_not_found(from.path())
        } else {
            err
        }
    })?;
    check_early(store.root(), to, condition)?;
    // A file that was put there by other means has no checksums that could go with it.
    let Some(from) = &found.table else {
        return Ok(None);
    };
    let data = temp.create()?;
    if !share_blocks(data.file(), &found.file) {
        return Ok(None);
    }
    let mut table = MetaWriter::new(temp.create()?);
    let adopted = table
        .adopt(from, &found.candidate)
        .cannot("write the object's metadata")?;
    store.root().sync(data.file()).cannot("sync the object")?;
    let facts = Facts::of_file(data.file()).cannot("look at the object")?;
    let new = Candidate {
        version: random(),
        inode: facts.inode,
        modified_ns: facts.modified_ns,
        ..adopted
    };
    let sealed = Sealed {
        data,
        table,
        new,
        facts,
    };
    Commit::begin(store, to, condition, sealed)?.run().map(Some)
}

/// Makes one file share the blocks of another; `false` where that cannot be.
#[cfg(target_os = "linux")]
fn share_blocks(to: &File, from: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn share_blocks(_to: &File, _from: &File) -> bool {
    false
}
