//! Serving a server that recovers: what it asks for, and what it will ask for next.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ops_pg_replication::{SegmentName, TimelineHistory};
use tokio::task::JoinSet;

use super::{POLL, Spool};
use crate::error::{Error, Result};
use crate::physical::restore::chain;
use crate::physical::restore::directory::file_error;
use crate::wal::{FetchOptions, Fetched, WalArchive, WalFile};

/// How often a file is asked for again where the store fails.
const ATTEMPTS: u32 = 5;

/// How often a standby asks for the same file that is not there before it is stuck.
pub(super) const STUCK: u32 = 50;

/// How many segments are fetched ahead: at first, and at most.
const WINDOW: (usize, usize) = (2, 16);

/// What the server was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// How many segments were fetched.
    pub(crate) segments: u64,
    /// What was asked for last that was not there, and how often in a row.
    denied: (String, u32),
}

impl Served {
    pub(super) fn deny(tally: &Mutex<Self>, name: &str) {
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
                .map_err(|err| chain::task_failed("restore", err))
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
