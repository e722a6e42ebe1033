//! Bytes in pieces.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use crate::error::Result;

/// Bytes in pieces of a certain size.
pub(super) struct Chunks {
    left: Bytes,
    chunk_bytes: usize,
}

impl Chunks {
    pub(super) fn new(data: Bytes, chunk_bytes: usize) -> Self {
        Self {
            left: data,
            chunk_bytes,
        }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.chunk_bytes.min(self.left.len());
        Poll::Ready(Some(Ok(self.left.split_to(length))))
    }
}
