//! A session in a caller's hands.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio::task::Id;
use tokio_postgres::Client;

use crate::close::{CloseReason, Released};
use crate::driver::Conn;
use crate::shared::Shared;
use crate::tap::TransactionStatus;

/// A session of the server that is the caller's alone until it is dropped or released.
///
/// It dereferences to [`tokio_postgres::Client`].
///
/// # Giving it back
/// Dropping it gives it back, without waiting for anything. The pool resets it before
/// anybody else gets it, and closes it instead where it is in a transaction, where a query
/// or a `COPY` is not over, or where the reset fails, takes too long or does not end idle.
/// End transactions before: each one that is left open costs a connection.
///
/// Statements that were prepared on it do not outlive it.
pub struct Session {
    conn: Option<Box<Conn>>,
    shared: Arc<Shared>,
    /// The task that acquired it, until another one is seen to use it.
    task: Option<Id>,
    moved: AtomicBool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("wire", &self.conn.as_ref().map(|conn| &conn.wire))
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(conn: Box<Conn>, shared: Arc<Shared>, task: Option<Id>) -> Self {
        Self {
            conn: Some(conn),
            shared,
            task,
            moved: AtomicBool::new(false),
        }
    }

    /// A task that has given its session away does not wait for itself.
    fn note_user(&self) {
        if self.task.is_some()
            && !self.moved.load(Ordering::Relaxed)
            && tokio::task::try_id() != self.task
        {
            self.moved.store(true, Ordering::Relaxed);
            self.shared.moved(self.conn().server);
        }
    }

    /// Gives the session back and waits until the pool has decided about it. That takes up
    /// to `reset_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: the session is on its way back.
    pub fn release(mut self) -> impl Future<Output = Released> + Send + 'static {
        let (report, outcome) = oneshot::channel();
        if let Some(conn) = self.conn.take() {
            self.shared.release(conn, Some(report));
        }
        // Without an answer the task that had the connection is gone, and so is it.
        async {
            outcome
                .await
                .unwrap_or(Released::Closed(CloseReason::ServerGone))
        }
    }

    /// Takes the connection out of the pool for good. It no longer counts as one of
    /// `pool_size`; it stands until the client is dropped, or the runtime of the pool ends.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "only drop and release leave no connection"
    )]
    pub fn detach(mut self) -> Client {
        let conn = self
            .conn
            .take()
            .expect("a session has its connection until it is given back");
        self.shared.detach(*conn)
    }

    /// The transaction status by the server's last word.
    #[must_use]
    pub fn transaction_status(&self) -> TransactionStatus {
        self.conn().wire.status()
    }

    fn conn(&self) -> &Conn {
        self.conn
            .as_deref()
            .expect("a session has its connection until it is given back")
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.note_user();
        &self.conn().client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        self.note_user();
        let conn = self.conn.as_deref_mut();
        &mut conn
            .expect("a session has its connection until it is given back")
            .client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.shared.release(conn, None);
        }
    }
}
