//! A provider's calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ops_core::{ErrorKind, Result, Secret};
use ops_http::request::DEFAULT_MAX_BODY;
use ops_http::test_util::{Recorded, Reply, respond};
use ops_http::{Idempotency, Operation, Paging};
use serde_json::json;

use super::WireFixture;
use super::endpoint::{Endpoint, Sample};
use crate::fixture::Fixture;

/// A failure as the vendor would tell it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The status.
    pub status: u16,
    /// The text of the vendor, which may well hold a credential.
    pub message: String,
    /// The id of the request, where the vendor tells it: in the body or in a header.
    pub request_id: &'static str,
}

/// A page that the vendor is to answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page<'a> {
    /// Which page it is, from 0. Its items must not be those of another page.
    pub number: usize,
    /// Where the next page is, in the form of the call's [`Paging`]: a cursor, a URL, or any
    /// text where it is enough to say that there is more. `None` on the last page.
    pub next: Option<&'a str>,
}

impl Page<'_> {
    /// The last page, after so many others; the only one after none.
    #[must_use]
    pub fn last(number: usize) -> Self {
        Page { number, next: None }
    }
}

type Answer = Arc<dyn Fn(&Recorded) -> Reply + Send + Sync>;
type Pages = Arc<dyn Fn(&Page<'_>) -> Reply + Send + Sync>;
type Tell = Arc<dyn Fn(&Failure) -> Reply + Send + Sync>;
type Identify = Arc<dyn Fn(&Recorded) -> Option<String> + Send + Sync>;
type Debuggable = Arc<dyn fmt::Debug + Send + Sync>;
type Start = Arc<dyn Fn(&Endpoint, Sample) -> Started + Send + Sync>;

/// A provider that was made for a call.
pub(super) struct Started {
    pub(super) provider: Debuggable,
    /// Makes the call, each time it is called.
    pub(super) run: Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>,
}

/// One call of the table.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) id: &'static str,
    pub(super) class: Idempotency,
    pub(super) answer: Answer,
    pub(super) start: Start,
    pub(super) absent_is_success: bool,
    pub(super) ignores_answer: bool,
    pub(super) is_second_step: bool,
    pub(super) listing: Option<(Paging, Pages)>,
}

/// What is known of a provider. Made by [`Wire`].
#[derive(Clone)]
pub struct Table {
    pub(super) operations: Vec<&'static Operation>,
    pub(super) calls: Vec<Call>,
    pub(super) token: Secret,
    pub(super) largest: usize,
    pub(super) tell: Tell,
    pub(super) kinds: HashMap<u16, ErrorKind>,
    pub(super) refreshes: bool,
    pub(super) identify: Option<Identify>,
    pub(super) problems: Vec<String>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: Vec<&str> = self.calls.iter().map(|call| call.id).collect();
        f.debug_struct("Table")
            .field("calls", &calls)
            .finish_non_exhaustive()
    }
}

/// The table of a provider `P`: for each operation an answer that is good, and what sends
/// it.
#[must_use]
pub struct Wire<P> {
    table: Table,
    make: Arc<dyn Fn(&Endpoint) -> P + Send + Sync>,
}

impl<P> fmt::Debug for Wire<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.table).finish()
    }
}

impl<P: fmt::Debug + Send + Sync + 'static> Wire<P> {
    /// Begins a table with every operation that the crate can send, and how the provider is
    /// made.
    pub fn new(
        operations: &'static [&'static Operation],
        make: impl Fn(&Endpoint) -> P + Send + Sync + 'static,
    ) -> Self {
        let random = crate::fixture::unique("canary");
        let table = Table {
            operations: operations.to_vec(),
            calls: Vec::new(),
            token: Secret::from(random.replace("ops-test-", "").replace('-', "_")),
            largest: DEFAULT_MAX_BODY,
            tell: Arc::new(|failure| {
                respond(failure.status).json(&json!({ "message": failure.message }))
            }),
            kinds: HashMap::new(),
            refreshes: false,
            identify: None,
            problems: Vec::new(),
        };
        Self {
            table,
            make: Arc::new(make),
        }
    }

    /// Adds operations of another part of the crate.
    pub fn and_operations(mut self, operations: &'static [&'static Operation]) -> Self {
        self.table.operations.extend(operations);
        self
    }

    /// Adds what sends an operation, and the good answer to that. The call may send other
    /// operations of the table, too, which are answered well: it must succeed.
    ///
    /// An operation may be added several times, for requests that differ.
    pub fn call<T, F>(
        self,
        operation: &'static str,
        answer: Reply,
        drive: impl Fn(Arc<P>, Sample) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.call_answered(operation, move |_| answer.clone(), drive)
    }

    /// As [`call`](Self::call), where the answer depends on the request.
    pub fn call_answered<T, F>(
        mut self,
        operation: &'static str,
        answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
        drive: impl Fn(Arc<P>, Sample) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (make, drive) = (Arc::clone(&self.make), Arc::new(drive));
        let class = self.table.operation(operation).map(Operation::class);
        self.table.calls.push(Call {
            id: operation,
            // Where there is none, W-001 says so.
            class: class.unwrap_or(Idempotency::Once),
            answer: Arc::new(answer),
            start: Arc::new(move |at, sample| {
                let provider = Arc::new(make(at));
                let drive = Arc::clone(&drive);
                Started {
                    provider: Arc::<P>::clone(&provider),
                    run: Box::new(move || {
                        let running = drive(Arc::clone(&provider), sample);
                        Box::pin(async move { running.await.map(drop) })
                    }),
                }
            }),
            absent_is_success: false,
            ignores_answer: false,
            is_second_step: false,
            listing: None,
        });
        self
    }

    /// The last call added is a success where there is no such thing: it deletes, or asks
    /// for what may be absent.
    pub fn absent_is_success(self) -> Self {
        self.of_last(|call| call.absent_is_success = true)
    }

    /// The last call added does not look at the body of its answer.
    pub fn ignores_answer(self) -> Self {
        self.of_last(|call| call.ignores_answer = true)
    }

    /// The last call added sends the operation after it has changed something by another one.
    /// Where the operation fails then, repeating the whole call is not advised, however safe
    /// it were to send the operation alone.
    pub fn second_step(self) -> Self {
        self.of_last(|call| call.is_second_step = true)
    }

    /// The last call added may be sent again although its operation may not: it carries an
    /// idempotency key.
    pub fn repeatable(self) -> Self {
        self.of_last(|call| call.class = Idempotency::Idempotent)
    }

    /// The last call added reads a listing to its end, and how that is paged. `page` writes
    /// a page; a `Link` header is added by the suite.
    pub fn paged(
        self,
        paging: Paging,
        page: impl Fn(&Page<'_>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let page: Pages = Arc::new(page);
        self.of_last(|call| call.listing = Some((paging, page)))
    }

    fn of_last(mut self, change: impl FnOnce(&mut Call)) -> Self {
        match self.table.calls.last_mut() {
            Some(call) => change(call),
            None => self
                .table
                .problems
                .push("a call is described before one is added".to_owned()),
        }
        self
    }

    /// How the vendor tells of a failure. Defaults to `{"message": ...}`.
    pub fn failures(mut self, tell: impl Fn(&Failure) -> Reply + Send + Sync + 'static) -> Self {
        self.table.tell = Arc::new(tell);
        self
    }

    /// What a status means at this vendor, where that differs from the table of statuses.
    pub fn means(mut self, status: u16, kind: ErrorKind) -> Self {
        self.table.kinds.insert(status, kind);
        self
    }

    /// The size in bytes up to which the largest answer is read. Defaults to
    /// [`DEFAULT_MAX_BODY`].
    pub fn largest_answer(mut self, bytes: usize) -> Self {
        self.table.largest = bytes;
        self
    }

    /// The credential is fetched anew where it is refused, and the call sent once more.
    pub fn refreshes_credentials(mut self) -> Self {
        self.table.refreshes = true;
        self
    }

    /// Tells the operation of a request, where several have one method and path, as in
    /// GraphQL. Where it answers `None`, method and path decide.
    pub fn identified_by(
        mut self,
        identify: impl Fn(&Recorded) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.table.identify = Some(Arc::new(identify));
        self
    }
}

impl<P: Send + Sync + 'static> Fixture for Wire<P> {}

impl<P: Send + Sync + 'static> WireFixture for Wire<P> {
    fn table(&self) -> &Table {
        &self.table
    }
}

impl Table {
    pub(super) fn operation(&self, id: &str) -> Option<&'static Operation> {
        self.operations.iter().copied().find(|it| it.id() == id)
    }

    /// The operation that a request is.
    pub(super) fn identified(&self, request: &Recorded) -> Option<&'static Operation> {
        if let Some(id) = self
            .identify
            .as_ref()
            .and_then(|identify| identify(request))
        {
            return self.operation(&id);
        }
        let segments = request.segments();
        let fits = self.operations.iter().copied().filter(|it| {
            *it.method() == request.method && matches(it.template(), &segments).is_some()
        });
        fits.max_by_key(|it| matches(it.template(), &segments))
    }

    /// How the vendor would tell this.
    pub(super) fn failure(&self, status: u16) -> Reply {
        self.failure_saying(status, "the vendor says no")
    }

    pub(super) fn failure_saying(&self, status: u16, message: &str) -> Reply {
        (self.tell)(&Failure {
            status,
            message: message.to_owned(),
            request_id: super::refusals::REQUEST_ID,
        })
    }

    /// What a status means here.
    pub(super) fn kind(&self, status: u16, usual: ErrorKind) -> ErrorKind {
        self.kinds.get(&status).copied().unwrap_or(usual)
    }

    /// The good answer to an operation that is not looked at.
    pub(super) fn good(&self, operation: &Operation, request: &Recorded) -> Option<Reply> {
        let call = self.calls.iter().find(|call| call.id == operation.id())?;
        Some(call.good(request))
    }
}

impl Call {
    pub(super) fn good(&self, request: &Recorded) -> Reply {
        (self.answer)(request)
    }
}

/// How many segments are literally the same; `None` where a path does not fit.
fn matches(template: &str, segments: &[String]) -> Option<usize> {
    let wanted: Vec<&str> = template.trim_start_matches('/').split('/').collect();
    if wanted.len() != segments.len() {
        return None;
    }
    let mut literal = 0;
    for (wanted, found) in wanted.iter().zip(segments) {
        match wanted.split_once('{') {
            // Such as `{id}` and `{id}.json`.
            Some((before, rest)) => {
                let after = rest.split_once('}').map_or("", |(_, after)| after);
                let fits = found.len() >= before.len() + after.len()
                    && found.starts_with(before)
                    && found.ends_with(after);
                if !fits {
                    return None;
                }
            }
            None if wanted == found => literal += 1,
            None => return None,
        }
    }
    Some(literal)
}
