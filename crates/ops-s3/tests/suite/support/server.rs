//! Servers whose answers can be broken.

use std::io::Error as BoxError;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ops_s3::{ChecksumKind, S3Credentials, S3Store, S3StoreBuilder, StoreProfile};
use ops_testkit::s3::S3Server;
use ops_testkit::s3::contract::Held;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) const SECRET: &str = "wJalrXUtnFEMIcanary";

type Payload = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Response<Payload>;

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is answered without reaching the server.
    Status(u16, String),
    /// The connection is closed before the server sees it.
    CloseBefore,
    /// The server does it, and the connection is closed instead of an answer.
    LoseAnswer,
    /// The answer's body breaks off after so many bytes.
    Truncate(usize),
    /// The answer's body comes a byte at a time.
    Drip(Duration),
    /// A header of the answer has another value.
    Header(&'static str, &'static str),
    /// The body of the answer is another one, with the same headers.
    Flip,
    /// Nothing is answered.
    Silence,
    /// The connection is closed when so many bytes of the request's body have come.
    BreakUpload(usize),
    /// The server is sent another content, with the same headers.
    FlipUpload,
}

struct Rule {
    matches: Box<dyn Fn(&str) -> bool + Send>,
    fault: Fault,
    skip: usize,
    times: usize,
}

#[derive(Default)]
struct Plan {
    /// The path of the bucket, which is `/bucket` in the log.
    bucket: String,
    rules: Vec<Rule>,
    log: Vec<String>,
}

/// What s3s-fs can do, were its conditions atomic.
pub(crate) fn profile() -> StoreProfile {
    let mut profile = StoreProfile::aws();
    profile.part_checksum = ChecksumKind::Md5;
    profile.full_object_checksum = false;
    profile.etag_is_md5 = true;
    profile.copy_if_none_match = false;
    profile.copy_if_match = false;
    profile
}

/// Where requests go.
#[derive(Clone)]
enum Upstream {
    /// s3s-fs in this process.
    Files(S3Service),
    /// A server elsewhere. Signatures name this one as their host, as the request does.
    At(SocketAddr),
}

/// What is kept for as long as the server is.
enum Behind {
    Files(#[expect(dead_code, reason = "it is removed when dropped")] tempfile::TempDir),
    Fake(Box<Held>),
    Peer(#[expect(dead_code, reason = "it ends when dropped")] Box<S3Server>),
}

/// A server whose answers can be broken.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    bucket: String,
    credentials: S3Credentials,
    profile: StoreProfile,
    behind: Behind,
    plan: Arc<Mutex<Plan>>,
    task: JoinHandle<()>,
}

impl Server {
    /// s3s-fs in this process.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bucket")).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single("AKIDCANARY", SECRET));
        let behind = Behind::Files(folder);
        let credentials = S3Credentials::new("AKIDCANARY", SECRET);
        let upstream = Upstream::Files(builder.build());
        Self::before(behind, upstream, "bucket", credentials, profile()).await
    }

    /// The fake of the testkit, whose requests are held to the service model.
    pub(crate) async fn fake() -> Self {
        let fake = Held::start().await;
        fake.create_bucket("bucket");
        let credentials = S3Credentials::new(fake.access_key(), fake.secret_key());
        let upstream = Upstream::At(fake.addr());
        let profile = StoreProfile::aws();
        Self::before(
            Behind::Fake(Box::new(fake)),
            upstream,
            "bucket",
            credentials,
            profile,
        )
        .await
    }

    /// LocalStack, where it is installed.
    pub(crate) async fn localstack() -> Option<Self> {
        let peer = S3Server::localstack().await?;
        let bucket = peer.create_bucket().await;
        let credentials = S3Credentials::new(peer.access_key(), peer.secret_key());
        let addr = peer.endpoint().trim_start_matches("http://");
        let upstream = Upstream::At(addr.parse().unwrap());
        let profile = StoreProfile::aws();
        let behind = Behind::Peer(Box::new(peer));
        Some(Self::before(behind, upstream, &bucket, credentials, profile).await)
    }

    async fn before(
        behind: Behind,
        upstream: Upstream,
        bucket: &str,
        credentials: S3Credentials,
        profile: StoreProfile,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let plan = Arc::new(Mutex::new(Plan {
            bucket: format!("/{bucket}"),
            ..Plan::default()
        }));
        let shared = Arc::clone(&plan);
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, upstream.clone(), Arc::clone(&shared)));
            }
        });
        Self {
            addr,
            bucket: bucket.to_owned(),
            credentials,
            profile,
            behind,
            plan,
            task,
        }
    }

    /// The fake, where this is before it.
    pub(crate) fn as_fake(&self) -> Option<&Held> {
        match &self.behind {
            Behind::Fake(fake) => Some(fake),
            Behind::Files(_) | Behind::Peer(_) => None,
        }
    }

    /// What the server can do.
    pub(crate) fn profile(&self) -> StoreProfile {
        self.profile.clone()
    }

    /// A store here, with short waits, that is not opened.
    pub(crate) fn builder(&self) -> S3StoreBuilder {
        S3Store::builder(self.bucket.as_str())
            .endpoint(format!("http://{}", self.addr))
            .allow_http(true)
            .credentials(self.credentials.clone())
            .initial_backoff(Duration::from_millis(1))
            .part_bytes(5 * 1024 * 1024)
    }

    /// A store here whose abilities are known.
    pub(crate) async fn store(&self) -> S3Store {
        self.with_profile(|_| {}).await
    }

    /// A store here whose abilities are known to be less.
    pub(crate) async fn with_profile(&self, change: impl FnOnce(&mut StoreProfile)) -> S3Store {
        let mut profile = self.profile();
        change(&mut profile);
        self.builder().profile(profile).open().await.unwrap()
    }

    /// Breaks the next so many requests whose line (`PUT /bucket/key?query`) contains this.
    pub(crate) fn fault(&self, times: usize, line: &'static str, fault: Fault) {
        self.plan.lock().unwrap().rules.push(Rule {
            matches: Box::new(move |request| request.contains(line)),
            fault,
            skip: 0,
            times,
        });
    }

    /// Breaks one request after so many others, whichever they are.
    pub(crate) fn fault_after(&self, skip: usize, fault: Fault) {
        self.plan.lock().unwrap().rules.push(Rule {
            matches: Box::new(|_| true),
            fault,
            skip,
            times: 1,
        });
    }

    /// Forgets what was to be broken, and tells whether all of it was.
    pub(crate) fn heal(&self) -> bool {
        let rules = std::mem::take(&mut self.plan.lock().unwrap().rules);
        rules.iter().all(|rule| rule.times == 0)
    }

    /// Whether nothing is left that is to be broken.
    pub(crate) fn is_through(&self) -> bool {
        let plan = self.plan.lock().unwrap();
        plan.rules.iter().all(|rule| rule.times == 0)
    }

    /// The lines of the requests so far that contain this.
    pub(crate) fn requests(&self, line: &str) -> Vec<String> {
        let plan = self.plan.lock().unwrap();
        let seen = plan.log.iter().filter(|request| request.contains(line));
        seen.cloned().collect()
    }

    /// Waits until the server has seen such a request.
    pub(crate) async fn wait_for(&self, line: &str) {
        let seen = async {
            while self.requests(line).is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
        assert!(seen.is_ok(), "no request with {line}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn failed(err: impl std::fmt::Debug) -> BoxError {
    BoxError::other(format!("{err:?}"))
}

impl Upstream {
    async fn call(&self, request: Request<Payload>) -> Result<Answer, BoxError> {
        match self {
            Self::Files(service) => {
                let request = request.map(s3s::Body::http_body_unsync);
                let answer = service.call(request).await.map_err(failed)?;
                Ok(answer.map(|body| BodyExt::map_err(body, failed).boxed_unsync()))
            }
            Self::At(addr) => {
                let socket = TcpStream::connect(addr).await?;
                socket.set_nodelay(true)?;
                let socket = TokioIo::new(socket);
                let connected = hyper::client::conn::http1::handshake(socket).await;
                let (mut send, connection) = connected.map_err(failed)?;
                tokio::spawn(connection);
                let answer = send.send_request(request).await.map_err(failed)?;
                Ok(answer.map(|body| BodyExt::map_err(body, failed).boxed_unsync()))
            }
        }
    }
}

async fn serve(socket: TcpStream, upstream: Upstream, plan: Arc<Mutex<Plan>>) {
    socket.set_nodelay(true).unwrap();
    let service = service_fn(move |request: Request<Incoming>| {
        let line = format!("{} {}", request.method(), request.uri());
        let fault = take_fault(&plan, &line);
        let upstream = upstream.clone();
        async move { answer(upstream, request, fault).await }
    });
    let http = hyper::server::conn::http1::Builder::new();
    let _ = http.serve_connection(TokioIo::new(socket), service).await;
}

fn take_fault(plan: &Mutex<Plan>, line: &str) -> Option<Fault> {
    let mut plan = plan.lock().unwrap();
    let line = line.replacen(&plan.bucket, "/bucket", 1);
    let rule = plan
        .rules
        .iter_mut()
        .find(|rule| rule.times > 0 && (rule.matches)(&line));
    let fault = rule.and_then(|rule| {
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    });
    plan.log.push(line);
    fault
}

async fn answer(
    upstream: Upstream,
    request: Request<Incoming>,
    fault: Option<Fault>,
) -> Result<Answer, BoxError> {
    match &fault {
        Some(Fault::Status(status, body)) => {
            // An answer to what was not read may be lost with the connection.
            let _ = request.into_body().collect().await;
            let body = Full::from(body.clone()).map_err(|never| match never {});
            let answer = Response::builder().status(*status);
            return Ok(answer.body(body.boxed_unsync()).unwrap());
        }
        Some(Fault::CloseBefore) => return Err(BoxError::other("closed")),
        Some(Fault::Silence) => std::future::pending::<()>().await,
        Some(Fault::BreakUpload(after)) => {
            let mut body = request.into_body();
            let mut come = 0;
            while come < *after
                && let Some(Ok(frame)) = body.frame().await
            {
                come += frame.data_ref().map_or(0, Bytes::len);
            }
            return Err(BoxError::other("broken"));
        }
        _ => {}
    }
    let (head, body) = request.into_parts();
    let body = if matches!(fault, Some(Fault::FlipUpload)) {
        let whole = BodyExt::collect(body).await.map_err(failed)?;
        flipped(&whole.to_bytes())
    } else {
        BodyExt::map_err(body, failed).boxed_unsync()
    };
    let answer = upstream.call(Request::from_parts(head, body)).await?;
    let (mut head, body) = answer.into_parts();
    if head.status.is_success() || head.status.as_u16() == 412 {
        match fault {
            Some(Fault::LoseAnswer) => return Err(BoxError::other("lost")),
            Some(Fault::Header(name, value)) => {
                head.headers.insert(name, value.parse().unwrap());
            }
            Some(Fault::Truncate(_) | Fault::Drip(_) | Fault::Flip) => {
                let whole = BodyExt::collect(body).await?;
                let broken = broken(whole.to_bytes(), &fault.unwrap());
                return Ok(Response::from_parts(head, broken));
            }
            _ => {}
        }
    }
    Ok(Response::from_parts(head, body))
}

fn broken(whole: Bytes, fault: &Fault) -> UnsyncBoxBody<Bytes, BoxError> {
    let frame = |bytes| Ok::<_, BoxError>(Frame::data(bytes));
    match *fault {
        Fault::Truncate(length) => {
            let some = whole.slice(..length.min(whole.len()));
            let end = Err(BoxError::other("truncated"));
            // The bytes are flushed before the connection ends.
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                end
            });
            let frames = stream::iter([frame(some)]).chain(end);
            BodyExt::boxed_unsync(StreamBody::new(frames))
        }
        Fault::Drip(every) => {
            let frames = stream::iter(whole).then(move |byte| async move {
                tokio::time::sleep(every).await;
                frame(Bytes::from(vec![byte]))
            });
            BodyExt::boxed_unsync(StreamBody::new(frames))
        }
        _ => flipped(&whole),
    }
}

/// The same content with one bit changed.
fn flipped(whole: &Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    let mut other = whole.to_vec();
    if let Some(last) = other.last_mut() {
        *last ^= 1;
    }
    let body = Full::from(other).map_err(|never| match never {});
    body.boxed_unsync()
}

/// An error as S3 writes it.
pub(crate) fn error(status: u16, code: &str) -> Fault {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>as planned</Message></Error>"
    );
    Fault::Status(status, body)
}
