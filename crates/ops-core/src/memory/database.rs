//! A database account in memory.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{PROVIDER, error, lock, missing};
use crate::database::{
    Audit, Branching, ConnectInfo, Database, DatabaseDescription, DatabaseState, Engine,
    NativeBackups, Ping, Provision, Role, Stats, Usage,
};
use crate::error::{ErrorKind, Result};
use crate::id::{BranchId, DatabaseId, ProviderId};
use crate::time::{Clock, SystemClock};
use crate::usage::UsageItem;

mod backups;
mod branches;
mod provision;
mod state;
mod tables;

use state::{Instance, State};
pub use tables::{MemoryAudit, MemoryStats};

/// An account with databases in memory; a provider stands for one instance, or for one
/// branch of it.
///
/// Clones are the same instance. The content is texts under keys, written with
/// [`write`](Self::write): enough to see that a backup, a branch and a point in time hold
/// what they should. An instance that starts or changes is one step further each time
/// somebody looks at it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use ops_core::DatabaseExt;
/// use ops_core::database::CreateBranchRequest;
/// use ops_core::memory::MemoryDatabase;
///
/// let database = MemoryDatabase::new();
/// database.write("price", "10")?;
/// let branch = database.require_branching()?.create_branch(CreateBranchRequest::new("try")).await?;
/// let copy = database.open_branch(&branch.id)?;
/// copy.write("price", "99")?;
/// assert_eq!(database.read("price")?.as_deref(), Some("10"));
/// # Ok::<(), ops_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryDatabase {
    shared: Arc<Shared>,
    id: DatabaseId,
    /// `None` is the default branch.
    branch: Option<BranchId>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl MemoryDatabase {
    /// An account with one empty PostgreSQL instance that answers.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An account with one empty PostgreSQL instance that answers, with a clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        let mut state = State::default();
        let id = state.seed("main", Engine::Postgres, DatabaseState::Available, now);
        Self {
            shared: Arc::new(Shared {
                clock,
                state: Mutex::new(state),
            }),
            id,
            branch: None,
        }
    }

    /// The id of the instance.
    #[must_use]
    pub fn id(&self) -> &DatabaseId {
        &self.id
    }

    /// A provider of another instance of the account.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn open(&self, id: &DatabaseId) -> Result<Self> {
        let shared = Arc::clone(&self.shared);
        let other = Self {
            shared,
            id: id.clone(),
            branch: None,
        };
        other.with("memory.open", |_| Ok(()))?;
        Ok(other)
    }

    /// A provider of a branch of this instance.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn open_branch(&self, branch: &BranchId) -> Result<Self> {
        let other = Self {
            branch: Some(branch.clone()),
            ..self.clone()
        };
        other.with_branch("memory.open_branch", |_| Ok(()))?;
        Ok(other)
    }

    /// Writes a text under a key, as an application would.
    ///
    /// # Errors
    /// `NotFound` where the instance or branch is gone; `Unavailable` where it does not answer.
    pub fn write(&self, key: &str, value: &str) -> Result<()> {
        let now = self.shared.clock.now();
        self.require_answer("memory.write")?;
        self.with_branch("memory.write", |branch| {
            branch.log.push(state::Change {
                at: now,
                key: key.to_owned(),
                value: value.to_owned(),
            });
            Ok(())
        })
    }

    /// Reads what was last written under a key, as an application would.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn read(&self, key: &str) -> Result<Option<String>> {
        self.require_answer("memory.read")?;
        self.with_branch("memory.read", |branch| {
            let last = branch.log.iter().rev().find(|change| change.key == key);
            Ok(last.map(|change| change.value.clone()))
        })
    }

    /// Makes the instance do something else from now on, such as fail.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn set_state(&self, state: DatabaseState) -> Result<()> {
        self.with("memory.set_state", |instance| {
            instance.description.state = state;
            Ok(())
        })
    }

    /// Sets what [`Stats`] reports.
    pub fn set_stats(&self, stats: MemoryStats) {
        lock(&self.shared.state).stats = stats;
    }

    /// Sets what [`Audit`] reports.
    pub fn set_audit(&self, audit: MemoryAudit) {
        lock(&self.shared.state).audit = audit;
    }

    /// Sets what [`Usage`] reports.
    pub fn set_usage(&self, items: Vec<UsageItem>) {
        lock(&self.shared.state).usage = items;
    }

    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Instance) -> Result<T>,
    ) -> Result<T> {
        let now = self.shared.clock.now();
        let mut state = lock(&self.shared.state);
        let instance = state.instances.get_mut(&self.id);
        let instance = instance.ok_or_else(|| missing(operation, &self.id))?;
        instance.drop_ended_branches(now);
        work(instance)
    }

    fn with_branch<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut state::BranchRecord) -> Result<T>,
    ) -> Result<T> {
        self.with(operation, |instance| {
            let id = self
                .branch
                .as_ref()
                .unwrap_or(&instance.default_branch)
                .clone();
            work(
                instance
                    .branches
                    .get_mut(&id)
                    .ok_or_else(|| missing(operation, &id))?,
            )
        })
    }

    /// Wakes an instance that sleeps, and fails where it does not answer.
    fn require_answer(&self, operation: &'static str) -> Result<()> {
        self.with(operation, |instance| {
            match &mut instance.description.state {
                DatabaseState::Available => Ok(()),
                state @ DatabaseState::Suspended => {
                    *state = DatabaseState::Available;
                    Ok(())
                }
                state => {
                    let message = format!("the instance is {}", state.as_str());
                    Err(error(ErrorKind::Unavailable, operation, message))
                }
            }
        })
    }
}

impl Default for MemoryDatabase {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDatabase")
            .field("id", &self.id)
            .field("branch", &self.branch)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Database for MemoryDatabase {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    async fn describe(&self) -> Result<DatabaseDescription> {
        let operation = "database.describe";
        let size = self.with_branch(operation, |branch| Ok(branch.size_bytes()))?;
        self.with(operation, |instance| {
            Ok(instance.look().with_size_bytes(size))
        })
    }

    async fn connect_info(&self) -> Result<ConnectInfo> {
        let operation = "database.connect_info";
        let branch = self.with_branch(operation, |branch| Ok(branch.branch.id.clone()))?;
        self.with(operation, |instance| Ok(instance.connect_info(&branch)))
    }

    async fn ping(&self) -> Result<Ping> {
        self.require_answer("database.ping")?;
        Ok(Ping::new(Duration::from_micros(1), Role::Primary))
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
        Some(self)
    }
}
