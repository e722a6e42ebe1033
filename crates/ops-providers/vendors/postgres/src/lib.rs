//! Database for any PostgreSQL server.
