//! What the server says.

use ops_core::{Error, ErrorKind, Result};
use ops_pg::query::query_row;
use tokio_postgres::{Client, SimpleQueryRow};

use super::{Budget, Term};

/// One row. A limit of -1 is none, and a superuser is above the limits of role and
/// database. The last two names are for the error's text.
const QUERY: &str = "\
SELECT max(setting) FILTER (WHERE name = 'max_connections'),
       max(source) FILTER (WHERE name = 'max_connections'),
       max(setting) FILTER (WHERE name = 'superuser_reserved_connections'),
       max(source) FILTER (WHERE name = 'superuser_reserved_connections'),
       max(setting) FILTER (WHERE name = 'reserved_connections'),
       max(source) FILTER (WHERE name = 'reserved_connections'),
       (SELECT rolconnlimit FROM pg_catalog.pg_roles
        WHERE rolname = session_user AND rolconnlimit >= 0 AND NOT rolsuper),
       (SELECT datconnlimit FROM pg_catalog.pg_database
        WHERE datname = current_database() AND datconnlimit >= 0
          AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user)),
       session_user, current_database()
FROM pg_catalog.pg_settings";

pub(super) async fn read(client: &Client) -> Result<Budget> {
    let row = query_row(client, QUERY).await?;
    let setting = |name: &'static str, column: usize| -> Result<Option<Term>> {
        let Some(connections) = number(&row, column)? else {
            return Ok(None);
        };
        let source = text(&row, column + 1).unwrap_or("unknown");
        Ok(Some(Term {
            name: name.into(),
            connections,
            source: source.to_owned().into(),
        }))
    };
    let limit = |what: &str, column: usize, name: usize| -> Result<Option<Term>> {
        let Some(connections) = number(&row, column)? else {
            return Ok(None);
        };
        Ok(Some(Term {
            name: format!("{what} {}", text(&row, name).unwrap_or_default()).into(),
            connections,
            source: "CONNECTION LIMIT".into(),
        }))
    };
    let max_connections = setting("max_connections", 0)?.ok_or_else(nonsense)?;
    let reserved = [
        setting("superuser_reserved_connections", 2)?,
        setting("reserved_connections", 4)?,
    ];
    Ok(Budget {
        max_connections,
        taken: reserved.into_iter().flatten().collect(),
        role_limit: limit("role", 6, 8)?,
        database_limit: limit("database", 7, 9)?,
    })
}

fn text(row: &SimpleQueryRow, column: usize) -> Option<&str> {
    row.try_get(column).ok().flatten()
}

fn number(row: &SimpleQueryRow, column: usize) -> Result<Option<usize>> {
    let text = text(row, column);
    text.map(|it| it.parse().map_err(|_| nonsense()))
        .transpose()
}

fn nonsense() -> Error {
    Error::new(ErrorKind::Decode, "the server's limits are no numbers")
        .with_operation("pool.budget")
}
