//! What a session has said to its server, and what is still unanswered.
//!
//! The driver hides the transaction status. A [`Tap`] around its stream sees it: it
//! frames the messages of both directions, keeps the status byte of the last
//! `ReadyForQuery`, and counts the requests that one still has to answer. It changes
//! nothing and copies nothing.

mod exchange;
mod frame;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use exchange::Exchange;
use frame::Framer;

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
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        this.received.feed(bytes, &mut this.exchange.server());
        this.exchange.publish();
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
        let taken = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        let bytes = buf.get(..taken).unwrap_or_default();
        this.sent.feed(bytes, &mut this.exchange.client());
        this.exchange.publish();
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The state of a session as the server's answers tell it.
pub struct Wire {
    status: AtomicU8,
    in_flight: AtomicU32,
    lookups: Mutex<Vec<Lookup>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("status", &self.status())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// The transaction status by the server's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionStatus {
    /// Not in a transaction.
    Idle,
    /// In a transaction.
    InTransaction,
    /// In a transaction that failed.
    Failed,
    /// The server has not said yet: after an error it says so a little later.
    Unknown,
}

impl Wire {
    fn new() -> Self {
        Self {
            status: AtomicU8::new(0),
            in_flight: AtomicU32::new(0),
            lookups: Mutex::new(Vec::new()),
        }
    }

    /// The transaction status by the server's last word.
    #[must_use]
    pub fn status(&self) -> TransactionStatus {
        match self.status.load(Ordering::Acquire) {
            b'I' => TransactionStatus::Idle,
            b'T' => TransactionStatus::InTransaction,
            b'E' => TransactionStatus::Failed,
            _ => TransactionStatus::Unknown,
        }
    }

    /// How many requests the server has not answered to the end.
    ///
    /// Statements that are being closed do not count, nor does a request of which only
    /// the `ReadyForQuery` after an error is missing: nothing runs for those.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    fn set(&self, status: u8, in_flight: u32) {
        self.status.store(status, Ordering::Release);
        self.in_flight.store(in_flight, Ordering::Release);
    }

    fn lookups(&self) -> std::sync::MutexGuard<'_, Vec<Lookup>> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// SQL that prepares again what the driver has prepared for itself, where it has.
    ///
    /// The driver looks up types that it does not know with statements that it prepares
    /// once for each connection. A reset that deallocates them would break every later
    /// lookup on the connection.
    pub(crate) fn prepare_lookups_again(&self) -> Option<String> {
        let lookups = self.lookups();
        if lookups.is_empty() {
            return None;
        }
        let mut sql = String::new();
        for Lookup { name, query } in &*lookups {
            let name = name.replace('"', "\"\"");
            sql.extend([
                "PREPARE \"",
                &name,
                "\" AS ",
                query,
                ";
",
            ]);
        }
        Some(sql)
    }
}

/// A statement that the driver has prepared for itself.
#[derive(Debug, PartialEq, Eq)]
struct Lookup {
    name: String,
    query: String,
}

impl Lookup {
    /// Reads the body of a `Parse` message; none where it is not one of the driver's own.
    fn from_parse(body: &[u8]) -> Option<Self> {
        let mut parts = body.splitn(3, |byte| *byte == 0);
        let (name, query, types) = (parts.next()?, parts.next()?, parts.next()?);
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())?;
        let query = std::str::from_utf8(query).ok()?;
        let own = ["pg_type t\n", "pg_enum\n", "pg_attribute\n"]
            .iter()
            .any(|table| query.contains(&format!("\nFROM pg_catalog.{table}")));
        (own && types == [0, 0]).then(|| Self {
            name: name.to_owned(),
            query: query.to_owned(),
        })
    }
}
