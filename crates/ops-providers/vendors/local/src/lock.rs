//! Locks between writers, in threads and in processes.
//!
//! A lock is held over the check of a condition and the renames that follow it, never while
//! content is transferred. The kernel releases it when its holder dies.

use std::fs::File;

use ops_core::Result;
use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use crate::error::Context;
use crate::key::LOCK_SHARDS;
use crate::root::{FILE_MODE, Root};

const LOCK: OFlags = OFlags::RDWR
    .union(OFlags::CREATE)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The lock between replacements and listings.
const NAMES: &str = "names";

/// Whom a lock keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Writers only.
    Shared,
    /// Everybody.
    Exclusive,
}

/// Waits for a lock on an open file. The lock ends with the last descriptor of the file.
pub(crate) fn lock(file: &File, operation: FlockOperation) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, operation))
}

/// Takes one of the locks that keys share.
pub(crate) fn lock_shard(root: &Root, shard: u8, sharing: Sharing) -> Result<File, Errno> {
    match sharing {
        Sharing::Shared => take(root, &shard_name(shard), READ, FlockOperation::LockShared),
        Sharing::Exclusive => take(
            root,
            &shard_name(shard),
            LOCK,
            FlockOperation::LockExclusive,
        ),
    }
}

/// Taken to replace an object that a listing must not miss.
///
/// While a name is replaced, some file systems (Btrfs) show a process that reads the folder
/// neither the old entry nor the new one. So a listing keeps replacements out while it reads
/// the names of one folder.
pub(crate) fn hold_names(root: &Root) -> Result<File, Errno> {
    take(root, NAMES, LOCK, FlockOperation::LockShared)
}

/// Taken to read the names of a folder; `None` where no writer was ever here.
pub(crate) fn freeze_names(root: &Root) -> Result<Option<File>, Errno> {
    match take(root, NAMES, READ, FlockOperation::LockExclusive) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

fn take(root: &Root, name: &str, flags: OFlags, operation: FlockOperation) -> Result<File, Errno> {
    let folder = root.open_folder(".ops/locks")?;
    let file = File::from(rustix::fs::openat(&folder, name, flags, FILE_MODE)?);
    lock(&file, operation)?;
    Ok(file)
}

fn shard_name(shard: u8) -> String {
    format!("{shard:02x}")
}

/// Makes all locks, so that a full store can still be written to by deleting.
pub(crate) fn make_locks(root: &Root) -> Result<()> {
    let folder = root
        .ensure_folder(".ops/locks")
        .cannot("make the folder for locks")?;
    for name in (0..LOCK_SHARDS).map(shard_name).chain([NAMES.to_owned()]) {
        match rustix::fs::openat(&folder, name, LOCK, FILE_MODE) {
            Ok(_) | Err(Errno::NOSPC | Errno::DQUOT) => {}
            Err(errno) => return Err(errno).cannot("make a lock"),
        }
    }
    Ok(())
}
