//! The texts of errors: each kind plain, as Debug and with its chain.

use std::fmt::{self, Write as _};
use std::time::Duration;

use ops_core::{Error, ErrorKind, Report, Retry};

/// A foreign error that prints its source in its own text, as many do.
#[derive(Debug)]
struct Foreign(std::io::Error);

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request failed: {}", self.0)
    }
}

impl std::error::Error for Foreign {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn every_kind_prints_as_it_always_has() {
    let mut lines = String::new();
    for kind in ErrorKind::ALL {
        let err = Error::new(*kind, "it did not work")
            .with_provider("fly")
            .with_operation("hosting.deploy")
            .with_source(std::io::Error::other("connection reset"));
        let report = Report(&err);
        write!(lines, "{err}\n{report}\n{err:?}\n\n").unwrap();
    }
    insta::assert_snapshot!(lines.trim_end());
}

#[test]
fn every_circumstance_is_in_debug_and_none_but_provider_and_operation_in_display() {
    let err = Error::not_found("shop")
        .with_provider("fly")
        .with_operation("hosting.app")
        .with_status(404)
        .with_code("app_not_found")
        .with_request_id("req-1")
        .with_attempts(3)
        .with_retry(Retry::After(Duration::from_secs(2)));
    insta::assert_snapshot!(err, @"fly: hosting.app: shop does not exist");
    insta::assert_snapshot!(format!("{err:#?}"), @r#"
    Error {
        kind: NotFound,
        retry: After(
            2s,
        ),
        provider: "fly",
        operation: "hosting.app",
        resource: "shop",
        status: 404,
        code: "app_not_found",
        request_id: "req-1",
        attempts: 3,
        message: "shop does not exist",
    }
    "#);
}

#[test]
fn kinds_have_names_of_their_own() {
    let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert!(
        names
            .iter()
            .all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    );
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ErrorKind::ALL.len());
}

#[test]
fn only_what_may_get_better_is_retryable() {
    for kind in ErrorKind::ALL {
        let expected = match kind {
            ErrorKind::RateLimited | ErrorKind::Unavailable => Retry::Safe,
            ErrorKind::Timeout => Retry::OutcomeUnknown,
            _ => Retry::Never,
        };
        let err = Error::new(*kind, "x");
        assert_eq!(err.retry(), expected, "{kind}");
        assert_eq!(err.is_retryable(), expected == Retry::Safe, "{kind}");
    }
}

#[test]
fn a_chain_says_each_cause_once() {
    let io = std::io::Error::other("connection reset");
    let inner = Error::new(ErrorKind::Unavailable, "no answer").with_source(Foreign(io));
    let outer = Error::new(ErrorKind::Internal, "the deployment failed").with_source(inner);
    insta::assert_snapshot!(
        Report(&outer),
        @"the deployment failed: no answer: request failed: connection reset"
    );
}

#[test]
fn a_vendors_text_cannot_break_a_line() {
    let err = Error::new(
        ErrorKind::Decode,
        "bad\r\nlevel=error \u{1b}[31mred".to_owned(),
    );
    assert_eq!(err.to_string(), "bad  level=error  [31mred");
    assert!(!format!("{err:?}").contains('\n'));
}

#[test]
fn problems_of_a_configuration_are_told_together() {
    let err = Error::invalid_config(["token is empty", "region is empty"]);
    insta::assert_snapshot!(err, @"token is empty; region is empty");
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
}

#[test]
fn constructors_set_kind_and_resource() {
    let missing = Error::not_found("shop");
    assert!(missing.is_not_found());
    assert_eq!(missing.resource(), Some("shop"));
    assert!(Error::unsupported("rollback").is_unsupported());
    assert!(Error::new(ErrorKind::AlreadyExists, "x").is_conflict());
    assert!(Error::new(ErrorKind::Conflict, "x").is_conflict());
    assert_eq!(missing.attempts(), 1);
}
