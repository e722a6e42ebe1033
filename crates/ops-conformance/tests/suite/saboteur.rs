//! What every sabotaged provider is made of.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ops_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

/// A wrapper around a provider in memory that shows every behavior except the one of the
/// case `fault`, with the notes that a fault takes. `none` is no fault; `bare` has no
/// abilities, and `nameless` also does not say whose it is.
pub(crate) struct Saboteur<M, N> {
    memory: M,
    fault: &'static str,
    notes: Arc<Mutex<N>>,
    permits: Arc<Semaphore>,
}

impl<M: Clone, N> Clone for Saboteur<M, N> {
    fn clone(&self) -> Self {
        Self {
            memory: self.memory.clone(),
            fault: self.fault,
            notes: Arc::clone(&self.notes),
            permits: Arc::clone(&self.permits),
        }
    }
}

impl<M: Sync, N: Default + Send> Saboteur<M, N> {
    pub(crate) fn new(memory: M, fault: &'static str) -> Self {
        Self {
            memory,
            fault,
            notes: Arc::default(),
            permits: Arc::new(Semaphore::new(1)),
        }
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    pub(crate) fn fault(&self) -> &'static str {
        self.fault
    }

    pub(crate) fn is(&self, case: &str) -> bool {
        self.fault == case
    }

    pub(crate) fn is_bare(&self) -> bool {
        self.is("bare") || self.is("nameless")
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, N> {
        self.notes.lock().unwrap()
    }

    /// Loses its only permit where it is dropped while it waits.
    pub(crate) async fn wait_for_permit(&self) -> Result<()> {
        let patience = Duration::from_millis(200);
        let Ok(permit) = tokio::time::timeout(patience, self.permits.acquire()).await else {
            return wrong();
        };
        permit.unwrap().forget();
        tokio::task::yield_now().await;
        self.permits.add_permits(1);
        Ok(())
    }
}

/// Not the error that a case expects.
pub(crate) fn wrong<T>() -> Result<T> {
    Err(fault(ErrorKind::Internal))
}

pub(crate) fn fault(kind: ErrorKind) -> Error {
    Error::new(kind, "sabotaged").with_provider("memory")
}
