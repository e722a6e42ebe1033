//! The little of streams that this crate needs.

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream;

/// The next item.
pub(crate) async fn next<S: Stream + Unpin + ?Sized>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}
