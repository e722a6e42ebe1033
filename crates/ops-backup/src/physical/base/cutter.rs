//! Cuts archives into frames.
//!
//! A file that fits into a frame is never split, and a larger one begins with a frame of its
//! own: reading one small file takes one frame, reading a large one takes nothing else.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::tally::{Blocks, PageSpan};
use crate::error::{Error, ErrorKind, Result};
use crate::physical::pages::{PAGE, RelationFile};
use crate::physical::tar::BLOCK;
use crate::pipeline::{Block, Compressors};

/// How many pages a file of a relation has, unless the server says else (`segment_size`).
pub(super) const SEGMENT_PAGES: u32 = 131_072;
/// What an incremental file begins with.
const INCREMENTAL_MAGIC: u32 = 0xd3ae_1f0d;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A pack of the archive with this place.
    Pack(u32),
    /// The index of files.
    Files,
    /// The server's manifest.
    ServerManifest,
}

/// What is to be known of a frame.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) target: Target,
    pub(super) spans: Vec<PageSpan>,
}

/// The buffers of a job, and the threads that take full ones. Those come back when they have
/// been stored: whoever fills one waits for that.
pub(super) struct Outlet {
    buffers: mpsc::Receiver<Vec<u8>>,
    compressors: Compressors<Tag>,
    pub(super) frame_bytes: usize,
}

impl Outlet {
    pub(super) fn new(
        buffers: mpsc::Receiver<Vec<u8>>,
        compressors: Compressors<Tag>,
        frame_bytes: usize,
    ) -> Self {
        Self {
            buffers,
            compressors,
            frame_bytes,
        }
    }

    /// An empty buffer.
    pub(super) async fn buffer(&mut self) -> Result<Vec<u8>> {
        let mut buffer = self.buffers.recv().await.ok_or_else(ended)?;
        buffer.clear();
        buffer.reserve(self.frame_bytes);
        Ok(buffer)
    }

    /// Hands a frame over. The queues have room for every buffer there is.
    pub(super) fn send(&mut self, bytes: Vec<u8>, tag: Tag) -> Result<()> {
        let sent = self.compressors.send(Block { bytes, tag });
        if sent { Ok(()) } else { Err(ended()) }
    }
}

/// The storing side has ended, and says why.
#[cold]
fn ended() -> Error {
    Error::new(ErrorKind::Canceled, "base_backup", "storing ended early")
}

/// The pages of the file that is being cut.
#[derive(Debug)]
struct Pages {
    path: Arc<str>,
    /// The number of the first page, where the pages are all of the file.
    first: u32,
    /// The beginning of an incremental file, until it is whole, and then what it says.
    incremental: Option<Incremental>,
}

#[derive(Debug)]
enum Incremental {
    Head(Vec<u8>),
    /// The numbers of the pages, and where those begin.
    Blocks(Arc<[u32]>, u64),
}

/// Cuts one archive.
pub(super) struct Cutter {
    archive: u32,
    bytes: Option<Vec<u8>>,
    spans: Vec<PageSpan>,
    pages: Option<Pages>,
    /// Where in the frame, and where in the file, the content begins that is in the frame.
    content: (usize, u64),
    large: bool,
}

impl Cutter {
    pub(super) fn new(archive: u32) -> Self {
        Self {
            archive,
            bytes: None,
            spans: Vec::new(),
            pages: None,
            content: (0, 0),
            large: false,
        }
    }

    fn filled(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }

    /// Begins a member that takes so many bytes beside its header. `pages` where it is a
    /// relation whose pages are to be looked at.
    pub(super) async fn begin(
        &mut self,
        outlet: &mut Outlet,
        header: &[u8; BLOCK],
        bytes: u64,
        pages: Option<(Arc<str>, RelationFile, u32)>,
    ) -> Result<()> {
        let whole = bytes.saturating_add(BLOCK as u64);
        self.large = whole > outlet.frame_bytes as u64;
        let room = outlet.frame_bytes.saturating_sub(self.filled()) as u64;
        if !self.large && whole > room {
            self.cut(outlet)?;
        }
        self.append(outlet, header).await?;
        if self.large {
            self.cut(outlet)?;
        }
        self.content = (self.filled(), 0);
        self.pages = pages.map(|(path, file, segment_pages)| Pages {
            path,
            first: file.segment.saturating_mul(segment_pages),
            incremental: file.incremental.then(|| Incremental::Head(Vec::new())),
        });
        Ok(())
    }

    /// Takes bytes of the member's content.
    pub(super) async fn content(&mut self, outlet: &mut Outlet, bytes: &[u8]) -> Result<()> {
        if let Some(Pages {
            incremental: Some(incremental),
            ..
        }) = &mut self.pages
        {
            incremental.feed(bytes)?;
        }
        self.append(outlet, bytes).await
    }

    /// Ends the member with so many zeros.
    pub(super) async fn end(&mut self, outlet: &mut Outlet, padding: usize) -> Result<()> {
        self.note_pages();
        self.pages = None;
        self.zeros(outlet, padding).await?;
        if self.large {
            self.cut(outlet)?;
        }
        Ok(())
    }

    pub(super) async fn zeros(&mut self, outlet: &mut Outlet, len: usize) -> Result<()> {
        const ZEROS: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
        self.append(outlet, ZEROS.get(..len).unwrap_or(&ZEROS))
            .await
    }

    async fn append(&mut self, outlet: &mut Outlet, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let mut frame = match self.bytes.take() {
                Some(frame) => frame,
                None => outlet.buffer().await?,
            };
            let room = outlet.frame_bytes.saturating_sub(frame.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            frame.extend_from_slice(now);
            let full = frame.len() >= outlet.frame_bytes;
            self.bytes = Some(frame);
            bytes = later;
            if full {
                self.cut(outlet)?;
            }
        }
        Ok(())
    }

    /// Ends the frame.
    pub(super) fn cut(&mut self, outlet: &mut Outlet) -> Result<()> {
        self.note_pages();
        let Some(bytes) = self.bytes.take() else {
            return Ok(());
        };
        let tag = Tag {
            target: Target::Pack(self.archive),
            spans: std::mem::take(&mut self.spans),
        };
        outlet.send(bytes, tag)
    }

    /// Notes which pages of the file are in the frame.
    fn note_pages(&mut self) {
        let (at, from) = self.content;
        let len = self.filled().saturating_sub(at);
        self.content = (0, from + len as u64);
        let Some(pages) = &self.pages else { return };
        let (skipped, blocks) = match &pages.incremental {
            None => {
                let index = u32::try_from(from / PAGE as u64).unwrap_or(u32::MAX);
                (0, Blocks::From(pages.first.saturating_add(index)))
            }
            Some(Incremental::Head(_)) => return,
            Some(Incremental::Blocks(list, begin)) => {
                let skipped = begin.saturating_sub(from);
                let index = (from + skipped - begin) / PAGE as u64;
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                (skipped, Blocks::Listed(Arc::clone(list), index))
            }
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(len);
        if len - skipped >= PAGE {
            self.spans.push(PageSpan {
                path: Arc::clone(&pages.path),
                at: at + skipped,
                len: len - skipped,
                blocks,
            });
        }
    }
}

impl Incremental {
    /// Reads the list of blocks at the beginning of an incremental file.
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let Self::Head(head) = self else {
            return Ok(());
        };
        let word = |head: &[u8], index: usize| {
            let word = head.as_chunks::<4>().0.get(index)?;
            Some(u32::from_le_bytes(*word))
        };
        let needed = |head: &[u8]| {
            let count = word(head, 1)?;
            Some(12 + 4 * usize::try_from(count).ok()?)
        };
        let mut bytes = bytes;
        loop {
            let most = needed(head).unwrap_or(12);
            let (now, later) = bytes.split_at(most.saturating_sub(head.len()).min(bytes.len()));
            head.extend_from_slice(now);
            bytes = later;
            if word(head, 0).is_some_and(|magic| magic != INCREMENTAL_MAGIC)
                || word(head, 1).is_some_and(|count| count > SEGMENT_PAGES * 16)
            {
                let message = "an incremental file does not begin as one";
                return Err(Error::new(ErrorKind::Archive, "base_backup", message));
            }
            match needed(head) {
                Some(whole) if head.len() >= whole => {
                    let (words, _) = head.as_chunks::<4>();
                    let blocks = words.iter().skip(3).map(|word| u32::from_le_bytes(*word));
                    let begin = whole.next_multiple_of(PAGE) as u64;
                    *self = Self::Blocks(blocks.collect(), begin);
                    return Ok(());
                }
                _ if bytes.is_empty() => return Ok(()),
                _ => {}
            }
        }
    }
}
