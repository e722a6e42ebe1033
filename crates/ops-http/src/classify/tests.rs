use ops_core::SystemClock;
use ops_testkit::ManualClock;
use proptest::prelude::*;

use super::*;

fn at_noon() -> ManualClock {
    ManualClock::at("2026-11-20T12:00:00Z")
}

fn verdict(
    status: u16,
    headers: &[(&'static str, &str)],
    class: Idempotency,
    rules: &ErrorRules,
) -> Verdict {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let found = Refusal {
        status: StatusCode::from_u16(status).unwrap(),
        headers: &map,
        body: None,
    };
    refusal(&found, class, rules, &at_noon())
}

const PLAIN: ErrorRules = ErrorRules::new(|_| None);

#[test]
fn every_status_has_its_kind_and_its_advice() {
    use ErrorKind as K;
    use Idempotency::{Once, Safe};
    let unknown = (Again::No, Retry::OutcomeUnknown);
    let again = (Again::Backoff, Retry::Safe);
    let never = (Again::No, Retry::Never);
    for (status, kind, safe, once) in [
        (302, K::InvalidConfig, never, never),
        (400, K::InvalidInput, never, never),
        (401, K::Unauthenticated, never, never),
        (402, K::QuotaExceeded, never, never),
        (403, K::PermissionDenied, never, never),
        (404, K::NotFound, never, never),
        (405, K::Unsupported, never, never),
        (408, K::Timeout, again, unknown),
        (409, K::Conflict, never, never),
        (410, K::NotFound, never, never),
        (412, K::Conflict, never, never),
        (422, K::InvalidInput, never, never),
        (423, K::Conflict, never, never),
        (425, K::Unavailable, again, again),
        (429, K::RateLimited, again, again),
        (500, K::Unavailable, again, unknown),
        (501, K::Unsupported, never, never),
        (502, K::Unavailable, again, unknown),
        (503, K::Unavailable, again, unknown),
        (504, K::Timeout, again, unknown),
    ] {
        for (class, expected) in [(Safe, safe), (Idempotency::Idempotent, safe), (Once, once)] {
            let found = verdict(status, &[], class, &PLAIN);
            assert_eq!(found.error.kind(), kind, "{status}");
            assert_eq!(
                (found.again, found.error.retry()),
                expected,
                "{status} {class:?}"
            );
            assert_eq!(found.error.status(), Some(status));
        }
    }
}

#[test]
fn an_unavailable_server_that_names_a_time_has_executed_nothing() {
    let found = verdict(503, &[("retry-after", "7")], Idempotency::Once, &PLAIN);
    assert_eq!(found.again, Again::NotBefore(Duration::from_secs(7)));
    let found = verdict(500, &[("retry-after", "7")], Idempotency::Once, &PLAIN);
    assert_eq!(found.error.retry(), Retry::OutcomeUnknown);
    // What may be repeated waits as long as the server asks.
    let found = verdict(500, &[("retry-after", "7")], Idempotency::Safe, &PLAIN);
    assert_eq!(found.again, Again::NotBefore(Duration::from_secs(7)));
}

#[test]
fn limits_are_over_when_the_vendor_says_so() {
    let epoch = PLAIN.with_reset(ResetHeader::EpochSeconds("x-reset"));
    let seconds = PLAIN.with_reset(ResetHeader::Seconds("x-reset"));
    let noon = at_noon().now().unix_seconds();
    let in_90 = (noon + 90).to_string();
    let wait = |headers: &[(&'static str, &str)], rules: &ErrorRules| {
        verdict(429, headers, Idempotency::Once, rules).again
    };
    let of = |seconds| Again::NotBefore(Duration::from_secs(seconds));
    assert_eq!(wait(&[("x-reset", &in_90)], &epoch), of(90));
    assert_eq!(wait(&[("x-reset", "90")], &seconds), of(90));
    assert_eq!(
        wait(&[("x-reset", "90"), ("retry-after", "5")], &seconds),
        of(5)
    );
    let date = "Fri, 20 Nov 2026 12:00:30 GMT";
    assert_eq!(wait(&[("retry-after", date)], &seconds), of(30));
    assert_eq!(wait(&[("retry-after", "soon")], &PLAIN), Again::Backoff);
    // Any answer may say when the window ends.
    assert_eq!(
        verdict(500, &[("x-reset", "90")], Idempotency::Safe, &seconds).again,
        Again::Backoff
    );
}

#[test]
fn a_forbidden_answer_without_requests_left_is_a_limit() {
    let rules = PLAIN.with_remaining("x-left");
    let limited = verdict(403, &[("x-left", "0")], Idempotency::Once, &rules);
    assert_eq!(limited.error.kind(), ErrorKind::RateLimited);
    let denied = verdict(403, &[("x-left", "17")], Idempotency::Once, &rules);
    assert_eq!(denied.error.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn rows_override_the_table() {
    const ROWS: &[ErrorRow] = &[
        ErrorRow::code("locked", ErrorKind::Conflict).with_retry(Retry::Safe),
        ErrorRow::status(422, ErrorKind::AlreadyExists).containing("Already Taken"),
    ];
    let rules = PLAIN.with_rows(ROWS);
    let map = HeaderMap::new();
    let answer = |status, body| {
        let found = Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &map,
            body: Some(body),
        };
        refusal(&found, Idempotency::Once, &rules, &SystemClock)
    };
    let locked = answer(500, ErrorBody::new("busy").with_code("locked"));
    assert_eq!(locked.again, Again::Backoff);
    assert_eq!(
        (locked.error.kind(), locked.error.code()),
        (ErrorKind::Conflict, Some("locked"))
    );
    let taken = answer(422, ErrorBody::new("Name is already taken"));
    assert_eq!(taken.error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(taken.error.message(), "Name is already taken");
    let invalid = answer(422, ErrorBody::new("name is too long"));
    assert_eq!(invalid.error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_vendors_text_is_scrubbed_and_cut() {
    let text = format!(
        "token ghp_0123456789 of 'redis://:hunter2@cache' {}",
        "x".repeat(400)
    );
    let shown = scrubbed(&text, 300);
    assert!(
        shown.starts_with("token [redacted] of [redacted] xxx"),
        "{shown}"
    );
    assert_eq!(shown.chars().count(), 301);
}

#[test]
fn a_redirect_shows_the_host_alone() {
    let to = [("location", "https://login.example/sso?token=hunter2")];
    let found = verdict(302, &to, Idempotency::Safe, &PLAIN);
    let text = found.error.to_string();
    assert!(text.contains("https://login.example,"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

proptest! {
    #[test]
    fn no_retry_after_makes_it_panic(value in "\\PC{0,40}") {
        let _ = retry_after(&value, at_noon().now());
    }

    #[test]
    fn whole_seconds_are_read(seconds in 0_u64..10_000_000) {
        let read = retry_after(&seconds.to_string(), at_noon().now());
        prop_assert_eq!(read, Some(Duration::from_secs(seconds)));
    }
}
