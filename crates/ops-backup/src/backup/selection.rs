//! What is dumped, and how far it is proved.

/// Whether the source is read a second time to prove the dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceCheck {
    /// No. The rows' hashes come from the dump as it streams past, which costs the server
    /// nothing. The default.
    #[default]
    Off,
    /// Every table is read once more in the dump's snapshot, by `COPY` over another
    /// connection, and compared with the dump before the backup is committed. About
    /// doubles the load on the server.
    Full,
}

/// What of the database is dumped. Everything, unless something is named.
///
/// The patterns are those of `pg_dump`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// Only these schemas (`--schema`).
    pub schemas: Vec<String>,
    /// Not these schemas (`--exclude-schema`).
    pub exclude_schemas: Vec<String>,
    /// Only these tables (`--table`).
    pub tables: Vec<String>,
    /// Not these tables (`--exclude-table`).
    pub exclude_tables: Vec<String>,
    /// These tables without their rows (`--exclude-table-data`).
    pub exclude_table_data: Vec<String>,
}

impl Selection {
    pub(crate) fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        [
            ("--schema", &self.schemas),
            ("--exclude-schema", &self.exclude_schemas),
            ("--table", &self.tables),
            ("--exclude-table", &self.exclude_tables),
            ("--exclude-table-data", &self.exclude_table_data),
        ]
        .into_iter()
        .flat_map(|(option, patterns)| patterns.iter().map(move |p| format!("{option}={p}")))
        .collect()
    }
}
