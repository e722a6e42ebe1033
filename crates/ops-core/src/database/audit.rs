//! How an instance is set up, and what is wrong with that.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::macros::setters;
use crate::time::Timestamp;

mod policy;

pub use policy::{AuditPolicy, Finding, FindingSeverity, FindingSubject, SettingRule};

/// A setting of the server, as `pg_settings` or `CONFIG GET` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Setting {
    /// Its name, such as `shared_buffers`.
    pub name: String,
    /// Its value, in `unit` where there is one.
    pub value: String,
    /// What a number counts, such as `8kB` or `ms`.
    pub unit: Option<String>,
    /// Where the value comes from, such as `configuration file`.
    pub source: Option<String>,
    /// Whether another value waits for a restart.
    pub is_pending_restart: bool,
}

impl Setting {
    /// A setting.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            unit: None,
            source: None,
            is_pending_restart: false,
        }
    }

    /// The value as a number in base units: bytes for sizes, milliseconds for spans, the
    /// number itself where there is no unit. `None` for what is no number.
    ///
    /// ```
    /// use ops_core::database::Setting;
    ///
    /// let shared_buffers = Setting::new("shared_buffers", "8192").with_unit("8kB");
    /// assert_eq!(shared_buffers.number(), Some(64 * 1024 * 1024));
    /// ```
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        let value: i64 = self.value.trim().parse().ok()?;
        // PostgreSQL's -1 and 0 mean "off" or "the default" and are no quantities.
        if value <= 0 {
            return Some(value);
        }
        self.unit
            .as_deref()
            .map_or(Some(1), unit_factor)?
            .checked_mul(value)
    }
}

/// How many base units one of `unit` is; PostgreSQL writes page sizes such as `8kB` into it.
fn unit_factor(unit: &str) -> Option<i64> {
    let digits = unit.len() - unit.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, name) = unit.split_at(digits);
    let count: i64 = if count.is_empty() {
        1
    } else {
        count.parse().ok()?
    };
    let factor = match name {
        "" | "B" | "ms" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count.checked_mul(factor)
}

setters! { Setting {
    opt_into { with_unit(unit: String), with_source(source: String) }
    val { with_is_pending_restart(is_pending_restart: bool) }
} }

/// A right of a role that reaches beyond its own objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RoleRight {
    /// Everything (`SUPERUSER`; in Redis `allcommands` on all keys).
    Superuser,
    /// Makes and changes roles (`CREATEROLE`).
    CreateRole,
    /// Makes databases (`CREATEDB`).
    CreateDatabase,
    /// Reads the whole cluster as a replica does (`REPLICATION`).
    Replication,
    /// Sees rows that a policy hides (`BYPASSRLS`).
    BypassRowSecurity,
    /// Runs programs on the server (`pg_execute_server_program`).
    ExecutePrograms,
    /// Reads or writes files of the server (`pg_read_server_files`, `pg_write_server_files`).
    ServerFiles,
    /// Writes every table (`pg_write_all_data`).
    WriteAllData,
    /// Makes objects in schema `public`.
    CreateInPublic,
}

impl RoleRight {
    /// The right in words, for a report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Superuser => "superuser",
            Self::CreateRole => "create roles",
            Self::CreateDatabase => "create databases",
            Self::Replication => "replication",
            Self::BypassRowSecurity => "bypass row security",
            Self::ExecutePrograms => "execute programs on the server",
            Self::ServerFiles => "read or write files of the server",
            Self::WriteAllData => "write all data",
            Self::CreateInPublic => "create in schema public",
        }
    }
}

/// A role of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RoleInfo {
    /// Its name.
    pub name: String,
    /// Whether it can log in.
    pub can_login: bool,
    /// Its rights beyond its own objects, also those that it has through other roles.
    pub rights: Vec<RoleRight>,
    /// The roles that it is a member of.
    pub member_of: Vec<String>,
    /// Until when its password is good.
    pub valid_until: Option<Timestamp>,
}

impl RoleInfo {
    /// A role without rights that cannot log in.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            can_login: false,
            rights: Vec::new(),
            member_of: Vec::new(),
            valid_until: None,
        }
    }
}

setters! { RoleInfo {
    opt { with_valid_until(valid_until: Timestamp) }
    val { with_can_login(can_login: bool), with_rights(rights: Vec<RoleRight>), with_member_of(member_of: Vec<String>) }
} }

/// An extension or module of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Extension {
    /// Its name, such as `vector`.
    pub name: String,
    /// The version that is installed in the database; `None` where it is only available.
    pub installed: Option<String>,
    /// The version that the server could install.
    pub available: Option<String>,
}

impl Extension {
    /// An extension that is only named yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            installed: None,
            available: None,
        }
    }
}

setters! { Extension {
    opt_into { with_installed(installed: String), with_available(available: String) }
} }

/// A tool that keeps a table of the migrations that were applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MigrationTool {
    /// sqlx: `_sqlx_migrations`.
    Sqlx,
    /// refinery: `refinery_schema_history`.
    Refinery,
    /// Prisma: `_prisma_migrations`.
    Prisma,
    /// Drizzle: `drizzle.__drizzle_migrations`.
    Drizzle,
    /// Alembic: `alembic_version`, which names the heads alone.
    Alembic,
}

/// Which migrations should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationQuery {
    /// The tool that applies them.
    pub tool: MigrationTool,
    /// The migrations of the application, oldest first, each by the id that the tool
    /// stores: version (sqlx, refinery), name (Prisma), hash (Drizzle), revision (Alembic).
    pub expected: Vec<String>,
    /// The tool's table, where it is not the usual one.
    pub table: Option<String>,
}

impl MigrationQuery {
    /// The migrations of an application, oldest first.
    pub fn new<I>(tool: MigrationTool, expected: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self {
            tool,
            expected: expected.into_iter().map(Into::into).collect(),
            table: None,
        }
    }
}

setters! { MigrationQuery {
    opt_into { with_table(table: String) }
} }

/// How the migrations of a database compare with those of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MigrationStatus {
    /// Whether the tool's table is there at all.
    pub is_initialized: bool,
    /// Expected and applied, oldest first.
    pub applied: Vec<String>,
    /// Expected and not applied, oldest first.
    pub pending: Vec<String>,
    /// Started and not finished, or marked as failed.
    pub failed: Vec<String>,
    /// Applied and not expected: the application is older than the database.
    pub unknown: Vec<String>,
}

impl MigrationStatus {
    /// Compares what should be there with what the tool's table says.
    ///
    /// `failed` are those that the table marks as not finished. Where the table keeps
    /// heads alone (Alembic), `recorded` is a head and everything expected up to it
    /// counts as applied.
    #[must_use]
    pub fn compare(query: &MigrationQuery, recorded: &[String], failed: &[String]) -> Self {
        let heads_alone = matches!(query.tool, MigrationTool::Alembic);
        let last_head = query.expected.iter().rposition(|id| recorded.contains(id));
        let is_applied = |index: usize, id: &String| {
            !failed.contains(id)
                && if heads_alone {
                    last_head.is_some_and(|head| index <= head)
                } else {
                    recorded.contains(id)
                }
        };
        let mut status = Self {
            is_initialized: true,
            failed: failed.to_vec(),
            ..Self::default()
        };
        for (index, id) in query.expected.iter().enumerate() {
            let side = if is_applied(index, id) {
                &mut status.applied
            } else {
                &mut status.pending
            };
            side.push(id.clone());
        }
        status.unknown = recorded
            .iter()
            .filter(|id| !query.expected.contains(id))
            .cloned()
            .collect();
        status
    }

    /// The tool's table is not there: everything is pending.
    #[must_use]
    pub fn uninitialized(query: &MigrationQuery) -> Self {
        Self {
            pending: query.expected.clone(),
            ..Self::default()
        }
    }

    /// Whether the database is exactly what the application expects.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.pending.is_empty() && self.failed.is_empty() && self.unknown.is_empty()
    }
}

/// How an instance is set up. An ability of [`Database`](super::Database).
///
/// A provider only reads; what is wrong with it is decided by an [`AuditPolicy`], the same
/// for every provider: [`DatabaseExt::audit`](crate::DatabaseExt::audit) does both.
#[async_trait]
pub trait Audit: fmt::Debug + Send + Sync + 'static {
    /// The settings in force, by name. No setting that holds a secret is among them.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn settings(&self) -> Result<Vec<Setting>>;

    /// The roles, by name, without those that the engine itself brings.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn roles(&self) -> Result<Vec<RoleInfo>>;

    /// The extensions that are installed or could be, by name.
    ///
    /// # Errors
    /// See [`Database`](super::Database).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn extensions(&self) -> Result<Vec<Extension>>;

    /// How the database's migrations compare with those of an application.
    ///
    /// # Errors
    /// `Unsupported` for an engine without migrations; `PermissionDenied` where the
    /// tool's table cannot be read. A table that is not there is no error.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn migrations(&self, query: &MigrationQuery) -> Result<MigrationStatus>;
}

const _: fn(&dyn Audit) = |_| {};

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn units_become_bytes_and_milliseconds() {
        let cases = [
            ("8192", Some("8kB"), Some(67_108_864)),
            ("64", Some("MB"), Some(67_108_864)),
            ("5", Some("min"), Some(300_000)),
            ("500", Some("ms"), Some(500)),
            ("-1", Some("8kB"), Some(-1)),
            ("100", None, Some(100)),
            ("on", None, None),
            ("1", Some("parsec"), None),
            ("9223372036854775807", Some("TB"), None),
        ];
        for (value, unit, expected) in cases {
            let mut setting = Setting::new("x", value);
            setting.unit = unit.map(str::to_owned);
            assert_eq!(setting.number(), expected, "{value} {unit:?}");
        }
    }

    #[test]
    fn migrations_are_sorted_into_applied_pending_failed_and_unknown() {
        let query = MigrationQuery::new(MigrationTool::Prisma, ["1", "2", "3"]);
        let status = MigrationStatus::compare(&query, &ids(&["1", "2", "9"]), &ids(&["2"]));
        assert_eq!(status.applied, ["1"]);
        assert_eq!(status.pending, ["2", "3"]);
        assert_eq!(status.failed, ["2"]);
        assert_eq!(status.unknown, ["9"]);
        assert!(!status.is_current());
    }

    #[test]
    fn a_head_of_alembic_stands_for_everything_before_it() {
        let query = MigrationQuery::new(MigrationTool::Alembic, ["a", "b", "c"]);
        let status = MigrationStatus::compare(&query, &ids(&["b"]), &[]);
        assert_eq!(
            (status.applied, status.pending),
            (ids(&["a", "b"]), ids(&["c"]))
        );
        assert!(MigrationStatus::compare(&query, &ids(&["c"]), &[]).is_current());
        assert_eq!(
            MigrationStatus::uninitialized(&query).pending,
            ["a", "b", "c"]
        );
    }
}
