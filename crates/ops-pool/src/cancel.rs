//! Canceling what a session runs, and nobody else's.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ops_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;
use tokio_postgres::CancelToken;

use crate::shared::Shared;

/// Cancels what a session runs, from another task. It has no effect anymore once the session
/// has been given back: unlike the [`CancelToken`] of the driver it cannot hit whoever has
/// the connection then. Clones are the same.
#[derive(Clone)]
pub struct SessionCancel {
    token: CancelToken,
    requests: Arc<Requests>,
    shared: Arc<Shared>,
}

impl fmt::Debug for SessionCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCancel").finish_non_exhaustive()
    }
}

impl SessionCancel {
    pub(crate) fn new(token: CancelToken, requests: Arc<Requests>, shared: Arc<Shared>) -> Self {
        Self {
            token,
            requests,
            shared,
        }
    }

    /// Asks the server to cancel what the session runs, and waits until it has taken the
    /// request. The answer is whether there was a session: without one, nothing is asked.
    /// Whether something was still running shows on the session.
    ///
    /// # Errors
    /// As [`Connect::connect`](crate::Connect::connect), and `Unavailable` where the runtime
    /// of the pool is gone.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: the request goes on. The session is not reset
    /// before it has ended.
    pub async fn cancel(&self) -> Result<bool> {
        let Some(underway) = Underway::begin(&self.requests) else {
            return Ok(false);
        };
        let (token, shared) = (self.token.clone(), Arc::clone(&self.shared));
        // A request that was dropped half way could still arrive, at any time.
        let request = self.shared.runtime().spawn(async move {
            let outcome = shared.config().connect.cancel(&token).await;
            drop(underway);
            outcome
        });
        let gone = |err| Error::new(ErrorKind::Unavailable, "the pool is gone").with_source(err);
        request.await.map_err(gone)?.map(|()| true)
    }
}

/// The requests to cancel what a session runs.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    given_back: bool,
    underway: usize,
}

impl Requests {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets no other request out. The answer is whether one is under way.
    pub(crate) fn give_back(&self) -> bool {
        let mut state = self.state();
        state.given_back = true;
        state.underway > 0
    }

    /// Ends when no request is under way.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.state().underway == 0 {
                return;
            }
            ended.await;
        }
    }
}

struct Underway(Arc<Requests>);

impl Underway {
    fn begin(requests: &Arc<Requests>) -> Option<Self> {
        let mut state = requests.state();
        if state.given_back {
            return None;
        }
        state.underway += 1;
        drop(state);
        Some(Self(Arc::clone(requests)))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.state().underway -= 1;
        self.0.ended.notify_waiters();
    }
}
