//! What the instance reports of itself, as it was told.

use std::cmp::Reverse;
use std::time::Duration;

use async_trait::async_trait;

use super::super::lock;
use super::MemoryDatabase;
use crate::database::{
    ActiveStatement, Audit, ConnectionStats, Extension, MigrationQuery, MigrationStatus,
    ReplicaLag, RoleInfo, Setting, SizeStats, SlowStatement, Stats, TableSize, Usage, WalArchiving,
};
use crate::error::Result;
use crate::usage::{UsageQuery, UsageReport};

/// What a [`MemoryDatabase`] reports as [`Stats`].
#[derive(Clone, Debug, Default)]
pub struct MemoryStats {
    /// Connections by state.
    pub connections: ConnectionStats,
    /// Sizes; `None` counts what was written.
    pub sizes: Option<SizeStats>,
    /// Statements that run now.
    pub active: Vec<ActiveStatement>,
    /// What kinds of statements have cost.
    pub slow: Vec<SlowStatement>,
    /// Tables.
    pub tables: Vec<TableSize>,
    /// Replicas.
    pub replicas: Vec<ReplicaLag>,
    /// Archiving; `None` is an engine without.
    pub wal_archiving: Option<WalArchiving>,
}

/// What a [`MemoryDatabase`] reports as [`Audit`].
#[derive(Clone, Debug, Default)]
pub struct MemoryAudit {
    /// The settings.
    pub settings: Vec<Setting>,
    /// The roles.
    pub roles: Vec<RoleInfo>,
    /// The extensions.
    pub extensions: Vec<Extension>,
    /// The migrations that are recorded as applied; `None` is a database without the table.
    pub migrations: Option<Vec<String>>,
    /// The migrations that are recorded as failed.
    pub failed_migrations: Vec<String>,
}

impl MemoryDatabase {
    fn told_stats(&self) -> MemoryStats {
        lock(&self.shared.state).stats.clone()
    }

    fn told_audit(&self) -> MemoryAudit {
        lock(&self.shared.state).audit.clone()
    }
}

#[async_trait]
impl Stats for MemoryDatabase {
    async fn connections(&self) -> Result<ConnectionStats> {
        self.require_answer("database.connections")?;
        Ok(self.told_stats().connections)
    }

    async fn sizes(&self) -> Result<SizeStats> {
        self.require_answer("database.sizes")?;
        if let Some(sizes) = self.told_stats().sizes {
            return Ok(sizes);
        }
        self.with_branch("database.sizes", |branch| {
            Ok(SizeStats::new(branch.size_bytes()))
        })
    }

    async fn active_statements(&self, at_least: Duration) -> Result<Vec<ActiveStatement>> {
        self.require_answer("database.active_statements")?;
        let mut active = self.told_stats().active;
        active.retain(|statement| statement.running_for >= at_least);
        active.sort_by_key(|statement| Reverse(statement.running_for));
        Ok(active)
    }

    async fn slow_statements(&self, limit: u32) -> Result<Vec<SlowStatement>> {
        self.require_answer("database.slow_statements")?;
        Ok(largest(self.told_stats().slow, limit, |statement| {
            statement.total
        }))
    }

    async fn table_sizes(&self, limit: u32) -> Result<Vec<TableSize>> {
        self.require_answer("database.table_sizes")?;
        Ok(largest(self.told_stats().tables, limit, |table| {
            table.total_bytes
        }))
    }

    async fn replication(&self) -> Result<Vec<ReplicaLag>> {
        self.require_answer("database.replication")?;
        Ok(self.told_stats().replicas)
    }

    async fn wal_archiving(&self) -> Result<Option<WalArchiving>> {
        self.require_answer("database.wal_archiving")?;
        Ok(self.told_stats().wal_archiving)
    }
}

fn largest<T, K: Ord>(mut items: Vec<T>, limit: u32, size: impl Fn(&T) -> K) -> Vec<T> {
    items.sort_by_key(|item| Reverse(size(item)));
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    items
}

#[async_trait]
impl Audit for MemoryDatabase {
    async fn settings(&self) -> Result<Vec<Setting>> {
        self.require_answer("database.settings")?;
        let mut settings = self.told_audit().settings;
        settings.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(settings)
    }

    async fn roles(&self) -> Result<Vec<RoleInfo>> {
        self.require_answer("database.roles")?;
        let mut roles = self.told_audit().roles;
        roles.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(roles)
    }

    async fn extensions(&self) -> Result<Vec<Extension>> {
        self.require_answer("database.extensions")?;
        let mut extensions = self.told_audit().extensions;
        extensions.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(extensions)
    }

    async fn migrations(&self, query: &MigrationQuery) -> Result<MigrationStatus> {
        self.require_answer("database.migrations")?;
        let MemoryAudit {
            migrations,
            failed_migrations,
            ..
        } = self.told_audit();
        Ok(match migrations {
            Some(recorded) => MigrationStatus::compare(query, &recorded, &failed_migrations),
            None => MigrationStatus::uninitialized(query),
        })
    }
}

#[async_trait]
impl Usage for MemoryDatabase {
    async fn usage(&self, query: UsageQuery) -> Result<UsageReport> {
        let items = lock(&self.shared.state).usage.clone();
        super::super::usage_report(&query, items, self.shared.clock.now())
    }
}
