//! What a session has said to its server, and what is still unanswered.
//!
//! The driver hides the transaction status. A [`Tap`] around its stream sees it: it
//! frames the messages of both directions, keeps the status byte of the last
//! `ReadyForQuery`, and counts the requests that one still has to answer. It changes
//! nothing. Where a reset that goes in front of a session fails, it breaks the connection
//! before an answer to anything behind it gets through.

mod counts;
mod exchange;
mod frame;
mod statement;
mod tag;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use exchange::Exchange;
use frame::Framer;

pub use counts::{TapCounts, TapCountsSnapshot};
pub use tag::CommandTag;
pub(crate) use wire::Broken;
pub use wire::{TransactionStatus, Wire};

/// A stream that is listened in on.
///
/// It must carry the protocol in plain text from the startup message on, so it goes
/// above TLS.
#[derive(Debug)]
pub struct Tap<S> {
    stream: S,
    sent: Framer,
    received: Framer,
    exchange: Exchange,
}

impl<S> Tap<S> {
    /// Listens in on a stream on which nothing has been sent yet.
    pub fn new(stream: S) -> (Self, Arc<Wire>) {
        let wire = Arc::new(Wire::new());
        let tap = Self {
            stream,
            sent: Framer::frontend(),
            received: Framer::backend(),
            exchange: Exchange::new(Arc::clone(&wire)),
        };
        (tap, wire)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.exchange.intact()?;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.exchange.wire.set_digesting(read.is_ready());
        ready!(read)?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        this.received.feed(bytes, &mut this.exchange.server());
        this.exchange.publish();
        if let Err(poisoned) = this.exchange.intact() {
            // What came with the failure may be answers that nobody must see.
            buf.set_filled(before);
            return Poll::Ready(Err(poisoned));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.exchange.wire.set_blocked(written.is_pending());
        let taken = ready!(written)?;
        let bytes = buf.get(..taken).unwrap_or_default();
        this.sent.feed(bytes, &mut this.exchange.client());
        this.exchange.publish();
        this.exchange.intact()?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
