//! Errors of the driver, as errors of ours.

use ops_core::{Error, ErrorKind};
use tokio_postgres::error::SqlState;

/// Turns an error of the driver into one of ours, by SQLSTATE where there is one.
///
/// The text of the driver's error stays in the chain. It holds server messages, never
/// a password.
#[cold]
pub fn from_driver(source: tokio_postgres::Error) -> Error {
    let (kind, message, code) = match source.as_db_error() {
        Some(db) => (kind_of(db.code()), db.message().to_owned(), Some(db.code().code().to_owned())),
        None if source.is_closed() => {
            (ErrorKind::Unavailable, "the server closed the connection".to_owned(), None)
        }
        None => (ErrorKind::Unavailable, "the connection failed".to_owned(), None),
    };
    let err = Error::new(kind, message).with_provider("postgres").with_source(source);
    match code {
        Some(code) => err.with_code(code),
        None => err,
    }
}

fn kind_of(state: &SqlState) -> ErrorKind {
    match state.code() {
        "28P01" | "28000" => ErrorKind::Unauthenticated,
        "42501" => ErrorKind::PermissionDenied,
        "3D000" | "42P01" | "42704" => ErrorKind::NotFound,
        "42P04" | "42P07" | "42710" => ErrorKind::AlreadyExists,
        "57014" => ErrorKind::Timeout,
        "53300" | "53400" | "53100" | "53200" => ErrorKind::QuotaExceeded,
        "57P01" | "57P02" | "57P03" => ErrorKind::Unavailable,
        "XX001" | "XX002" => ErrorKind::Integrity,
        "0A000" => ErrorKind::Unsupported,
        code => match code.get(..2) {
            Some("08") => ErrorKind::Unavailable,
            Some("40") => ErrorKind::Conflict,
            Some("42" | "22") => ErrorKind::InvalidInput,
            _ => ErrorKind::Internal,
        },
    }
}
