//! Connection URLs, and what client programs of PostgreSQL are told.
