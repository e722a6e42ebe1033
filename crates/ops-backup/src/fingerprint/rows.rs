//! Taking the rows of a live database.

use futures_util::{StreamExt, pin_mut};
use ops_core::{Error, ErrorKind, Result};
use ops_pg::error::from_driver;
use tokio_postgres::Client;

use super::quote_literal;
use crate::archive::{LargeObjectsHasher, RowHasher, RowsDigest};

/// How much of a large object is read at once.
const LARGE_OBJECT_CHUNK: i32 = 1 << 20;

/// Gives a session the settings under which `pg_dump` writes rows.
///
/// `setup_connection` in `pg_dump.c` sets those of date, interval and float; the other two
/// are what [`crate::dump`] gives to `pg_dump` by its environment.
pub(crate) async fn prepare_session(client: &Client) -> Result<()> {
    client
        .batch_execute(
            "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; \
             SET bytea_output = 'hex'; SET timezone = 'UTC'; SET search_path = ''; \
             SET row_security = off; SET statement_timeout = 0; SET lock_timeout = 0; \
             SET idle_in_transaction_session_timeout = 0; SET synchronize_seqscans = off",
        )
        .await
        .map_err(from_driver)
}

/// Digests a table through the columns that the dump's own `COPY` command names.
pub(crate) async fn digest_table(
    client: &Client,
    copy_from: &str,
    encoding: &str,
) -> Result<RowsDigest> {
    let target = copy_from.trim_end().trim_end_matches(';');
    let target = target.strip_suffix(" FROM stdin").unwrap_or(target);
    let (table, columns) = parts_of(target)
        .ok_or_else(|| Error::new(ErrorKind::Decode, format!("not a COPY command: {target}")))?;
    // A partitioned table itself cannot be copied from, a query over it can.
    let partitioned = client
        .query_one(
            "SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = $1::text::pg_catalog.regclass",
            &[&table],
        )
        .await
        .and_then(|row| row.try_get::<_, bool>(0))
        .map_err(from_driver)?;
    let from = if partitioned {
        format!("(SELECT {columns} FROM {table})")
    } else {
        target.replacen("COPY ", "", 1)
    };
    let command = format!(
        "COPY {from} TO STDOUT (ENCODING {})",
        quote_literal(encoding)
    );
    digest_query(client, &command).await
}

/// `COPY s.t (a, b)` as its table and its columns. A table without columns has no list.
fn parts_of(copy: &str) -> Option<(&str, &str)> {
    let target = copy.strip_prefix("COPY ")?;
    let mut quoted = false;
    let open = target.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '(' && !quoted).then_some(at)
    });
    let Some(open) = open else {
        return Some((target.trim(), ""));
    };
    let (table, columns) = target.split_at_checked(open)?;
    Some((
        table.trim(),
        columns.trim().strip_prefix('(')?.strip_suffix(')')?,
    ))
}

async fn digest_query(client: &Client, command: &str) -> Result<RowsDigest> {
    let stream = client.copy_out(command).await.map_err(from_driver)?;
    pin_mut!(stream);
    let mut hasher = RowHasher::default();
    while let Some(chunk) = stream.next().await {
        hasher.update(&chunk.map_err(from_driver)?);
    }
    Ok(hasher.finish())
}

/// Digests all large objects, in pieces of 1 MiB.
pub(crate) async fn digest_large_objects(client: &Client) -> Result<RowsDigest> {
    let mut hasher = LargeObjectsHasher::default();
    let oids = client
        .query("SELECT oid FROM pg_catalog.pg_largeobject_metadata", &[])
        .await
        .map_err(from_driver)?;
    let get = client
        .prepare("SELECT pg_catalog.lo_get($1, $2, $3)")
        .await
        .map_err(from_driver)?;
    for row in oids {
        let oid: u32 = row.try_get(0).map_err(from_driver)?;
        hasher.start(oid);
        let mut offset = 0_i64;
        loop {
            let row = client
                .query_one(&get, &[&oid, &offset, &LARGE_OBJECT_CHUNK])
                .await
                .map_err(from_driver)?;
            let chunk: &[u8] = row.try_get(0).map_err(from_driver)?;
            if chunk.is_empty() {
                break;
            }
            hasher.update(chunk);
            offset += i64::from(LARGE_OBJECT_CHUNK);
        }
        hasher.end();
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::parts_of;

    #[test]
    fn a_copy_command_is_taken_apart() {
        assert_eq!(
            parts_of("COPY \"odd (one\".t (a, \"b)\")"),
            Some(("\"odd (one\".t", "a, \"b)\"")),
        );
        assert_eq!(parts_of("COPY s.nothing "), Some(("s.nothing", "")));
        assert_eq!(parts_of("INSERT INTO t"), None);
    }
}
