//! Content on its way out, verified block by block.

use std::ops::Range;

use bytes::Bytes;
use ops_core::object_store::{ByteRange, ByteStream};
use ops_core::{Error, ErrorKind, Result};
use rustix::io::Errno;

use crate::error::{Context, integrity};
use crate::store::blocking;
use crate::version::Found;

/// How much is read at once, and so how large the items of a body are at most.
const READ_BYTES: u64 = 1024 * 1024;

/// Resolves a range against a size.
pub(crate) fn resolve(range: Option<ByteRange>, size_bytes: u64) -> Result<Range<u64>> {
    let Some(range) = range else {
        return Ok(0..size_bytes);
    };
    let resolved = match range {
        ByteRange::Bounded { offset, length } => {
            offset..offset.saturating_add(length).min(size_bytes)
        }
        ByteRange::From(offset) => offset..size_bytes,
        ByteRange::Suffix(length) => size_bytes.saturating_sub(length)..size_bytes,
    };
    if resolved.start < resolved.end {
        return Ok(resolved);
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("the range {range:?} holds no byte of an object of {size_bytes} bytes"),
    ))
}

/// Reads a range of an object from its start to its end.
#[derive(Debug)]
pub(crate) struct Reader {
    found: Found,
    range: Range<u64>,
    at: u64,
    /// Present where all bytes pass by.
    whole: Option<blake3::Hasher>,
    table: Vec<u32>,
}

impl Reader {
    pub(crate) fn new(found: Found, range: Range<u64>) -> Self {
        let whole = range == (0..found.candidate.size_bytes);
        if whole {
            advise_sequential(&found.file);
        }
        let at = range.start;
        Self {
            found,
            range,
            at,
            whole: whole.then(blake3::Hasher::new),
            table: Vec::new(),
        }
    }

    /// The next bytes, or `None` at the end.
    ///
    /// The last bytes are handed out only when the whole content was compared.
    fn next(&mut self) -> Result<Option<Bytes>> {
        if self.at >= self.range.end {
            return Ok(None);
        }
        let size = self.found.candidate.size_bytes;
        let block = u64::from(self.found.candidate.block_bytes);
        // Whole blocks, of which the range may want only a part.
        let from = self.at - self.at % block;
        let step = (READ_BYTES / block).max(1) * block;
        let until = self
            .range
            .end
            .next_multiple_of(block)
            .min(from + step)
            .min(size);
        let data = self.read(from..until)?;
        self.verify_blocks(from, &data)?;
        if let Some(whole) = &mut self.whole {
            whole.update(&data);
            if until == size && whole.finalize() != self.found.candidate.blake3 {
                return Err(integrity("the object is not what was written"));
            }
        }
        let data = Bytes::from(data);
        let first = index(self.at - from);
        let last = index(self.range.end.min(until) - from);
        self.at = until;
        Ok(Some(data.slice(first..last)))
    }

    fn read(&self, span: Range<u64>) -> Result<Vec<u8>> {
        let length = index(span.end - span.start);
        let mut data = Vec::with_capacity(length);
        while data.len() < length {
            let at = span.start + data.len() as u64;
            let free = rustix::buffer::spare_capacity(&mut data);
            match rustix::io::pread(&self.found.file, free, at) {
                Ok(0) => {
                    return Err(integrity(format!(
                        "the object ends after {at} bytes instead of {}",
                        self.found.candidate.size_bytes
                    )));
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).cannot("read the object"),
            }
        }
        data.truncate(length);
        Ok(data)
    }

    fn verify_blocks(&mut self, from: u64, data: &[u8]) -> Result<()> {
        let Some(meta) = &self.found.table else {
            return Ok(());
        };
        let candidate = &self.found.candidate;
        let block_bytes = u64::from(candidate.block_bytes);
        let blocks = data.chunks(candidate.block_bytes as usize);
        let first = from / block_bytes;
        meta.read_table(candidate, first, &mut self.table, blocks.len())
            .cannot("read the block checksums")?;
        for ((block, expected), number) in blocks.zip(&self.table).zip(first..) {
            if crc32c::crc32c(block) != *expected {
                let at = number * block_bytes;
                return Err(integrity(format!(
                    "the object is not what was written: bytes {at} to {} have another checksum",
                    at + block.len() as u64
                )));
            }
        }
        Ok(())
    }

    /// All bytes at once.
    #[cfg(test)]
    pub(crate) fn read_to_end(mut self) -> Result<Vec<u8>> {
        let mut data = Vec::new();
        while let Some(part) = self.next()? {
            data.extend_from_slice(&part);
        }
        Ok(data)
    }

    /// The bytes as a stream that reads one item ahead.
    ///
    /// Each read is a blocking task of its own: a task that waited for its consumer would
    /// hold a thread that the consumer may need.
    pub(crate) fn into_stream(
        self,
        decorate: impl Fn(Error) -> Error + Send + 'static,
    ) -> ByteStream {
        let ahead = Some(read_ahead(self));
        Box::pin(futures_util::stream::unfold(
            (ahead, decorate),
            |(ahead, decorate)| async {
                let item = match ahead?.await {
                    Err(err) | Ok((_, Err(err))) => {
                        return Some((Err(decorate(err)), (None, decorate)));
                    }
                    Ok((_, Ok(None))) => return None,
                    Ok((reader, Ok(Some(data)))) => (data, read_ahead(reader)),
                };
                let (data, ahead) = item;
                Some((Ok(data), (Some(ahead), decorate)))
            },
        ))
    }
}

type Ahead =
    std::pin::Pin<Box<dyn Future<Output = Result<(Reader, Result<Option<Bytes>>)>> + Send>>;

fn read_ahead(mut reader: Reader) -> Ahead {
    Box::pin(blocking(move || {
        let item = reader.next();
        Ok((reader, item))
    }))
}

/// Lengths within one read fit, whatever the pointer size.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(not(target_vendor = "apple"))]
fn advise_sequential(file: &std::fs::File) {
    // Only advice: a file system that does not take it reads all the same.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
}

#[cfg(target_vendor = "apple")]
fn advise_sequential(_file: &std::fs::File) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end_and_refused_behind_it() {
        let bounded = |offset, length| Some(ByteRange::Bounded { offset, length });
        let cases = [
            (None, 10, Some(0..10)),
            (None, 0, Some(0..0)),
            (bounded(2, 3), 10, Some(2..5)),
            (bounded(8, u64::MAX), 10, Some(8..10)),
            (bounded(10, 1), 10, None),
            (bounded(2, 0), 10, None),
            (Some(ByteRange::From(9)), 10, Some(9..10)),
            (Some(ByteRange::From(10)), 10, None),
            (Some(ByteRange::From(0)), 0, None),
            (Some(ByteRange::Suffix(3)), 10, Some(7..10)),
            (Some(ByteRange::Suffix(30)), 10, Some(0..10)),
            (Some(ByteRange::Suffix(0)), 10, None),
        ];
        for (range, size, expected) in cases {
            assert_eq!(resolve(range, size).ok(), expected, "{range:?} of {size}");
        }
    }
}
