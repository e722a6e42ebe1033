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
use crate::root::{FILE_MODE, Root, open_child};

const LOCK: OFlags = OFlags::RDWR
    .union(OFlags::CREATE)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

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
    let folder = root.open_folder(".ops/locks")?;
    let name = format!("{shard:02x}");
    let (fd, operation) = match sharing {
        Sharing::Shared => {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            (
                open_child(&folder, &name, flags)?,
                FlockOperation::LockShared,
            )
        }
        Sharing::Exclusive => {
            let fd = rustix::fs::openat(&folder, &name, LOCK, FILE_MODE)?;
            (fd, FlockOperation::LockExclusive)
        }
    };
    let file = File::from(fd);
    lock(&file, operation)?;
    Ok(file)
}

/// Makes all locks, so that a full store can still be written to by deleting.
pub(crate) fn make_locks(root: &Root) -> Result<()> {
    let folder = root
        .ensure_folder(".ops/locks")
        .cannot("make the folder for locks")?;
    for shard in 0..LOCK_SHARDS {
        let made = rustix::fs::openat(&folder, format!("{shard:02x}"), LOCK, FILE_MODE);
        match made {
            Ok(_) | Err(Errno::NOSPC | Errno::DQUOT) => {}
            Err(errno) => return Err(errno).cannot("make a lock"),
        }
    }
    Ok(())
}
