//! A small Fly: it keeps apps, machines and releases, takes several looks to start a machine,
//! and lets nobody change one that another has leased.
//!
//! Every request and every answer is held against Fly's own descriptions, where they are there.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ops_conformance::contract::{Answer, Description, Descriptions, Request, lines};
use ops_core::Hosting;
use ops_core::hosting::{DeployRequest, DeploySource};
use ops_core::id::AppId;
use ops_fly::{Fly, FlyBuilder};
use ops_http::test_util::{MockServer, Recorded, Reply, respond};
use ops_http::{HttpClient, RetryPolicy};
use ops_testkit::ManualClock;
use serde_json::{Value, json};

mod answers;
mod graphql;
mod logs;
mod machines;
mod routes;
mod state;

pub(crate) use state::{App, ORGANIZATION, State};

/// The token that the fake takes.
pub(crate) const TOKEN: &str = "fm2_canary5f3a9c0e71d2b8";

pub(crate) struct Fake {
    server: MockServer,
    state: Arc<Mutex<State>>,
    http: HttpClient,
    pub(crate) clock: ManualClock,
}

impl Fake {
    /// An organization without apps.
    pub(crate) fn start() -> Self {
        // Compiling the schemas takes longer than most tests.
        static DESCRIBED: OnceLock<Described> = OnceLock::new();
        let clock = ManualClock::at("2026-11-21T04:05:06Z");
        let state = Arc::new(Mutex::new(State::new(clock.clone())));
        let shared = Arc::clone(&state);
        let described = DESCRIBED.get_or_init(Described::find);
        let server = MockServer::serving(move |request| {
            let mut state = lock(&shared);
            let reply = reply(&mut state, described, request);
            state.hold = state.hold.map(|left| left.saturating_sub(1));
            if state.hold != Some(0) {
                return reply;
            }
            state.hold = None;
            state.held = Some(told(request));
            state.holding.notify_one();
            reply.delay(Duration::from_secs(60))
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

    /// Where both of Fly's APIs are.
    pub(crate) fn url(&self) -> String {
        self.server.base_url()
    }

    /// A provider of the organization, which waits next to nothing.
    pub(crate) fn builder(&self) -> FlyBuilder {
        let backoff = Duration::from_millis(1);
        Fly::builder(TOKEN)
            .organization(ORGANIZATION)
            .base_url(format!("{}/v1", self.url()))
            .platform_url(self.url())
            .allow_http(true)
            .http_client(self.http.clone())
            .clock(Arc::new(self.clock.clone()))
            .interval(Duration::from_millis(1))
            .retry(RetryPolicy::default().with_backoff(backoff, backoff))
    }

    pub(crate) fn fly(&self) -> Fly {
        self.builder().build().unwrap()
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        let clock = self.clock.clone();
        *self.state() = State::new(clock);
    }

    /// The requests so far, as `POST /v1/apps`, and calls of GraphQL as `updateRelease complete`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.server.requests().iter().map(told).collect()
    }

    /// The requests behind the first so many.
    pub(crate) fn requests_since(&self, earlier: usize) -> Vec<String> {
        self.requests().split_off(earlier)
    }

    /// An app that runs an image.
    pub(crate) async fn app_with(&self, image: &str) -> AppId {
        let app = AppId::new("shop").unwrap();
        self.state().add_app(app.as_str(), ORGANIZATION);
        let request = DeployRequest::new(DeploySource::image(image));
        let deployed = self.fly().deploy(&app, request).await.unwrap();
        assert!(deployed.state.is_live(), "{deployed:?}");
        app
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let violations = std::mem::take(&mut self.state().violations);
        assert!(
            violations.is_empty() || std::thread::panicking(),
            "against Fly's descriptions:\n{}",
            violations.join("\n")
        );
    }
}

fn told(request: &Recorded) -> String {
    if request.path() == "/graphql" {
        let call = graphql::Call::of(&request.json());
        let status = request.json()["variables"]["input"]["status"].clone();
        return match status.as_str() {
            Some(status) => format!("{} {status}", call.field()),
            None => call.field().to_owned(),
        };
    }
    let path = request.path().trim_start_matches("/v1");
    format!("{} {path}", request.method)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fly's descriptions, where they are there. That of logs is written from the documentation.
pub(crate) struct Described {
    pub(crate) machines: Option<Description>,
    pub(crate) graphql: Option<Description>,
    pub(crate) logs: Description,
}

impl Described {
    pub(crate) fn find() -> Self {
        let found = Descriptions::find();
        let load = |name| found.as_ref().map(|it| it.load(name).unwrap());
        let logs = include_str!("fly-logs.openapi.json");
        Self {
            machines: load("fly-machines.openapi.json"),
            graphql: load("fly-graphql.graphql"),
            logs: Description::parse("fly-logs.openapi.json", logs).unwrap(),
        }
    }

    /// The description of what is asked for at a path.
    pub(crate) fn of(&self, path: &str) -> Option<&Description> {
        match path {
            "/graphql" => self.graphql.as_ref(),
            _ if path.starts_with("/api/") => Some(&self.logs),
            _ => self.machines.as_ref(),
        }
    }
}

fn reply(state: &mut State, described: &Described, request: &Recorded) -> Reply {
    let authorization = request.header("authorization");
    if authorization != Some(&format!("FlyV1 {TOKEN}")) {
        return respond(401).json(&failure("", "unauthenticated"));
    }
    let asked = contract_request(request);
    let description = described.of(request.path());
    let mut operation = None;
    match description.map(|it| it.check(&asked)) {
        Some(Err(violations)) => {
            let line = format!("{} {}", request.method, request.path_and_query);
            let told = format!("{line}: {}", lines(&violations));
            state.violations.push(told);
            return respond(400).json(&failure("", "against the description"));
        }
        Some(Ok(checked)) => operation = Some(checked.operation_id),
        None => {}
    }
    if let Some(operation) = &operation {
        state.sent.push(asked.clone());
        if let Some(answer) = state.planned.take_if(|(planned, _)| planned == operation) {
            return planned(&answer.1);
        }
    }
    if let Some(at) = state
        .faults
        .iter()
        .position(|(part, _)| told(request).contains(part))
    {
        let (_, status) = state.faults.remove(at);
        return respond(status).json(&failure("", "a fault that was asked for"));
    }
    let (status, body) = routes::answer(state, request);
    let bytes = match &body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    if let Some(description) = description
        && let Err(violations) = description.check_answer_to(&asked, status, &bytes)
    {
        let told = format!("{operation:?} {status}: {}", lines(&violations));
        state.violations.push(told);
    }
    respond(status)
        .header("fly-request-id", "01RQ-1")
        .body("application/json", bytes)
}

fn planned(answer: &Answer) -> Reply {
    respond(answer.status).body("application/json", answer.body.clone())
}

/// `ErrorResponse`.
pub(crate) fn failure(status: &str, message: &str) -> Value {
    match status {
        "" => json!({ "error": message }),
        status => json!({ "error": message, "status": status }),
    }
}

fn contract_request(request: &Recorded) -> Request {
    Request::from_parts(
        request.method.clone(),
        request.path_and_query.clone(),
        request.headers.clone(),
        request.body.clone(),
    )
}
