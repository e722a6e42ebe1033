//! The canary is found wherever it is, and only there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ops_conformance::leak::{Texts, assert_no_leak};
use ops_core::{Error, ErrorKind, Secret};

/// What a leak is reported as; `None` where none was found.
fn leak<F: Future<Output = ()>>(canary: &str, work: impl FnOnce(Texts) -> F) -> Option<String> {
    let caught = catch_unwind(AssertUnwindSafe(|| assert_no_leak(canary, work)));
    let panic = caught.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    let text = text.unwrap();
    assert!(!text.contains(canary), "the report repeats the canary");
    Some(text)
}

#[track_caller]
fn assert_named(found: Option<String>, place: &str) {
    let found = found.unwrap_or_else(|| panic!("no leak was found"));
    assert!(found.contains(place), "{found}");
}

#[test]
fn what_keeps_a_secret_passes() {
    let found = leak("canary-0-5f3a9c0e71d2", |texts| async move {
        let secret = Secret::from("canary-0-5f3a9c0e71d2");
        tracing::info!(?secret, "signed in");
        log::info!("signed in with {secret:?}");
        texts.debug("the secret", &secret);
    });
    assert_eq!(found, None);
}

#[test]
fn a_leak_into_an_event_is_named_with_its_field() {
    let found = leak("canary-1-5f3a9c0e71d2", |_| async {
        tracing::trace!(token = "canary-1-5f3a9c0e71d2", "signed in");
    });
    assert_named(found, "field token of event");
}

#[test]
fn a_leak_into_a_span_is_found_also_on_another_thread() {
    let found = leak("canary-2-5f3a9c0e71d2", |_| async {
        let spawned = tokio::task::spawn_blocking(|| {
            drop(tracing::debug_span!(
                "request",
                url = "https://h/?t=canary-2-5f3a9c0e71d2"
            ));
        });
        spawned.await.unwrap();
    });
    assert_named(found, "field url of span request");
}

#[test]
fn a_leak_into_a_field_that_is_recorded_later_is_found() {
    let found = leak("canary-3-5f3a9c0e71d2", |_| async {
        let span = tracing::info_span!("request", token = tracing::field::Empty);
        span.record("token", "canary-3-5f3a9c0e71d2");
    });
    assert_named(found, "field token that a span recorded later");
}

#[test]
fn a_leak_into_a_log_record_is_found() {
    let found = leak("canary-4-5f3a9c0e71d2", |_| async {
        log::debug!(target: "vendor", "token is {}", "canary-4-5f3a9c0e71d2");
    });
    assert_named(found, "log record of vendor");
}

#[test]
fn a_leak_into_the_source_of_an_error_is_found() {
    let found = leak("canary-5-5f3a9c0e71d2", |texts| async move {
        let source = std::io::Error::other("GET https://h/?token=canary-5-5f3a9c0e71d2");
        let err = Error::new(ErrorKind::Unavailable, "no answer").with_source(source);
        texts.error("a failed call", &err);
    });
    let found = found.unwrap();
    assert!(found.contains("Report of a failed call"), "{found}");
    assert!(!found.contains("Display of a failed call"), "{found}");
}

#[test]
fn a_leak_into_a_panic_is_found() {
    let found = leak("canary-6-5f3a9c0e71d2", |_| async {
        panic!("refused: {}", "canary-6-5f3a9c0e71d2");
    });
    assert_named(found, "a panic");
}

#[test]
fn a_panic_without_a_leak_is_a_panic() {
    let found = leak("canary-7-5f3a9c0e71d2", |_| async {
        panic!("{} is broken", "something");
    });
    assert_eq!(found.as_deref(), Some("something is broken"));
}
