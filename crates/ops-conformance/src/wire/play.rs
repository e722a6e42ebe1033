//! One call against a server that is wrong in one way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use ops_core::{Error, Result};
use ops_http::test_util::{MockServer, Recorded, Reply, respond};
use ops_http::{Idempotency, Limits, RetryPolicy};

use super::endpoint::{Endpoint, Sample};
use super::table::{Call, Table};

/// How often a call is sent at most.
pub(super) const ATTEMPTS: usize = 3;

/// No call takes longer that is not stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What came of a call.
pub(super) struct Seen {
    pub(super) outcome: Result<()>,
    /// The requests of the operation under test.
    pub(super) sent: Vec<Recorded>,
    /// All requests.
    pub(super) all: Vec<Recorded>,
    pub(super) took: Duration,
}

impl Seen {
    /// The error that must have come.
    #[track_caller]
    pub(super) fn error(&self, call: &Call, what: &str) -> &Error {
        match &self.outcome {
            Ok(()) => panic!("{}: {what}: succeeds", call.id),
            Err(err) => err,
        }
    }

    #[track_caller]
    pub(super) fn assert_done(&self, call: &Call, what: &str) {
        if let Err(err) = &self.outcome {
            panic!("{}: {what}: {err:?}", call.id);
        }
    }

    /// The operation must have been sent exactly so often, whatever for.
    #[track_caller]
    pub(super) fn assert_sent(&self, call: &Call, times: usize, what: &str) {
        let sent = self.sent.len();
        let id = call.id;
        assert!(
            sent == times,
            "{id}: {what}: sent {sent} times and not {times}"
        );
    }

    /// No request of the operation may have been sent more often, and one exactly so often: a
    /// call may send several that differ.
    #[track_caller]
    pub(super) fn assert_attempts(&self, call: &Call, times: usize, what: &str) {
        let attempts = |it: &Recorded| self.sent.iter().filter(|other| is_same(it, other)).count();
        let most = self.sent.iter().map(attempts).max().unwrap_or(0);
        let id = call.id;
        assert!(
            most == times,
            "{id}: {what}: {most} attempts and not {times}"
        );
    }
}

/// Whether two requests ask for the same, apart from their headers.
pub(super) fn is_same(one: &Recorded, other: &Recorded) -> bool {
    (&one.method, &one.path_and_query, &one.body)
        == (&other.method, &other.path_and_query, &other.body)
}

/// A try: how the provider is made, and what the server does with the operation under test.
pub(super) struct Try<'a> {
    table: &'a Table,
    call: &'a Call,
    id: &'static str,
    retry: RetryPolicy,
    limits: Limits,
    slash: &'static str,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks at all calls of a table, many at a time, for some looks wait.
pub(super) fn each<'a, F>(table: &'a Table, look: impl Fn(&'a Call) -> F) -> BoxFuture<'a, ()>
where
    F: Future<Output = ()> + Send + 'a,
{
    let looks: Vec<F> = table.calls.iter().map(look).collect();
    stream::iter(looks)
        .buffer_unordered(32)
        .collect::<()>()
        .boxed()
}

impl Call {
    pub(super) fn is_repeatable(&self) -> bool {
        self.class != Idempotency::Once
    }

    pub(super) fn against<'a>(&'a self, table: &'a Table) -> Try<'a> {
        Try {
            table,
            call: self,
            id: "wire-1",
            retry: RetryPolicy::default()
                .with_max_attempts(3)
                .with_backoff(Duration::ZERO, Duration::ZERO),
            limits: Limits::default(),
            slash: "",
        }
    }
}

impl Try<'_> {
    pub(super) fn with_id(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    pub(super) fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub(super) fn with_deadline(mut self, deadline: Duration) -> Self {
        self.retry = self.retry.with_deadline(deadline);
        self
    }

    pub(super) fn with_slash(mut self) -> Self {
        self.slash = "/";
        self
    }

    pub(super) fn endpoint(&self, base_url: &str) -> Endpoint {
        Endpoint {
            base_url: format!("{base_url}{}", self.slash),
            token: self.table.token.clone(),
            retry: self.retry.clone(),
            limits: self.limits,
        }
    }

    pub(super) fn sample(&self) -> Sample {
        Sample { id: self.id }
    }

    /// Every request of the operation is answered by this.
    pub(super) async fn answered(self, reply: Reply) -> Seen {
        self.run(move |_, _, _| Some(reply.clone())).await
    }

    /// The first requests of the operation are answered by this, and the next ones well.
    pub(super) async fn answered_at_first(self, replies: Vec<Reply>) -> Seen {
        self.run(move |number, _, _| replies.get(number).cloned())
            .await
    }

    /// Every request of the operation is answered by the good answer with a flaw.
    pub(super) async fn flawed(
        self,
        flaw: impl Fn(Reply) -> Reply + Send + Sync + 'static,
    ) -> Seen {
        self.run(move |_, _, good| Some(flaw(good))).await
    }

    /// Answers the operation by a function of the request's number, the request and the good
    /// answer; `None` is the good one.
    pub(super) async fn run(
        self,
        fault: impl Fn(usize, &Recorded, Reply) -> Option<Reply> + Send + Sync + 'static,
    ) -> Seen {
        let server = Server::start(self.table, self.call, fault);
        let at = self.endpoint(&server.base_url());
        let begun = Instant::now();
        let started = (self.call.start)(&at, self.sample());
        let outcome = tokio::time::timeout(STUCK, (started.run)()).await;
        let took = begun.elapsed();
        let Ok(outcome) = outcome else {
            panic!("{}: not answered within {STUCK:?}", self.call.id);
        };
        server.seen(outcome, took)
    }
}

/// The server of one try.
pub(super) struct Server {
    server: MockServer,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    sent: Mutex<Vec<Recorded>>,
    strays: Mutex<Vec<String>>,
}

impl Server {
    pub(super) fn start(
        table: &Table,
        call: &Call,
        fault: impl Fn(usize, &Recorded, Reply) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let (notes, table, call) = (Arc::clone(&shared), table.clone(), call.clone());
        let server = MockServer::serving(move |request| {
            let found = table.identified(request);
            let good = found.and_then(|it| table.good(it, request));
            let Some((operation, good)) = found.zip(good) else {
                let line = format!("{} {}", request.method, request.path_and_query);
                lock(&notes.strays).push(line);
                return respond(404);
            };
            if operation.id() != call.id {
                return good;
            }
            let number = {
                let mut sent = lock(&notes.sent);
                sent.push(request.clone());
                sent.len() - 1
            };
            let good = call.good(request);
            fault(number, request, good.clone()).unwrap_or(good)
        });
        Self { server, shared }
    }

    pub(super) fn base_url(&self) -> String {
        self.server.base_url()
    }

    pub(super) fn seen(&self, outcome: Result<()>, took: Duration) -> Seen {
        let strays = lock(&self.shared.strays).join(", ");
        assert!(strays.is_empty(), "no operation of the table: {strays}");
        Seen {
            outcome,
            sent: lock(&self.shared.sent).clone(),
            all: self.server.requests(),
            took,
        }
    }
}

impl Server {
    /// Waits until the operation under test has come.
    pub(super) async fn has_been_asked(&self) {
        while lock(&self.shared.sent).is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A good answer with a body of 100 bytes at least, whether it had one or not. What is added
/// means nothing in JSON.
pub(super) fn some_body(good: Reply) -> Reply {
    let mut body = vec![b' '; 100];
    let good = if good.bytes().is_empty() {
        body.extend_from_slice(b"{}");
        good.with_status(200)
    } else {
        body.extend_from_slice(good.bytes());
        good
    };
    good.with_body(Some("application/json"), body)
}
