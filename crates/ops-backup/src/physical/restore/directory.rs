//! The folder that a cluster is restored into.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use ops_pg::process::User;
use ops_pg_replication::SystemId;
use rustix::process::Pid;

use super::control;
use crate::error::{Error, ErrorKind, Result};

/// Lies in a data folder for as long as a restore into it has not ended.
pub(crate) const MARKER: &str = "ops-restore.json";

/// What may lie in a folder that counts as empty: what `mkfs` puts there.
const IGNORED: &str = "lost+found";

/// Files that belong to a server that ran in the folder, not to a cluster.
const OF_A_SERVER: [&str; 2] = ["postmaster.pid", "postmaster.opts"];

/// What a marker says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Marker {
    pub(crate) system_id: SystemId,
}

/// A folder that was looked at, and may be written to.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) owner: Option<User>,
    /// Whether files that are there may be kept.
    pub(crate) delta: bool,
}

#[cold]
fn refused(message: String) -> Error {
    Error::new(ErrorKind::TargetNotEmpty, "restore", message)
        .with_left_behind("nothing was touched")
}

/// An error of the file system while a cluster is written.
#[cold]
pub(crate) fn file_error(what: &str, path: &Path, source: io::Error) -> Error {
    let kind = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::TargetFull,
        _ => ErrorKind::TargetUnavailable,
    };
    let message = format!("{what} {} failed", path.display());
    Error::new(kind, "restore", message).with_source(source)
}

impl Directory {
    /// Looks at a folder, and changes nothing: it must not exist, be empty, or, where
    /// `delta` is set, hold a stopped cluster with the given system identifier.
    pub(crate) fn look(
        path: &Path,
        owner: Option<User>,
        delta: bool,
        system_id: SystemId,
    ) -> Result<Self> {
        require_plain(path)?;
        let directory = Self {
            path: path.to_owned(),
            owner,
            delta,
        };
        let shown = path.display();
        match fs::symlink_metadata(path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(directory),
            Err(err) => return Err(file_error("looking at", path, err)),
            Ok(meta) if !meta.is_dir() && !path.is_dir() => {
                return Err(refused(format!("{shown} is not a folder")));
            }
            Ok(_) => {}
        }
        if let Some(pid) = running(path)? {
            return Err(refused(format!(
                "{shown} belongs to a running server, process {pid}"
            ))
            .with_hint("stop that server first, or restore elsewhere"));
        }
        if is_empty(path)? {
            return Ok(directory);
        }
        if !delta {
            return Err(refused(format!("{shown} is not empty")).with_hint(
                "restore into an empty folder, or ask for a delta restore over a copy of the same cluster",
            ));
        }
        let found = control::system_id_of(path)
            .map_err(|err| file_error("reading pg_control of", path, err))?
            .or(marker(path).map(|marker| marker.system_id));
        match found {
            Some(found) if found == system_id => Ok(directory),
            Some(found) => Err(refused(format!(
                "{shown} holds cluster {found}, and the backup is of cluster {system_id}"
            ))),
            None => Err(refused(format!(
                "{shown} is not empty and holds no cluster"
            ))),
        }
    }

    /// Looks at the folder of a tablespace: it must not exist or be empty, or, where
    /// `delta` is set, hold nothing that is not of a tablespace.
    pub(crate) fn look_tablespace(path: &Path, owner: Option<User>, delta: bool) -> Result<Self> {
        require_plain(path)?;
        let directory = Self {
            path: path.to_owned(),
            owner,
            delta,
        };
        if !path.exists() {
            return Ok(directory);
        }
        let shown = path.display();
        for name in names(path)? {
            let of_a_tablespace = name.as_bytes().starts_with(b"PG_");
            if !(delta && of_a_tablespace) {
                return Err(refused(format!(
                    "the tablespace folder {shown} is not empty"
                )));
            }
        }
        Ok(directory)
    }

    /// Makes the folder where it is missing, and takes from it what would let a server
    /// start before the restore has ended.
    pub(crate) fn begin(&self, mode: u32, marker: Option<&Marker>) -> Result<()> {
        if !self.path.exists() {
            if let Some(parent) = self.path.parent() {
                fs::create_dir_all(parent).map_err(|err| file_error("making", parent, err))?;
            }
            DirBuilder::new()
                .mode(0o700)
                .create(&self.path)
                .map_err(|err| file_error("making", &self.path, err))?;
        }
        self.give(&self.path)?;
        let Some(marker) = marker else {
            return Self::set_mode(&self.path, mode);
        };
        let json = serde_json::to_vec(marker).map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                "restore",
                "the marker cannot be written",
            )
            .with_source(source)
        })?;
        self.write(Path::new(MARKER), 0o600, &json)?;
        for name in OF_A_SERVER.iter().chain(&[control::PATH]) {
            remove(&self.path.join(name))?;
        }
        Self::sync_dir(&self.path.join("global"))?;
        Self::sync_dir(&self.path)?;
        Self::set_mode(&self.path, mode)
    }

    /// Writes `pg_control`, the last of all files: from now on a server can start here.
    pub(crate) fn finish(&self, mode: u32, control: &[u8]) -> Result<()> {
        let path = self.path.join(control::PATH);
        let file = self.write(Path::new(control::PATH), mode, control)?;
        file.sync_all()
            .map_err(|err| file_error("syncing", &path, err))?;
        Self::sync_dir(&self.path.join("global"))?;
        remove(&self.path.join(MARKER))?;
        Self::sync_dir(&self.path)
    }

    /// Makes everything that was written to the folder's file system durable, at once.
    pub(crate) fn sync_all(&self) -> Result<()> {
        let open = File::open(&self.path);
        let folder = open.map_err(|err| file_error("opening", &self.path, err))?;
        sync_file_system(&folder).map_err(|err| file_error("syncing", &self.path, err))
    }

    fn sync_dir(path: &Path) -> Result<()> {
        match File::open(path) {
            Ok(folder) => folder
                .sync_all()
                .map_err(|err| file_error("syncing", path, err)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(file_error("opening", path, err)),
        }
    }

    /// Writes a small file that the server owns, over one that is there.
    pub(crate) fn write(&self, name: &Path, mode: u32, content: &[u8]) -> Result<File> {
        let path = self.path.join(name);
        let written = self.create(&path, mode).and_then(|mut file| {
            file.write_all(content)?;
            Ok(file)
        });
        written.map_err(|err| file_error("writing", &path, err))
    }

    /// Makes an empty file that the server owns, in place of whatever is there. One that is
    /// there is replaced and not written to: it may be a link to something else.
    pub(crate) fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(_) if path.is_dir() => fs::remove_dir_all(path)?,
            Err(err) => return Err(err),
        }
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .mode(mode & 0o640)
            .open(path)?;
        file.set_permissions(fs::Permissions::from_mode(mode & 0o640))?;
        if let Some(owner) = &self.owner {
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(file)
    }

    /// Gives a file that is kept the mode and the owner that it shall have.
    pub(crate) fn adopt(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o640))?;
        match &self.owner {
            None => Ok(()),
            Some(owner) => std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid())),
        }
    }

    /// Makes a folder that the server owns, unless it is there.
    pub(crate) fn make_dir(&self, path: &Path, mode: u32) -> Result<()> {
        let failed = |err| file_error("making", path, err);
        match fs::symlink_metadata(path) {
            // `pg_wal` of a cluster that is restored over may lie elsewhere.
            Ok(meta) if meta.is_dir() || (path.ends_with("pg_wal") && path.is_dir()) => {}
            Ok(_) => {
                fs::remove_file(path).map_err(failed)?;
                fs::create_dir(path).map_err(failed)?;
            }
            Err(_) => fs::create_dir_all(path).map_err(failed)?,
        }
        self.give(path)?;
        Self::set_mode(path, mode)
    }

    /// Makes a symbolic link, in place of whatever is there.
    pub(crate) fn link(&self, path: &Path, target: &Path) -> Result<()> {
        let failed = |err| file_error("linking", path, err);
        if fs::read_link(path).is_ok_and(|found| found == target) {
            return Ok(());
        }
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).map_err(failed)?,
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(_) => {}
        }
        std::os::unix::fs::symlink(target, path).map_err(failed)?;
        self.give(path)
    }

    fn set_mode(path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o750))
            .map_err(|err| file_error("setting the mode of", path, err))
    }

    fn give(&self, path: &Path) -> Result<()> {
        let Some(owner) = &self.owner else {
            return Ok(());
        };
        std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid()))
            .map_err(|err| file_error("handing over", path, err))
    }
}

fn require_plain(path: &Path) -> Result<()> {
    let plain = path.is_absolute()
        && path
            .components()
            .all(|it| matches!(it, Component::RootDir | Component::Normal(_)))
        && path.parent().is_some();
    if plain {
        return Ok(());
    }
    let message = format!("{} is not an absolute path of a folder", path.display());
    Err(Error::new(ErrorKind::InvalidInput, "restore", message))
}

fn names(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    let failed = |err| file_error("listing", path, err);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != IGNORED {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_empty(path: &Path) -> Result<bool> {
    names(path).map(|names| names.is_empty())
}

fn marker(path: &Path) -> Option<Marker> {
    serde_json::from_slice(&fs::read(path.join(MARKER)).ok()?).ok()
}

/// The process that runs a server in a folder, by its `postmaster.pid`. A number that is
/// another process's by now counts, too: better to refuse than to overwrite.
fn running(path: &Path) -> Result<Option<i32>> {
    let file = path.join("postmaster.pid");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(file_error("reading", &file, err)),
    };
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse::<i32>().ok())
        .map(i32::abs)
        .and_then(Pid::from_raw);
    Ok(pid
        .filter(|&pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
        .map(|pid| pid.as_raw_nonzero().get()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(err)
            if !matches!(
                err.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(file_error("removing", path, err))
        }
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn sync_file_system(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_folder: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

/// How many bytes an unprivileged user can still write to the file system that a path is,
/// or will be, on; and which file system that is.
pub(crate) fn free_bytes(path: &Path) -> Result<(u64, u64)> {
    let exists = path.ancestors().find(|path| path.exists());
    let exists = exists.unwrap_or_else(|| Path::new("/"));
    let failed = |err: io::Error| file_error("looking at", exists, err);
    let device = fs::metadata(exists).map_err(failed)?.dev();
    let stat = rustix::fs::statvfs(exists).map_err(|err| failed(err.into()))?;
    Ok((device, stat.f_bavail.saturating_mul(stat.f_frsize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SystemId {
        SystemId::new(77)
    }

    fn look(path: &Path, delta: bool) -> Result<Directory> {
        Directory::look(path, None, delta, id())
    }

    fn cluster(folder: &Path, system_id: u64) {
        fs::create_dir_all(folder.join("global")).unwrap();
        let mut control = system_id.to_le_bytes().to_vec();
        control.resize(8192, 0);
        fs::write(folder.join(control::PATH), control).unwrap();
    }

    #[test]
    fn a_missing_and_an_empty_folder_will_do() {
        let folder = tempfile::tempdir().unwrap();
        look(folder.path(), false).unwrap();
        look(&folder.path().join("new/data"), false).unwrap();
        fs::create_dir(folder.path().join(IGNORED)).unwrap();
        look(folder.path(), false).unwrap();
        assert!(!folder.path().join("new").exists(), "looking makes nothing");
    }

    #[test]
    fn a_folder_that_holds_something_is_refused_unless_it_is_the_same_cluster() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        for delta in [false, true] {
            let err = look(folder.path(), delta).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::TargetNotEmpty);
        }
        cluster(folder.path(), 78);
        let err = look(folder.path(), true).unwrap_err();
        assert!(err.to_string().contains("cluster 78"), "{err}");
        cluster(folder.path(), 77);
        look(folder.path(), true).unwrap();
        assert!(look(folder.path(), false).is_err());
    }

    #[test]
    fn the_folder_of_a_running_server_is_refused_in_any_case() {
        let folder = tempfile::tempdir().unwrap();
        cluster(folder.path(), 77);
        let pid = folder.path().join("postmaster.pid");
        fs::write(&pid, format!("{}\n/data\n", std::process::id())).unwrap();
        for delta in [false, true] {
            let err = look(folder.path(), delta).unwrap_err();
            assert!(err.to_string().contains("running server"), "{err}");
        }
        // The largest number that a process can have, and none has.
        fs::write(&pid, format!("{}\n", i32::MAX)).unwrap();
        look(folder.path(), true).unwrap();
    }

    #[test]
    fn between_begin_and_finish_no_server_can_start_and_the_restore_can_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        cluster(folder.path(), 77);
        let directory = look(folder.path(), true).unwrap();
        directory
            .begin(0o700, Some(&Marker { system_id: id() }))
            .unwrap();
        assert!(!folder.path().join(control::PATH).exists());
        look(folder.path(), true).unwrap();
        assert!(Directory::look(folder.path(), None, true, SystemId::new(5)).is_err());
        directory.finish(0o600, b"control").unwrap();
        assert_eq!(
            fs::read(folder.path().join(control::PATH)).unwrap(),
            b"control"
        );
        assert!(!folder.path().join(MARKER).exists());
    }

    #[test]
    fn a_file_is_replaced_and_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "precious").unwrap();
        let data = folder.path().join("data");
        let directory = look(&data, false).unwrap();
        directory.begin(0o700, None).unwrap();
        std::os::unix::fs::symlink(&outside, data.join("PG_VERSION")).unwrap();
        directory
            .write(Path::new("PG_VERSION"), 0o666, b"15\n")
            .unwrap();
        assert_eq!(fs::read(&outside).unwrap(), b"precious");
        let mode = fs::metadata(data.join("PG_VERSION"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640, "never for others");
    }

    #[test]
    fn relative_paths_are_refused() {
        for path in ["data", "/", "/var/../etc", ""] {
            let err = look(Path::new(path), false).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput, "{path}");
        }
    }
}
