//! What the account holds.

use std::collections::BTreeMap;

use super::super::{Idempotency, Sequence};
use super::tables::{MemoryAudit, MemoryStats};
use crate::database::{
    Branch, ConnectInfo, DatabaseDescription, DatabaseInstance, DatabaseSize, DatabaseState,
    Engine, Host, NativeBackup, TlsMode, TlsSettings,
};
use crate::id::{BranchId, DatabaseId, NativeBackupId};
use crate::time::Timestamp;
use crate::usage::UsageItem;

/// What the account holds.
#[derive(Default)]
pub(super) struct State {
    pub(super) instances: BTreeMap<DatabaseId, Instance>,
    pub(super) created: Idempotency,
    pub(super) branched: Idempotency,
    pub(super) backed_up: Idempotency,
    pub(super) restored: Idempotency,
    pub(super) sequence: Sequence,
    pub(super) stats: MemoryStats,
    pub(super) audit: MemoryAudit,
    pub(super) usage: Vec<UsageItem>,
}

/// One write.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) at: Timestamp,
    pub(super) key: String,
    pub(super) value: String,
}

/// A branch and what was written to it, oldest first.
pub(super) struct BranchRecord {
    pub(super) branch: Branch,
    pub(super) log: Vec<Change>,
}

/// A backup and what it holds.
pub(super) struct BackupRecord {
    pub(super) backup: NativeBackup,
    pub(super) log: Vec<Change>,
}

/// What is kept of an instance.
pub(super) struct Instance {
    pub(super) id: DatabaseId,
    pub(super) name: String,
    pub(super) created_at: Timestamp,
    pub(super) description: DatabaseDescription,
    pub(super) size: DatabaseSize,
    pub(super) default_branch: BranchId,
    pub(super) branches: BTreeMap<BranchId, BranchRecord>,
    pub(super) backups: BTreeMap<NativeBackupId, BackupRecord>,
}

/// An id that was made here and cannot be refused.
macro_rules! made {
    ($type:ident, $($text:tt)*) => {
        $type::new(format!($($text)*)).expect("a short word and a number")
    };
}

pub(super) use made;

impl State {
    /// Makes an instance without content.
    pub(super) fn seed(
        &mut self,
        name: &str,
        engine: Engine,
        state: DatabaseState,
        now: Timestamp,
    ) -> DatabaseId {
        let number = self.sequence.next();
        let id = made!(DatabaseId, "database-{number}");
        let default_branch = made!(BranchId, "branch-{}", self.sequence.next());
        let branch = Branch::new(default_branch.clone(), "main", DatabaseState::Available)
            .with_is_default(true)
            .with_created_at(now);
        let version = match engine {
            Engine::Postgres => "16.4",
            Engine::Redis => "7.4.0",
            _ => "1",
        };
        let record = BranchRecord {
            branch,
            log: Vec::new(),
        };
        let instance = Instance {
            id: id.clone(),
            name: name.to_owned(),
            created_at: now,
            description: DatabaseDescription::new(engine, version, state),
            size: DatabaseSize::default(),
            branches: BTreeMap::from([(default_branch.clone(), record)]),
            default_branch,
            backups: BTreeMap::new(),
        };
        self.instances.insert(id.clone(), instance);
        id
    }
}

impl BranchRecord {
    pub(super) fn size_bytes(&self) -> u64 {
        let latest: BTreeMap<&str, &str> = self
            .log
            .iter()
            .map(|change| (change.key.as_str(), change.value.as_str()))
            .collect();
        latest
            .iter()
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum()
    }

    /// What was written up to an instant, that instant included.
    pub(super) fn until(&self, at: Timestamp) -> Vec<Change> {
        self.log
            .iter()
            .filter(|change| change.at <= at)
            .cloned()
            .collect()
    }
}

impl Instance {
    /// What the instance is, and one step further next time.
    pub(super) fn look(&mut self) -> DatabaseDescription {
        let seen = self.description.clone();
        if matches!(
            seen.state,
            DatabaseState::Starting | DatabaseState::Updating
        ) {
            self.description.state = DatabaseState::Available;
        }
        seen
    }

    pub(super) fn listed(&mut self) -> DatabaseInstance {
        let size = self.default_record().map_or(0, BranchRecord::size_bytes);
        let description = self.look().with_size_bytes(size);
        DatabaseInstance::new(self.id.clone(), self.name.as_str(), description)
            .with_created_at(self.created_at)
    }

    pub(super) fn default_record(&self) -> Option<&BranchRecord> {
        self.branches.get(&self.default_branch)
    }

    pub(super) fn connect_info(&self, branch: &BranchId) -> ConnectInfo {
        let host = Host::Tcp(format!("{branch}.{}.memory.invalid", self.id));
        let port = if self.description.engine == Engine::Redis {
            6379
        } else {
            5432
        };
        ConnectInfo::new(self.description.engine.clone(), host, port)
            .with_user("app")
            .with_password(format!("password-of-{}", self.id))
            .with_database("main")
            .with_tls(TlsSettings::new(TlsMode::VerifyFull))
    }

    pub(super) fn drop_ended_branches(&mut self, now: Timestamp) {
        self.branches
            .retain(|_, record| record.branch.expires_at.is_none_or(|end| end > now));
    }
}
