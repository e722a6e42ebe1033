//! A scripted, strict server for the tests of whoever sends requests.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> ops_core::Result<()> {
//! use ops_http::test_util::{MockServer, respond};
//! use ops_http::{ApiClient, ApiRequest, Operation};
//!
//! static SHOW: Operation = Operation::get("show", "/apps/{app}");
//!
//! let server = MockServer::start([respond(503), respond(200).json(&"up")]);
//! let client = ApiClient::builder("acme", server.base_url()).allow_http(true).build()?;
//! let call = ApiRequest::new(&SHOW).segment("app", "shop").json::<String>();
//! assert_eq!(client.execute(call).await?, "up");
//! server.assert_requests(["GET /apps/shop", "GET /apps/shop"]);
//! # Ok(())
//! # }
//! ```
//!
//! It serves from a thread of its own, on a loopback address. A test with a paused clock
//! does not see its answers: such a clock jumps ahead while the socket is waited for.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::runtime::Runtime;

mod connection;
mod reply;

pub use reply::{Reply, respond};

/// A request as it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// The path and the query, as they were sent.
    pub path_and_query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Recorded {
    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// The path's segments, decoded.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        let segments = self.path().trim_start_matches('/').split('/');
        segments
            .map(|it| {
                percent_encoding::percent_decode_str(it)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect()
    }

    /// The value of a query parameter, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path_and_query.split_once('?')?;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find_map(|(of, value)| (of == name).then(|| value.into_owned()))
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What answers requests.
enum Source {
    Script(Mutex<VecDeque<Reply>>),
    Handler(Box<dyn Fn(&Recorded) -> Reply + Send + Sync>),
}

struct Shared {
    source: Source,
    requests: Mutex<Vec<Recorded>>,
    problems: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Records a request, and finds its reply.
    fn answer(&self, request: Recorded) -> Reply {
        let line = line(&request);
        let reply = match &self.source {
            Source::Script(script) => {
                let next = lock(script).pop_front();
                next.unwrap_or_else(|| {
                    lock(&self.problems).push(format!("{line} was not expected"));
                    respond(500)
                })
            }
            Source::Handler(handler) => handler(&request),
        };
        if let Some(expected) = reply.expected()
            && expected != line
        {
            lock(&self.problems).push(format!("{line} came instead of {expected}"));
        }
        lock(&self.requests).push(request);
        reply
    }
}

fn line(request: &Recorded) -> String {
    format!("{} {}", request.method, request.path_and_query)
}

/// The server. Where it is dropped, a request that was not expected and a reply that nobody
/// asked for fail the test.
pub struct MockServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl fmt::Debug for MockServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl MockServer {
    /// Answers by a script: the first request with the first reply, and so on. A request
    /// behind the last reply is answered by 500 and fails the test.
    ///
    /// # Panics
    /// Where no address can be had.
    #[must_use]
    pub fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = replies.into_iter().collect();
        Self::run(Source::Script(Mutex::new(script)))
    }

    /// Answers by a function, for a vendor's fake that keeps state.
    ///
    /// # Panics
    /// Where no address can be had.
    pub fn serving(handler: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(Source::Handler(Box::new(handler)))
    }

    #[expect(clippy::expect_used, reason = "a test without a server has failed")]
    fn run(source: Source) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime of its own");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback address");
        let address = listener.local_addr().expect("the address of the listener");
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let shared = Arc::new(Shared {
            source,
            requests: Mutex::default(),
            problems: Mutex::default(),
        });
        runtime.spawn(connection::accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            runtime: Some(runtime),
        }
    }

    /// Where it listens, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.requests).clone()
    }

    /// Compares methods, paths and queries of the requests so far.
    ///
    /// # Panics
    /// Where they are others.
    #[track_caller]
    pub fn assert_requests<const N: usize>(&self, expected: [&str; N]) {
        let came: Vec<String> = self.requests().iter().map(line).collect();
        assert_eq!(came, expected, "requests that came, and that were expected");
    }

    /// What did not go as it was scripted.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = lock(&self.shared.problems).clone();
        if let Source::Script(script) = &self.shared.source {
            let left = lock(script).len();
            if left > 0 {
                complaints.push(format!("{left} replies were not asked for"));
            }
        }
        complaints
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let complaints = self.complaints();
        assert!(
            complaints.is_empty() || std::thread::panicking(),
            "{}",
            complaints.join("; ")
        );
    }
}
