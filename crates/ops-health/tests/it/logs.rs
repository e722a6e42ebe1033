//! The JSON log, line by line.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use ops_health::JsonLogs;
use ops_testkit::ManualClock;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(layer: impl FnOnce(JsonLogs) -> JsonLogs, f: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let logs = JsonLogs::new("orders")
        .clock(Arc::new(ManualClock::at("2026-03-01T12:00:00.1234567Z")))
        .writer(lines.clone());
    let subscriber = tracing_subscriber::registry().with(layer(logs));
    tracing::subscriber::with_default(subscriber, f);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_has_the_fields_of_the_service_and_the_context_of_its_spans() {
    let lines = logged(
        |logs| logs.environment("staging"),
        || {
            let outer = tracing::info_span!(
                "request",
                id = 7,
                user = "ann",
                later = tracing::field::Empty
            );
            let _outer = outer.enter();
            outer.record("later", true);
            let inner = tracing::info_span!("payment", user = "bob");
            let _inner = inner.enter();
            tracing::warn!(target: "shop", amount = 1.5, n = u64::MAX, "paid\nlate");
        },
    );
    assert_eq!(
        lines,
        [json!({
            "timestamp": "2026-03-01T12:00:00.123Z",
            "level": "warn",
            "service": "orders",
            "environment": "staging",
            "message": "paid late",
            "context": {
                "target": "shop",
                "spans": ["request", "payment"],
                "amount": 1.5,
                "n": u64::MAX,
                "id": 7,
                "user": "bob",
                "later": true,
            },
        })]
    );
}

#[test]
fn every_line_is_one_object_whatever_is_logged() {
    let lines = logged(
        |logs| logs,
        || {
            tracing::error!("\"quoted\" \u{1b}[31m {{\"level\":\"info\"}}\r\n{{\"a\":1}}");
            tracing::info!(infinite = f64::INFINITY, message = "x".repeat(100_000));
            tracing::debug!(empty = "");
        },
    );
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["level"], "error");
    assert_eq!(lines[1]["context"]["infinite"], Value::Null);
    assert!(lines[1]["message"].as_str().unwrap().chars().count() < 17_000);
    assert_eq!(lines[2]["message"], "");
    assert_eq!(lines[2].get("environment"), None);
}

#[test]
fn secrets_are_hidden_in_messages_fields_spans_and_errors() {
    let secret = "hunter2";
    let lines = logged(
        |logs| logs.redact("known-value"),
        || {
            let span = tracing::info_span!(
                "s",
                url = "postgres://app:hunter2@db/x",
                db_password = secret
            );
            let _entered = span.enter();
            let err = io::Error::other("login with password=hunter2 failed");
            tracing::error!(
                error = &err as &(dyn std::error::Error + 'static),
                debug = ?vec![format!("Authorization: Bearer {secret}")],
                api_key = 12345,
                "GET https://x/?token={secret} with known-value"
            );
        },
    );
    let text = serde_json::to_string(&lines).unwrap();
    assert!(
        !text.contains(secret) && !text.contains("known-value") && !text.contains("12345"),
        "{text}"
    );
    assert_eq!(text.matches("[redacted]").count(), 8, "{text}");
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let subscriber = tracing_subscriber::registry().with(JsonLogs::new("orders").writer(Broken));
    tracing::subscriber::with_default(subscriber, || tracing::info!("lost"));
}
