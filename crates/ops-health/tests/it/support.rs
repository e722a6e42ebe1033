//! What the tests share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use ops_health::{Check, CheckCtx, Code, Health, HealthBuilder, Kind, Outcome, Policy};

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a [`Scripted`] check does when it runs.
#[derive(Clone)]
pub(crate) enum Act {
    Return(Outcome),
    Panic(&'static str),
    Hang,
}

/// A check that does what it is told.
#[derive(Clone)]
pub(crate) struct Scripted {
    name: &'static str,
    act: Arc<Mutex<Act>>,
    pub(crate) runs: Arc<AtomicUsize>,
    pub(crate) running: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn new(name: &'static str, outcome: Outcome) -> Self {
        Self {
            name,
            act: Arc::new(Mutex::new(Act::Return(outcome))),
            runs: Arc::default(),
            running: Arc::default(),
        }
    }

    pub(crate) fn healthy(name: &'static str) -> Self {
        Self::new(name, Outcome::healthy())
    }

    pub(crate) fn failing(name: &'static str) -> Self {
        Self::new(name, Outcome::unhealthy(Code::Unreachable))
    }

    pub(crate) fn set(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }

    pub(crate) fn returns(&self, outcome: Outcome) {
        self.set(Act::Return(outcome));
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

/// Counts something for as long as it exists.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counter))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Check for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> Kind {
        Kind::Custom
    }

    fn policy(&self) -> Policy {
        exact()
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let _running = Counted::new(&self.running);
        let act = self.act.lock().unwrap().clone();
        match act {
            Act::Return(outcome) => outcome,
            Act::Panic(message) => panic!("{message}"),
            Act::Hang => std::future::pending().await,
        }
    }
}

/// The default policy without randomness.
pub(crate) fn exact() -> Policy {
    Policy::default().with_jitter(0.0)
}

/// A service whose checks run at once and without randomness.
pub(crate) fn service() -> HealthBuilder {
    Health::builder()
        .service("orders")
        .version("1.4.2")
        .bearer_token(TOKEN)
        .first_run_within(Duration::ZERO)
}

/// Lets everything run that is due now: any timer ends after all tasks had their turn.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

pub(crate) fn send(health: &Health, parts: &Parts) -> Reply {
    let (head, body) = health.respond(parts).into_parts();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Reply {
        status: head.status,
        headers: head.headers,
        body,
    }
}

pub(crate) fn get(health: &Health, uri: &str) -> Reply {
    send(health, &request("GET", uri, &[]))
}

pub(crate) fn get_authorized(health: &Health, uri: &str) -> Reply {
    let token = format!("Bearer {TOKEN}");
    send(health, &request("GET", uri, &[("authorization", &token)]))
}

/// The status codes of live, startup, ready and health.
pub(crate) fn codes(health: &Health) -> [u16; 4] {
    [
        "/health/live",
        "/health/startup",
        "/health/ready",
        "/health",
    ]
    .map(|uri| get(health, uri).code())
}
