//! WAL for a server that recovers: fetched ahead of it into a folder, from which its
//! `restore_command` takes it.
//!
//! The server runs a script, which waits until the folder says what there is:
//!
//! ```text
//! want/<name>   the script asks for a file
//! have/<name>   here it is: the script moves it to where the server wants it, and ends with 0
//! none/<name>   it is proven that the archive does not have it: the script ends with 1
//! stop          something is wrong: the script ends with 255, and the server with it
//! ```
//!
//! Whatever else happens, the script ends with 255: any status from 1 to 125 is for
//! PostgreSQL the end of the archive, at which it would promote.

mod serve;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_pg::process::User;

use super::directory::file_error;
use crate::error::{Error, ErrorKind, Result};

pub(crate) use serve::{Served, serve};

/// Where the spool lies in a data folder. What is in `pg_wal` belongs to no manifest.
pub(crate) const FOLDER: &str = "pg_wal/ops-spool";

/// How often the folder is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How long the script waits for a file, in steps of 20 ms.
const PATIENCE_STEPS: u32 = 50 * 3600;
const SCRIPT: &str = r#"#!/bin/sh
# $1: the file that the server wants; $2: where it wants it, an absolute path.
cd "$(dirname "$0")" || exit 255
steps=STEPS
while [ "$steps" -gt 0 ]; do
  if [ -e stop ]; then exit 255; fi
  if [ -e "have/$1" ]; then
    mv -f "have/$1" "$2" || exit 255
    exit 0
  fi
  if [ -e "none/$1" ]; then
    rm -f "none/$1"
    exit 1
  fi
  # Once a second, since whoever has heard it may be gone.
  if [ $((steps % 50)) -eq 0 ]; then : > "want/$1" || exit 255; fi
  sleep 0.02 || exit 255
  steps=$((steps - 1))
done
exit 255
"#;

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    owner: Option<User>,
}

impl Spool {
    /// Makes the folder in a data folder.
    pub(crate) fn create(data_dir: &Path, owner: Option<User>) -> Result<Self> {
        let folder = data_dir.join(FOLDER);
        let shown = folder.to_string_lossy();
        if shown.contains(['\'', '\n', '\r']) {
            let message = format!("{shown:?} cannot stand in a command");
            return Err(Error::new(ErrorKind::InvalidInput, "restore", message));
        }
        let spool = Self {
            folder: folder.clone(),
            owner,
        };
        spool
            .make()
            .map_err(|err| file_error("making", &folder, err))?;
        Ok(spool)
    }

    fn make(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        for folder in ["", "want", "have", "none", "temp"] {
            let path = self.folder.join(folder);
            DirBuilder::new().mode(0o700).create(&path)?;
            self.give(&path)?;
        }
        let script = self.folder.join("fetch");
        fs::write(
            &script,
            SCRIPT.replace("STEPS", &PATIENCE_STEPS.to_string()),
        )?;
        self.give(&script)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        match &self.owner {
            None => Ok(()),
            Some(owner) => std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid())),
        }
    }

    /// The `restore_command` that takes files from here.
    pub(crate) fn command(&self) -> String {
        let script = self.folder.join("fetch");
        let script = script.to_string_lossy().replace('%', "%%");
        // A shell that cannot read the script ends with 2, which would be the end of the
        // archive.
        format!(
            "/bin/sh '{script}' '%f' \"$(pwd)/%p\"; s=$?; if [ $s -gt 1 ]; then exit 255; fi; exit $s"
        )
    }

    /// Removes it, with all that is in it.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                Err(file_error("removing", &self.folder, err))
            }
            _ => Ok(()),
        }
    }

    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.folder.join(folder))?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn has(&self, folder: &str, name: &str) -> bool {
        self.folder.join(folder).join(name).exists()
    }

    /// Puts a file that was fetched where the script finds it.
    fn offer(&self, name: &str) -> io::Result<()> {
        let from = self.folder.join("temp").join(name);
        self.give(&from)?;
        fs::rename(from, self.folder.join("have").join(name))
    }

    fn deny(&self, name: &str) -> io::Result<()> {
        // Complete before it is seen: the script removes it at once.
        let temporary = self.folder.join("temp").join(format!("{name}.none"));
        fs::write(&temporary, "")?;
        self.give(&temporary)?;
        fs::rename(temporary, self.folder.join("none").join(name))
    }

    fn stop(&self) {
        let path = self.folder.join("stop");
        if let Err(err) = fs::write(&path, "") {
            tracing::warn!(error = %err, "a recovering server could not be told to stop");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ops_pg::process::Program;
    use ops_pg_replication::TimelineHistory;

    use super::serve::STUCK;
    use super::*;

    /// Runs the command as a server would, for one file.
    async fn ask(folder: &Path, spool: &Spool, name: &str) -> Option<i32> {
        let command = spool
            .command()
            .replace("%f", name)
            .replace("%p", "pg_wal/RECOVERYXLOG");
        let program = Program::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .current_dir(folder);
        let mut child = program.spawn().unwrap();
        let exit = tokio::time::timeout(Duration::from_secs(20), child.wait());
        exit.await.unwrap().unwrap().code()
    }

    fn spool(folder: &Path) -> Spool {
        fs::create_dir(folder.join("pg_wal")).unwrap();
        Spool::create(folder, None).unwrap()
    }

    #[tokio::test]
    async fn the_script_ends_with_1_for_what_is_proven_absent_alone() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        fs::write(spool.folder.join("temp/a"), "content").unwrap();
        spool.offer("a").unwrap();
        assert_eq!(ask(folder.path(), &spool, "a").await, Some(0));
        let got = folder.path().join("pg_wal/RECOVERYXLOG");
        assert_eq!(fs::read(got).unwrap(), b"content");
        spool.deny("b").unwrap();
        assert_eq!(ask(folder.path(), &spool, "b").await, Some(1));
        spool.stop();
        for name in ["a", "b", "c"] {
            assert_eq!(ask(folder.path(), &spool, name).await, Some(255), "{name}");
        }
        spool.remove().unwrap();
        // A script that is gone is no end of the archive.
        assert_eq!(ask(folder.path(), &spool, "a").await, Some(255));
    }

    #[tokio::test]
    async fn a_request_that_nobody_heard_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let asked = spool.folder.join("want/c");
        let forget = async {
            for _ in 0..2 {
                while !asked.exists() {
                    tokio::time::sleep(POLL).await;
                }
                fs::remove_file(&asked).unwrap();
            }
            spool.deny("c").unwrap();
        };
        let (code, ()) = tokio::join!(ask(folder.path(), &spool, "c"), forget);
        assert_eq!(code, Some(1));
    }

    #[tokio::test]
    async fn without_an_archive_nothing_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let tally = Mutex::new(Served::default());
        let history = TimelineHistory::initial();
        let code = tokio::select! {
            err = serve(&spool, None, &history, &tally) => panic!("{err:?}"),
            code = ask(folder.path(), &spool, "000000010000000000000001") => code,
        };
        assert_eq!(code, Some(1));
        assert_eq!(Served::stuck_at(&tally), None);
        for _ in 1..STUCK {
            Served::deny(&tally, "000000010000000000000001");
        }
        assert!(Served::stuck_at(&tally).is_some());
    }
}
