//! The files of a cluster: looked at first, then written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_pg::process::User;

use super::chain::Level;
use super::directory::{Directory, Marker, file_error, free_bytes};
use super::outline::{Outline, PathKey, path_key};
use super::ranged::Source;
use super::settings::{AUTO_CONF, without_inherited};
use super::write::{Written, write_level};
use super::{chain, control, label, manifest};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::ObjectRole;

/// The mode of a data folder, unless the cluster lets the group in.
const MODE: u32 = 0o700;

/// The folder that links to tablespaces lie in.
const LINKS: &str = "pg_tblspc";

/// Files that are to be written, where everything was looked at and nothing was touched.
#[derive(Debug)]
pub(crate) struct FilePlan {
    pub(crate) levels: Vec<Level>,
    outline: Arc<Outline>,
    directory: Directory,
    /// The tablespaces by their OIDs.
    tablespaces: BTreeMap<u32, Directory>,
    workers: usize,
}

/// What came of writing them.
#[derive(Debug, Default)]
pub(crate) struct FilesDone {
    pub(crate) written: u64,
    pub(crate) kept: u64,
    pub(crate) removed: u64,
    /// Settings that the copy did not keep.
    pub(crate) dropped: Vec<String>,
}

/// Where files are to go.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) path: PathBuf,
    pub(crate) owner: Option<User>,
    pub(crate) delta: bool,
    /// Where tablespaces go, by their OIDs; those that are not named go where they were.
    pub(crate) tablespaces: Vec<(u32, PathBuf)>,
    /// Where the tablespaces go that are not named, each into a folder of its own.
    pub(crate) other_tablespaces: Option<PathBuf>,
}

impl FilePlan {
    /// Looks at everything: the backups, the folders, the room for them.
    pub(crate) async fn make(
        source: &Source,
        levels: Vec<Level>,
        to: &Destination,
        workers: usize,
    ) -> Result<Self> {
        let newest = levels.last().ok_or_else(no_backup)?;
        let info = newest.info()?;
        let directory = Directory::look(&to.path, to.owner.clone(), to.delta, info.system_id)?;
        for (oid, _) in &to.tablespaces {
            if !info.tablespaces.iter().any(|it| it.oid == *oid) {
                let message = format!("the backup has no tablespace {oid}");
                return Err(Error::new(ErrorKind::InvalidInput, "restore", message));
            }
        }
        let mut tablespaces: BTreeMap<u32, Directory> = BTreeMap::new();
        for tablespace in &info.tablespaces {
            let oid = tablespace.oid;
            let named = to.tablespaces.iter().find(|(it, _)| *it == oid);
            let path = match (named, &to.other_tablespaces) {
                (Some((_, path)), _) => path.clone(),
                (None, Some(folder)) => folder.join(oid.to_string()),
                (None, None) => PathBuf::from(&tablespace.location),
            };
            let inside = path.starts_with(&to.path) || to.path.starts_with(&path);
            let twice = tablespaces.values().any(|it| it.path == path);
            if inside || twice || path.as_os_str().as_bytes().contains(&b'\n') {
                let message = format!("tablespace {oid} cannot go to {}", path.display());
                return Err(
                    Error::new(ErrorKind::InvalidInput, "restore", message).with_hint(
                        "give each tablespace a folder of its own outside of the data folder",
                    ),
                );
            }
            let folder = Directory::look_tablespace(&path, to.owner.clone(), to.delta)?;
            tablespaces.insert(oid, folder);
        }
        let outline = Outline::read(source, &levels, to.delta).await?;
        let plan = Self {
            levels,
            outline: Arc::new(outline),
            directory,
            tablespaces,
            workers: workers.max(1),
        };
        if !to.delta {
            plan.check_room()?;
        }
        Ok(plan)
    }

    /// Whether the files fit. What the WAL will need is not known.
    fn check_room(&self) -> Result<()> {
        let newest = self.levels.last().ok_or_else(no_backup)?;
        let archives = &newest.info()?.archives;
        let mut needed: HashMap<u64, (u64, u64, &Path)> = HashMap::new();
        for (archive, bytes) in &self.outline.bytes {
            let archive = usize::try_from(*archive)
                .ok()
                .and_then(|at| archives.get(at));
            let oid = archive.and_then(|archive| archive.tablespace);
            let folder = oid.and_then(|oid| self.tablespaces.get(&oid));
            let path = &folder.unwrap_or(&self.directory).path;
            let (device, free) = free_bytes(path)?;
            let entry = needed.entry(device).or_insert((0, free, path));
            entry.0 += bytes;
        }
        for (needed, free, path) in needed.into_values() {
            if needed > free {
                let message = format!(
                    "the file system of {} has {free} bytes free, and {needed} are needed",
                    path.display()
                );
                return Err(Error::new(ErrorKind::TargetFull, "restore", message)
                    .with_left_behind("nothing was written"));
            }
        }
        Ok(())
    }

    /// How many plain bytes are read at most.
    pub(crate) fn bytes(&self) -> u64 {
        self.outline.bytes.values().sum()
    }

    /// Writes everything, `pg_control` last. Until then no server can start there.
    /// `auto_conf` is added to the settings, and a file `signal` makes a server recover.
    pub(crate) async fn write(
        &self,
        source: &Source,
        auto_conf: &str,
        signal: &str,
    ) -> Result<FilesDone> {
        let root_mode = self.root_mode();
        self.begin(root_mode)?;
        let mut all = Written::default();
        for index in 0..self.levels.len() {
            let outline = Arc::clone(&self.outline);
            let levels = &self.levels;
            let written = write_level(
                source,
                levels,
                index,
                outline,
                &self.directory,
                self.workers,
            )
            .await?;
            all.add(written);
        }
        let removed = if self.directory.delta {
            self.remove_others()?
        } else {
            0
        };
        let (control_mode, control) = all
            .kept_back
            .remove(control::PATH)
            .ok_or_else(|| lacks(control::PATH))?;
        let dropped = self.write_altered(&mut all, auto_conf)?;
        self.directory.write(Path::new(signal), 0o600, b"")?;
        self.write_manifest(source).await?;
        let folders: Vec<Directory> = self
            .tablespaces
            .values()
            .chain([&self.directory])
            .cloned()
            .collect();
        let directory = self.directory.clone();
        let finish = tokio::task::spawn_blocking(move || {
            for folder in &folders {
                folder.sync_all()?;
            }
            directory.finish(control_mode, &control)
        });
        finish
            .await
            .unwrap_or_else(|err| Err(chain::task_failed("restore", err)))?;
        Ok(FilesDone {
            written: all.files,
            kept: all.kept,
            removed,
            dropped,
        })
    }

    /// The mode of the data folder: that of the folders in it.
    fn root_mode(&self) -> u32 {
        let folders = &self.outline.folders;
        let global = folders.iter().find(|(path, _)| path == b"global");
        global.map_or(MODE, |(_, mode)| *mode)
    }

    /// Makes the folders and links.
    fn begin(&self, mode: u32) -> Result<()> {
        let newest = self.levels.last().ok_or_else(no_backup)?;
        let marker = Marker {
            system_id: newest.info()?.system_id,
        };
        self.directory.begin(mode, Some(&marker))?;
        for tablespace in self.tablespaces.values() {
            tablespace.begin(mode, None)?;
        }
        let links = self.directory.path.join(LINKS);
        self.directory.make_dir(&links, mode)?;
        for (oid, tablespace) in &self.tablespaces {
            let link = links.join(oid.to_string());
            self.directory.link(&link, &tablespace.path)?;
        }
        for (path, mode) in &self.outline.folders {
            let is_link = path.strip_prefix(b"pg_tblspc/").is_some_and(|rest| {
                !rest.contains(&b'/')
                    && std::str::from_utf8(rest).is_ok_and(|it| it.parse::<u32>().is_ok())
            });
            if !is_link {
                let path = self.directory.path.join(std::ffi::OsStr::from_bytes(path));
                self.directory.make_dir(&path, *mode)?;
            }
        }
        Ok(())
    }

    /// Writes the files that are not those of the backup, byte for byte.
    fn write_altered(&self, all: &mut Written, auto_conf: &str) -> Result<Vec<String>> {
        let (mode, text) = all
            .kept_back
            .remove("backup_label")
            .ok_or_else(|| lacks("backup_label"))?;
        let text = if self.levels.len() > 1 {
            label::of_reconstructed(&String::from_utf8_lossy(&text)).into_bytes()
        } else {
            text
        };
        self.directory
            .write(Path::new("backup_label"), mode, &text)?;
        if let Some((mode, _)) = all.kept_back.remove("tablespace_map") {
            let map: Vec<u8> = self
                .tablespaces
                .iter()
                .flat_map(|(oid, folder)| {
                    let path = folder.path.as_os_str().as_bytes();
                    [format!("{oid} ").as_bytes(), &escaped(path), b"\n"].concat()
                })
                .collect();
            self.directory
                .write(Path::new("tablespace_map"), mode, &map)?;
        }
        let (mode, conf) = all
            .kept_back
            .remove(AUTO_CONF)
            .unwrap_or((0o600, Vec::new()));
        let (mut conf, dropped) = without_inherited(&conf);
        if !auto_conf.is_empty() && conf.last().is_some_and(|&byte| byte != b'\n') {
            conf.push(b'\n');
        }
        conf.extend(auto_conf.as_bytes());
        self.directory.write(Path::new(AUTO_CONF), mode, &conf)?;
        Ok(dropped)
    }

    /// Puts a manifest beside the files, for `pg_verifybackup`: the server's own, byte for
    /// byte, or one of the files that were reconstructed.
    async fn write_manifest(&self, source: &Source) -> Result<()> {
        let name = Path::new(manifest::NAME);
        let level = match self.levels.as_slice() {
            [level] => level,
            [.., newest] => {
                let file = self.directory.write(name, 0o600, b"")?;
                return manifest::write(source, newest, &self.directory.path, file).await;
            }
            [] => return Ok(()),
        };
        let role = ObjectRole::BackupManifest;
        let Some(object) = level.backup.manifest.objects_of(role).next() else {
            return Ok(());
        };
        let (open, fetch) = crate::pipeline::open_object(
            source.operation,
            Arc::clone(&source.store),
            object,
            level.backup.identity.clone(),
            Arc::clone(&source.counters),
        );
        let mut file = self.directory.write(name, 0o600, b"")?;
        let copy = tokio::task::spawn_blocking(move || std::io::copy(&mut open()?, &mut file));
        let (fetched, copied) = tokio::join!(fetch, copy);
        let path = self.directory.path.join(name);
        let copied = copied.map_err(|err| chain::task_failed(source.operation, err))?;
        match copied {
            Ok(_) => fetched,
            Err(err) => Err(crate::pipeline::cause_of(
                fetched,
                file_error("writing", &path, err),
            )),
        }
    }

    /// Removes what does not belong to the cluster.
    fn remove_others(&self) -> Result<u64> {
        let own = [AUTO_CONF, super::directory::MARKER, LINKS];
        let mut known: HashSet<PathKey> = self.outline.known.clone();
        known.extend(own.map(|name| path_key(name.as_bytes())));
        let oids = self.tablespaces.keys();
        known.extend(oids.map(|oid| path_key(format!("{LINKS}/{oid}").as_bytes())));
        let mut removed = 0;
        remove_unknown(&self.directory.path, b"", &known, &mut removed)?;
        Ok(removed)
    }
}

fn remove_unknown(
    folder: &Path,
    prefix: &[u8],
    known: &HashSet<PathKey>,
    removed: &mut u64,
) -> Result<()> {
    let failed = |err| file_error("clearing", folder, err);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let path = [prefix, name.as_bytes()].concat();
        let kind = entry.file_type().map_err(failed)?;
        // Beside the cluster's folder in a tablespace there may be those of other majors.
        let of_tablespace =
            prefix.starts_with(b"pg_tblspc/") && prefix.split(|&byte| byte == b'/').count() == 3;
        if !known.contains(&path_key(&path)) {
            if of_tablespace {
                continue;
            }
            let gone = if kind.is_dir() {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            };
            gone.map_err(failed)?;
            *removed += 1;
            continue;
        }
        // Links to tablespaces, and one that `pg_wal` may be, are followed.
        if entry.path().is_dir() {
            remove_unknown(
                &entry.path(),
                &[&path, b"/".as_slice()].concat(),
                known,
                removed,
            )?;
        }
    }
    Ok(())
}

/// A path as `tablespace_map` has it.
fn escaped(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for &byte in path {
        if matches!(byte, b'\n' | b'\r' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

#[cold]
fn no_backup() -> Error {
    Error::new(ErrorKind::Internal, "restore", "a chain has no backup")
}

#[cold]
fn lacks(name: &str) -> Error {
    let message = format!("the backup has no {name}");
    Error::new(ErrorKind::Integrity, "restore", message)
}
