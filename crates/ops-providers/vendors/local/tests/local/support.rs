//! What the tests share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use ops_core::object_store::{GetOptions, ListOptions, ObjectMeta, PutOptions};
use ops_core::{ByteStream, ObjectKey, ObjectStore, Result};
use ops_local::{Durability, Local};

/// A store in a folder that is removed with it.
pub(crate) struct Scratch {
    pub(crate) store: Local,
    pub(crate) dir: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            store: open(dir.path()),
            dir,
        }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The temporary files that are there now.
    pub(crate) fn temporary_files(&self) -> usize {
        files(&self.path(".ops/tmp")).len()
    }

    /// The metadata files that are there now.
    pub(crate) fn metadata_files(&self) -> Vec<PathBuf> {
        files(&self.path(".ops/meta"))
    }
}

pub(crate) fn open(path: &Path) -> Local {
    Local::builder(path)
        .durability(Durability::None)
        .build()
        .unwrap()
}

/// All files below a folder.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

pub(crate) async fn put(store: &Local, name: &str, data: impl Into<Bytes>) -> ObjectMeta {
    store
        .put(&key(name), data.into(), PutOptions::default())
        .await
        .unwrap()
}

pub(crate) async fn read(store: &Local, name: &str) -> Result<Vec<u8>> {
    read_with(store, name, GetOptions::default()).await
}

pub(crate) async fn read_with(store: &Local, name: &str, options: GetOptions) -> Result<Vec<u8>> {
    let mut result = store.get(&key(name), options).await?;
    let mut data = Vec::new();
    while let Some(part) = result.body.try_next().await? {
        data.extend_from_slice(&part);
    }
    Ok(data)
}

pub(crate) async fn list(store: &Local, options: ListOptions) -> Vec<String> {
    store
        .list(options)
        .map_ok(|meta| String::from(meta.key))
        .try_collect()
        .await
        .unwrap()
}

/// A stream of parts.
pub(crate) fn stream(parts: Vec<Result<Bytes>>) -> ByteStream {
    Box::pin(futures_util::stream::iter(parts))
}

/// Bytes that look random and depend on the seed alone.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut data = Vec::with_capacity(length + 8);
    while data.len() < length {
        data.extend_from_slice(&random.next().to_le_bytes());
    }
    data.truncate(length);
    data
}

/// The generator `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Waits until something is so.
pub(crate) async fn wait_until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not become so within 10 s");
}

/// Says that a test could not run, which is a failure where everything is required.
#[expect(
    clippy::disallowed_methods,
    reason = "the switch that forbids skipping"
)]
pub(crate) fn skipped(why: &str) {
    let required = std::env::var("OPS_TESTKIT_REQUIRE").is_ok_and(|value| value == "1");
    assert!(!required, "required, but: {why}");
    println!("SKIPPED: {why}");
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A small file system in memory, unmounted when dropped.
pub(crate) struct Tmpfs {
    dir: tempfile::TempDir,
}

impl Tmpfs {
    /// `None`, and said so, where mounting is not possible.
    pub(crate) fn mount(options: &str) -> Option<Self> {
        if !is_root() {
            skipped("mounting a file system needs root");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(options).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        let mounted = rustix::mount::mount("tmpfs", dir.path(), "tmpfs", flags, options.as_c_str());
        if let Err(errno) = mounted {
            skipped(&format!(
                "mounting a file system is not allowed here: {errno}"
            ));
            return None;
        }
        Some(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn make_read_only(&self) {
        let flags = rustix::mount::MountFlags::RDONLY;
        rustix::mount::mount_remount(self.dir.path(), flags, c"").unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        if let Err(errno) = rustix::mount::unmount(self.dir.path(), flags) {
            eprintln!("cannot unmount {}: {errno}", self.dir.path().display());
        }
    }
}
