//! Whether the schema is the one that the service was built for.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::{Result, async_trait};

use crate::check::{Check, CheckCtx};
use crate::outcome::Outcome;
use crate::policy::{Groups, Policy};
use crate::status::{Code, Kind, Scope};

/// Something that knows which migrations were applied.
#[async_trait]
pub trait MigrationSource: fmt::Debug + Send + Sync + 'static {
    /// The newest migration that was applied.
    ///
    /// # Errors
    /// What the source reports.
    ///
    /// # Cancel safety
    /// Asking changes nothing.
    async fn applied(&self) -> Result<AppliedMigrations>;
}

const _: fn(&dyn MigrationSource) = |_| {};

/// Which migrations were applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedMigrations {
    /// The version of the newest; `None` where there is none.
    pub newest: Option<i64>,
    /// Whether one was begun and failed.
    pub is_dirty: bool,
}

impl AppliedMigrations {
    /// Up to that version, and none failed.
    #[must_use]
    pub const fn up_to(newest: Option<i64>) -> Self {
        Self {
            newest,
            is_dirty: false,
        }
    }

    /// As [`AppliedMigrations::up_to`], but one was begun and failed.
    #[must_use]
    pub const fn dirty(newest: Option<i64>) -> Self {
        Self {
            newest,
            is_dirty: true,
        }
    }
}

/// Whether the schema is at the version that the service was built for.
///
/// Older, or with a migration that failed: unhealthy, [`Code::MigrationsPending`]. Newer, as
/// after a rollback of the service alone: degraded, [`Code::SchemaAhead`], which lets it
/// start.
///
/// Critical for the start alone: it runs until it passes once, every 5 s, and no longer.
/// Migrations that take long hold the start back and harm nothing that serves.
#[derive(Clone, Debug)]
pub struct Migrations {
    name: String,
    expected: i64,
    source: Arc<dyn MigrationSource>,
}

impl Migrations {
    /// Expects the newest migration to be of this version.
    #[must_use]
    pub fn new(expected: i64, source: Arc<dyn MigrationSource>) -> Self {
        Self {
            name: "migrations".to_owned(),
            expected,
            source,
        }
    }

    /// Sets the name. Defaults to `migrations`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    fn judge(&self, applied: AppliedMigrations) -> Outcome {
        let pending = Outcome::unhealthy(Code::MigrationsPending);
        if applied.is_dirty {
            return pending.with_detail("a migration was begun and failed");
        }
        let Some(newest) = applied.newest else {
            return pending.with_detail("no migration was applied");
        };
        let expected = self.expected;
        match newest.cmp(&expected) {
            Ordering::Equal => Outcome::healthy(),
            Ordering::Less => pending.with_detail(format!("at {newest}, not yet at {expected}")),
            Ordering::Greater => Outcome::degraded(Code::SchemaAhead)
                .with_detail(format!("at {newest}, already beyond {expected}")),
        }
    }
}

impl Check for Migrations {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Datastore
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_scope(Scope::SharedDependency)
            .with_groups(Groups::STARTUP)
            .with_interval(Duration::from_secs(5))
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        match self.source.applied().await {
            Ok(applied) => self.judge(applied),
            Err(err) => Outcome::from(err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    #[derive(Debug)]
    struct At(AppliedMigrations);

    #[async_trait]
    impl MigrationSource for At {
        async fn applied(&self) -> Result<AppliedMigrations> {
            Ok(self.0)
        }
    }

    #[tokio::test]
    async fn only_an_older_or_broken_schema_holds_the_start_back() {
        let pending = (Status::Unhealthy, Code::MigrationsPending);
        for (applied, expected) in [
            (
                AppliedMigrations::up_to(Some(7)),
                (Status::Healthy, Code::Ok),
            ),
            (AppliedMigrations::up_to(Some(6)), pending),
            (AppliedMigrations::up_to(None), pending),
            (AppliedMigrations::dirty(Some(7)), pending),
            (
                AppliedMigrations::up_to(Some(8)),
                (Status::Degraded, Code::SchemaAhead),
            ),
        ] {
            let check = Migrations::new(7, Arc::new(At(applied)));
            let outcome = check.run(&CheckCtx::new(Duration::from_secs(1))).await;
            assert_eq!((outcome.status(), outcome.code()), expected, "{applied:?}");
        }
    }
}
