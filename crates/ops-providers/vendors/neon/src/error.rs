//! What Neon's failures mean, where they differ from the table of statuses.

use ops_core::{ErrorKind, Retry};
use ops_http::{ErrorBody, ErrorRow, ErrorRules};
use serde::Deserialize;

/// How Neon's failures are read.
pub(crate) const RULES: ErrorRules = ErrorRules::new(parse).with_rows(ROWS);

const ROWS: &[ErrorRow] = &[
    // Operations are running, and nothing was executed: even a create may be sent again.
    ErrorRow::status(423, ErrorKind::Conflict).with_retry(Retry::Safe),
    // The history is not kept that long, or not that finely.
    ErrorRow::status(406, ErrorKind::InvalidInput),
    ErrorRow::status(409, ErrorKind::AlreadyExists).containing("already exists"),
    ErrorRow::code("BRANCHES_LIMIT_EXCEEDED", ErrorKind::QuotaExceeded),
    ErrorRow::code("ROOT_BRANCHES_LIMIT_EXCEEDED", ErrorKind::QuotaExceeded),
    ErrorRow::status(422, ErrorKind::QuotaExceeded).containing("limit exceeded"),
    // A branch with branches of its own.
    ErrorRow::status(400, ErrorKind::Conflict).containing("child"),
    ErrorRow::status(422, ErrorKind::Conflict).containing("child"),
];

/// `GeneralError` of the description.
#[derive(Deserialize)]
struct Body {
    message: String,
    code: Option<String>,
    request_id: Option<String>,
}

fn parse(body: &[u8]) -> Option<ErrorBody> {
    let Body {
        message,
        code,
        request_id,
    } = serde_json::from_slice(body).ok()?;
    let mut body = ErrorBody::new(message);
    // Neon answers an empty code where it has none.
    body.code = code.filter(|code| !code.is_empty());
    body.request_id = request_id;
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_failure_is_read() {
        let body = br#"{"request_id": "r-1", "code": "", "message": "branch not found"}"#;
        let read = parse(body).unwrap();
        assert_eq!(
            read,
            ErrorBody::new("branch not found").with_request_id("r-1")
        );
        let body = br#"{"code": "BRANCHES_LIMIT_EXCEEDED", "message": "branches limit exceeded"}"#;
        let read = parse(body).unwrap();
        assert_eq!(read.code.as_deref(), Some("BRANCHES_LIMIT_EXCEEDED"));
    }

    #[test]
    fn what_is_no_failure_of_neon_is_left_alone() {
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
