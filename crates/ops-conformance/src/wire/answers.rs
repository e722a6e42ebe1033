//! Answers that are none, and answers that are a little different.

use ops_core::{ErrorKind, Retry};
use ops_http::test_util::Reply;
use serde_json::Value;

use super::WireFixture;
use super::play::{Seen, each, some_body};
use super::refusals::assert_no_markup;
use super::table::Call;
use crate::case::Outcome;

const JSON: Option<&str> = Some("application/json");
const HTML: &str = "<!doctype html><html><body><h1>Welcome</h1></body></html>";

/// The vendor has done it; what it says of it is not understood, and not asked for again.
#[track_caller]
fn assert_not_understood(call: &Call, seen: &Seen, what: &str) {
    let err = seen.error(call, what);
    assert!(
        err.kind() == ErrorKind::Decode,
        "{}: {what}: {err:?}",
        call.id
    );
    let advice = if call.is_repeatable() {
        Retry::Never
    } else {
        Retry::OutcomeUnknown
    };
    assert!(
        err.retry() == advice,
        "{}: {what}: {:?} and not {advice:?}",
        call.id,
        err.retry()
    );
    seen.assert_attempts(call, 1, what);
}

async fn not_understood(
    fixture: &dyn WireFixture,
    what: &str,
    content_type: Option<&'static str>,
    body: &'static str,
) {
    let table = fixture.table();
    each(table, |call| async move {
        let flaw = move |good| some_body(good).with_body(content_type, body);
        let seen = call.against(table).flawed(flaw).await;
        if call.ignores_answer {
            return seen.assert_done(call, what);
        }
        assert_not_understood(call, &seen, what);
        assert_no_markup(call, &seen);
    })
    .await;
}

pub(super) async fn w_040_broken_json_is_not_understood(fixture: &dyn WireFixture) {
    not_understood(fixture, "broken JSON", JSON, "{\"id\": [1, 2").await;
}

pub(super) async fn w_041_a_page_of_html_is_no_answer(fixture: &dyn WireFixture) {
    let html = Some("text/html; charset=utf-8");
    not_understood(fixture, "a page of HTML", html, HTML).await;
    not_understood(fixture, "a page of HTML that is called JSON", JSON, HTML).await;
}

pub(super) async fn w_042_an_empty_body_is_no_answer(fixture: &dyn WireFixture) {
    not_understood(fixture, "an empty body", JSON, "").await;
}

pub(super) async fn w_043_an_oversized_body_is_refused(fixture: &dyn WireFixture) {
    let table = fixture.table();
    let size = table.largest + 1;
    for call in &table.calls {
        let flaw = move |good: Reply| {
            let mut body = some_body(good.clone()).bytes().to_vec();
            body.resize(size, b' ');
            some_body(good).with_body(JSON, body)
        };
        let seen = call.against(table).flawed(flaw).await;
        assert_not_understood(call, &seen, "an oversized body");
    }
}

/// The good answer of a call, where it is JSON.
fn json(good: &Reply) -> Option<Value> {
    serde_json::from_slice(good.bytes()).ok()
}

fn with_json(good: Reply, value: &Value) -> Reply {
    good.with_body(JSON, value.to_string())
}

pub(super) async fn w_044_unknown_fields_are_ignored(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let flaw = |good: Reply| match json(&good) {
            Some(mut value) => {
                add_unknown(&mut value);
                with_json(good, &value)
            }
            None => good,
        };
        let seen = call.against(table).flawed(flaw).await;
        seen.assert_done(call, "unknown fields");
    })
    .await;
}

/// Adds a field to every object. It is a text, so that objects that are maps of texts stay
/// what they are.
fn add_unknown(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_unknown),
        Value::Object(fields) => {
            fields.values_mut().for_each(add_unknown);
            fields.insert("wire_unknown_field".to_owned(), Value::from("new"));
        }
        _ => {}
    }
}

pub(super) async fn w_045_a_field_that_is_null_is_accepted_or_named(
    fixture: &dyn WireFixture,
) -> Outcome {
    let table = fixture.table();
    let mut is_tried = false;
    for call in &table.calls {
        let usual = call.against(table).run(|_, _, _| None).await;
        let good = usual.sent.first().and_then(|it| json(&call.good(it)));
        for pointer in good.as_ref().map(fields).unwrap_or_default() {
            is_tried = true;
            let (place, what) = (pointer.clone(), format!("{pointer} is null"));
            let flaw = move |good: Reply| {
                let Some(mut value) = json(&good) else {
                    return good;
                };
                if let Some(field) = value.pointer_mut(&place) {
                    *field = Value::Null;
                }
                with_json(good, &value)
            };
            let seen = call.against(table).flawed(flaw).await;
            assert_accepted_or_named(call, &seen, &pointer, &what);
        }
    }
    if is_tried {
        Outcome::Passed
    } else {
        Outcome::NotOffered("no answer has fields")
    }
}

#[track_caller]
fn assert_accepted_or_named(call: &Call, seen: &Seen, pointer: &str, what: &str) {
    let Err(err) = &seen.outcome else {
        return;
    };
    assert!(
        err.kind() != ErrorKind::Internal,
        "{}: {what}: {err:?}",
        call.id
    );
    if err.kind() == ErrorKind::Decode {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let is_named = err.message().contains(name);
        assert!(is_named, "{}: {what}: {err:?}", call.id);
        seen.assert_attempts(call, 1, what);
    }
}

/// The JSON pointers of all fields of objects.
fn fields(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let inner = |name: &str, value: &Value| {
        let name = name.replace('~', "~0").replace('/', "~1");
        fields(value)
            .into_iter()
            .map(move |it| format!("/{name}{it}"))
            .collect::<Vec<_>>()
    };
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                found.extend(inner(&index.to_string(), item));
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                found.push(format!("/{escaped}"));
                found.extend(inner(name, value));
            }
        }
        _ => {}
    }
    found
}

pub(super) async fn w_046_the_content_type_does_not_matter(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        for content_type in [
            None,
            Some("text/plain; charset=utf-8"),
            Some("application/octet-stream"),
        ] {
            let flaw = move |good: Reply| {
                let body = good.bytes().clone();
                good.with_body(content_type, body)
            };
            let seen = call.against(table).flawed(flaw).await;
            seen.assert_done(call, &format!("the content type {content_type:?}"));
        }
    })
    .await;
}
