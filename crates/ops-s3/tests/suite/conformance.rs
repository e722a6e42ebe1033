//! The suite of `ObjectStore`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use ops_conformance::object_store::ObjectStoreFixture;
use ops_conformance::{Fixture, Quirk, async_trait};
use ops_core::{Error, ErrorKind, ObjectStore, Result, Secret};
use ops_s3::{S3Credentials, S3Store, S3StoreBuilder, StoreProfile};
use ops_testkit::s3::contract::Held;
use ops_testkit::s3::{Condition, S3Server};
use tokio::net::TcpStream;
use url::Url;

/// A store at a server in this process that does all that Amazon's does.
struct AtFake {
    server: Held,
    store: S3Store,
    abilities: &'static [&'static str],
}

fn builder(server: &Held) -> S3StoreBuilder {
    S3Store::builder("bucket")
        .endpoint(server.endpoint())
        .region(server.region())
        .allow_http(true)
        .credentials(S3Credentials::new(server.access_key(), server.secret_key()))
}

impl AtFake {
    /// Probed, without a prefix.
    async fn probed() -> Self {
        let server = Held::start().await;
        server.create_bucket("bucket");
        let store = builder(&server).open().await.unwrap();
        Self {
            server,
            store,
            abilities: &[
                "as_presign",
                "as_lifecycle",
                "as_versions",
                "as_bucket_admin",
            ],
        }
    }

    /// In a bucket whose objects can be locked.
    async fn locked() -> Self {
        let server = Held::start().await;
        let request = Request::put("/bucket").header("x-amz-bucket-object-lock-enabled", "true");
        let request = request.body(Bytes::new()).unwrap();
        assert_eq!(server.client().send(request).await.unwrap().status, 200);
        Self {
            store: builder(&server).open().await.unwrap(),
            server,
            abilities: &[
                "as_presign",
                "as_lifecycle",
                "as_versions",
                "as_object_lock",
                "as_bucket_admin",
            ],
        }
    }

    /// With the rules of R2, below a prefix.
    async fn r2() -> Self {
        let server = Held::start().await;
        server.create_bucket("bucket");
        server.behave(|it| {
            it.equal_part_sizes = true;
            it.accepts_request_checksums = false;
            it.returns_checksums = false;
            it.conditional_complete = Condition::Ignored;
        });
        let store = builder(&server).profile(StoreProfile::r2()).prefix("in/");
        Self {
            store: store.open().await.unwrap(),
            server,
            abilities: &["as_presign"],
        }
    }
}

#[async_trait]
impl Fixture for AtFake {
    /// What is abandoned is abandoned in the background.
    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[async_trait]
impl ObjectStoreFixture for AtFake {
    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.store.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        self.abilities
    }

    async fn pending_uploads(&self) -> Option<usize> {
        Some(self.server.open_uploads().len())
    }

    async fn fetch(&self, url: &Secret) -> Option<Result<Bytes>> {
        Some(browse("GET", url, Bytes::new()).await)
    }

    async fn send(&self, url: &Secret, data: Bytes) -> Option<Result<()>> {
        Some(browse("PUT", url, data).await.map(drop))
    }
}

/// Uses a signed URL as a browser would.
async fn browse(method: &str, url: &Secret, data: Bytes) -> Result<Bytes> {
    let url = Url::parse(url.expose()).unwrap();
    let addr = url.socket_addrs(|| None).unwrap()[0];
    let socket = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http1::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(&url[url::Position::BeforePath..])
        .header("host", addr.to_string())
        .body(Full::new(data))
        .unwrap();
    let answer = send.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    match status.as_u16() {
        200 => Ok(body),
        404 => Err(Error::new(ErrorKind::NotFound, "404")),
        status => Err(Error::new(ErrorKind::PermissionDenied, status.to_string())),
    }
}

mod probed {
    use super::AtFake;

    ops_conformance::object_store!(AtFake::probed().await);
}

const ALWAYS_VERSIONED: &str = "a bucket with object lock cannot stop to keep versions";
const OBJECT_LOCK: &str =
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html";

const LOCKED: &[Quirk] = &[
    Quirk::skip("O-140", ALWAYS_VERSIONED, OBJECT_LOCK),
    Quirk::skip("O-147", ALWAYS_VERSIONED, OBJECT_LOCK),
];

mod locked {
    use super::{AtFake, LOCKED};

    ops_conformance::object_store!(AtFake::locked().await, quirks: LOCKED);
}

mod r2 {
    use super::AtFake;

    ops_conformance::object_store!(AtFake::r2().await);
}

/// A store at a server that somebody else has written; none where it is not installed.
struct AtServer {
    name: &'static str,
    store: Option<S3Store>,
    abilities: &'static [&'static str],
    _server: Option<S3Server>,
}

impl AtServer {
    async fn localstack() -> Self {
        let abilities = &[
            "as_presign",
            "as_lifecycle",
            "as_versions",
            "as_bucket_admin",
        ];
        let server = S3Server::localstack().await;
        let Some(builder) = at(server.as_ref()).await else {
            return Self::missing("LocalStack");
        };
        Self {
            name: "LocalStack",
            store: Some(builder.open().await.unwrap()),
            abilities,
            _server: server,
        }
    }

    /// Without conditions: some of them hold when nobody races, and some of the racers win.
    async fn s3s_fs() -> Self {
        let server = S3Server::s3s_fs().await;
        let Some(builder) = at(server.as_ref()).await else {
            return Self::missing("s3s-fs");
        };
        let mut profile = builder.clone().open().await.unwrap().profile().clone();
        profile.put_if_none_match = false;
        profile.put_if_match = None;
        profile.complete_if_none_match = false;
        profile.complete_if_match = false;
        Self {
            name: "s3s-fs",
            store: Some(builder.profile(profile).open().await.unwrap()),
            abilities: &["as_presign", "as_bucket_admin"],
            _server: server,
        }
    }

    fn missing(name: &'static str) -> Self {
        Self {
            name,
            store: None,
            abilities: &[],
            _server: None,
        }
    }
}

async fn at(server: Option<&S3Server>) -> Option<S3StoreBuilder> {
    let server = server?;
    let builder = S3Store::builder(server.create_bucket().await)
        .endpoint(server.endpoint())
        .region(server.region())
        .allow_http(true)
        .initial_backoff(Duration::from_millis(1))
        .credentials(S3Credentials::new(server.access_key(), server.secret_key()));
    Some(builder)
}

#[async_trait]
impl Fixture for AtServer {
    fn unavailable(&self) -> Option<String> {
        let missing = self.store.is_none();
        missing.then(|| format!("{} is not installed", self.name))
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[async_trait]
impl ObjectStoreFixture for AtServer {
    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.store.clone().unwrap())
    }

    fn abilities(&self) -> &'static [&'static str] {
        self.abilities
    }

    async fn fetch(&self, url: &Secret) -> Option<Result<Bytes>> {
        Some(browse("GET", url, Bytes::new()).await)
    }

    async fn send(&self, url: &Secret, data: Bytes) -> Option<Result<()>> {
        Some(browse("PUT", url, data).await.map(drop))
    }
}

const LOCALSTACK: &[Quirk] = &[Quirk::skip(
    "O-062",
    "compares the encoded keys with a start-after that is not",
    "https://github.com/localstack/localstack",
)];

const NOT_ATOMIC: &str = "conditions are not atomic, so they are not used";
const S3S: &str = "https://github.com/s3s-project/s3s";

const S3S_FS: &[Quirk] = &[
    Quirk::skip(
        "O-011",
        "a segment of a key is a file's name, of 255 bytes",
        S3S,
    ),
    Quirk::skip(
        "O-024",
        "500 for a suffix that is longer than the object",
        S3S,
    ),
    Quirk::skip("O-030", NOT_ATOMIC, S3S),
    Quirk::skip("O-033", NOT_ATOMIC, S3S),
    Quirk::skip("O-034", NOT_ATOMIC, S3S),
    Quirk::skip("O-035", NOT_ATOMIC, S3S),
    Quirk::skip("O-036", NOT_ATOMIC, S3S),
    Quirk::skip("O-037", NOT_ATOMIC, S3S),
    Quirk::skip("O-038", NOT_ATOMIC, S3S),
    Quirk::skip("O-039", NOT_ATOMIC, S3S),
    Quirk::skip("O-067", "a listing has no ETags", S3S),
    Quirk::skip("O-085", NOT_ATOMIC, S3S),
    Quirk::skip("O-130", "does not say whose a bucket is that is there", S3S),
    Quirk::skip("O-131", "removes a bucket with all that it holds", S3S),
];

mod localstack {
    use super::{AtServer, LOCALSTACK};

    ops_conformance::object_store!(AtServer::localstack().await, quirks: LOCALSTACK);
}

mod s3s_fs {
    use super::{AtServer, S3S_FS};

    ops_conformance::object_store!(AtServer::s3s_fs().await, quirks: S3S_FS);
}
