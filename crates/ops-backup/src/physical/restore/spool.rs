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

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ops_pg::process::User;
use ops_pg_replication::{SegmentName, TimelineHistory};
use tokio::task::JoinSet;

use super::directory::file_error;
use crate::error::{Error, ErrorKind, Result};
use crate::wal::{FetchOptions, Fetched, WalArchive, WalFile};

/// Where the spool lies in a data folder. What is in `pg_wal` belongs to no manifest.
pub(crate) const FOLDER: &str = "pg_wal/ops-spool";

/// How often the folder is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How long the script waits for a file, in steps of 20 ms.
const PATIENCE_STEPS: u32 = 50 * 3600;
/// How often a file is asked for again where the store fails.
const ATTEMPTS: u32 = 5;

/// How often a standby asks for the same file that is not there before it is stuck.
const STUCK: u32 = 50;

/// How many segments are fetched ahead: at first, and at most.
const WINDOW: (usize, usize) = (2, 16);

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

/// What the server was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// How many segments were fetched.
    pub(crate) segments: u64,
    /// What was asked for last that was not there, and how often in a row.
    denied: (String, u32),
}

impl Served {
    fn deny(tally: &Mutex<Self>, name: &str) {
        let mut served = tally.lock().unwrap_or_else(PoisonError::into_inner);
        if served.denied.0 == name {
            served.denied.1 += 1;
        } else {
            served.denied = (name.to_owned(), 1);
        }
    }

    /// The file that the server asks for again and again, if it does.
    pub(crate) fn stuck_at(tally: &Mutex<Self>) -> Option<String> {
        let served = tally.lock().unwrap_or_else(PoisonError::into_inner);
        (served.denied.1 >= STUCK).then(|| served.denied.0.clone())
    }
}

/// Gives a server what it asks for, and fetches ahead of it, until this is dropped. Comes
/// back only with an error: then the server has been told to stop.
pub(crate) async fn serve(
    spool: &Spool,
    archive: Option<&WalArchive>,
    history: &TimelineHistory,
    tally: &Mutex<Served>,
) -> Error {
    let mut server = Server {
        spool,
        archive,
        history,
        fetching: JoinSet::new(),
        underway: BTreeSet::new(),
        wanted: BTreeSet::new(),
        window: WINDOW.0,
        next: None,
        last_wanted: None,
    };
    let err = server.run(tally).await;
    spool.stop();
    err
}

struct Server<'a> {
    spool: &'a Spool,
    archive: Option<&'a WalArchive>,
    history: &'a TimelineHistory,
    fetching: JoinSet<(String, Result<Fetched>)>,
    underway: BTreeSet<String>,
    /// What the server waits for.
    wanted: BTreeSet<String>,
    window: usize,
    /// The segment that is fetched next without being asked for.
    next: Option<SegmentName>,
    last_wanted: Option<SegmentName>,
}

impl Server<'_> {
    async fn run(&mut self, tally: &Mutex<Served>) -> Error {
        loop {
            match self.step(tally) {
                Ok(()) => {}
                Err(err) => return err,
            }
            // Whichever comes first: a file, or the time to look again.
            let joined = tokio::time::timeout(POLL, async {
                match self.fetching.join_next().await {
                    Some(joined) => joined,
                    None => std::future::pending().await,
                }
            });
            let Ok(joined) = joined.await else { continue };
            let done = joined
                .map_err(|err| super::chain::task_failed("restore", err))
                .and_then(|(name, fetched)| self.fetched(&name, fetched, tally));
            if let Err(err) = done {
                return err;
            }
        }
    }

    /// Looks at what is asked for, and begins to fetch.
    fn step(&mut self, tally: &Mutex<Served>) -> Result<()> {
        let failed = |err| file_error("reading", &self.spool.folder, err);
        for name in self.spool.names("want").map_err(failed)? {
            let asked = self.spool.folder.join("want").join(&name);
            fs::remove_file(&asked).map_err(failed)?;
            self.wanted(&name, tally)?;
        }
        let mut ahead = self.spool.names("have").map_err(failed)?.len() + self.underway.len();
        while ahead < self.window {
            let (Some(archive), Some(next)) = (self.archive, self.next) else {
                break;
            };
            let size = archive.segment_size();
            let name = next.file_name(size);
            let line = self.history.segment(next.number() + 1, size);
            self.next = Some(line);
            if !self.spool.has("have", &name) {
                self.begin(name);
            }
            ahead += 1;
        }
        Ok(())
    }

    fn wanted(&mut self, name: &str, tally: &Mutex<Served>) -> Result<()> {
        let denied = |err| file_error("writing to", &self.spool.folder, err);
        let Some(archive) = self.archive else {
            // What the backup brought along is all there is.
            Served::deny(tally, name);
            return self.spool.deny(name).map_err(denied);
        };
        if let Ok(WalFile::Segment(segment)) = WalFile::parse(name, archive.segment_size()) {
            let was_there = self.spool.has("have", name) || self.wanted.contains(name);
            // A server that waits for what is not there yet gets more ahead next time.
            if self.last_wanted.is_some() && !was_there {
                self.window = (self.window * 2).min(WINDOW.1);
            }
            let follows = self.next.is_some_and(|next| {
                next.timeline() == segment.timeline()
                    && next.number() > segment.number()
                    && next.number() - segment.number() <= WINDOW.1 as u64 + 1
            });
            if !follows {
                let line = self
                    .history
                    .segment(segment.number() + 1, archive.segment_size());
                self.next = (line.timeline() >= segment.timeline()).then_some(line);
            }
            self.last_wanted = Some(segment);
        }
        if !self.spool.has("have", name) {
            self.wanted.insert(name.to_owned());
            self.begin(name.to_owned());
        }
        Ok(())
    }

    fn begin(&mut self, name: String) {
        let Some(archive) = self.archive.cloned() else {
            return;
        };
        if !self.underway.insert(name.clone()) {
            return;
        }
        let to = self.spool.folder.join("temp").join(&name);
        self.fetching.spawn(async move {
            let fetched = fetch(&archive, &name, &to).await;
            (name, fetched)
        });
    }

    fn fetched(
        &mut self,
        name: &str,
        fetched: Result<Fetched>,
        tally: &Mutex<Served>,
    ) -> Result<()> {
        self.underway.remove(name);
        let wanted = self.wanted.remove(name);
        let written = match fetched {
            // What nobody has asked for is nobody's trouble: recovery may end before it.
            Err(_) | Ok(Fetched::Absent(_)) if !wanted => {
                self.next = None;
                return Ok(());
            }
            Err(err) => return Err(err),
            Ok(Fetched::Absent(_)) => {
                Served::deny(tally, name);
                self.spool.deny(name)
            }
            Ok(_) => {
                if !name.ends_with(".history") {
                    let mut served = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    served.segments += 1;
                }
                self.spool.offer(name)
            }
        };
        written.map_err(|err| file_error("writing to", &self.spool.folder, err))
    }
}

/// Fetches a file, again where the store fails for a moment.
async fn fetch(archive: &WalArchive, name: &str, to: &Path) -> Result<Fetched> {
    // A name that is no file of the WAL is nothing that an archive could have.
    let file = WalFile::parse(name, archive.segment_size())?;
    let options = FetchOptions::default().with_open_segment(true);
    let mut attempt = 1;
    loop {
        match archive.fetch(&file, to, options).await {
            Err(err) if err.is_transient() && attempt < ATTEMPTS => {
                tracing::warn!(error = %ops_core::Report(&err), name, "a WAL file is asked for again");
                tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use ops_pg::process::Program;

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
