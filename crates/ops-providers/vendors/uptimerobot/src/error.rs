//! What UptimeRobot's failures mean, where they differ from the table of statuses.

use std::borrow::Cow;

use ops_core::{Error, ErrorKind};
use ops_http::{ErrorBody, ErrorRules, ResetHeader};
use serde::Deserialize;

use crate::PROVIDER;

/// How failures of the API are read.
pub(crate) const RULES: ErrorRules = ErrorRules::new(parse)
    .with_reset(ResetHeader::EpochSeconds("x-ratelimit-reset"))
    .with_remaining("x-ratelimit-remaining")
    .with_request_id_header("x-request-id");

/// How failures of a beat are read: not at all, for their text may quote the address.
pub(crate) const BEAT_RULES: ErrorRules = ErrorRules::new(|_| None);

/// The description has no schema of failures. This is what UptimeRobot's own clients read.
#[derive(Deserialize)]
struct Body {
    message: Option<Text>,
    error: Option<Text>,
    code: Option<String>,
}

/// One text, or one for each field that is wrong.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Several(Vec<String>),
}

impl Text {
    fn into_line(self) -> String {
        match self {
            Self::One(text) => text,
            Self::Several(texts) => texts.join("; "),
        }
    }
}

fn parse(body: &[u8]) -> Option<ErrorBody> {
    let Body {
        message,
        error,
        code,
    } = serde_json::from_slice(body).ok()?;
    let mut body = ErrorBody::new(message.or(error)?.into_line());
    body.code = code;
    Some(body)
}

/// What is refused before anything is sent.
pub(crate) fn refused(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, message).with_provider(PROVIDER)
}

/// A number or a text that UptimeRobot does not take.
pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    refused(ErrorKind::InvalidInput, message)
}

/// Something that UptimeRobot does not have.
pub(crate) fn unsupported(what: &'static str) -> Error {
    Error::unsupported(what).with_provider(PROVIDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_failure_is_read() {
        let body = br#"{"message": "Monitor not found", "code": "not_found", "statusCode": 404}"#;
        let read = parse(body).unwrap();
        assert_eq!(
            read,
            ErrorBody::new("Monitor not found").with_code("not_found")
        );
        let body = br#"{"message": ["url must be a URL", "interval is too short"]}"#;
        let read = parse(body).unwrap();
        let text = "url must be a URL; interval is too short";
        assert_eq!(read.message.as_deref(), Some(text));
        let read = parse(br#"{"error": "Unauthorized"}"#).unwrap();
        assert_eq!(read.message.as_deref(), Some("Unauthorized"));
    }

    #[test]
    fn what_is_no_failure_of_uptimerobot_is_left_alone() {
        for body in [
            &b""[..],
            b"<html>Bad Gateway</html>",
            b"[]",
            br#"{"id": 1}"#,
        ] {
            assert_eq!(parse(body), None);
        }
    }
}
