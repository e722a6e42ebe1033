//! Streams of items that are there already.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::error::Result;
use crate::object_store::ItemStream;

/// A stream of items.
pub(super) fn iter<T: Send + Unpin + 'static>(
    items: impl IntoIterator<Item = Result<T>>,
) -> ItemStream<T> {
    Box::pin(Iter(items.into_iter().collect()))
}

/// A stream of items, or of the one error instead.
pub(super) fn of<T: Send + Unpin + 'static>(items: Result<Vec<T>>) -> ItemStream<T> {
    match items {
        Ok(items) => iter(items.into_iter().map(Ok)),
        Err(err) => iter([Err(err)]),
    }
}

struct Iter<T>(VecDeque<T>);

impl<T: Unpin> Stream for Iter<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.0.pop_front())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}
