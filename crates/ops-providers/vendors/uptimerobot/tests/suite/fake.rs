//! A small UptimeRobot: it keeps monitors of every type, windows, status pages and what is
//! written on them, hears beats, and remembers what its checks have found.
//!
//! Every request and every answer is held against UptimeRobot's own description, where it is
//! there. Beats go to another host, which no description is about.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ops_conformance::contract::{Answer, Description, Descriptions, Request, lines};
use ops_http::test_util::{MockServer, Recorded, Reply, respond};
use ops_http::{HttpClient, Limits, RetryPolicy};
use ops_testkit::ManualClock;
use ops_uptimerobot::{UptimeRobot, UptimeRobotBuilder};
use serde_json::Value;

mod answers;
mod monitors;
mod routes;
mod state;

pub(crate) use state::State;

/// The API key that the fake takes.
pub(crate) const TOKEN: &str = "u123456-canary5f3a9c0e71d2b8";

/// A part of the address of every heartbeat.
pub(crate) const BEAT_SECRET: &str = "canaryBeat4b1e77a0";

pub(crate) struct Fake {
    server: MockServer,
    state: Arc<Mutex<State>>,
    http: HttpClient,
    pub(crate) clock: ManualClock,
}

impl Fake {
    /// An empty account.
    pub(crate) fn start() -> Self {
        let clock = ManualClock::at("2026-11-21T04:05:06Z");
        let state = Arc::new(Mutex::new(State::new(clock.clone())));
        let shared = Arc::clone(&state);
        let description = description();
        let server = MockServer::serving(move |request| {
            let mut state = lock(&shared);
            reply(&mut state, description.as_ref(), request)
        });
        lock(&state).base_url = server.base_url();
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
        format!("{}/v3", self.server.base_url())
    }

    /// A provider of the account that waits next to nothing.
    pub(crate) fn builder(&self) -> UptimeRobotBuilder {
        let backoff = Duration::from_millis(1);
        UptimeRobot::builder(TOKEN)
            .base_url(self.base_url())
            .heartbeat_url(format!("{}/beat", self.server.base_url()))
            .limits(Limits::default())
            .allow_http(true)
            .http_client(self.http.clone())
            .clock(Arc::new(self.clock.clone()))
            .retry(RetryPolicy::default().with_backoff(backoff, backoff))
    }

    pub(crate) fn robot(&self) -> UptimeRobot {
        self.builder().build().unwrap()
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        let base_url = self.server.base_url();
        let mut state = State::new(self.clock.clone());
        state.base_url = base_url;
        *self.state() = state;
    }

    /// The requests so far, as `POST /monitors`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let path = |it: &Recorded| it.path_and_query.trim_start_matches("/v3").to_owned();
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
            "against UptimeRobot's description:\n{}",
            violations.join("\n")
        );
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// UptimeRobot's description, where it is there.
pub(crate) fn description() -> Option<Description> {
    let descriptions = Descriptions::find()?;
    Some(descriptions.load("uptimerobot-v3.openapi.json").unwrap())
}

fn reply(state: &mut State, description: Option<&Description>, request: &Recorded) -> Reply {
    if let Some(key) = request.path().strip_prefix("/beat/") {
        return beat(state, request, key);
    }
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return respond(401).json(&answers::failure("Unauthorized", "unauthorized"));
    }
    let checked = description.map(|it| it.check(&contract_request(request)));
    let operation = match checked {
        Some(Err(violations)) => {
            let line = format!("{} {}", request.method, request.path_and_query);
            let line = format!("{line}: {}", lines(&violations));
            state.violations.push(line);
            return respond(400).json(&answers::failure("against the description", "bad_request"));
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
        let line = format!("{operation} {status}: {}", lines(&violations));
        state.violations.push(line);
    }
    respond(status).body("application/json", bytes)
}

/// The address alone is the credential of a beat.
fn beat(state: &mut State, request: &Recorded, key: &str) -> Reply {
    if request.header("authorization").is_some() {
        let problem = "the API key went to the host of the heartbeats";
        state.violations.push(problem.to_owned());
    }
    if state.beat(key) {
        respond(200).body("application/json", "{\"status\":\"ok\"}")
    } else {
        respond(404).json(&answers::failure(&format!("no heartbeat {key}"), "missing"))
    }
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
