//! The little of streams that this crate needs.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::error::Result;
use crate::object_store::ItemStream;

/// The next item.
pub(crate) async fn next<S: Stream + Unpin + ?Sized>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

/// A stream of items that are there already.
#[cfg(any(feature = "memory", test))]
pub(crate) fn iter<T: Send + Unpin + 'static>(
    items: impl IntoIterator<Item = Result<T>>,
) -> ItemStream<T> {
    Box::pin(Iter(items.into_iter().collect()))
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
