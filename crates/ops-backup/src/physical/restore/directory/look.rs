//! Looking at a folder before anything is written to it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};
use std::sync::Arc;

use ops_pg::process::User;
use ops_pg_replication::SystemId;
use rustix::process::Pid;

use super::{Directory, MARKER, Marker, file_error};
use crate::error::{Error, ErrorKind, Result};
use crate::physical::restore::control;

/// What may lie in a folder that counts as empty: what `mkfs` puts there.
const IGNORED: &str = "lost+found";

#[cold]
fn refused(message: String) -> Error {
    Error::new(ErrorKind::TargetNotEmpty, "restore", message)
        .with_left_behind("nothing was touched")
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
            making: Arc::default(),
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
            making: Arc::default(),
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
    use super::super::tests::{cluster, look};
    use super::*;

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
    fn relative_paths_are_refused() {
        for path in ["data", "/", "/var/../etc", ""] {
            let err = look(Path::new(path), false).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput, "{path}");
        }
    }
}
