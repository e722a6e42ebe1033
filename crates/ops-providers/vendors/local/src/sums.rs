//! Checksums of content, taken in one pass.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use ops_core::object_store::Checksum;
use ops_core::{Error, ErrorKind, Result};

use crate::error::integrity;
use crate::meta::BLOCK_BYTES;

/// Checksums of a content that passes by.
#[derive(Debug)]
pub(crate) struct Sums {
    whole: blake3::Hasher,
    /// CRC-32C of everything, where the caller wants it compared.
    crc32c: Option<u32>,
    block_crc: u32,
    block_bytes: usize,
    size_bytes: u64,
}

impl Sums {
    /// Begins; `expected` says what will be compared.
    pub(crate) fn new(expected: Option<Checksum>) -> Self {
        let crc32c = matches!(expected, Some(Checksum::Crc32c(_))).then_some(0);
        let whole = blake3::Hasher::new();
        Self {
            whole,
            crc32c,
            block_crc: 0,
            block_bytes: 0,
            size_bytes: 0,
        }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Takes the next bytes, and hands out the CRC of each block that they complete.
    pub(crate) fn update(
        &mut self,
        mut data: &[u8],
        mut table: impl FnMut(u32) -> io::Result<()>,
    ) -> io::Result<()> {
        self.whole.update(data);
        self.size_bytes += data.len() as u64;
        if let Some(crc) = &mut self.crc32c {
            *crc = crc32c::crc32c_append(*crc, data);
        }
        while !data.is_empty() {
            let room = BLOCK_BYTES as usize - self.block_bytes;
            let (now, later) = data.split_at(room.min(data.len()));
            self.block_crc = crc32c::crc32c_append(self.block_crc, now);
            self.block_bytes += now.len();
            if self.block_bytes == BLOCK_BYTES as usize {
                table(self.take_block())?;
            }
            data = later;
        }
        Ok(())
    }

    /// Ends, and hands out the CRC of the last block where it is a short one.
    pub(crate) fn finish(
        &mut self,
        mut table: impl FnMut(u32) -> io::Result<()>,
    ) -> io::Result<blake3::Hash> {
        if self.block_bytes > 0 {
            table(self.take_block())?;
        }
        Ok(self.whole.finalize())
    }

    /// Compares with what the caller expects.
    pub(crate) fn compare(&self, expected: Option<Checksum>) -> Result<()> {
        let actual = match expected {
            None => return Ok(()),
            Some(Checksum::Crc32c(_)) => Checksum::Crc32c(self.crc32c.unwrap_or_default()),
            Some(_) => Checksum::Blake3(*self.whole.finalize().as_bytes()),
        };
        match expected {
            Some(expected) if expected != actual => Err(integrity(format!(
                "the content has the checksum {actual} instead of {expected}"
            ))),
            _ => Ok(()),
        }
    }

    fn take_block(&mut self) -> u32 {
        self.block_bytes = 0;
        std::mem::take(&mut self.block_crc)
    }
}

/// Refuses a checksum that could not be compared.
pub(crate) fn check_algorithm(expected: Option<Checksum>) -> Result<()> {
    match expected {
        None | Some(Checksum::Crc32c(_) | Checksum::Blake3(_)) => Ok(()),
        Some(other) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "comparing a {} checksum is not supported",
                other.algorithm()
            ),
        )),
    }
}

/// Takes the checksums of a whole file.
pub(crate) fn of_file(
    file: &File,
    mut table: impl FnMut(u32) -> io::Result<()>,
) -> io::Result<(blake3::Hash, u64)> {
    let mut sums = Sums::new(None);
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let read = match file.read_at(&mut buffer, sums.size_bytes()) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let data = buffer.get(..read).unwrap_or_default();
        if data.is_empty() {
            let hash = sums.finish(&mut table)?;
            return Ok((hash, sums.size_bytes()));
        }
        sums.update(data, &mut table)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "has the form of a write")]
    fn push(table: &mut Vec<u32>, crc: u32) -> io::Result<()> {
        table.push(crc);
        Ok(())
    }

    #[test]
    fn blocks_do_not_depend_on_how_the_content_was_cut() {
        let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let mut tables = Vec::new();
        for cut in [1000, 65_536, 131_072, 300_000] {
            let mut table = Vec::new();
            let mut sums = Sums::new(Some(Checksum::Crc32c(0)));
            for part in content.chunks(cut) {
                sums.update(part, |crc| push(&mut table, crc)).unwrap();
            }
            let whole = sums.finish(|crc| push(&mut table, crc)).unwrap();
            assert_eq!(whole, blake3::hash(&content));
            assert!(
                sums.compare(Some(Checksum::Crc32c(crc32c::crc32c(&content))))
                    .is_ok()
            );
            tables.push(table);
        }
        let block = BLOCK_BYTES as usize;
        let expected: Vec<u32> = content.chunks(block).map(crc32c::crc32c).collect();
        assert!(tables.iter().all(|table| *table == expected));
    }

    #[test]
    fn a_checksum_that_cannot_be_compared_is_refused() {
        let err = check_algorithm(Some(Checksum::Sha256([0; 32]))).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
    }
}
