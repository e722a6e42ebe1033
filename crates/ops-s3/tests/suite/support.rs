//! A clock that stands still, and little helpers.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use ops_core::object_store::{GetOptions, ListOptions, PutOptions};
use ops_core::{ByteStream, Clock, ItemStream, ObjectKey, ObjectStore, Result, Timestamp};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
pub(crate) struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    pub(crate) fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self(Mutex::new(at("2026-01-01T00:00:00Z"))))
    }

    pub(crate) fn advance(&self, span: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.saturating_add(span);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

pub(crate) fn body(chunks: impl IntoIterator<Item = Result<&'static str>>) -> ByteStream {
    let chunks: Vec<_> = chunks
        .into_iter()
        .map(|chunk| chunk.map(Bytes::from))
        .collect();
    Box::pin(futures_util::stream::iter(chunks))
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

/// s3s-fs in this process.
pub(crate) struct Server {
    pub(crate) addr: std::net::SocketAddr,
    _folder: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bucket")).unwrap();
        let fs = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut builder = s3s::service::S3ServiceBuilder::new(fs);
        builder.set_auth(s3s::auth::SimpleAuth::from_single("AKID", "SECRET"));
        let service = builder.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    let io = hyper_util::rt::TokioIo::new(socket);
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await;
                });
            }
        });
        Self {
            addr,
            _folder: folder,
            task,
        }
    }

    pub(crate) fn builder(&self) -> ops_s3::S3StoreBuilder {
        ops_s3::S3Store::builder("bucket")
            .endpoint(format!("http://{}", self.addr))
            .allow_http(true)
            .credentials(ops_s3::S3Credentials::new("AKID", "SECRET"))
            .initial_backoff(Duration::from_millis(5))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
