//! A session in a caller's hands.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::Id;
use tokio_postgres::Client;

use crate::cancel::{Requests, SessionCancel};
use crate::close::{CloseReason, Released};
use crate::driver::Conn;
use crate::kept::Kept;
use crate::shared::Shared;
use crate::tap::TransactionStatus;

/// A session of the server that is the caller's alone until it is dropped or released.
///
/// It dereferences to [`tokio_postgres::Client`].
///
/// # Giving it back
/// Dropping it gives it back, without waiting for anything, also where the caller panics.
/// The pool resets it as its [`Reset`](crate::Reset) says before anybody else gets it. Where
/// it is in a transaction, or a query or a `COPY` is not over, [`OnDirty`](crate::OnDirty)
/// says what is to become of it; where the reset fails, takes too long or does not end idle,
/// the connection is closed. End transactions before: by default each one that is left open
/// costs a connection.
///
/// Statements that were prepared on it do not outlive it. A
/// [`CancelToken`](tokio_postgres::CancelToken) of the client itself does, and would hit
/// whoever has the connection then: use [`Session::cancel_token`].
pub struct Session {
    // One word, as it is moved about: what else belongs to it is with the connection.
    conn: Option<Box<Conn>>,
}

/// What belongs to a session until it is given back.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Where it goes then; None while nobody has it.
    shared: Option<Arc<Shared>>,
    /// The task that acquired it, until another one is seen to use it.
    task: Option<Id>,
    moved: AtomicBool,
    /// With a reset that goes in front: done once the session is used for the first time.
    used: Once,
    cancels: OnceLock<Arc<Requests>>,
}

impl Lease {
    #[inline]
    fn new(shared: Arc<Shared>, task: Option<Id>) -> Self {
        Self {
            shared: Some(shared),
            task,
            ..Self::none()
        }
    }

    /// That of a connection that nobody has.
    #[inline]
    pub(crate) fn none() -> Self {
        Self {
            shared: None,
            task: None,
            moved: AtomicBool::new(false),
            used: Once::new(),
            cancels: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("wire", &self.conn.as_ref().map(|conn| &conn.wire))
            .finish_non_exhaustive()
    }
}

impl Session {
    #[inline]
    pub(crate) fn new(mut conn: Box<Conn>, shared: Arc<Shared>, task: Option<Id>) -> Self {
        conn.wire.lend();
        conn.lease = Lease::new(shared, task);
        Self { conn: Some(conn) }
    }

    /// A task that has given its session away does not wait for itself.
    fn note_user(&self) {
        let Lease { task, moved, .. } = &self.conn().lease;
        if task.is_some() && !moved.load(Ordering::Relaxed) && tokio::task::try_id() != *task {
            moved.store(true, Ordering::Relaxed);
            self.shared().moved(self.conn().server);
        }
    }

    /// Gives the session back and waits until the pool has decided about it. That takes up
    /// to `reset_timeout`.
    ///
    /// With [`Reset::Pipelined`](crate::Reset::Pipelined) the decision is about what was left
    /// unfinished; the reset comes later.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: the session is on its way back.
    pub fn release(mut self) -> impl Future<Output = Released> + Send + 'static {
        let (report, outcome) = oneshot::channel();
        if let Some((conn, shared)) = self.end() {
            shared.release(conn, report);
        }
        // Without an answer the task that had the connection is gone, and so is it.
        async {
            outcome
                .await
                .unwrap_or(Released::Closed(CloseReason::ServerGone))
        }
    }

    /// Puts the session aside as it is, for up to `limit`, for whoever has what this
    /// returns. It counts as in use, by the caller who acquired it.
    ///
    /// It is for state that must last longer than the work at hand, such as a cursor that a
    /// user pages through: should the user never come back, the session does.
    pub fn keep(self, limit: Duration) -> Kept {
        let shared = Arc::clone(self.shared());
        Kept::new(self, limit, &shared)
    }

    /// Takes the connection out of the pool for good. It no longer counts as one of
    /// `pool_size`; it stands until the client is dropped, or the runtime of the pool ends.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "only drop and release leave no connection"
    )]
    pub fn detach(mut self) -> Client {
        // In its new life, too, nobody meets what another has left.
        self.use_it();
        let shared = Arc::clone(self.shared());
        let conn = self.conn.take().expect(HAS_CONN);
        shared.detach(*conn)
    }

    /// What cancels the queries of this session, from another task, for as long as it has
    /// not been given back.
    #[must_use]
    pub fn cancel_token(&self) -> SessionCancel {
        let token = self.conn().client.cancel_token();
        let requests = Arc::clone(self.conn().lease.cancels.get_or_init(Arc::default));
        SessionCancel::new(token, requests, Arc::clone(self.shared()))
    }

    /// The transaction status by the server's last word.
    #[must_use]
    pub fn transaction_status(&self) -> TransactionStatus {
        self.conn().wire.status()
    }

    /// Why the connection is closed, where it is. The driver's errors do not tell: a reset
    /// in front of the session that failed looks to it like a connection that broke.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.conn().close_reason()
    }

    fn conn(&self) -> &Conn {
        self.conn.as_deref().expect(HAS_CONN)
    }

    fn shared(&self) -> &Arc<Shared> {
        self.conn().lease.shared.as_ref().expect(HAS_CONN)
    }

    /// Whoever gets hold of the client can ask it for something.
    fn use_it(&self) {
        let config = self.shared().config();
        if config.reset.pipelined() {
            // Others who share the session wait until the reset is in front.
            let conn = self.conn();
            conn.lease.used.call_once(|| {
                if conn.owes_reset {
                    conn.reset_in_front(config);
                }
            });
        }
    }

    /// What goes back, and to where.
    #[inline]
    fn end(&mut self) -> Option<(Box<Conn>, Arc<Shared>)> {
        let mut conn = self.conn.take()?;
        let shared = conn.lease.shared.take()?;
        conn.wire.take_back();
        conn.outcome = Released::Clean;
        // The lease stays where it is: moving it would read it in larger pieces than it was
        // just written in, which processors are slow at.
        conn.owes_reset |= conn.lease.used.is_completed();
        if let Some(requests) = conn.lease.cancels.take() {
            conn.cancels = Some(requests).filter(|requests| requests.give_back());
        }
        Some((conn, shared))
    }
}

/// Why there is a connection in a session.
const HAS_CONN: &str = "a session has its connection and its lease until it is given back";

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.note_user();
        self.use_it();
        &self.conn().client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        self.note_user();
        self.use_it();
        &mut self.conn.as_deref_mut().expect(HAS_CONN).client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some((conn, shared)) = self.end() {
            shared.give_back(conn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two words that are written apart and moved together cost more than a lock.
    #[test]
    fn a_session_is_moved_as_one_word() {
        assert_eq!(size_of::<Session>(), size_of::<usize>());
    }
}
