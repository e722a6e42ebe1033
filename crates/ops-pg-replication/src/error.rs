//! Errors that this crate makes itself.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use ops_core::{Error, ErrorKind, Retry};

use crate::failure::Failure;

#[cold]
pub(crate) fn error(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, message).with_provider("postgres")
}

/// The server sent what it may not send.
#[cold]
pub(crate) fn protocol(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Decode, message).with_source(Failure::Protocol)
}

/// The server sent nothing, or took nothing.
#[cold]
pub(crate) fn silent(limit: Duration, step: &str) -> Error {
    error(
        ErrorKind::Timeout,
        format!("the server was silent for {limit:?} while {step}"),
    )
    .with_source(Failure::Silent)
}

/// The answer to a command was not whole in time.
#[cold]
pub(crate) fn late(limit: Duration, step: &str) -> Error {
    error(
        ErrorKind::Timeout,
        format!("the server's answer took longer than {limit:?} while {step}"),
    )
    .with_source(Failure::Silent)
}

/// The connection is gone.
#[cold]
pub(crate) fn closed(step: &str, source: Option<io::Error>) -> Error {
    let err = error(
        ErrorKind::Unavailable,
        format!("the connection broke while {step}"),
    )
    .with_retry(Retry::OutcomeUnknown);
    match source {
        Some(source) => err.with_source(source),
        None => err,
    }
}

#[cold]
pub(crate) fn invalid_input(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::InvalidInput, message)
}

/// What only read may be read again, whatever became of the answer.
#[cold]
pub(crate) fn nothing_applied(err: Error) -> Error {
    match err.retry() {
        Retry::OutcomeUnknown => err.with_retry(Retry::Safe),
        _ => err,
    }
}
