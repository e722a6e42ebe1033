//! The files of an incremental backup: blocks that have changed, of one relation segment.
//!
//! PostgreSQL 17 and later send `INCREMENTAL.<name>` in place of a file of which most
//! blocks are what the backup before holds:
//!
//! ```text
//! u32 magic 0xd3ae1f0d · u32 number of blocks · u32 truncation block length
//! u32 × number of blocks: the block numbers within the segment, ascending
//! zeros up to a multiple of 8192, where there are blocks
//! the blocks
//! ```
//!
//! The file that it stands for has the blocks that are listed; of the others, those below
//! the truncation block length are those of the backup before, and those above it do not
//! exist or are zero. So a chain is reconstructed from the full backup on: each
//! incremental is applied to what the one before it made. The blocks of the newest
//! backup win, as they are written last.
//!
//! Numbers have the byte order of the server; only little-endian servers are read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// What the name of such a file starts with.
pub(crate) const PREFIX: &str = "INCREMENTAL.";

/// The size of a block of a relation. A server that is built with another size is refused.
pub(crate) const BLOCK_BYTES: u64 = 8192;

/// How many blocks a segment of a relation has at most.
pub(crate) const SEGMENT_BLOCKS: u32 = 131_072;

const MAGIC: u32 = 0xd3ae_1f0d;
const FIXED_BYTES: u64 = 12;

/// How many blocks are written at once.
const BATCH_BLOCKS: usize = 32;

/// The path that an incremental file stands for: that of the whole file. `None` where the
/// path is not one of an incremental file.
pub(crate) fn whole_path(path: &[u8]) -> Option<Vec<u8>> {
    let name_at = path
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |at| at + 1);
    let (folder, name) = path.split_at_checked(name_at)?;
    let name = name.strip_prefix(PREFIX.as_bytes())?;
    (!name.is_empty()).then(|| [folder, name].concat())
}

/// What stands before the blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which blocks follow, ascending.
    blocks: Vec<u32>,
    /// How many blocks the file has at least. Blocks from here on exist only where they
    /// are listed.
    truncation_blocks: u32,
}

impl Header {
    /// Reads a header, and sees to it that a file of `size` bytes has exactly its blocks.
    pub(crate) fn read(source: &mut impl Read, size: u64) -> io::Result<Self> {
        let magic = read_u32(source)?;
        if magic != MAGIC {
            return Err(invalid(format!("it starts with {magic:#010x}")));
        }
        let count = read_u32(source)?;
        let truncation_blocks = read_u32(source)?;
        if count > SEGMENT_BLOCKS || truncation_blocks > SEGMENT_BLOCKS {
            return Err(invalid(format!(
                "it speaks of {count} blocks and a length of {truncation_blocks}, and a segment has {SEGMENT_BLOCKS}"
            )));
        }
        let expected = header_bytes(count) + u64::from(count) * BLOCK_BYTES;
        if expected != size {
            return Err(invalid(format!(
                "it has {size} bytes, and its {count} blocks take {expected}"
            )));
        }
        let mut blocks = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let block = read_u32(source)?;
            if block >= SEGMENT_BLOCKS || blocks.last().is_some_and(|&last| last >= block) {
                return Err(invalid(format!("block {block} is out of order")));
            }
            blocks.push(block);
        }
        let padding = header_bytes(count) - FIXED_BYTES - 4 * u64::from(count);
        skip(source, padding)?;
        Ok(Self {
            blocks,
            truncation_blocks,
        })
    }

    /// How many blocks the reconstructed file has.
    pub(crate) fn length_blocks(&self) -> u32 {
        let listed = self.blocks.last().map_or(0, |last| last + 1);
        self.truncation_blocks.max(listed)
    }
}

fn header_bytes(count: u32) -> u64 {
    let bytes = FIXED_BYTES + 4 * u64::from(count);
    if count == 0 {
        bytes
    } else {
        bytes.next_multiple_of(BLOCK_BYTES)
    }
}

fn read_u32(source: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    source.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn skip(source: &mut impl Read, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut source.take(bytes), &mut io::sink())?;
    if skipped == bytes {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Makes of the file that the backup before holds the one that an incremental file of
/// `size` bytes stands for. Returns how many blocks were written.
///
/// Where it fails, the target is neither.
pub(crate) fn apply(source: &mut impl Read, size: u64, target: &File) -> io::Result<u64> {
    let header = Header::read(source, size)?;
    // Blocks from the truncation on are not those that were there, whatever was there: they
    // are listed, or zero.
    let kept = (target.metadata()?.len() / BLOCK_BYTES).min(u64::from(header.truncation_blocks));
    target.set_len(kept * BLOCK_BYTES)?;
    target.set_len(u64::from(header.length_blocks()) * BLOCK_BYTES)?;
    let mut buffer = vec![0; BATCH_BLOCKS * 8192];
    let mut rest = header.blocks.as_slice();
    while let Some(&first) = rest.first() {
        let run = rest
            .iter()
            .zip(first..)
            .take(BATCH_BLOCKS)
            .take_while(|&(&block, expected)| block == expected)
            .count();
        let batch = buffer.get_mut(..run * 8192).unwrap_or_default();
        source.read_exact(batch)?;
        target.write_all_at(batch, u64::from(first) * BLOCK_BYTES)?;
        rest = rest.get(run..).unwrap_or_default();
    }
    Ok(header.blocks.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use proptest::prelude::*;

    use super::*;

    /// An incremental file with blocks that are full of one byte each.
    fn file(truncation: u32, blocks: &[(u32, u8)]) -> Vec<u8> {
        let count = u32::try_from(blocks.len()).unwrap();
        let mut bytes = Vec::new();
        for number in [MAGIC, count, truncation] {
            bytes.extend(number.to_le_bytes());
        }
        for (block, _) in blocks {
            bytes.extend(block.to_le_bytes());
        }
        bytes.resize(usize::try_from(header_bytes(count)).unwrap(), 0);
        for (_, fill) in blocks {
            bytes.extend([*fill; 8192]);
        }
        bytes
    }

    /// A file by the first byte of each of its blocks.
    fn shape(file: &File) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut file = file.try_clone().unwrap();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() % 8192, 0);
        bytes
            .chunks(8192)
            .map(|block| {
                assert!(block.iter().all(|byte| *byte == block[0]), "a torn block");
                block[0]
            })
            .collect()
    }

    fn whole(blocks: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        for (at, fill) in (0..).zip(blocks) {
            file.write_all_at(&[*fill; 8192], at * BLOCK_BYTES).unwrap();
        }
        file
    }

    fn applied(target: &File, incremental: &[u8]) -> Vec<u8> {
        let size = incremental.len() as u64;
        apply(&mut &*incremental, size, target).unwrap();
        shape(target)
    }

    #[test]
    fn listed_blocks_replace_and_others_stay() {
        let target = whole(&[1, 2, 3, 4]);
        let step = file(4, &[(1, 20), (3, 40)]);
        assert_eq!(applied(&target, &step), [1, 20, 3, 40]);
    }

    #[test]
    fn a_file_of_twelve_bytes_changes_nothing() {
        let target = whole(&[1, 2, 3]);
        let step = file(3, &[]);
        assert_eq!(step.len(), 12);
        assert_eq!(applied(&target, &step), [1, 2, 3]);
    }

    #[test]
    fn what_was_cut_off_does_not_come_back_when_the_file_grows_again() {
        let target = whole(&[1, 2, 3, 4, 5]);
        assert_eq!(applied(&target, &file(2, &[])), [1, 2]);
        assert_eq!(applied(&target, &file(5, &[(4, 50)])), [1, 2, 0, 0, 50]);
        // Cut and grown between two backups.
        assert_eq!(applied(&target, &file(1, &[(3, 40)])), [1, 0, 0, 40]);
    }

    #[test]
    fn a_file_that_is_not_an_incremental_one_is_refused() {
        let good = file(4, &[(1, 20), (3, 40)]);
        let altered = |at: usize, value: u32| {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            bytes
        };
        let cases = [
            ("magic", altered(0, 0)),
            ("more blocks than there are", altered(4, 3)),
            ("fewer blocks than there are", altered(4, 1)),
            ("too many blocks", altered(4, u32::MAX)),
            ("too long", altered(8, SEGMENT_BLOCKS + 1)),
            ("out of order", altered(12, 7)),
            ("twice", altered(12, 3)),
            ("outside the segment", altered(16, SEGMENT_BLOCKS)),
            ("cut", good[..good.len() - 1].to_vec()),
            ("empty", Vec::new()),
        ];
        for (what, bytes) in cases {
            let target = whole(&[1, 2, 3, 4]);
            let outcome = apply(&mut &*bytes, bytes.len() as u64, &target);
            assert!(outcome.is_err(), "{what}");
        }
        // The size is right, and the stream ends early.
        let target = whole(&[1, 2, 3, 4]);
        let outcome = apply(&mut &good[..good.len() - 5000], good.len() as u64, &target);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn the_whole_path_drops_the_prefix_of_the_name_alone() {
        let path =
            |text: &str| whole_path(text.as_bytes()).map(|it| String::from_utf8(it).unwrap());
        assert_eq!(
            path("base/5/INCREMENTAL.16384.1").as_deref(),
            Some("base/5/16384.1")
        );
        assert_eq!(path("INCREMENTAL.x").as_deref(), Some("x"));
        assert_eq!(path("base/5/16384"), None);
        assert_eq!(path("INCREMENTAL.d/16384"), None);
        assert_eq!(path("base/INCREMENTAL."), None);
    }

    proptest! {
        /// Whatever the bytes say: an error or a file, never a panic or a huge allocation.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), magic: bool) {
            let mut bytes = bytes;
            if magic && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
            }
            let target = whole(&[1]);
            let _ = apply(&mut &*bytes, bytes.len() as u64, &target);
        }
    }
}
