//! A secret in the words of a check must not get out. A process of its own: the log of
//! all of it is captured.

#![cfg(test)]

#[path = "it/support.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod support;
#[path = "watch/canary.rs"]
mod watch;

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use ops_health::{Code, Event, Health, Outcome, Private};
use tracing::field::{Field, Visit};
use tracing::{Metadata, Subscriber, span};

use support::{Act, Reply, Scripted, get, get_authorized, seconds, service};

const CANARY: &str = "c4n4ry-7d0f";

/// A subscriber that keeps every field of every event and span as text.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<String>>);

/// The log of the whole process.
static LOG: LazyLock<Capture> = LazyLock::new(|| {
    let capture = Capture::default();
    tracing::subscriber::set_global_default(capture.clone()).unwrap();
    capture
});

impl Capture {
    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Visit for Capture {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0.lock().unwrap(), "{field}={value:?} ");
    }
}

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Every body that a caller can get, with headers.
fn bodies(health: &Health, get: impl Fn(&Health, &str) -> Reply) -> String {
    let routes = [
        "/health",
        "/api/health",
        "/health/live",
        "/health/ready",
        "/health/startup",
    ];
    let formats = ["native", "a", "b", "c", "draft"].map(|f| format!("/health?format={f}"));
    let kube = ["/livez?verbose", "/readyz?verbose", "/healthz?verbose"];
    let checks = [
        "/health/checks/db",
        "/health/checks/other",
        "/health?exclude=db&group=ready",
    ];
    let all = routes
        .into_iter()
        .chain(kube)
        .chain(checks)
        .map(str::to_owned)
        .chain(formats);
    all.map(|uri| format!("{uri}: {:?}", get(health, &uri)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test(start_paused = true)]
async fn the_words_of_a_check_reach_no_anonymous_caller_and_no_debug_output() {
    LazyLock::force(&LOG);
    let outcome = Outcome::unhealthy(Code::AuthFailed).with_detail(format!("login with {CANARY}"));
    assert!(!format!("{outcome:?}").contains(CANARY));
    let event = Event::Finished(outcome.clone(), seconds(1));
    assert!(!format!("{event:?}").contains(CANARY));
    assert!(!format!("{:?}", Event::Panicked(Private::new(CANARY.to_owned()))).contains(CANARY));

    let health = service()
        .aliases()
        .expose_names()
        .check(Scripted::new("db", outcome))
        .redact(CANARY)
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    tokio::time::sleep(seconds(1)).await;
    assert!(!bodies(&health, get).contains(CANARY));
    assert!(!format!("{health:?} {:?}", health.checks()).contains(CANARY));
    assert!(LOG.text().contains("login with [redacted]"));
    assert!(!LOG.text().contains(CANARY));
    // The words themselves do get to those who may see them, without the secret.
    let shown = bodies(&health, get_authorized);
    assert!(shown.contains("login with [redacted]"), "{shown}");
    assert!(!shown.contains(CANARY));
}

#[tokio::test(start_paused = true)]
async fn credentials_in_the_words_of_a_check_reach_no_log_and_no_body() {
    LazyLock::force(&LOG);
    let url = format!("cannot reach postgres://app:{CANARY}@db:5432/shop?sslkey={CANARY}");
    let gate = format!("password={CANARY} was refused");
    let check = Scripted::new("db", Outcome::unhealthy(Code::Unreachable).with_detail(url));
    let other = Scripted::healthy("other");
    other.set(Act::Panic(
        "GET https://x:c4n4ry-7d0f@store/ with Bearer c4n4ry-7d0f failed",
    ));
    let health = service()
        .aliases()
        .expose_names()
        .startup_gate("migrations", async {
            Err(ops_core::Error::new(
                ops_core::ErrorKind::Unauthenticated,
                gate,
            ))
        })
        .check(check.clone())
        .check(other)
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    tokio::time::sleep(seconds(1)).await;
    check.returns(Outcome::degraded(Code::Saturated).with_detail(format!("token: {CANARY}")));
    tokio::time::sleep(seconds(30)).await;

    let log = LOG.text();
    assert!(!log.contains(CANARY), "{log}");
    for expected in [
        "check=db from=unknown to=unhealthy code=unreachable",
        "check=other from=unknown to=unhealthy code=panicked",
        "check=db from=unhealthy to=degraded code=saturated",
        "[redacted]@db:5432/shop",
        "startup gate failed",
    ] {
        assert!(log.contains(expected), "{expected:?} is missing in: {log}");
    }
    for bodies in [bodies(&health, get), bodies(&health, get_authorized)] {
        assert!(!bodies.contains(CANARY), "{bodies}");
    }
}
