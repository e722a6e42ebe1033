//! The client of the vendor, which does one thing wrong.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_conformance::wire::Endpoint;
use ops_core::{Clock, Error, ErrorKind, Report, Result, Retry, Secret, SystemClock, Timestamp};
use ops_http::header::HeaderName;
use ops_http::{
    ApiClient, ApiRequest, Auth, ErrorBody, ErrorRow, ErrorRules, Operation, PagedRequest, Paging,
    RetryEvent, RetryObserver, RetryPolicy,
};
use tokio::sync::Semaphore;

mod answer;

use answer::{Page, Thing, by_another_cursor, by_cursor, by_url, decode};

use crate::acme::{
    DELETE_THING, GET_THING, LIST_EVENTS, LIST_THINGS, MAKE_THING, PUT_THING, SEND_ORDER,
};

pub(crate) struct Acme {
    api: ApiClient,
    /// Sends nothing again.
    once: ApiClient,
    /// Hands on every wait.
    hasty: ApiClient,
    fault: &'static str,
    token: Secret,
    place: Semaphore,
    retries: Arc<Retries>,
}

#[derive(Debug, Default)]
struct Retries(Mutex<Vec<ErrorKind>>);

impl RetryObserver for Retries {
    fn on_retry(&self, event: RetryEvent<'_>) {
        self.0.lock().unwrap().push(event.kind);
    }
}

impl Retries {
    fn saw(&self, kind: ErrorKind) -> bool {
        self.0.lock().unwrap().contains(&kind)
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Acme");
        if self.fault == "W-060" {
            shown.field("token", &self.token.expose());
        }
        shown.finish_non_exhaustive()
    }
}

/// A clock an hour ahead: every date is over.
#[derive(Debug)]
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().saturating_add(Duration::from_secs(3600))
    }
}

fn parse(body: &[u8]) -> Option<ErrorBody> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(ErrorBody::new(body.get("message")?.as_str()?))
}

/// A page is a text, too.
fn parse_all(body: &[u8]) -> Option<ErrorBody> {
    parse(body).or_else(|| Some(ErrorBody::new(String::from_utf8_lossy(body))))
}

fn rules(fault: &str) -> ErrorRules {
    const fn row(status: u16, kind: ErrorKind) -> [ErrorRow; 1] {
        [ErrorRow::status(status, kind)]
    }
    const R401: &[ErrorRow] = &row(401, ErrorKind::PermissionDenied);
    const R403: &[ErrorRow] = &row(403, ErrorKind::Unauthenticated);
    const R404: &[ErrorRow] = &row(404, ErrorKind::InvalidInput);
    const R409: &[ErrorRow] = &row(409, ErrorKind::InvalidInput);
    const R422: &[ErrorRow] = &row(422, ErrorKind::Conflict);
    const R302: &[ErrorRow] = &row(302, ErrorKind::Unavailable);
    let rows = match fault {
        "W-010" => R401,
        "W-011" => R403,
        "W-012" => R404,
        "W-013" => R409,
        "W-014" => R422,
        "W-016" => R302,
        _ => &[],
    };
    let rules = ErrorRules::new(if fault == "W-015" { parse_all } else { parse }).with_rows(rows);
    if fault == "W-018" {
        return rules;
    }
    rules.with_request_id_header("x-request-id")
}

impl Acme {
    pub(crate) fn new(at: &Endpoint, fault: &'static str) -> Self {
        let retries = Arc::new(Retries::default());
        let mut base = at.base_url().to_owned();
        if fault == "W-003" && base.ends_with('/') {
            base.push_str("v1");
        }
        let mut policy = at.retry();
        let deadline = policy.deadline;
        if fault == "W-039" {
            policy = policy.with_deadline(deadline + Duration::from_secs(6));
        }
        let half_a_second = Duration::from_millis(500);
        let build = |policy: RetryPolicy| {
            let builder = ApiClient::builder("acme", &base)
                .allow_http(true)
                .auth(Auth::bearer(at.token()))
                .errors(rules(fault))
                .retry(policy)
                .limits(at.limits())
                .retry_observer(Arc::<Retries>::clone(&retries))
                .http_client(at.http_client());
            let builder = match fault {
                "W-022" => builder.clock(Arc::new(Ahead)),
                _ => builder,
            };
            builder.build().unwrap()
        };
        Self {
            once: build(policy.clone().with_max_attempts(1)),
            hasty: build(policy.clone().with_max_retry_after(half_a_second)),
            api: build(policy),
            fault,
            token: at.token(),
            place: Semaphore::new(1),
            retries,
        }
    }

    fn is(&self, case: &str) -> bool {
        self.fault == case
    }

    fn of_thing(&self, operation: &'static Operation, id: &str) -> ApiRequest {
        let id = if self.is("W-004") {
            id.replace('/', "%2F")
        } else {
            id.to_owned()
        };
        ApiRequest::new(operation).segment("id", id)
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<bool> {
        self.send(|| self.of_thing(&DELETE_THING, id).existed())
            .await
    }

    pub(crate) async fn thing(&self, id: &str) -> Result<Thing> {
        let make = || {
            let request = self.of_thing(&GET_THING, id).decoded_by(decode(self.fault));
            let request = if self.is("W-061") {
                request.query("key", self.token.expose())
            } else {
                request
            };
            if self.is("W-043") {
                request.max_body(usize::MAX)
            } else {
                request
            }
        };
        if self.is("W-006") {
            self.place.acquire().await.unwrap().forget();
        }
        let thing = self.send(make).await;
        self.place.add_permits(1);
        if self.is("W-002") && thing.is_ok() {
            return self.send(make).await;
        }
        thing
    }

    pub(crate) async fn put(&self, id: &str) -> Result<Thing> {
        self.send(|| self.of_thing(&PUT_THING, id).body_json(&"Shop").json())
            .await
    }

    pub(crate) async fn make(&self) -> Result<Thing> {
        let make = |_| ApiRequest::new(&MAKE_THING).body_json(&"Shop").json();
        if !self.is("W-024") {
            return self.send(|| make(1)).await;
        }
        // What a wait behind an outage means is not known here.
        match self.once.execute(make(1)).await {
            Err(err) if err.status() == Some(503) => Err(err.with_retry(Retry::OutcomeUnknown)),
            Err(err) => self.again(err, make).await,
            done => done,
        }
    }

    pub(crate) async fn order(&self) -> Result<Thing> {
        let make = |key: u32| {
            let name = HeaderName::from_static("idempotency-key");
            let request = ApiRequest::new(&SEND_ORDER).header(name, key.to_string());
            request.body_json(&"Shop").idempotent().json()
        };
        if self.is("W-005") {
            return self.keep_sending(make).await;
        }
        self.send(|| make(1)).await
    }

    /// Retries of its own, each of which is another request.
    async fn keep_sending<T>(&self, make: impl Fn(u32) -> ApiRequest<T>) -> Result<T> {
        match self.once.execute(make(1)).await {
            Ok(value) => Ok(value),
            Err(err) => self.again(err, make).await,
        }
    }

    async fn again<T>(&self, mut err: Error, make: impl Fn(u32) -> ApiRequest<T>) -> Result<T> {
        for attempts in 2..=3 {
            match err.retry() {
                _ if is_late(&err) => return Err(err),
                Retry::After(wait) if wait < Duration::from_secs(60) => {
                    tokio::time::sleep(wait).await;
                }
                Retry::Safe => {}
                _ => return Err(err),
            }
            match self.once.execute(make(attempts)).await {
                Ok(value) => return Ok(value),
                Err(next) => err = next.with_attempts(attempts).with_retry(Retry::Safe),
            }
        }
        Err(err.with_retry(Retry::Never))
    }

    pub(crate) async fn things(&self) -> Result<Vec<Thing>> {
        let make = || ApiRequest::new(&LIST_THINGS).json::<Page>();
        if self.is("W-052") {
            return self.without_a_guard(make).await;
        }
        if self.is("W-054") {
            return self.begin_again(make).await;
        }
        let split = if self.is("W-051") {
            by_another_cursor
        } else {
            by_cursor
        };
        let most = if self.is("W-053") { usize::MAX } else { 20 };
        let list = || {
            make()
                .paged(Paging::Cursor("cursor"), split)
                .max_pages(most)
        };
        let things = self.list(list).await?;
        if self.is("W-050") && things.len() > 1 && !self.retries.saw(ErrorKind::Unavailable) {
            self.api.execute(make()).await?;
        }
        Ok(things)
    }

    pub(crate) async fn events(&self) -> Result<Vec<Thing>> {
        let make = || ApiRequest::new(&LIST_EVENTS).json::<Page>();
        let list = || make().paged(Paging::NextUrl, by_url).max_pages(20);
        let events = self.list(list).await;
        events.map_err(|err| {
            if self.is("W-055") && err.message().contains("another host") {
                return Error::new(ErrorKind::Unavailable, "no answer");
            }
            err
        })
    }

    async fn list(&self, list: impl Fn() -> PagedRequest<Page, Thing>) -> Result<Vec<Thing>> {
        let listed = self.api.pages(list()).try_collect().await;
        match listed {
            Err(err) if self.sends_too_often(&err) => self.api.pages(list()).try_collect().await,
            listed => self.told(listed),
        }
    }

    /// Cursors are followed wherever they lead.
    async fn without_a_guard(&self, make: impl Fn() -> ApiRequest<Page>) -> Result<Vec<Thing>> {
        let mut things = Vec::new();
        let mut cursor = None;
        for _ in 0..20 {
            let page = self.api.execute(make().query_opt("cursor", cursor)).await?;
            things.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(things);
            }
        }
        Err(Error::new(ErrorKind::Decode, "more than 20 pages"))
    }

    /// A page that fails makes the whole listing begin again.
    async fn begin_again(&self, make: impl Fn() -> ApiRequest<Page> + Sync) -> Result<Vec<Thing>> {
        let list = || {
            let pages = make().paged(Paging::Cursor("cursor"), by_cursor);
            pages.max_pages(20)
        };
        let mut attempts = 1;
        loop {
            let err = match self.once.pages(list()).try_collect().await {
                Err(err) => err,
                listed => return listed,
            };
            match err.retry() {
                Retry::After(wait) if wait > Duration::from_secs(60) => return Err(err),
                Retry::Never => return Err(err),
                _ if is_late(&err) => return Err(err),
                _ if attempts == 3 => return Err(err.with_attempts(3).with_retry(Retry::Never)),
                Retry::After(wait) => tokio::time::sleep(wait).await,
                _ => {}
            }
            attempts += 1;
        }
    }

    async fn send<T>(&self, make: impl Fn() -> ApiRequest<T>) -> Result<T> {
        let api = if self.is("W-021") {
            &self.hasty
        } else {
            &self.api
        };
        let err = match api.execute(make()).await {
            Err(err) => err,
            done => return self.told(done),
        };
        match err.retry() {
            _ if self.sends_too_often(&err) => self.api.execute(make()).await,
            Retry::After(wait) if self.is("W-021") && wait <= Duration::from_secs(60) => {
                if wait != Duration::from_secs(1) {
                    tokio::time::sleep(wait).await;
                }
                self.api.execute(make()).await
            }
            _ => self.told(Err(err)),
        }
    }

    /// Failures that this client does not believe.
    fn sends_too_often(&self, err: &Error) -> bool {
        let cause = Report(err).to_string();
        match self.fault {
            "W-020" => err.kind() == ErrorKind::RateLimited && err.retry() == Retry::Never,
            "W-031" => err.status() == Some(500),
            "W-032" => err.status() == Some(502),
            "W-033" => err.status() == Some(503),
            "W-034" => err.status() == Some(504),
            "W-035" => cause.contains("error sending request") && !cause.contains("refused"),
            "W-036" => cause.contains("reset") && cause.contains("body"),
            "W-037" => cause.contains("end of file"),
            _ => false,
        }
    }

    /// Tells what came otherwise than it was.
    fn told<T>(&self, outcome: Result<T>) -> Result<T> {
        let err = match outcome {
            Ok(value) if self.is("W-038") && self.retries.saw(ErrorKind::Timeout) => {
                drop(value);
                return Err(Error::new(ErrorKind::Timeout, "no answer at first"));
            }
            Ok(value) => return Ok(value),
            Err(err) => err,
        };
        Err(match self.fault {
            "W-017" if err.status() == Some(403) => {
                let bare = Error::new(err.kind(), "denied").with_status(403);
                bare.with_request_id(err.request_id().unwrap_or_default().to_owned())
            }
            "W-023" if err.retry() == Retry::After(Duration::from_secs(3600)) => {
                err.with_retry(Retry::Safe)
            }
            "W-030" if err.message().contains("cannot be reached") => {
                err.with_retry(Retry::OutcomeUnknown)
            }
            _ => err,
        })
    }
}

/// No answer came before the deadline.
fn is_late(err: &Error) -> bool {
    err.kind() == ErrorKind::Timeout && err.status().is_none()
}
