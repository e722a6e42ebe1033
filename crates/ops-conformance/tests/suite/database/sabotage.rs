//! The wrapper that does one thing wrong, and its base methods.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ops_conformance::async_trait;
use ops_core::database::{
    Audit, Branching, ConnectInfo, DatabaseDescription, DatabaseInstance, DatabaseState, Engine,
    NativeBackups, Ping, Provision, Stats, Usage,
};
use ops_core::id::{BranchId, DatabaseId, IdempotencyKey, ProviderId};
use ops_core::memory::MemoryDatabase;
use ops_core::{Database, Error, ErrorKind, Result};

/// A wrapper around the account in memory that shows every behavior except the one of the
/// case `fault`.
#[derive(Clone)]
pub(super) struct Sabotaged(Arc<Inner>);

struct Inner {
    memory: MemoryDatabase,
    fault: &'static str,
    is_busy: AtomicBool,
    notes: Mutex<Notes>,
}

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) listing: Option<Vec<DatabaseInstance>>,
    pub(super) keys: Vec<IdempotencyKey>,
    pub(super) resized: Vec<DatabaseId>,
    pub(super) deleted: Vec<DatabaseInstance>,
    pub(super) branches: Vec<BranchId>,
}

/// Not the error that a case expects.
pub(super) fn wrong<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Internal, "sabotaged"))
}

impl Sabotaged {
    pub(super) fn new(memory: MemoryDatabase, fault: &'static str) -> Self {
        Self(Arc::new(Inner {
            memory,
            fault,
            is_busy: AtomicBool::new(false),
            notes: Mutex::default(),
        }))
    }

    pub(super) fn memory(&self) -> &MemoryDatabase {
        &self.0.memory
    }

    pub(super) fn is(&self, case: &str) -> bool {
        self.0.fault == case
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.notes.lock().unwrap()
    }

    pub(super) fn made_branches(&self) -> Vec<BranchId> {
        self.notes().branches.clone()
    }

    /// Whether a key was seen before.
    pub(super) fn is_known(&self, key: Option<&IdempotencyKey>) -> bool {
        let Some(key) = key else { return false };
        let mut notes = self.notes();
        let is_known = notes.keys.contains(key);
        notes.keys.push(key.clone());
        is_known
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is("D-006") {
            return write!(f, "Sabotaged(password-of-{})", self.memory().id());
        }
        f.write_str("Sabotaged")
    }
}

#[async_trait]
impl Database for Sabotaged {
    fn provider(&self) -> ProviderId {
        self.memory().provider()
    }

    async fn describe(&self) -> Result<DatabaseDescription> {
        let mut described = self.memory().describe().await?;
        if self.is("D-002") {
            described.state = DatabaseState::Other("ok".to_owned());
        }
        if self.is("D-003") {
            described.version.clear();
        }
        if self.is("D-004") {
            described.engine = Engine::Redis;
        }
        Ok(described)
    }

    async fn connect_info(&self) -> Result<ConnectInfo> {
        if self.is("D-007") {
            if self.0.is_busy.swap(true, Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Conflict, "another call runs"));
            }
            tokio::task::yield_now().await;
            self.0.is_busy.store(false, Ordering::Relaxed);
        }
        self.memory().connect_info().await
    }

    async fn ping(&self) -> Result<Ping> {
        if self.is("D-005") {
            return wrong();
        }
        self.memory().ping().await
    }

    fn as_provision(&self) -> Option<&dyn Provision> {
        Some(self)
    }

    fn as_native_backups(&self) -> Option<&dyn NativeBackups> {
        Some(self)
    }

    fn as_branching(&self) -> Option<&dyn Branching> {
        Some(self)
    }

    fn as_stats(&self) -> Option<&dyn Stats> {
        Some(self)
    }

    fn as_audit(&self) -> Option<&dyn Audit> {
        Some(self)
    }

    fn as_usage(&self) -> Option<&dyn Usage> {
        (!self.is("D-001")).then_some(self as &dyn Usage)
    }
}
