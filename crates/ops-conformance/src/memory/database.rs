//! The fixture of [`MemoryDatabase`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::Database;
use ops_core::database::{
    ActiveStatement, ConnectionStats, Extension, RoleInfo, Setting, SizeStats, SlowStatement,
    TableSize,
};
use ops_core::memory::{MemoryAudit, MemoryDatabase, MemoryStats};
use ops_core::usage::{UsageItem, UsageUnit};

use super::ManualClock;
use crate::database::{DatabaseFixture, Place};
use crate::fixture::Fixture;

/// The fixture of [`MemoryDatabase`].
#[derive(Debug)]
pub struct MemoryDatabaseFixture {
    clock: Arc<ManualClock>,
    database: MemoryDatabase,
}

impl MemoryDatabaseFixture {
    /// An account with one instance, which has something to tell.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let database = MemoryDatabase::with_clock(Arc::<ManualClock>::clone(&clock));
        database.set_stats(stats());
        database.set_audit(audit());
        database.set_usage(vec![
            UsageItem::new("storage", UsageUnit::Bytes, 10.0).with_included(100.0),
        ]);
        Self { clock, database }
    }

    /// The account.
    #[must_use]
    pub fn memory(&self) -> &MemoryDatabase {
        &self.database
    }

    /// A provider of what a place stands for.
    fn at(&self, place: &Place) -> Option<MemoryDatabase> {
        match place {
            Place::Here => Some(self.database.clone()),
            Place::Instance(id) => self.database.open(id).ok(),
            Place::Branch(id) => self.database.open_branch(id).ok(),
        }
    }
}

fn stats() -> MemoryStats {
    let seconds = Duration::from_secs;
    let connections = ConnectionStats::default().with_active(3).with_max(100);
    MemoryStats {
        connections: connections.with_idle(4),
        sizes: Some(SizeStats::new(1_000).with_instance_bytes(5_000)),
        active: vec![
            ActiveStatement::new(1, seconds(1), "SELECT 1"),
            ActiveStatement::new(2, seconds(9), "SELECT 9"),
            ActiveStatement::new(3, seconds(5), "SELECT 5"),
        ],
        slow: vec![
            SlowStatement::new("SELECT 1", 10, seconds(1)),
            SlowStatement::new("SELECT 9", 10, seconds(9)),
        ],
        tables: vec![
            TableSize::new("public", "small", 10),
            TableSize::new("public", "large", 1_000),
        ],
        ..MemoryStats::default()
    }
}

fn audit() -> MemoryAudit {
    MemoryAudit {
        settings: vec![
            Setting::new("work_mem", "4096").with_unit("kB"),
            Setting::new("max_connections", "100"),
        ],
        roles: vec![RoleInfo::new("writer"), RoleInfo::new("admin")],
        extensions: vec![Extension::new("vector"), Extension::new("pg_trgm")],
        ..MemoryAudit::default()
    }
}

impl Default for MemoryDatabaseFixture {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Fixture for MemoryDatabaseFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by);
        true
    }
}

#[async_trait]
impl DatabaseFixture for MemoryDatabaseFixture {
    fn database(&self) -> Arc<dyn Database> {
        Arc::new(self.database.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[
            "as_provision",
            "as_native_backups",
            "as_branching",
            "as_stats",
            "as_audit",
            "as_usage",
        ]
    }

    async fn write(&self, place: &Place, text: &str) -> bool {
        self.at(place)
            .is_some_and(|there| there.write("text", text).is_ok())
    }

    async fn read(&self, place: &Place) -> Option<String> {
        self.at(place)?.read("text").ok().flatten()
    }
}
