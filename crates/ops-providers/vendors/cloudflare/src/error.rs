//! What Cloudflare's failures mean, where they differ from the table of statuses.

use ops_core::ErrorKind;
use ops_http::{ErrorBody, ErrorRow, ErrorRules};
use serde::Deserialize;

/// How failures of this vendor are read. A body may say `"success": false` under HTTP 200.
pub(crate) const RULES: ErrorRules = ErrorRules::new(parse)
    .with_rows(ROWS)
    .with_failures_under_success(parse)
    .with_request_id_header("cf-ray");

/// Most of these come as HTTP 400.
const ROWS: &[ErrorRow] = &[
    // "Invalid request headers", and "Authentication failed": a malformed token.
    ErrorRow::code("6003", ErrorKind::Unauthenticated),
    ErrorRow::code("9106", ErrorKind::Unauthenticated),
    // "Could not route to ..., perhaps your object identifier is invalid?"
    ErrorRow::code("7003", ErrorKind::NotFound),
    // R2: "Bucket name already exists."
    ErrorRow::code("10073", ErrorKind::AlreadyExists),
    // "Record does not exist": somebody else changed the set in between.
    ErrorRow::code("81044", ErrorKind::Conflict),
    // "A, AAAA, CNAME or NS records with that host already exist."
    ErrorRow::code("81053", ErrorKind::Conflict),
    ErrorRow::code("81054", ErrorKind::Conflict),
    // "The record already exists", and "An identical record already exists."
    ErrorRow::code("81057", ErrorKind::AlreadyExists),
    ErrorRow::code("81058", ErrorKind::AlreadyExists),
];

/// The part of the vendor's envelope that tells of failures.
#[derive(Deserialize)]
struct Body {
    success: bool,
    errors: Option<Vec<Reason>>,
}

#[derive(Deserialize)]
struct Reason {
    code: Option<i64>,
    message: Option<String>,
}

/// Reads the first of the errors.
fn parse(body: &[u8]) -> Option<ErrorBody> {
    let Body { success, errors } = serde_json::from_slice(body).ok()?;
    if success {
        return None;
    }
    let first = errors.into_iter().flatten().next();
    let Some(Reason { code, message }) = first else {
        return Some(ErrorBody::new("the call failed"));
    };
    let body = ErrorBody::new(message.unwrap_or_else(|| "the call failed".to_owned()));
    Some(match code {
        Some(code) => body.with_code(code.to_string()),
        None => body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_of_the_envelope_is_read() {
        let body = br#"{"success": false, "errors": [
            {"code": 7003, "message": "Could not route to /zones/x"},
            {"code": 7000, "message": "No route for that URI"}], "messages": [], "result": null}"#;
        let found = parse(body).unwrap();
        assert_eq!(found.code.as_deref(), Some("7003"));
        assert_eq!(
            found.message.as_deref(),
            Some("Could not route to /zones/x")
        );
    }

    #[test]
    fn a_failure_without_reasons_is_one() {
        for body in [
            &br#"{"success": false}"#[..],
            br#"{"success": false, "errors": null}"#,
            br#"{"success": false, "errors": [{}]}"#,
        ] {
            assert_eq!(
                parse(body).unwrap().message.as_deref(),
                Some("the call failed")
            );
        }
    }

    #[test]
    fn a_success_and_what_is_no_envelope_are_no_failure() {
        assert_eq!(parse(br#"{"success": true, "errors": []}"#), None);
        assert_eq!(parse(b"<html>"), None);
        assert_eq!(parse(b""), None);
    }
}
