//! A server in this process whose answers can be broken, and little helpers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ops_core::object_store::{GetOptions, ListOptions, PutOptions};
use ops_core::{ByteStream, ItemStream, ObjectKey, ObjectStore, Result};
use ops_s3::{ChecksumKind, S3Credentials, S3Store, S3StoreBuilder, StoreProfile};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) const SECRET: &str = "wJalrXUtnFEMIcanary";

use std::io::Error as BoxError;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

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
}

struct Rule {
    matches: Box<dyn Fn(&str) -> bool + Send>,
    fault: Fault,
    times: usize,
}

#[derive(Default)]
struct Plan {
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

/// s3s-fs in this process.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    _folder: tempfile::TempDir,
    plan: Arc<Mutex<Plan>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bucket")).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single("AKIDCANARY", SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let plan = Arc::<Mutex<Plan>>::default();
        let shared = Arc::clone(&plan);
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, service.clone(), Arc::clone(&shared)));
            }
        });
        Self {
            addr,
            _folder: folder,
            plan,
            task,
        }
    }

    /// A store here, with short waits, that is not opened.
    pub(crate) fn builder(&self) -> S3StoreBuilder {
        S3Store::builder("bucket")
            .endpoint(format!("http://{}", self.addr))
            .allow_http(true)
            .credentials(S3Credentials::new("AKIDCANARY", SECRET))
            .initial_backoff(Duration::from_millis(1))
            .part_bytes(5 * 1024 * 1024)
    }

    /// A store here whose abilities are known.
    pub(crate) async fn store(&self) -> S3Store {
        self.builder().profile(profile()).open().await.unwrap()
    }

    /// Breaks the next so many requests whose line (`PUT /bucket/key?query`) contains this.
    pub(crate) fn fault(&self, times: usize, line: &'static str, fault: Fault) {
        self.plan.lock().unwrap().rules.push(Rule {
            matches: Box::new(move |request| request.contains(line)),
            fault,
            times,
        });
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

async fn serve(socket: TcpStream, service: S3Service, plan: Arc<Mutex<Plan>>) {
    socket.set_nodelay(true).unwrap();
    let service = service_fn(move |request: Request<Incoming>| {
        let line = format!("{} {}", request.method(), request.uri());
        let fault = take_fault(&plan, line);
        let service = service.clone();
        async move { answer(service, request, fault).await }
    });
    let http = hyper::server::conn::http1::Builder::new();
    let _ = http.serve_connection(TokioIo::new(socket), service).await;
}

fn take_fault(plan: &Mutex<Plan>, line: String) -> Option<Fault> {
    let mut plan = plan.lock().unwrap();
    let rule = plan
        .rules
        .iter_mut()
        .find(|rule| rule.times > 0 && (rule.matches)(&line));
    let fault = rule.map(|rule| {
        rule.times -= 1;
        rule.fault.clone()
    });
    plan.log.push(line);
    fault
}

async fn answer(
    service: S3Service,
    request: Request<Incoming>,
    fault: Option<Fault>,
) -> Result<Answer, BoxError> {
    match &fault {
        Some(Fault::Status(status, body)) => {
            let body = Full::from(body.clone()).map_err(|never| match never {});
            let answer = Response::builder().status(*status);
            return Ok(answer.body(body.boxed_unsync()).unwrap());
        }
        Some(Fault::CloseBefore) => return Err(BoxError::other("closed")),
        Some(Fault::Silence) => std::future::pending::<()>().await,
        _ => {}
    }
    let answer = Service::call(&service, request).await;
    let (mut head, body) = answer
        .map_err(|err| BoxError::other(format!("{err:?}")))?
        .into_parts();
    if head.status.is_success() || head.status.as_u16() == 412 {
        match fault {
            Some(Fault::LoseAnswer) => return Err(BoxError::other("lost")),
            Some(Fault::Header(name, value)) => {
                head.headers.insert(name, value.parse().unwrap());
            }
            Some(Fault::Truncate(_) | Fault::Drip(_) | Fault::Flip) => {
                let whole = BodyExt::collect(body)
                    .await
                    .map_err(|err| BoxError::other(format!("{err:?}")))?;
                let broken = broken(whole.to_bytes(), &fault.unwrap());
                return Ok(Response::from_parts(head, broken));
            }
            _ => {}
        }
    }
    let body = BodyExt::map_err(body, |err| BoxError::other(format!("{err:?}")));
    Ok(Response::from_parts(head, body.boxed_unsync()))
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
        _ => {
            let mut other = whole.to_vec();
            if let Some(last) = other.last_mut() {
                *last ^= 1;
            }
            let body = Full::from(other).map_err(|never| match never {});
            body.boxed_unsync()
        }
    }
}

/// An error as S3 writes it.
pub(crate) fn error(status: u16, code: &str) -> Fault {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>as planned</Message></Error>"
    );
    Fault::Status(status, body)
}

/// Content that is nowhere the same.
pub(crate) fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut data = Vec::with_capacity(bytes + 8);
    while data.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data.truncate(bytes);
    data.into()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

/// A stream of pieces of this size.
pub(crate) fn pieces(data: Bytes, size: usize) -> ByteStream {
    let count = data.len().div_ceil(size);
    Box::pin(stream::iter((0..count).map(move |index| {
        Ok(data.slice(index * size..data.len().min((index + 1) * size)))
    })))
}

pub(crate) async fn all<T>(stream: ItemStream<T>) -> Vec<T> {
    stream.try_collect().await.unwrap()
}

pub(crate) async fn put(store: &dyn ObjectStore, name: &str, data: &'static str) {
    store
        .put(&key(name), data.into(), PutOptions::default())
        .await
        .unwrap();
}

pub(crate) async fn read(store: &dyn ObjectStore, name: &str) -> Result<Bytes> {
    read_with(store, name, GetOptions::default()).await
}

pub(crate) async fn read_with(
    store: &dyn ObjectStore,
    name: &str,
    options: GetOptions,
) -> Result<Bytes> {
    let object = store.get(&key(name), options).await?;
    let chunks: Vec<Bytes> = object.body.try_collect().await?;
    Ok(chunks.concat().into())
}

pub(crate) async fn keys(store: &dyn ObjectStore, options: ListOptions) -> Vec<String> {
    all(store.list(options))
        .await
        .into_iter()
        .map(|meta| meta.key.into())
        .collect()
}
