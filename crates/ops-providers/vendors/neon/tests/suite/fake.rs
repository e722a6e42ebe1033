//! A small Neon: it keeps projects, branches, snapshots and what is written to them, takes
//! several looks to finish what it has accepted, and locks a project meanwhile.
//!
//! Every request and every answer is held against Neon's own description, where it is there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ops_conformance::contract::{
    Answer, Description, Descriptions, Place, Request, Rule, Violation, lines,
};
use ops_http::test_util::{MockServer, Recorded, Reply, respond};
use ops_http::{HttpClient, RetryPolicy};
use ops_neon::{Neon, NeonBuilder};
use ops_testkit::ManualClock;
use serde_json::Value;

mod answers;
mod routes;
mod state;

pub(crate) use state::{Branch, PROJECT, State};

/// The API key that the fake takes.
pub(crate) const TOKEN: &str = "napi_canary5f3a9c0e71d2b8";

/// The password of every role.
pub(crate) const PASSWORD: &str = "canaryPassword4b1e";

/// The role that owns every database.
pub(crate) const ROLE: &str = "casey";

/// The database of every branch.
pub(crate) const DATABASE: &str = "neondb";

pub(crate) struct Fake {
    server: MockServer,
    state: Arc<Mutex<State>>,
    http: HttpClient,
    pub(crate) clock: ManualClock,
}

impl Fake {
    /// An account with one project, whose default branch answers.
    pub(crate) fn start() -> Self {
        let clock = ManualClock::at("2026-11-21T04:05:06Z");
        let state = Arc::new(Mutex::new(State::new(clock.clone())));
        let shared = Arc::clone(&state);
        let description = description();
        let server = MockServer::serving(move |request| {
            let mut state = lock(&shared);
            reply(&mut state, description.as_ref(), request)
        });
        Self {
            server,
            state,
            http: HttpClient::builder().build().unwrap(),
            clock,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn base_url(&self) -> String {
        format!("{}/api/v2", self.server.base_url())
    }

    /// A provider of the project, which waits next to nothing before it sends again.
    pub(crate) fn builder(&self) -> NeonBuilder {
        self.builder_of(PROJECT)
    }

    /// As [`builder`](Self::builder), of another project.
    pub(crate) fn builder_of(&self, project: &str) -> NeonBuilder {
        let backoff = std::time::Duration::from_millis(1);
        Neon::builder(TOKEN, project)
            .base_url(self.base_url())
            .allow_http(true)
            .http_client(self.http.clone())
            .clock(Arc::new(self.clock.clone()))
            .retry(
                RetryPolicy::default()
                    .with_max_attempts(8)
                    .with_backoff(backoff, backoff),
            )
    }

    pub(crate) fn neon(&self) -> Neon {
        self.builder().build().unwrap()
    }

    /// Forgets everything, and begins again with what is there at the start.
    pub(crate) fn reset(&self) {
        let clock = self.clock.clone();
        *self.state() = State::new(clock);
    }

    /// The requests so far, as `POST /projects`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let path = |it: &Recorded| it.path().trim_start_matches("/api/v2").to_owned();
        let requests = self.server.requests();
        requests
            .iter()
            .map(|it| format!("{} {}", it.method, path(it)))
            .collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let violations = std::mem::take(&mut self.state().violations);
        assert!(
            violations.is_empty() || std::thread::panicking(),
            "against Neon's description:\n{}",
            violations.join("\n")
        );
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Neon's description, where it is there.
pub(crate) fn description() -> Option<Description> {
    let descriptions = Descriptions::find()?;
    Some(descriptions.load("neon.openapi.json").unwrap())
}

fn reply(state: &mut State, description: Option<&Description>, request: &Recorded) -> Reply {
    let authorization = request.header("authorization");
    if authorization != Some(&format!("Bearer {TOKEN}")) {
        let body = answers::failure("", "authentication failed");
        return respond(401).json(&body);
    }
    let checked = description.map(|it| it.check(&contract_request(request)));
    let operation = match checked {
        Some(Err(violations)) if violations.iter().all(is_about_an_id) => {
            return respond(404).json(&answers::failure("", "not found"));
        }
        Some(Err(violations)) => {
            let line = format!("{} {}", request.method, request.path_and_query);
            state
                .violations
                .push(format!("{line}: {}", lines(&violations)));
            return respond(400).json(&answers::failure("", "against the description"));
        }
        Some(Ok(checked)) => Some(checked.operation_id),
        None => None,
    };
    if let Some(operation) = &operation {
        state.sent.push(contract_request(request));
        if let Some(answer) = state.planned.take_if(|(planned, _)| planned == operation) {
            return planned(&answer.1);
        }
    }
    let (status, body) = routes::answer(state, request);
    let bytes = match &body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    if let (Some(description), Some(operation)) = (description, operation)
        && let Err(violations) = description.check_answer(&operation, status, &bytes)
    {
        state
            .violations
            .push(format!("{operation} {status}: {}", lines(&violations)));
    }
    respond(status).body("application/json", bytes)
}

fn planned(answer: &Answer) -> Reply {
    respond(answer.status).body("application/json", answer.body.clone())
}

fn contract_request(request: &Recorded) -> Request {
    Request::from_parts(
        request.method.clone(),
        request.path_and_query.clone(),
        request.headers.clone(),
        request.body.clone(),
    )
}

/// Somebody may ask for an id that Neon would never give, and is told that there is none.
fn is_about_an_id(violation: &Violation) -> bool {
    violation.rule == Rule::Format
        && (violation.place == Place::Path || violation.pointer.ends_with("_id"))
}
