//! `restore_command`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use ops_pg_replication::{SegmentName, SystemId};
use tokio::time::Instant;

use super::super::objects::Store;
use super::super::{Absent, FetchOptions, Fetched, WalArchive, WalFile};
use super::brought::is_brought;
use super::spool::{FIRST_WINDOW, PrefetchSpool};
use super::{OPERATION, persist, system_id_of};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Unlock;

/// How many segments are fetched at once.
const CONCURRENCY: usize = 4;
/// How long a segment that is on its way is waited for before it is fetched again.
const WAIT_FOR_INCOMING: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// The exit status for a server that recovers.
///
/// 0 where the file is there, 1 where it is certain that it is not in the archive, 255 for
/// anything else: a server takes any status up to 125 for the end of the archive, ends
/// recovery and becomes a primary, and stops at one above.
#[must_use]
pub fn restore_exit_code(outcome: &Result<Fetched>) -> u8 {
    match outcome {
        Ok(Fetched::Found { .. }) => 0,
        Ok(Fetched::Absent(_)) => 1,
        Err(_) => 255,
    }
}

/// Gets single files for a server that recovers, as its `restore_command`.
#[derive(Debug)]
#[must_use]
pub struct RestoreCommand {
    store: Store,
    prefix: String,
    unlock: Vec<Unlock>,
    system_id: Option<SystemId>,
    spool: Option<PathBuf>,
    max_window: u32,
    options: FetchOptions,
    patience: Duration,
}

impl RestoreCommand {
    /// Reads below a prefix of a store.
    pub fn new(store: Store, prefix: impl Into<String>, unlock: Vec<Unlock>) -> Self {
        Self {
            store,
            prefix: prefix.into(),
            unlock,
            system_id: None,
            spool: None,
            max_window: 32,
            options: FetchOptions::default(),
            patience: Duration::from_secs(300),
        }
    }

    /// Sets whose WAL is wanted. Defaults to that of the data folder.
    pub fn with_system_id(mut self, system_id: SystemId) -> Self {
        self.system_id = Some(system_id);
        self
    }

    /// Sets a folder for segments that are fetched before they are asked for; best in the
    /// file system of the data folder. Without one nothing is.
    pub fn with_spool(mut self, spool: impl Into<PathBuf>) -> Self {
        self.spool = Some(spool.into());
        self
    }

    /// Sets how many segments are fetched ahead at most. Defaults to 32. The number begins
    /// at 4 and doubles each time when recovery is faster.
    pub fn with_max_window(mut self, max_window: u32) -> Self {
        self.max_window = max_window;
        self
    }

    /// Sets how files are fetched.
    pub fn with_options(mut self, options: FetchOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets for how long a store that fails is tried again. Defaults to 5 minutes.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn system_id(&self, data_folder: &Path) -> Result<SystemId> {
        self.system_id.map_or_else(|| system_id_of(data_folder), Ok)
    }

    async fn open(&self, system_id: SystemId) -> Result<WalArchive> {
        let store = Arc::clone(&self.store);
        let opened = WalArchive::open(store, &self.prefix, Some(system_id), self.unlock.clone());
        opened.await?.ok_or_else(|| {
            // Not "absent": a wrong prefix must not end a recovery.
            let message = format!("there is no WAL archive of the cluster {system_id}");
            Error::new(ErrorKind::NotFound, OPERATION, message)
                .with_hint("check the prefix and the store")
        })
    }

    /// Gets the file of a name (`%f`) to a path (`%p`), in a data folder, which is where the
    /// server runs its commands.
    ///
    /// A segment that the archive lacks is absent, and not missing, where the backup that was
    /// restored into the data folder has brought it into `pg_wal`: the server looks there next.
    ///
    /// # Errors
    /// `WalMissing` for a file that should be there; `NotFound` where there is no archive of
    /// the cluster; `Integrity`, `WrongKey`, `Store`, `StoreDenied`, `Timeout`. Recovery must
    /// not go on, see [`restore_exit_code`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave a temporary file beside the destination.
    pub async fn run(&self, data_folder: &Path, name: &str, to: &Path) -> Result<Fetched> {
        let to = data_folder.join(to);
        let system_id = self.system_id(data_folder)?;
        if let Some(spool) = self.open_spool(system_id)
            && self.take_prefetched(&spool, name, &to).await?
        {
            // How far it goes matters to nobody: it is a whole segment.
            return Ok(Fetched::Found {
                end: ops_pg_replication::Lsn::MAX,
            });
        }
        persist(self.patience, || async {
            let archive = self.open(system_id).await?;
            let size = archive.segment_size();
            let file = WalFile::parse(name, size)?;
            let fetched = archive.fetch(&file, &to, self.options).await;
            match (&fetched, file) {
                (Err(err), WalFile::Segment(segment)) if err.kind() == ErrorKind::WalMissing => {
                    let folder = data_folder.to_owned();
                    let look = move || is_brought(&folder, system_id, segment, size);
                    match tokio::task::spawn_blocking(look).await {
                        Ok(true) => Ok(Fetched::Absent(Absent::Brought)),
                        _ => fetched,
                    }
                }
                _ => fetched,
            }
        })
        .await
    }

    /// A spool that cannot be used costs speed and nothing else.
    fn open_spool(&self, system_id: SystemId) -> Option<PrefetchSpool> {
        let folder = self.spool.as_ref()?;
        match PrefetchSpool::open(folder, system_id) {
            Ok(spool) => Some(spool),
            Err(err) => {
                tracing::warn!(error = %ops_core::Report(&err), "nothing is prefetched");
                None
            }
        }
    }

    async fn take_prefetched(&self, spool: &PrefetchSpool, name: &str, to: &Path) -> Result<bool> {
        if spool.take(name, to)? {
            return Ok(true);
        }
        if !spool.is_incoming(name) {
            return Ok(false);
        }
        // Recovery is faster than what is fetched ahead.
        spool.set_window((spool.window() * 2).min(self.max_window));
        let begun = Instant::now();
        while begun.elapsed() < WAIT_FOR_INCOMING && spool.is_incoming(name) {
            tokio::time::sleep(POLL).await;
        }
        spool.take(name, to)
    }

    /// Whether a process should be started that runs [`prefetch`](Self::prefetch) after the
    /// file of this name.
    #[must_use]
    pub fn should_prefetch(&self, data_folder: &Path, name: &str) -> bool {
        let is_segment = name.len() == 24;
        let spool = self
            .system_id(data_folder)
            .ok()
            .and_then(|id| self.open_spool(id));
        is_segment && spool.is_some_and(|spool| matches!(spool.lock(), Ok(Some(_))))
    }

    /// Fetches the segments after one, as far ahead as the window says, unless another
    /// process does. Ends where the archive does.
    ///
    /// # Errors
    /// As [`run`](Self::run). What was fetched stays.
    ///
    /// # Cancel safety
    /// What was fetched stays.
    pub async fn prefetch(&self, data_folder: &Path, after: &str) -> Result<()> {
        let system_id = self.system_id(data_folder)?;
        let Some(spool) = self.open_spool(system_id) else {
            return Ok(());
        };
        let Some(_lock) = spool.lock()? else {
            return Ok(());
        };
        let archive = self.open(system_id).await?;
        let size = archive.segment_size();
        let after = SegmentName::parse(after, size).map_err(|source| {
            Error::new(
                ErrorKind::InvalidInput,
                OPERATION,
                "not the name of a segment",
            )
            .with_source(source)
        })?;
        let window = spool
            .window()
            .clamp(FIRST_WINDOW.min(self.max_window), self.max_window);
        let last = after.number().saturating_add(u64::from(window));
        let is_wanted = |name: SegmentName| {
            name.timeline() == after.timeline()
                && (after.number() + 1..=last).contains(&name.number())
        };
        spool.retain(size, is_wanted)?;
        let there: Vec<SegmentName> = spool
            .segments(size)?
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let wanted = (after.number() + 1..=last)
            .map(|number| SegmentName::new(after.timeline(), number))
            .filter(|name| !there.contains(name));
        let mut fetched = stream::iter(wanted)
            .map(|name| fetch_ahead(&archive, &spool, name))
            .buffered(CONCURRENCY);
        while let Some(is_there) = fetched.next().await {
            if !is_there? {
                break;
            }
        }
        Ok(())
    }
}

/// Fetches one segment into the spool; `false` where it is not in the archive.
async fn fetch_ahead(
    archive: &WalArchive,
    spool: &PrefetchSpool,
    name: SegmentName,
) -> Result<bool> {
    let file = name.file_name(archive.segment_size());
    spool.begin(&file);
    let incoming = spool.incoming(&file);
    let fetched = archive
        .fetch(&WalFile::Segment(name), &incoming, FetchOptions::default())
        .await;
    let kept = match fetched {
        Ok(Fetched::Found { .. }) => spool.keep(&file).map(|()| true),
        Ok(Fetched::Absent(_)) => Ok(false),
        Err(err) => Err(err),
    };
    spool.end(&file);
    kept
}
