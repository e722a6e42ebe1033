//! The buffers of parts, filled again by the next part of any upload.
//!
//! Allocators keep some of what is freed in pieces of megabytes by many threads: a store
//! whose uploads each had buffers of their own would hold half as much again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

/// Buffers that are kept to be filled again.
const SPARE: usize = 8;

/// The buffers of a store. Nothing is kept while no upload is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Pool>>);

#[derive(Debug, Default)]
struct Pool {
    uploads: usize,
    spare: Vec<BytesMut>,
}

/// What an upload has its buffers from.
#[derive(Debug)]
pub(crate) struct Lease(Buffers);

impl Buffers {
    pub(crate) fn lease(&self) -> Lease {
        self.pool().uploads += 1;
        Lease(self.clone())
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// An empty buffer with room for so many bytes.
    pub(crate) fn take(&self, bytes: usize) -> BytesMut {
        let spare = self.0.pool().spare.pop();
        let fits = spare.filter(|buffer| buffer.capacity() >= bytes);
        fits.unwrap_or_else(|| BytesMut::with_capacity(bytes))
    }

    /// Takes the buffer of a part back, unless somebody still reads it.
    pub(crate) fn give(&self, part: Bytes) {
        let Ok(mut buffer) = part.try_into_mut() else {
            return;
        };
        buffer.clear();
        let mut pool = self.0.pool();
        if pool.spare.len() < SPARE {
            pool.spare.push(buffer);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut pool = self.0.pool();
        pool.uploads = pool.uploads.saturating_sub(1);
        if pool.uploads == 0 {
            pool.spare = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_filled_again_by_another_upload_and_freed_after_the_last() {
        let buffers = Buffers::default();
        let (one, other) = (buffers.lease(), buffers.lease());
        let mut part = one.take(1000);
        part.extend_from_slice(b"content");
        let place = part.as_ptr();
        let part = part.freeze();
        let reader = part.clone();
        one.give(part);
        assert!(buffers.pool().spare.is_empty(), "somebody still reads it");
        one.give(reader);
        drop(one);
        let again = other.take(1000);
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), place);
        other.give(again.freeze());
        assert!(other.take(2000).capacity() >= 2000);
        other.give(BytesMut::with_capacity(10).freeze());
        drop(other);
        assert!(buffers.pool().spare.is_empty());
    }
}
