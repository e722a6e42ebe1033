//! The content of one file on its way to the disk.

use std::io::{self, BufRead, Read};

/// The content of one file, hashed while it is read.
pub(super) struct Content<'a> {
    inner: &'a mut dyn BufRead,
    left: u64,
    hasher: blake3::Hasher,
}

impl<'a> Content<'a> {
    pub(super) fn new(inner: &'a mut dyn BufRead, size: u64) -> Self {
        Self {
            inner,
            left: size,
            hasher: blake3::Hasher::new(),
        }
    }

    /// The hash of all of it; none where not all of it was read.
    pub(super) fn finish(&self) -> Option<blake3::Hash> {
        (self.left == 0).then(|| self.hasher.finalize())
    }
}

impl BufRead for Content<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let there = self.inner.fill_buf()?;
        if there.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let len = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(there.len());
        Ok(there.get(..len).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        // What was filled is still there: this hands out the same bytes.
        if let Ok(there) = self.inner.fill_buf() {
            self.hasher.update(there.get(..amount).unwrap_or_default());
        }
        self.inner.consume(amount);
        self.left -= amount as u64;
    }
}

impl Read for Content<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let len = there.len().min(out.len());
        out.get_mut(..len)
            .unwrap_or_default()
            .copy_from_slice(there.get(..len).unwrap_or_default());
        self.consume(len);
        Ok(len)
    }
}
