//! Programs of the system: file systems of a known size.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ops_testkit::fixture;
use tempfile::TempDir;

/// Runs a program with arguments.
#[expect(
    clippy::disallowed_methods,
    reason = "a program of others that ends by itself"
)]
pub(crate) fn call(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item: AsRef<OsStr>>,
) -> io::Result<Output> {
    Command::new(program).args(arguments).output()
}

/// A file system in memory, mounted for a test. Its contents are gone when it is dropped.
pub(crate) struct Mount {
    folder: TempDir,
}

impl Mount {
    /// Mounts a `tmpfs` with these options. None where that is not allowed, and says so.
    pub(crate) fn new(options: &str) -> Option<Self> {
        let base = fixture::folder();
        std::fs::create_dir_all(&base).unwrap();
        let folder = TempDir::with_prefix_in("mount-", base).unwrap();
        Self::at(folder, options)
    }

    /// The same, in a folder of another.
    pub(crate) fn within(&self, options: &str) -> Option<Self> {
        Self::at(TempDir::new_in(self.path()).unwrap(), options)
    }

    fn at(folder: TempDir, options: &str) -> Option<Self> {
        let arguments = ["-t", "tmpfs", "-o", options, "tmpfs"].map(OsStr::new);
        match call(
            "mount",
            arguments.into_iter().chain([folder.path().as_ref()]),
        ) {
            Ok(done) if done.status.success() => Some(Self { folder }),
            Ok(done) => {
                let why = String::from_utf8_lossy(&done.stderr).into_owned();
                fixture::inapplicable(format_args!("no file system is mounted: {}", why.trim()));
                None
            }
            Err(err) => {
                fixture::inapplicable(format_args!("no file system is mounted: {err}"));
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Uses that many more bytes.
    pub(crate) fn fill(&self, name: &str, bytes: usize) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, vec![0; bytes]).unwrap();
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // At once for everybody who looks, also while somebody still has a file open.
        let done = call("umount", ["-l".as_ref(), self.path().as_os_str()]);
        if !std::thread::panicking() {
            assert!(done.is_ok_and(|done| done.status.success()));
        }
    }
}
