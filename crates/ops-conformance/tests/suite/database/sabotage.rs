//! The wrapper that does one thing wrong, and its base methods.

use std::fmt;

use ops_conformance::async_trait;
use ops_core::database::{
    Audit, Branching, ConnectInfo, DatabaseDescription, DatabaseInstance, DatabaseState, Engine,
    NativeBackups, Ping, Provision, Stats, Usage,
};
use ops_core::id::{BranchId, DatabaseId, IdempotencyKey, ProviderId};
use ops_core::memory::MemoryDatabase;
use ops_core::{Database, Error, ErrorKind, Result};

use crate::saboteur::{Saboteur, wrong};

pub(super) type Sabotaged = Saboteur<MemoryDatabase, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) listing: Option<Vec<DatabaseInstance>>,
    pub(super) keys: Vec<IdempotencyKey>,
    pub(super) resized: Vec<DatabaseId>,
    pub(super) deleted: Vec<DatabaseInstance>,
    pub(super) branches: Vec<BranchId>,
    is_busy: bool,
}

impl Sabotaged {
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
            if std::mem::replace(&mut self.notes().is_busy, true) {
                return Err(Error::new(ErrorKind::Conflict, "another call runs"));
            }
            tokio::task::yield_now().await;
            self.notes().is_busy = false;
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
        (!self.is_bare()).then_some(self as &dyn Provision)
    }

    fn as_native_backups(&self) -> Option<&dyn NativeBackups> {
        (!self.is_bare()).then_some(self as &dyn NativeBackups)
    }

    fn as_branching(&self) -> Option<&dyn Branching> {
        (!self.is_bare()).then_some(self as &dyn Branching)
    }

    fn as_stats(&self) -> Option<&dyn Stats> {
        (!self.is_bare()).then_some(self as &dyn Stats)
    }

    fn as_audit(&self) -> Option<&dyn Audit> {
        (!self.is_bare()).then_some(self as &dyn Audit)
    }

    fn as_usage(&self) -> Option<&dyn Usage> {
        (!self.is_bare() && !self.is("D-001")).then_some(self as &dyn Usage)
    }
}
