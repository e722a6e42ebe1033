//! Questions of one round trip.

use std::time::Duration;

use ops_core::{Error, ErrorKind, Result, Retry};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::error::from_driver;

/// The first row of a query that only reads, in one round trip.
///
/// # Errors
/// As [`from_driver`], except that the outcome is never unknown; `Decode` for no row.
///
/// # Cancel safety
/// Reading changes nothing.
pub async fn query_row(client: &Client, sql: &str) -> Result<SimpleQueryRow> {
    let messages = client.simple_query(sql).await.map_err(reading)?;
    messages
        .into_iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .ok_or_else(|| Error::new(ErrorKind::Decode, "the server answered without a row"))
}

/// Reading never leaves an unknown outcome.
fn reading(source: tokio_postgres::Error) -> Error {
    let err = from_driver(source);
    match err.retry() {
        Retry::OutcomeUnknown => err.with_retry(Retry::Safe),
        _ => err,
    }
}

/// The text in a column of a row.
///
/// # Errors
/// `Decode` where there is none.
pub fn cell(row: &SimpleQueryRow, column: usize) -> Result<&str> {
    let found = row.try_get(column).ok().flatten();
    found.ok_or_else(|| Error::new(ErrorKind::Decode, "the server's answer lacks a column"))
}

/// Runs something that only reads within a deadline.
///
/// # Errors
/// Those of the work, and `Timeout`, after which it may be repeated.
///
/// # Cancel safety
/// That of the work.
pub async fn within<T>(timeout: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or_else(|_| {
            let message = format!("the server did not answer within {timeout:?}");
            Err(Error::new(ErrorKind::Timeout, message).with_retry(Retry::Safe))
        })
}
