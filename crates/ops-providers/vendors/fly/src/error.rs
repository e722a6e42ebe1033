//! What Fly's failures mean, where they differ from the table of statuses.

use ops_core::{Error, ErrorKind, Retry};
use ops_http::{ErrorBody, ErrorRow, ErrorRules};
use serde::Deserialize;

use crate::PROVIDER;

/// How Fly's failures are read.
pub(crate) const RULES: ErrorRules = ErrorRules::new(parse)
    .with_rows(ROWS)
    .with_request_id_header("fly-request-id");

const ROWS: &[ErrorRow] = &[
    // A wait that is over, and whoever waits looks at the machine before waiting again. A
    // change that timed out may have been made.
    ErrorRow::status(408, ErrorKind::Timeout).with_retry(Retry::OutcomeUnknown),
    // Somebody changes the machine, and nothing was executed. Leases are short.
    ErrorRow::status(409, ErrorKind::Conflict)
        .containing("lease currently held")
        .with_retry(Retry::Safe),
    ErrorRow::code("name_taken", ErrorKind::AlreadyExists),
    ErrorRow::status(422, ErrorKind::AlreadyExists).containing("already"),
    ErrorRow::code("insufficient_capacity", ErrorKind::Unavailable),
    ErrorRow::code("volume_placement_capacity", ErrorKind::Unavailable),
    ErrorRow::status(409, ErrorKind::Unavailable).containing("insufficient"),
    // GraphQL tells it under a status of success.
    ErrorRow::code("NOT_FOUND", ErrorKind::NotFound),
    ErrorRow::code("UNAUTHORIZED", ErrorKind::Unauthenticated),
    ErrorRow::status(200, ErrorKind::NotFound).containing("could not find"),
];

/// `ErrorResponse` of the description.
#[derive(Deserialize)]
struct Body {
    error: String,
    status: Option<String>,
}

fn parse(body: &[u8]) -> Option<ErrorBody> {
    let Body { error, status } = serde_json::from_slice(body).ok()?;
    let mut body = ErrorBody::new(error);
    body.code = status.filter(|status| !status.is_empty() && status != "unknown");
    Some(body)
}

/// A refusal of this crate, before or beside what Fly says.
#[cold]
pub(crate) fn refuse(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, message.into()).with_provider(PROVIDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_failure_is_read() {
        let body = br#"{"error": "Name has already been taken", "status": "name_taken"}"#;
        let expected = ErrorBody::new("Name has already been taken").with_code("name_taken");
        assert_eq!(parse(body), Some(expected));
        let body = br#"{"error": "machine not found", "status": "unknown", "details": null}"#;
        assert_eq!(parse(body), Some(ErrorBody::new("machine not found")));
    }

    #[test]
    fn what_is_no_failure_of_fly_is_left_alone() {
        for body in [
            &b""[..],
            b"<html>Bad Gateway</html>",
            b"[]",
            br#"{"error": 1}"#,
        ] {
            assert_eq!(parse(body), None);
        }
    }
}
