//! An S3 server in this process.

mod behavior;
mod body;
mod buckets;
mod conditions;
mod connection;
mod copy;
mod errors;
mod fault;
mod guard;
mod listing;
mod lock;
mod log;
mod multipart;
mod objects;
mod payload;
mod read;
mod request;
mod server;
mod service;
mod settings;
mod stats;
mod store;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use ops_core::{Clock, SystemClock};
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::crypto::{Checksum as _, Md5};
use s3s::service::S3ServiceBuilder;
use s3s::{S3Result, s3_error};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use behavior::{Behavior, Condition};
pub use fault::{Fault, Injected};
pub use log::{CAPTURED, RecordedRequest};
pub use stats::S3Stats;

use super::client::S3Client;
use conditions::Write;
use server::Shared;
use store::{Attributes, Bucket, Object, Segments, Store};

/// The region that a server says it is in.
const REGION: &str = "us-east-1";
const ACCESS_KEY: &str = "AKIAOPSTESTKIT000000";
const SECRET_KEY: &str = "ops-testkit-secret-key-of-no-account-at-all";

/// An S3 server in this process, on a loopback port, which behaves as Amazon's does until it
/// is told otherwise. It keeps everything in memory, and is gone when this is dropped.
///
/// It checks signatures (version 4, in headers, in presigned URLs and of chunks), payload
/// hashes and checksums.
pub struct S3Fake {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl fmt::Debug for S3Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Fake")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

/// An upload that was neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenUpload {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The id of the upload.
    pub upload_id: String,
    /// The numbers and sizes in bytes of the parts that were uploaded.
    pub parts: Vec<(i32, u64)>,
}

impl S3Fake {
    /// Starts a server.
    ///
    /// # Panics
    /// Where no loopback port can be bound.
    pub async fn start() -> Self {
        Self::start_seeded(0).await
    }

    /// Starts a server whose faults by [`chance`](Fault::chance) follow a seed.
    ///
    /// # Panics
    /// Where no loopback port can be bound.
    pub async fn start_seeded(seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a loopback port is free");
        let addr = listener.local_addr().expect("a listener has an address");
        let backend = Backend(Arc::new(Inner {
            store: Mutex::default(),
            behavior: Mutex::default(),
            credentials: Mutex::new((ACCESS_KEY.to_owned(), SECRET_KEY.to_owned())),
        }));
        let mut service = S3ServiceBuilder::new(backend.clone());
        service.set_auth(backend.clone());
        // Clocks are compared before, by the clock that the server is said to have.
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let shared = Arc::new(Shared {
            service: service.build(),
            backend,
            faults: fault::Faults::new(seed),
            log: log::Log::default(),
            counts: Arc::default(),
            ids: AtomicU64::new(0),
        });
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Self { addr, shared, task }
    }

    /// The address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The endpoint's URL, for path-style requests.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The region to sign for.
    #[must_use]
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The access key that the server knows.
    #[must_use]
    pub fn access_key(&self) -> String {
        self.shared.backend.credentials().0.clone()
    }

    /// The secret key that belongs to it.
    #[must_use]
    pub fn secret_key(&self) -> String {
        self.shared.backend.credentials().1.clone()
    }

    /// A client of this server for raw requests.
    #[must_use]
    pub fn client(&self) -> S3Client {
        let (access_key, secret_key) = self.shared.backend.credentials().clone();
        S3Client::new(&self.endpoint(), REGION, &access_key, &secret_key)
    }

    /// Makes the server know other keys, and none but these.
    pub fn set_credentials(&self, access_key: &str, secret_key: &str) {
        *self.shared.backend.credentials() = (access_key.to_owned(), secret_key.to_owned());
    }

    /// Changes how the server behaves, from the next request on.
    ///
    /// ```
    /// # async fn test(s3: ops_testkit::s3::S3Fake) {
    /// s3.behave(|it| it.equal_part_sizes = true);
    /// # }
    /// ```
    pub fn behave(&self, change: impl FnOnce(&mut Behavior)) {
        change(&mut lock(&self.shared.backend.0.behavior));
    }

    /// Lets something go wrong. Of several faults that match, the one given first strikes.
    pub fn inject(&self, fault: Fault) -> Injected {
        self.shared.faults.inject(fault)
    }

    /// Lets nothing go wrong any more.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// The requests so far, in the order in which they came, and their answers.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.log.requests()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.log.clear();
    }

    /// What the server has counted.
    #[must_use]
    pub fn stats(&self) -> S3Stats {
        self.shared.counts.shown()
    }

    /// Creates a bucket, past the protocol.
    pub fn create_bucket(&self, name: &str) {
        let now = self.shared.backend.now();
        let mut store = self.shared.backend.store();
        let bucket = store.buckets.entry(name.to_owned());
        bucket.or_insert_with(|| Bucket::new(now, None));
    }

    /// Stores an object, past the protocol.
    ///
    /// # Panics
    /// Where there is no such bucket.
    pub fn put(&self, bucket: &str, key: &str, content: impl Into<Bytes>) {
        let data = content.into();
        let object = Object {
            etag: payload::hex(&Md5::checksum(&data)),
            checksum: payload::checksum_of(std::slice::from_ref(&data), "CRC64NVME"),
            data: Segments(vec![data]),
            parts: Vec::new(),
            attributes: Attributes::default(),
            retention: None,
            legal_hold: false,
        };
        let unconditional = Write {
            if_match: None,
            if_none_match: None,
            on_match: Condition::Honored,
            on_none_match: Condition::Honored,
        };
        let now = self.shared.backend.now();
        let mut store = self.shared.backend.store();
        let written = store.write(bucket, key, object, &unconditional, now);
        written.expect("the bucket is there");
    }

    /// The present content of a key, past the protocol.
    #[must_use]
    pub fn content(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let store = self.shared.backend.store();
        let (_, object) = store.buckets.get(bucket)?.current(key)?;
        Some(object.data.to_bytes())
    }

    /// The keys of a bucket that have a present object, sorted.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let store = self.shared.backend.store();
        let Some(bucket) = store.buckets.get(bucket) else {
            return Vec::new();
        };
        let all = bucket.objects.keys();
        all.filter(|key| bucket.current(key).is_some())
            .cloned()
            .collect()
    }

    /// Flips one bit of a stored object, as a disk does: entity tag and checksums stay.
    ///
    /// # Panics
    /// Where the object is not there, or not that long.
    pub fn damage(&self, bucket: &str, key: &str, at: u64) {
        let mut store = self.shared.backend.store();
        let bucket = store.buckets.get_mut(bucket).expect("the bucket is there");
        let version = bucket.version_mut(key, None).expect("the key is there");
        let object = version.object.as_mut().expect("the object is there");
        let mut data = object.data.to_bytes().to_vec();
        let byte = data.get_mut(store::index(at));
        *byte.expect("the object is that long") ^= 1;
        object.data = Segments(vec![data.into()]);
    }

    /// The uploads of all buckets that were neither completed nor aborted.
    #[must_use]
    pub fn open_uploads(&self) -> Vec<OpenUpload> {
        let store = self.shared.backend.store();
        let uploads = store.buckets.iter().flat_map(|(name, bucket)| {
            bucket.uploads.iter().map(|(id, upload)| OpenUpload {
                bucket: name.clone(),
                key: upload.key.clone(),
                upload_id: id.clone(),
                parts: upload
                    .parts
                    .iter()
                    .map(|(number, part)| (*number, part.data.len() as u64))
                    .collect(),
            })
        });
        uploads.collect()
    }
}

impl Drop for S3Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the operations work on.
#[derive(Clone, Debug)]
struct Backend(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Mutex<Store>,
    behavior: Mutex<Behavior>,
    credentials: Mutex<(String, String)>,
}

impl Backend {
    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.0.store)
    }

    fn behavior(&self) -> Behavior {
        lock(&self.0.behavior).clone()
    }

    fn credentials(&self) -> MutexGuard<'_, (String, String)> {
        lock(&self.0.credentials)
    }

    /// The server's clock, in whole seconds as objects are dated.
    fn now(&self) -> SystemTime {
        let ahead = self.behavior().clock_ahead_seconds;
        let now = SystemClock.now().unix_seconds().saturating_add(ahead);
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap_or_default())
    }
}

#[async_trait]
impl S3Auth for Backend {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let known = self.credentials();
        if known.0 == access_key {
            return Ok(SecretKey::from(known.1.as_str()));
        }
        Err(s3_error!(
            InvalidAccessKeyId,
            "The AWS Access Key Id you provided does not exist in our records."
        ))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
