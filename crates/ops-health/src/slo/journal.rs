//! The file that keeps an objective over a restart.
//!
//! A ring on disk as in memory: every bucket has a place, and every record a checksum of
//! its own. A record that a crash has torn is one bucket about which nothing is known. The
//! state, which says until when the records reach, is written after them, in turn to one of
//! two places, so that one of the two is always whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use ops_core::{Error, ErrorKind, Result};

use super::ring::{Bucket, Ring};

const MAGIC: &[u8; 8] = b"OPSSLO1\n";
const HEADER: usize = 64;
const STATE: usize = 32;
const RECORD: usize = 20;
const RECORDS: usize = HEADER + 2 * STATE;

/// Until when a journal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) at_ms: i64,
    /// The service had said that it leaves.
    pub(super) drained: bool,
}

/// What a journal kept: for each ring its buckets.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) state: State,
    pub(super) rings: Vec<Vec<(i64, Bucket)>>,
}

/// The places of the rings in the file: width and number of slots of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout(Vec<(u32, u32)>);

impl Layout {
    pub(super) fn of(rings: &[&mut Ring]) -> Self {
        let shape = |ring: &Ring| {
            let slots = u32::try_from(ring.slots()).unwrap_or(u32::MAX);
            (ring.width_ms(), slots)
        };
        Self(rings.iter().map(|ring| shape(ring)).collect())
    }

    fn header(&self) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(MAGIC);
        for (width, slots) in &self.0 {
            bytes.extend_from_slice(&width.to_le_bytes());
            bytes.extend_from_slice(&slots.to_le_bytes());
        }
        bytes.resize(HEADER - 4, 0);
        sealed(bytes)
    }

    fn place(&self, ring: usize, index: i64) -> usize {
        let before: usize = self
            .0
            .iter()
            .take(ring)
            .map(|(_, slots)| to_usize(*slots))
            .sum();
        let slots = self.0.get(ring).map_or(1, |(_, slots)| i64::from(*slots));
        let slot = usize::try_from(index.rem_euclid(slots)).unwrap_or_default();
        RECORDS + (before + slot) * RECORD
    }

    fn size(&self) -> usize {
        let slots: usize = self.0.iter().map(|(_, slots)| to_usize(*slots)).sum();
        RECORDS + slots * RECORD
    }
}

fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Bytes with their checksum behind them.
fn sealed<const N: usize>(mut bytes: Vec<u8>) -> [u8; N] {
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.resize(N, 0);
    let mut out = [0; N];
    out.copy_from_slice(&bytes);
    out
}

/// The bytes in front of the checksum, where it is theirs.
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    (crc32c::crc32c(content) == u32::from_le_bytes(*sum)).then_some(content)
}

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    layout: Layout,
    sequence: u64,
}

impl Journal {
    /// Opens the file, or makes it, and reads what it kept. A file that is no journal of
    /// this shape is put aside under the name `*.unreadable`.
    pub(super) fn open(path: &Path, layout: Layout) -> Result<(Self, Option<Kept>)> {
        let failed = |err| error(path, "cannot be opened", err);
        let mut file = open_or_create(path, &layout).map_err(failed)?;
        lock(&file).map_err(|err| in_use(path, err))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let readable = bytes.get(..HEADER) == Some(&layout.header()[..]);
        if !readable {
            let aside = path.with_extension("unreadable");
            tracing::warn!(target: "ops_health", path = %path.display(), aside = %aside.display(), "the journal of an objective is unreadable and was put aside");
            fs::rename(path, &aside).map_err(failed)?;
            file = open_or_create(path, &layout).map_err(failed)?;
            lock(&file).map_err(|err| in_use(path, err))?;
            bytes.clear();
        }
        let (sequence, kept) = read(&bytes, &layout);
        let journal = Self {
            path: path.to_owned(),
            file,
            layout,
            sequence,
        };
        Ok((journal, kept))
    }

    /// Writes what has changed, then until when it reaches.
    pub(super) fn write(
        &mut self,
        changed: &[(usize, i64, Bucket)],
        state: State,
        sync: bool,
    ) -> Result<()> {
        self.write_all(changed, state, sync)
            .map_err(|err| error(&self.path, "cannot be written", err))
    }

    fn write_all(
        &mut self,
        changed: &[(usize, i64, Bucket)],
        state: State,
        sync: bool,
    ) -> io::Result<()> {
        for (ring, index, bucket) in changed {
            let place = self.layout.place(*ring, *index);
            self.put(place, &record(*ring, *index, *bucket))?;
        }
        if sync {
            self.file.sync_data()?;
        }
        let sequence = self.sequence.wrapping_add(1);
        let place = HEADER + if sequence.is_multiple_of(2) { 0 } else { STATE };
        self.put(place, &state_bytes(sequence, state))?;
        self.sequence = sequence;
        if sync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn put(&mut self, place: usize, bytes: &[u8]) -> io::Result<()> {
        let place = u64::try_from(place).map_err(io::Error::other)?;
        self.file.seek(SeekFrom::Start(place))?;
        self.file.write_all(bytes)
    }
}

fn record(ring: usize, index: i64, bucket: Bucket) -> [u8; RECORD] {
    let mut bytes = Vec::with_capacity(RECORD);
    // The ring is part of what is summed up, so that no record passes for another's.
    let tagged = index ^ (i64::try_from(ring).unwrap_or_default() << 56);
    bytes.extend_from_slice(&tagged.to_le_bytes());
    bytes.extend_from_slice(&bucket.good.to_le_bytes());
    bytes.extend_from_slice(&bucket.bad.to_le_bytes());
    sealed(bytes)
}

fn state_bytes(sequence: u64, state: State) -> [u8; STATE] {
    let mut bytes = Vec::with_capacity(STATE);
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&state.at_ms.to_le_bytes());
    bytes.push(u8::from(state.drained));
    bytes.resize(STATE - 4, 0);
    sealed(bytes)
}

fn read_state(bytes: &[u8]) -> Option<(u64, State)> {
    let content = unsealed(bytes)?;
    let (sequence, rest) = content.split_first_chunk::<8>()?;
    let (at_ms, rest) = rest.split_first_chunk::<8>()?;
    let state = State {
        at_ms: i64::from_le_bytes(*at_ms),
        drained: *rest.first()? != 0,
    };
    Some((u64::from_le_bytes(*sequence), state))
}

fn read(bytes: &[u8], layout: &Layout) -> (u64, Option<Kept>) {
    let state = |slot: usize| {
        let start = HEADER + slot * STATE;
        read_state(bytes.get(start..start + STATE)?)
    };
    let newest = state(0)
        .into_iter()
        .chain(state(1))
        .max_by_key(|(sequence, _)| *sequence);
    let Some((sequence, state)) = newest else {
        return (0, None);
    };
    let mut rest = bytes.get(RECORDS..).unwrap_or_default();
    let mut rings = Vec::new();
    for (ring, (_, slots)) in layout.0.iter().enumerate() {
        let length = (to_usize(*slots) * RECORD).min(rest.len());
        let (own, others) = rest.split_at(length);
        let records = own.chunks_exact(RECORD);
        rings.push(
            records
                .filter_map(|bytes| read_record(bytes, ring))
                .collect(),
        );
        rest = others;
    }
    (sequence, Some(Kept { state, rings }))
}

fn read_record(bytes: &[u8], ring: usize) -> Option<(i64, Bucket)> {
    let content = unsealed(bytes)?;
    let (index, rest) = content.split_first_chunk::<8>()?;
    let (good, rest) = rest.split_first_chunk::<4>()?;
    let (bad, _) = rest.split_first_chunk::<4>()?;
    let tag = i64::try_from(ring).unwrap_or_default() << 56;
    let bucket = Bucket {
        good: u32::from_le_bytes(*good),
        bad: u32::from_le_bytes(*bad),
    };
    // Empty places are zeros, whose checksum is no zero.
    Some((i64::from_le_bytes(*index) ^ tag, bucket))
}

fn open_or_create(path: &Path, layout: &Layout) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    // Made under another name, so that no crash leaves half a header behind.
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(&layout.header())?;
    file.set_len(u64::try_from(layout.size()).map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    options.open(path)
}

fn lock(file: &File) -> rustix::io::Result<()> {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
}

#[cold]
fn in_use(path: &Path, err: rustix::io::Errno) -> Error {
    let message = format!(
        "the journal {} is in use by another process",
        path.display()
    );
    Error::new(ErrorKind::Conflict, message).with_source(io::Error::from(err))
}

#[cold]
fn error(path: &Path, what: &str, err: io::Error) -> Error {
    let kind = match err.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::QuotaExceeded,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the journal {} {what}", path.display())).with_source(err)
}
