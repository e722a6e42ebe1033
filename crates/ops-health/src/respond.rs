//! Answers to probes, without a web framework.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use tokio::time::Instant;

use crate::aggregate::{Question, Verdict};
use crate::health::{Health, Inner, Settings};
use crate::lifecycle::Lifecycle;
use crate::liveness::NamedSignal;
use crate::private::Authorized;
use crate::render::{
    DetailKey, FullReport, PublicReport, Shape, kube_anonymous, kube_authorized, one_check,
};
use crate::snapshot::{Registration, Snapshot};
use crate::status::Status;

mod negotiate;
mod query;

use negotiate::prefers_draft;
use query::Query;

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Health,
    Live,
    Ready,
    Startup,
    Check(&'a str),
    Kube(&'static str, Question),
    Metrics,
}

impl<'a> Route<'a> {
    fn parse(path: &'a str, settings: &Settings) -> Option<Self> {
        let aliases = settings.aliases;
        Some(match path {
            "/health" | "/api/health" => Self::Health,
            "/health/live" => Self::Live,
            "/health/ready" => Self::Ready,
            "/health/startup" => Self::Startup,
            "/livez" if aliases => Self::Kube("livez", Question::Live),
            "/readyz" if aliases => Self::Kube("readyz", Question::Ready),
            "/healthz" if aliases => Self::Kube("healthz", Question::Health),
            "/metrics" if settings.metrics.is_some() => Self::Metrics,
            _ => Self::Check(
                path.strip_prefix("/health/checks/")
                    .filter(|name| !name.is_empty())?,
            ),
        })
    }

    /// The route in metrics.
    const fn label(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Startup => "startup",
            Self::Check(_) => "check",
            Self::Kube(name, _) => name,
            Self::Metrics => "metrics",
        }
    }

    fn question(self) -> Question {
        match self {
            Self::Live => Question::Live,
            Self::Ready => Question::Ready,
            Self::Startup => Question::Startup,
            Self::Health | Self::Check(_) | Self::Metrics => Question::Health,
            Self::Kube(_, question) => question,
        }
    }
}

impl Health {
    /// Answers a probe from the last results. Runs no check and waits for nothing.
    ///
    /// `/health`, `/api/health`, `/health/live`, `/health/ready`, `/health/startup`,
    /// `/health/checks/{name}`, and the aliases where they were asked for. Every other
    /// path is 404, every method but GET and HEAD 405. The status code carries the
    /// verdict, so that HEAD is enough.
    ///
    /// Checks that run on demand are asked to run, for those who come later;
    /// [`Health::handle`] waits for them.
    #[must_use]
    pub fn respond(&self, request: &Parts) -> Response<Bytes> {
        self.answer(request, self.0.settings.access.authorize(request))
    }

    /// As [`Health::respond`], with all details for whoever asks: for a second listener
    /// that only operators can reach. Probes belong on the main port, where they find out
    /// whether that one works.
    #[must_use]
    pub fn respond_with_details(&self, request: &Parts) -> Response<Bytes> {
        self.answer(request, Some(Authorized::caller()))
    }

    /// The body of `/health` in our own shape, with everything.
    #[cfg(feature = "ui")]
    pub(crate) fn native_body(&self, proof: &Authorized) -> Bytes {
        let (request, ()) = http::Request::new(()).into_parts();
        let snapshot = self.0.snapshot.load();
        let probe = Probe {
            inner: &self.0,
            snapshot: &snapshot,
            request: &request,
            query: Query::default(),
            proof: None,
            now: Instant::now(),
        };
        let verdict = probe.verdict(Question::Health);
        Shape::Native.authorized(&probe.full(verdict), proof)
    }

    fn answer(&self, request: &Parts, proof: Option<Authorized>) -> Response<Bytes> {
        let Some(route) = Route::parse(request.uri.path(), &self.0.settings) else {
            return plain(StatusCode::NOT_FOUND);
        };
        let response = self.answer_on(route, request, proof);
        crate::metrics::requested(route.label(), response.status().as_u16());
        response
    }

    fn answer_on(
        &self,
        route: Route<'_>,
        request: &Parts,
        proof: Option<Authorized>,
    ) -> Response<Bytes> {
        let inner = &*self.0;
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let snapshot = inner.snapshot.load();
        let probe = Probe {
            inner,
            snapshot: &snapshot,
            request,
            query: Query::parse(request.uri.query()),
            proof,
            now: Instant::now(),
        };
        if inner.has_on_demand {
            probe.ask_on_demand();
        }
        let mut response = probe.answer(route);
        let length = response.body().len();
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        if request.method == Method::HEAD {
            *response.body_mut() = Bytes::new();
        }
        response
    }
}

/// One request, with everything that its answer depends on.
struct Probe<'a> {
    inner: &'a Inner,
    snapshot: &'a Arc<Snapshot>,
    request: &'a Parts,
    query: Query<'a>,
    proof: Option<Authorized>,
    now: Instant,
}

impl Probe<'_> {
    fn answer(&self, route: Route<'_>) -> Response<Bytes> {
        match route {
            Route::Check(name) => return self.check(name),
            Route::Metrics => return self.metrics(),
            _ => {}
        }
        let question = self.question(route);
        let verdict = self.verdict(question);
        let status = self.status_code(question, verdict.status);
        let (content_type, body) = match route {
            Route::Kube(name, _) => ("text/plain; charset=utf-8", self.kube(name, verdict)),
            Route::Health | Route::Check(_) | Route::Metrics => self.health(verdict),
            Route::Live | Route::Ready | Route::Startup => {
                let body = flag(question, verdict.status.is_up());
                ("application/json", Bytes::from_static(body.as_bytes()))
            }
        };
        let mut response = respond_with(status, content_type, body);
        self.add_drain_headers(question, response.headers_mut());
        response
    }

    /// Asks for results that have expired, without waiting for them.
    fn ask_on_demand(&self) {
        for entry in &self.inner.registry {
            if let Some(demand) = &entry.demand {
                drop(demand.ask(self.now));
            }
        }
    }

    /// Only an authorized caller may ask about a part: leaving out a failed check could
    /// turn a 503 into a 200.
    fn question(&self, route: Route<'_>) -> Question {
        match (&self.proof, route, self.query.group) {
            (Some(_), Route::Health, Some("ready")) => Question::Ready,
            (Some(_), Route::Health, Some("startup")) => Question::Startup,
            _ => route.question(),
        }
    }

    fn keeps(&self, entry: &Registration) -> bool {
        self.proof.is_none() || !self.query.excludes(&entry.name)
    }

    fn verdict(&self, question: Question) -> Verdict {
        let now = self.now.into_std();
        if self.proof.is_some() && self.query.has_exclusions() {
            let keeps = |entry: &Registration| self.keeps(entry);
            return self.snapshot.verdict_of(question, self.inner, now, keeps);
        }
        self.snapshot.verdict(question, self.inner, now)
    }

    fn lifecycle(&self) -> Lifecycle {
        self.snapshot.lifecycle(&*self.inner.settings.clock)
    }

    fn status_code(&self, question: Question, status: Status) -> StatusCode {
        match (question, status) {
            (Question::Health, Status::Degraded) => {
                StatusCode::from_u16(self.inner.settings.degraded_status).unwrap_or(StatusCode::OK)
            }
            (_, status) if status.is_up() => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn health(&self, verdict: Verdict) -> (&'static str, Bytes) {
        let shape = self
            .query
            .format
            .and_then(Shape::from_name)
            .or_else(|| prefers_draft(self.request.headers.get(ACCEPT)).then_some(Shape::Draft))
            .unwrap_or(self.inner.settings.shape);
        let body = match &self.proof {
            Some(proof) => self.details(shape, verdict, proof),
            None => self.inner.bodies.anonymous(shape, &self.public(verdict)),
        };
        (shape.content_type(), body)
    }

    fn details(&self, shape: Shape, verdict: Verdict, proof: &Authorized) -> Bytes {
        let inner = self.inner;
        if self.query.has_exclusions() {
            return shape.authorized(&self.full(verdict), proof);
        }
        let key = DetailKey {
            snapshot: self.snapshot,
            signals: inner.signals.iter().map(NamedSignal::is_alive),
            shape,
            verdict,
            millis: inner.settings.clock.now().unix_millis(),
            now: self.now,
        };
        inner.details.authorized(key, proof, || self.full(verdict))
    }

    fn kube(&self, route: &str, verdict: Verdict) -> Bytes {
        match &self.proof {
            Some(_) => kube_authorized(&self.full(verdict), route, self.query.verbose),
            None => kube_anonymous(&self.public(verdict), route, self.query.verbose),
        }
    }

    /// Always 200: numbers that vanish with the service's health help nobody.
    fn metrics(&self) -> Response<Bytes> {
        crate::metrics::publish(self.inner);
        let render = self.inner.settings.metrics.as_ref();
        let text = render.map(|render| render()).unwrap_or_default();
        respond_with(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            Bytes::from(text),
        )
    }

    /// The same answer whether or not there is such a check, to those who may not know.
    fn check(&self, name: &str) -> Response<Bytes> {
        let Some(proof) = &self.proof else {
            if !self.inner.settings.access.is_open_to_someone() {
                return plain(StatusCode::NOT_FOUND);
            }
            let mut response = plain(StatusCode::UNAUTHORIZED);
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        };
        let report = self.full(self.verdict(Question::Health));
        let Some(check) = report.checks.iter().find(|check| check.name == name) else {
            return plain(StatusCode::NOT_FOUND);
        };
        let status = self.status_code(Question::Ready, check.status);
        respond_with(status, "application/json", one_check(&report, check, proof))
    }

    fn public(&self, verdict: Verdict) -> PublicReport<'_> {
        let now = self.now.into_std();
        let states = || self.inner.registry.iter().zip(&self.snapshot.checks);
        PublicReport {
            verdict,
            timestamp: self.inner.settings.clock.now(),
            names: self.inner.settings.expose_names.then(|| {
                states()
                    .map(|(entry, state)| (entry.name.as_str(), entry.judge(state, now).status))
                    .collect()
            }),
        }
    }

    fn full(&self, verdict: Verdict) -> FullReport<'_> {
        let Inner {
            settings,
            registry,
            signals,
            started_at,
            ..
        } = self.inner;
        let now = self.now.into_std();
        FullReport {
            verdict,
            timestamp: settings.clock.now(),
            service: settings.service.as_deref(),
            version: settings.version.as_deref(),
            uptime: self.now.saturating_duration_since(*started_at),
            lifecycle: self.lifecycle(),
            checks: self
                .snapshot
                .reports(registry, now, |entry| self.keeps(entry)),
            gates: self
                .snapshot
                .gates
                .iter()
                .map(|gate| (&*gate.name, gate.status))
                .collect(),
            signals: signals
                .iter()
                .map(|s| (s.name.as_str(), s.is_alive()))
                .collect(),
            known_secrets: &settings.known_secrets,
        }
    }

    /// Tells balancers and clients to go elsewhere.
    fn add_drain_headers(&self, question: Question, headers: &mut HeaderMap) {
        if !matches!(
            self.snapshot.lifecycle,
            Lifecycle::Draining | Lifecycle::Stopped
        ) {
            return;
        }
        // HTTP/2 and later forbid the field; they end connections by themselves.
        if self.request.version <= Version::HTTP_11 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(question, Question::Ready | Question::Health) {
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from(retry_after(self.inner.settings.drain.delay)),
            );
        }
    }
}

/// Whole seconds, rounded up, at least one.
fn retry_after(delay: Duration) -> u64 {
    delay
        .as_millis()
        .div_ceil(1000)
        .max(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

/// The answer of a probe that asks a yes-or-no question.
const fn flag(question: Question, yes: bool) -> &'static str {
    match (question, yes) {
        (Question::Live, true) => r#"{"alive":true}"#,
        (Question::Live, false) => r#"{"alive":false}"#,
        (Question::Startup, true) => r#"{"started":true}"#,
        (Question::Startup, false) => r#"{"started":false}"#,
        (Question::Ready | Question::Health, true) => r#"{"ready":true}"#,
        (Question::Ready | Question::Health, false) => r#"{"ready":false}"#,
    }
}

fn plain(status: StatusCode) -> Response<Bytes> {
    let text = status.canonical_reason().unwrap_or_default();
    respond_with(
        status,
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    )
}

fn respond_with(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
