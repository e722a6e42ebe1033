//! Numbers and settings, with their faults.

use std::time::Duration;

use ops_conformance::async_trait;
use ops_core::Result;
use ops_core::database::{
    ActiveStatement, Audit, ConnectionStats, Extension, MigrationQuery, MigrationStatus,
    ReplicaLag, RoleInfo, Setting, SizeStats, SlowStatement, Stats, TableSize, Usage, WalArchiving,
};
use ops_core::usage::{UsageQuery, UsageReport};

use super::sabotage::Sabotaged;

#[async_trait]
impl Stats for Sabotaged {
    async fn connections(&self) -> Result<ConnectionStats> {
        let mut stats = self.memory().connections().await?;
        if self.is("D-080") {
            stats.idle = 1_000;
        }
        Ok(stats)
    }

    async fn sizes(&self) -> Result<SizeStats> {
        let mut sizes = self.memory().sizes().await?;
        if self.is("D-081") {
            sizes.database_bytes *= 1_000;
        }
        Ok(sizes)
    }

    async fn active_statements(&self, at_least: Duration) -> Result<Vec<ActiveStatement>> {
        let at_least = if self.is("D-083") {
            Duration::ZERO
        } else {
            at_least
        };
        let mut active = self.memory().active_statements(at_least).await?;
        if self.is("D-082") {
            active.reverse();
        }
        Ok(active)
    }

    async fn slow_statements(&self, limit: u32) -> Result<Vec<SlowStatement>> {
        let limit = if self.is("D-085") { 100 } else { limit };
        let mut slow = self.memory().slow_statements(limit).await?;
        if self.is("D-084") {
            slow.reverse();
        }
        Ok(slow)
    }

    async fn table_sizes(&self, limit: u32) -> Result<Vec<TableSize>> {
        let limit = if self.is("D-087") { 100 } else { limit };
        let mut tables = self.memory().table_sizes(limit).await?;
        if self.is("D-086") {
            tables.reverse();
        }
        Ok(tables)
    }

    async fn replication(&self) -> Result<Vec<ReplicaLag>> {
        self.memory().replication().await
    }

    async fn wal_archiving(&self) -> Result<Option<WalArchiving>> {
        self.memory().wal_archiving().await
    }
}

#[async_trait]
impl Audit for Sabotaged {
    async fn settings(&self) -> Result<Vec<Setting>> {
        let mut settings = self.memory().settings().await?;
        if self.is("D-090") {
            settings.reverse();
        }
        if self.is("D-091") {
            let secret = "postgres://replica:hunter2@db/shop";
            settings.push(Setting::new("zz_primary_conninfo", secret));
        }
        Ok(settings)
    }

    async fn roles(&self) -> Result<Vec<RoleInfo>> {
        let mut roles = self.memory().roles().await?;
        if self.is("D-092") {
            roles.reverse();
        }
        Ok(roles)
    }

    async fn extensions(&self) -> Result<Vec<Extension>> {
        let mut extensions = self.memory().extensions().await?;
        if self.is("D-093") {
            extensions.reverse();
        }
        Ok(extensions)
    }

    async fn migrations(&self, query: &MigrationQuery) -> Result<MigrationStatus> {
        if self.is("D-094") {
            return Ok(MigrationStatus::default());
        }
        self.memory().migrations(query).await
    }
}

#[async_trait]
impl Usage for Sabotaged {
    async fn usage(&self, mut query: UsageQuery) -> Result<UsageReport> {
        if self.is("D-100") {
            query.period = None;
        }
        if self.is("D-101") {
            query.budget = None;
        }
        let mut report = self.memory().usage(query).await?;
        if self.is("D-102") {
            for item in &mut report.items {
                item.used = -1.0;
            }
        }
        Ok(report)
    }
}
