//! PostgreSQL backups that are encrypted, verified by restoring, and readable without this crate.
