//! Folders of servers, removed also after a crash.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, test_kill_process};

use crate::fixture;

/// Every folder is called so, with the process that it belongs to.
const PREFIX: &str = "s3-";

/// A folder that is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes a folder, and removes those whose owners are gone.
    pub(super) fn make() -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let parent = fixture::folder();
        std::fs::create_dir_all(&parent)?;
        sweep(&parent);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        // A process that had our number before us may have left one.
        remove(&folder);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(folder: &Path) {
    // What a server writes while it ends may come in between once.
    for _ in 0..3 {
        match std::fs::remove_dir_all(folder) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {}
            _ => return,
        }
    }
}

fn sweep(parent: &Path) {
    let entries = parent.read_dir().into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if owner(&name.to_string_lossy()).is_some_and(|pid| !is_alive(pid)) {
            remove(&entry.path());
        }
    }
}

/// The process that a folder of that name belongs to.
fn owner(name: &str) -> Option<Pid> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Pid::from_raw(pid.parse().ok().filter(|&pid| pid > 1)?)
}

fn is_alive(pid: Pid) -> bool {
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_processes_that_are_gone_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        let own = parent.path().join(format!("s3-{}-0", std::process::id()));
        // No process has so high a number: the kernel's limit is 2^22.
        let left = parent.path().join("s3-2000000000-0");
        let foreign = parent.path().join("pg-2000000000-0");
        for folder in [&own, &left, &foreign] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("file"), "").unwrap();
        }
        sweep(parent.path());
        assert!(own.exists() && foreign.exists() && !left.exists());
    }
}
