//! Looking at the pages in a frame, on the threads that compress it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::physical::format::{BadPage, PageChecks};
use crate::physical::pages::{self, PAGE, Verdict};

/// How many damaged pages are named.
const NAMED: usize = 1000;

/// The numbers of pages that follow each other in a file.
#[derive(Clone, Debug)]
pub(super) enum Blocks {
    /// From this one on.
    From(u32),
    /// Those of a list, from a place in it on.
    Listed(Arc<[u32]>, usize),
}

impl Blocks {
    fn get(&self, index: usize) -> Option<u32> {
        match self {
            Self::From(first) => first.checked_add(u32::try_from(index).ok()?),
            Self::Listed(list, from) => list.get(from + index).copied(),
        }
    }
}

/// Pages of one file that lie in a frame.
#[derive(Clone, Debug)]
pub(super) struct PageSpan {
    /// The file, relative to the data folder.
    pub(super) path: Arc<str>,
    /// Where in the frame they begin, and how many bytes they are.
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) blocks: Blocks,
}

/// What has been found so far.
#[derive(Debug)]
pub(super) struct Tally {
    /// Where the backup's WAL begins.
    start: u64,
    good: AtomicU64,
    new: AtomicU64,
    recent: AtomicU64,
    bad: AtomicU64,
    server_found_bad: AtomicBool,
    bad_pages: Mutex<Vec<BadPage>>,
}

impl Tally {
    pub(super) fn new(start: u64) -> Self {
        Self {
            start,
            good: AtomicU64::new(0),
            new: AtomicU64::new(0),
            recent: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            server_found_bad: AtomicBool::new(false),
            bad_pages: Mutex::default(),
        }
    }

    /// Looks at the pages in a frame.
    pub(super) fn inspect(&self, frame: &[u8], spans: &[PageSpan]) {
        let (mut good, mut new, mut recent) = (0, 0, 0);
        for span in spans {
            let bytes = frame.get(span.at..span.at + span.len).unwrap_or_default();
            let (pages, _) = bytes.as_chunks::<PAGE>();
            for (index, page) in pages.iter().enumerate() {
                let Some(block) = span.blocks.get(index) else {
                    break;
                };
                match pages::verify(page, block, self.start) {
                    Verdict::Good => good += 1,
                    Verdict::New => new += 1,
                    Verdict::Recent => recent += 1,
                    Verdict::Bad { found, expected } => {
                        self.found_bad(BadPage::new(&*span.path, block, found, expected));
                    }
                }
            }
        }
        self.good.fetch_add(good, Ordering::Relaxed);
        self.new.fetch_add(new, Ordering::Relaxed);
        self.recent.fetch_add(recent, Ordering::Relaxed);
    }

    #[cold]
    fn found_bad(&self, page: BadPage) {
        self.bad.fetch_add(1, Ordering::Relaxed);
        let mut pages = self
            .bad_pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if pages.len() < NAMED {
            pages.push(page);
        }
    }

    /// Notes that the server has found damaged pages, too.
    pub(super) fn server_found_bad(&self) {
        self.server_found_bad.store(true, Ordering::Relaxed);
    }

    /// What was found, now that every frame has been looked at.
    pub(super) fn result(&self) -> PageChecks {
        let mut pages = self
            .bad_pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut bad_pages = std::mem::take(&mut *pages);
        bad_pages.sort_by(|a, b| (&a.path, a.block).cmp(&(&b.path, b.block)));
        PageChecks::Checked {
            good: self.good.load(Ordering::Relaxed),
            new: self.new.load(Ordering::Relaxed),
            recent: self.recent.load(Ordering::Relaxed),
            bad: self.bad.load(Ordering::Relaxed),
            bad_pages,
            server_found_bad: self.server_found_bad.load(Ordering::Relaxed),
        }
    }
}
