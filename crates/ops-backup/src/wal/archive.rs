//! The archive of one cluster's WAL.

mod check;
mod coverage;
mod fetch;
mod frontier;
mod push;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use ops_core::object_store::{GetOptions, ListOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, Timestamp};
use ops_pg_replication::{SegmentName, SystemId, Timeline, TimelineHistory, WalSegmentSize};
use tokio::sync::Mutex;

use super::gap::{self, GapRecord};
use super::header::Header;
use super::info::{ArchiveInfo, Lineage};
use super::layout::WalLayout;
use super::objects::{Put, Store, blocking_reader, put_once, read_header, read_small};
use super::restore_point::{self, RestorePoint};
use super::seal::{self, EpochKey};
use super::{OPERATION, expire};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{BackupIdentity, Encryption, Unlock};
use crate::physical::{PhysicalInfo, WalMethod, WalRange};

pub(crate) use check::WalObject;
pub use coverage::{Coverage, WalRun};
pub use fetch::{Absent, FetchOptions, Fetched, WalFile};
pub use frontier::Frontier;
pub use push::Pushed;
pub(crate) use push::check_first_page;

/// The largest identity object that is read.
const MAX_HISTORY_BYTES: u64 = 16 << 20;

/// The archive of one cluster's WAL: for reading, and for what writers share.
///
/// Cheap to clone; clones share the identities that were opened.
///
/// Nothing but the objects tells what is archived, and no question about it costs more
/// where the archive is older:
/// - *The frontier* of a timeline is where its WAL ends without a gap. Its last segment is
///   found by asking "is there anything after this name?" at doubling and then halving
///   distances, about two requests per binary digit of the number of segments. Uploads
///   overtake one another, so the last few hundred names are then read in one request, and
///   the frontier is the first hole among them. Parts of the next segment continue it.
/// - *Contiguity* is a fact of names: segments are numbered. Where one is missing for good,
///   a gap record says so; a hole without a record is filled or reported, never skipped.
///   Timelines are joined by their history files, whose headers name where each line was left.
/// - *The newest commit* stands in the header of the last object: one ranged read.
/// - *Coverage* of a window needs the names in it, at 1000 names, that is 16 GB of WAL, per
///   request; retention keeps the window finite.
#[derive(Clone)]
pub struct WalArchive(Arc<Shared>, Option<WalRange>);

struct Shared {
    store: Store,
    layout: WalLayout,
    info: ArchiveInfo,
    unlock: Vec<Unlock>,
    /// The identities of epochs that were opened.
    identities: Mutex<BTreeMap<u32, BackupIdentity>>,
}

impl std::fmt::Debug for WalArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalArchive")
            .field("info", &self.0.info)
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}

impl WalArchive {
    /// Opens the archive below a prefix: that of a cluster, or of the one that the prefix
    /// belongs to now. `None` where there is none.
    ///
    /// Keys are needed to read segments and history files, and for nothing else.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` and `UnknownFormat` for an archive that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn open(
        store: Store,
        prefix: &str,
        system_id: Option<SystemId>,
        unlock: Vec<Unlock>,
    ) -> Result<Option<Self>> {
        let system_id = match system_id {
            Some(system_id) => Some(system_id),
            None => Lineage::read(&*store, prefix).await?.map(|it| it.system_id),
        };
        let Some(system_id) = system_id else {
            return Ok(None);
        };
        let layout = WalLayout::new(prefix, system_id, false);
        let Some(info) = ArchiveInfo::read(&*store, &layout).await? else {
            return Ok(None);
        };
        Ok(Some(Self::from_parts(store, layout, info, unlock)))
    }

    /// Opens the archive of a cluster for writing, and makes it where there is none.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call makes it, with all it depends on"
    )]
    pub(crate) async fn create(
        store: Store,
        prefix: &str,
        system_id: SystemId,
        size: WalSegmentSize,
        encryption: &Encryption,
        unlock: Vec<Unlock>,
        take_over: bool,
        now: Timestamp,
    ) -> Result<Self> {
        Lineage::claim(&*store, prefix, system_id, take_over, now).await?;
        let encrypted = !encryption.is_none();
        let layout = WalLayout::new(prefix, system_id, encrypted);
        let info = ArchiveInfo::new(system_id, size, encrypted, now);
        let info = info.create(&*store, &layout).await?;
        Ok(Self::from_parts(store, layout, info, unlock))
    }

    fn from_parts(store: Store, layout: WalLayout, info: ArchiveInfo, unlock: Vec<Unlock>) -> Self {
        let shared = Shared {
            store,
            layout: layout.with_encrypted(info.encrypted),
            info,
            unlock,
            identities: Mutex::default(),
        };
        Self(Arc::new(shared), None)
    }

    /// The same archive for recovery of a backup that brings some WAL itself. What of that is
    /// not archived is absent, and not lost.
    pub(crate) fn beside(mut self, backup: &PhysicalInfo) -> Self {
        let (timeline, start, end) = (backup.end_timeline, backup.start_lsn, backup.end_lsn);
        let brings = backup.wal == WalMethod::Included;
        self.1 = brings.then(|| WalRange::new(timeline, start, end));
        self
    }

    /// Whether the backup that is recovered brings a segment itself.
    fn is_brought(&self, name: SegmentName) -> bool {
        let size = self.segment_size();
        self.1.is_some_and(|own| {
            let (start, end) = (name.start(size), name.end(size));
            own.timeline == name.timeline() && start < own.end && own.start < end
        })
    }

    /// Whose WAL it is.
    #[must_use]
    pub fn system_id(&self) -> SystemId {
        self.0.info.system_id
    }

    /// The size of its segments.
    #[must_use]
    pub fn segment_size(&self) -> WalSegmentSize {
        self.0.info.wal_segment_size
    }

    pub(crate) fn layout(&self) -> &WalLayout {
        &self.0.layout
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The gaps that are written down, by timeline and position.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` for a record that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn gaps(&self) -> Result<Vec<GapRecord>> {
        gap::list(&*self.0.store, &self.0.layout).await
    }

    /// All holes that somebody wrote down: gaps, and WAL that was let go of.
    pub(crate) async fn known_holes(&self) -> Result<Vec<GapRecord>> {
        let mut holes = self.gaps().await?;
        let marks = expire::marks(&*self.0.store, &self.0.layout).await?;
        holes.extend(marks.iter().map(expire::record));
        Ok(holes)
    }

    /// The named restore points that the archiver has seen, by timeline and position.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` for a record that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn restore_points(&self) -> Result<Vec<RestorePoint>> {
        restore_point::list(&*self.0.store, &self.0.layout).await
    }

    /// The histories of all archived timelines but the first, which has none; by timeline.
    ///
    /// No key is needed, and the reasons in them are empty: what is known is which
    /// timelines there are and where each was left.
    ///
    /// # Errors
    /// `Store`, `StoreDenied`; `Integrity` for a history that cannot be read.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn histories(&self) -> Result<Vec<TimelineHistory>> {
        let listed: Vec<_> = self
            .0
            .store
            .list(ListOptions::prefix(self.0.layout.histories()))
            .try_collect()
            .await
            .map_err(|err| Error::store(OPERATION, err))?;
        let mut histories = Vec::with_capacity(listed.len());
        for meta in listed {
            let Some(timeline) = self.0.layout.history_timeline(&meta.key) else {
                continue;
            };
            // One of very many timelines is longer than the head of an object.
            let found = read_small(&*self.0.store, &meta.key, GetOptions::default()).await?;
            let Some((object, _)) = found else { continue };
            let header = Header::find(&meta.key, &object)?;
            histories.push(history_of(&meta.key, timeline, &header)?);
        }
        Ok(histories)
    }

    /// Stores the history of a timeline, where it is not there already.
    pub(crate) async fn put_history(
        &self,
        history: &TimelineHistory,
        epoch: Option<&EpochKey>,
    ) -> Result<Put> {
        let (raw, timeline) = (history.raw(), history.timeline());
        let header = Header::of_history(timeline, raw, history.entries());
        let key = self.0.layout.history(timeline)?;
        if let Some(there) = self.head_of_history(&key).await? {
            return if there.blake3 == header.blake3 {
                Ok(Put::Same)
            } else {
                Err(other_history(timeline))
            };
        }
        let mut compressor = seal::Compressor::new(1)?;
        let frame = compressor.compress(raw)?;
        let hash = header.blake3;
        let object = seal::seal(header, &[frame], epoch)?;
        put_once(&*self.0.store, &key, object, hash).await
    }

    async fn head_of_history(&self, key: &ObjectKey) -> Result<Option<Header>> {
        let found = read_small(&*self.0.store, key, GetOptions::default()).await?;
        found
            .map(|(object, _)| Header::find(key, &object))
            .transpose()
    }

    /// Whether the history of a timeline is archived.
    pub(crate) async fn has_history(&self, timeline: Timeline) -> Result<bool> {
        match self.0.store.head(&self.0.layout.history(timeline)?).await {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == CoreKind::NotFound => Ok(false),
            Err(err) => Err(Error::store(OPERATION, err)),
        }
    }

    /// The identity that opens an object; `None` where it is not encrypted.
    async fn identity(&self, header: &Header) -> Result<Option<BackupIdentity>> {
        let Some(number) = header.epoch else {
            return Ok(None);
        };
        // Held while the identity is fetched, so that it is fetched and opened once.
        let mut identities = self.0.identities.lock().await;
        if let Some(identity) = identities.get(&number) {
            return Ok(Some(identity.clone()));
        }
        let key = self.0.layout.epoch(number)?;
        let found = read_small(&*self.0.store, &key, GetOptions::default()).await?;
        let Some((wrapped, _)) = found else {
            let message = format!(
                "the identity {key} is missing, and all that is encrypted to it is unreadable"
            );
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        };
        let keys = self.0.unlock.clone();
        // scrypt takes about a second by design.
        let opened =
            tokio::task::spawn_blocking(move || BackupIdentity::unwrap(OPERATION, &wrapped, &keys));
        let identity = opened.await.map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                OPERATION,
                "opening the identity ended early",
            )
            .with_source(source)
        })??;
        identities.insert(number, identity.clone());
        Ok(Some(identity))
    }

    /// Opens an object and hands over all that it holds to a writer, which is given back.
    /// `None` where there is no such object.
    async fn open_object<W>(
        &self,
        key: &ObjectKey,
        name: &str,
        from: u32,
        output: W,
    ) -> Result<Option<(Header, W)>>
    where
        W: std::io::Write + Send + 'static,
    {
        let Some(header) = self.header_of(key).await? else {
            return Ok(None);
        };
        if header.name != name || header.from != from {
            let message = format!("{key} says that it is {} from {}", header.name, header.from);
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        }
        let identity = self.identity(&header).await?;
        if self.0.info.encrypted && identity.is_none() {
            let message = format!("{key} is not encrypted, and everything in this archive is");
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        }
        let body = match self.0.store.get(key, GetOptions::default()).await {
            Ok(got) => got.body,
            Err(err) if err.kind() == CoreKind::NotFound => return Ok(None),
            Err(err) => return Err(Error::store(OPERATION, err)),
        };
        let (fetch, reader) = blocking_reader(body);
        let (named, promised) = (key.clone(), header.clone());
        let open = tokio::task::spawn_blocking(move || {
            let mut output = output;
            seal::open(&named, &promised, identity.as_ref(), reader, &mut output).map(|()| output)
        });
        let (fetched, opened) = tokio::join!(fetch, open);
        fetched?;
        let output = opened.map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                OPERATION,
                "reading an object ended early",
            )
            .with_source(source)
        })??;
        Ok(Some((header, output)))
    }

    /// The header of an object, however long.
    async fn header_of(&self, key: &ObjectKey) -> Result<Option<Header>> {
        if self.0.layout.history_timeline(key).is_some() {
            self.head_of_history(key).await
        } else {
            read_header(&*self.0.store, key).await
        }
    }

    /// The history file of a timeline, byte for byte; `None` where it is not archived.
    ///
    /// # Errors
    /// `WrongKey` where none of the keys opens it; `Integrity` for one that is damaged;
    /// `Store`, `StoreDenied`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn history(&self, timeline: Timeline) -> Result<Option<TimelineHistory>> {
        let key = self.0.layout.history(timeline)?;
        let opened = self
            .open_object(&key, &timeline.hex8(), 0, Vec::new())
            .await?;
        let Some((header, raw)) = opened else {
            return Ok(None);
        };
        if header.bytes > MAX_HISTORY_BYTES {
            let message = format!("{key} is larger than {MAX_HISTORY_BYTES} bytes");
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        }
        TimelineHistory::parse(timeline, raw.into())
            .map(Some)
            .map_err(|source| unreadable(&key).with_source(source))
    }
}

/// What a header tells of a history, as a history without reasons.
fn history_of(key: &ObjectKey, timeline: Timeline, header: &Header) -> Result<TimelineHistory> {
    let lines = header.lines.iter();
    let lines: Vec<String> = lines
        .map(|(timeline, switch)| format!("{timeline}\t{switch}\t\n"))
        .collect();
    let text = lines.concat();
    TimelineHistory::parse(timeline, text.into())
        .map_err(|source| unreadable(key).with_source(source))
}

#[cold]
fn unreadable(key: &ObjectKey) -> Error {
    Error::new(
        ErrorKind::Integrity,
        OPERATION,
        format!("{key} is no history of a timeline"),
    )
}

#[cold]
fn other_history(timeline: Timeline) -> Error {
    let message = format!("the archive has another history of timeline {timeline} than the server");
    Error::new(ErrorKind::Integrity, OPERATION, message)
        .with_left_behind("what is in the archive was not overwritten")
        .with_hint("two servers were promoted to one timeline: let the archive follow one of them, and promote the other again under another prefix")
}
