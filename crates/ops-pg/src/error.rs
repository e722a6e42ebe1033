//! Errors of the driver and of TLS, as errors of ours.

mod sqlstate;
mod tls;

use std::error::Error as StdError;
use std::io;

use ops_core::{BoxError, Error, ErrorKind, Retry};
use tokio_postgres::error::DbError;

pub(crate) use tls::from_tls;

/// What the driver says where the server said nothing, by how its text begins: the
/// driver keeps the kind of its errors to itself.
const DRIVER: [(&str, ErrorKind); 12] = [
    ("authentication error", ErrorKind::Unauthenticated),
    (
        "error communicating with the server",
        ErrorKind::Unavailable,
    ),
    ("error connecting to server", ErrorKind::Unavailable),
    ("error deserializing column", ErrorKind::Decode),
    ("error encoding message to server", ErrorKind::InvalidInput),
    ("error parsing response from server", ErrorKind::Decode),
    ("error serializing parameter", ErrorKind::InvalidInput),
    ("expected ", ErrorKind::InvalidInput),
    ("invalid column", ErrorKind::InvalidInput),
    ("query returned an unexpected number", ErrorKind::Decode),
    ("timeout waiting for server", ErrorKind::Timeout),
    ("unexpected message from server", ErrorKind::Decode),
];

/// The longest text of a server that is kept, in characters.
const MAX_MESSAGE: usize = 500;

/// Turns an error of the driver into one of ours, by SQLSTATE where there is one, which
/// becomes [`Error::code`].
///
/// The message is the server's own, on one line; its detail and hint are the source.
/// A detail about data (SQLSTATE classes 22 and 23) is left out: it quotes rows.
///
/// Where the connection broke, whether the statement was applied is not known
/// ([`Retry::OutcomeUnknown`]).
#[cold]
pub fn from_driver(source: tokio_postgres::Error) -> Error {
    if let Some(db) = source.as_db_error() {
        return from_server(db);
    }
    if let Some(err) = from_tls(&source) {
        return err.with_retry(Retry::OutcomeUnknown);
    }
    if source.is_closed() {
        return Error::new(ErrorKind::Unavailable, "the server closed the connection")
            .with_retry(Retry::OutcomeUnknown)
            .with_provider("postgres");
    }
    if wants_password(&source) {
        let message = "the server asks for a password, and there is none";
        return Error::new(ErrorKind::Unauthenticated, message).with_provider("postgres");
    }
    let text = source.to_string();
    let row = DRIVER.iter().find(|(begin, _)| text.starts_with(begin));
    let kind = row.map_or(ErrorKind::Internal, |(_, kind)| *kind);
    let mut err = Error::new(kind, text).with_provider("postgres");
    if kind == ErrorKind::Unavailable {
        err = err.with_retry(Retry::OutcomeUnknown);
    }
    match source.into_source() {
        Some(cause) => err.with_source(cause),
        None => err,
    }
}

/// The kind of an error with a SQLSTATE, and whether what failed may be repeated: what
/// [`from_driver`] goes by, for clients that speak the protocol themselves.
pub fn classify(state: &str) -> (ErrorKind, Retry) {
    let row = sqlstate::lookup(state);
    (row.kind, row.retry)
}

fn wants_password(err: &tokio_postgres::Error) -> bool {
    err.source()
        .is_some_and(|cause| cause.to_string() == "password missing")
}

/// As [`from_driver`], for an error while connecting: nothing can have been applied.
#[cold]
pub(crate) fn from_connecting(source: tokio_postgres::Error) -> Error {
    from_tls(&source).unwrap_or_else(|| nothing_applied(from_driver(source)))
}

#[cold]
pub(crate) fn nothing_applied(err: Error) -> Error {
    match err.retry() {
        Retry::OutcomeUnknown => err.with_retry(Retry::Safe),
        _ => err,
    }
}

#[cold]
fn from_server(db: &DbError) -> Error {
    let state = db.code().code();
    let row = sqlstate::lookup(state);
    let err = Error::new(row.kind, one_line(db.message()))
        .with_retry(row.retry)
        .with_provider("postgres")
        .with_code(state);
    let detail = db
        .detail()
        .filter(|_| !state.starts_with("22") && !state.starts_with("23"));
    let more: Vec<String> = detail.into_iter().chain(db.hint()).map(one_line).collect();
    if more.is_empty() {
        err
    } else {
        err.with_source(BoxError::from(more.join(" ")))
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .take(MAX_MESSAGE)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The first error of a type in a chain. An [`io::Error`] hides the error that it was
/// made from, and shows only what comes after it.
pub(crate) fn find<'a, E: StdError + 'static>(err: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(err);
    while let Some(err) = next {
        if let Some(found) = err.downcast_ref() {
            return Some(found);
        }
        next = match err.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => err.source(),
        };
    }
    None
}
