//! Making roles from what `pg_dumpall --globals-only` wrote.

use bytes::Bytes;
use futures_util::{SinkExt, pin_mut};
use ops_pg::error::from_driver;
use tokio_postgres::Client;

use crate::error::{Error, ErrorKind, Result};

/// Runs the statements about roles one by one; answers those that failed.
///
/// A role that exists already is no failure. Tablespaces are left out: their folders
/// belong to another machine. Session settings are left to the session.
///
/// The statements hold password hashes, and the driver logs what it executes, as does the
/// server where it is told to. So they travel as rows of a temporary table, and are
/// executed from there.
pub(crate) async fn apply(client: &Client, sql: &[u8]) -> Result<Vec<String>> {
    let sql = std::str::from_utf8(sql).map_err(|source| {
        Error::new(
            ErrorKind::Integrity,
            "restore",
            "the stored roles are not text",
        )
        .with_source(source)
    })?;
    let statements: Vec<&str> = statements(sql)
        .into_iter()
        .filter(|statement| {
            let about_session = statement.starts_with("SET ") || statement.starts_with("SELECT ");
            !about_session && !statement.contains(" TABLESPACE ")
        })
        .collect();
    send(client, &statements).await.map_err(unusable)?;
    let mut failures = Vec::new();
    for (number, statement) in statements.iter().enumerate() {
        let Err(err) = client.batch_execute(&execute(number)).await else {
            continue;
        };
        let first_words: Vec<&str> = statement.split_whitespace().take(2).collect();
        let exists = err.code() == Some(&tokio_postgres::error::SqlState::DUPLICATE_OBJECT);
        if exists && first_words == ["CREATE", "ROLE"] {
            continue;
        }
        if client.is_closed() {
            return Err(unusable(err));
        }
        // The server's words about a statement may quote it.
        let err = from_driver(err);
        failures.push(format!("{} ...: {}", first_words.join(" "), err.message()));
    }
    client
        .batch_execute("DROP TABLE pg_temp.ops_statement")
        .await
        .map_err(unusable)?;
    Ok(failures)
}

#[cold]
fn unusable(source: tokio_postgres::Error) -> Error {
    Error::new(
        ErrorKind::TargetUnavailable,
        "restore",
        "the roles could not be made",
    )
    .with_source(from_driver(source))
}

async fn send(client: &Client, statements: &[&str]) -> Result<(), tokio_postgres::Error> {
    client
        .batch_execute(
            "CREATE TEMPORARY TABLE pg_temp.ops_statement (number int4 PRIMARY KEY, sql text)",
        )
        .await?;
    let sink = client
        .copy_in("COPY pg_temp.ops_statement (number, sql) FROM STDIN (FORMAT csv)")
        .await?;
    pin_mut!(sink);
    for (number, statement) in statements.iter().enumerate() {
        let row = format!("{number},\"{}\"\n", statement.replace('"', "\"\""));
        sink.send(Bytes::from(row)).await?;
    }
    sink.finish().await.map(drop)
}

fn execute(number: usize) -> String {
    format!(
        "DO $ops$ BEGIN EXECUTE \
         (SELECT sql FROM pg_temp.ops_statement WHERE number = {number}); END $ops$"
    )
}

/// Cuts a script of `pg_dumpall` into statements: at semicolons outside of quotes, without
/// comment lines and `\restrict` lines.
fn statements(script: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut quote = None;
    let mut line_start = true;
    let mut chars = script.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ';') => {
                statements.extend(
                    script
                        .get(start..at)
                        .map(str::trim)
                        .filter(|s| !s.is_empty()),
                );
                start = at + 1;
            }
            (None, '\\') if line_start => start = skip_line(&mut chars, script.len()),
            (None, '-')
                if line_start && script.get(at..).is_some_and(|rest| rest.starts_with("--")) =>
            {
                start = skip_line(&mut chars, script.len());
            }
            _ => {}
        }
        line_start = c == '\n' || (line_start && c.is_whitespace()) || start > at;
    }
    statements
}

fn skip_line(chars: &mut std::str::CharIndices<'_>, end: usize) -> usize {
    chars
        .find(|(_, c)| *c == '\n')
        .map_or(end, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_script_is_cut_at_semicolons_outside_of_quotes() {
        let script = "--\n-- Roles; of all\n--\n\n\\restrict abc\n\nCREATE ROLE \"a;b\";\n\
                      ALTER ROLE \"a;b\" WITH PASSWORD 'x'';\n--y';\n\n-- Done\nGRANT a TO b;\n\\unrestrict abc\n";
        assert_eq!(
            statements(script),
            [
                "CREATE ROLE \"a;b\"",
                "ALTER ROLE \"a;b\" WITH PASSWORD 'x'';\n--y'",
                "GRANT a TO b",
            ],
        );
    }
}
