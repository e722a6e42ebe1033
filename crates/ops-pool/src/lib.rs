//! A PostgreSQL session pool with PgBouncer's session-mode guarantees.
