//! A session that is put aside.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::session::Session;
use crate::shared::Shared;
use crate::sync::{self, Mutex};

/// A session that was put aside as it is, for whoever has this.
///
/// What it has set, locked, prepared or begun stays, and nobody else can get it. When the
/// time of [`Session::keep`] is over, or the pool shuts down, it is given back like any
/// other. Dropping this gives it back at once.
#[must_use = "dropping it gives the session back"]
pub struct Kept {
    place: Arc<Place>,
}

struct Place {
    session: Mutex<Option<Session>>,
    left: Notify,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Place {
    fn clear(&self) -> Option<Session> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.take()
    }
}

impl Kept {
    pub(crate) fn new(session: Session, limit: Duration, shared: &Arc<Shared>) -> Self {
        let place = Arc::new(Place {
            session: Mutex::new(Some(session)),
            left: Notify::new(),
        });
        let (kept, pool) = (Arc::clone(&place), Arc::clone(shared));
        sync::spawn(shared.runtime(), async move {
            tokio::select! {
                () = kept.left.notified() => {}
                () = tokio::time::sleep(limit) => {}
                () = pool.stopped() => {}
            }
            drop(kept.clear());
        });
        Self { place }
    }

    /// Takes the session up again, in the state in which it was put aside. None where its
    /// time was over, the pool is shutting down or the connection broke.
    #[must_use]
    pub fn take(self) -> Option<Session> {
        let session = self.place.clear();
        session.filter(|session| session.close_reason().is_none())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.place.clear());
        self.place.left.notify_one();
    }
}
