//! Streams that break.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::error::{Error, Result};
use crate::object_store::{ByteStream, ItemStream};

/// A body that ends after so many bytes, with an error or in silence.
pub(super) struct Cut {
    inner: ByteStream,
    left: u64,
    end: Option<Error>,
    is_over: bool,
}

impl Cut {
    pub(super) fn body(inner: ByteStream, left: u64, end: Option<Error>) -> ByteStream {
        Box::pin(Self {
            inner,
            left,
            end,
            is_over: false,
        })
    }
}

impl Stream for Cut {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over || self.left == 0 {
            self.is_over = true;
            return Poll::Ready(self.end.take().map(Err));
        }
        let item = ready!(self.inner.as_mut().poll_next(cx));
        let Some(Ok(mut chunk)) = item else {
            // A body that is shorter than the cut ends as it is.
            self.is_over = true;
            self.end = None;
            return Poll::Ready(item);
        };
        let length = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(chunk.len());
        chunk.truncate(length);
        self.left -= length as u64;
        Poll::Ready(Some(Ok(chunk)))
    }
}

/// A body with one bit flipped.
pub(super) struct Flip {
    inner: ByteStream,
    /// How many bytes come before it; `None` when it is done.
    before: Option<u64>,
}

impl Flip {
    pub(super) fn body(inner: ByteStream, offset: u64) -> ByteStream {
        Box::pin(Self {
            inner,
            before: Some(offset),
        })
    }
}

impl Stream for Flip {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.inner.as_mut().poll_next(cx));
        let (Some(Ok(chunk)), Some(before)) = (&item, self.before) else {
            return Poll::Ready(item);
        };
        let mut flipped = BytesMut::from(chunk.as_ref());
        let place = usize::try_from(before)
            .ok()
            .and_then(|at| flipped.get_mut(at));
        let Some(byte) = place else {
            self.before = Some(before - chunk.len() as u64);
            return Poll::Ready(item);
        };
        *byte ^= 1;
        self.before = None;
        Poll::Ready(Some(Ok(flipped.freeze())))
    }
}

/// A listing that ends with an error.
struct Items<T> {
    inner: Option<ItemStream<T>>,
    end: Option<Error>,
}

pub(super) fn items<T: Send + 'static>(
    inner: Option<ItemStream<T>>,
    end: Option<Error>,
) -> ItemStream<T> {
    Box::pin(Items { inner, end })
}

impl<T> Stream for Items<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(inner) = &mut self.inner {
            if let Some(item) = ready!(inner.as_mut().poll_next(cx)) {
                return Poll::Ready(Some(item));
            }
            self.inner = None;
        }
        Poll::Ready(self.end.take().map(Err))
    }
}
