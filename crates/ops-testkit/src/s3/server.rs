//! S3 servers that others have written, as child processes.

mod folder;
mod localstack;
mod s3s_fs;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::Request;
use ops_core::{Clock, Secret, SystemClock};
use ops_pg::process::Supervised;
use tokio::process::ChildStdin;

use super::client::S3Client;
use folder::Folder;

const REGION: &str = "us-east-1";

/// A server that somebody else has written, for a test. It ends at the latest when the
/// test's process does, however that ends.
#[derive(Debug)]
pub struct S3Server {
    name: &'static str,
    endpoint: String,
    access_key: Secret,
    secret_key: Secret,
    running: Option<Running>,
}

/// A child of ours. Its fields are dropped in this order.
struct Running {
    child: Supervised,
    /// The child ends when this is closed, which the kernel does when we are killed.
    _alive: ChildStdin,
    _folder: Folder,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("pid", &self.child.pid())
            .finish_non_exhaustive()
    }
}

impl S3Server {
    /// LocalStack: nearly everything that Amazon's service does. It does not look at
    /// signatures in headers. It takes some seconds to start, so all tests of a process
    /// share one; where `OPS_S3_LOCALSTACK_URL` names one that runs already, that is used.
    ///
    /// None where it is not installed; see [`fixture::skip`](crate::fixture::skip).
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn localstack() -> Option<Self> {
        localstack::start().await
    }

    /// The server of the crate `s3s-fs`, over files: few abilities, but it checks signatures
    /// and checksums. It starts at once.
    ///
    /// None where it was not built; see [`fixture::skip`](crate::fixture::skip).
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn s3s_fs() -> Option<Self> {
        s3s_fs::start().await
    }

    /// What the server is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The endpoint's URL, for path-style requests.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The region to sign for.
    #[must_use]
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The access key that the server knows.
    #[must_use]
    pub fn access_key(&self) -> &str {
        self.access_key.expose()
    }

    /// The secret key that belongs to it.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        self.secret_key.expose()
    }

    /// The process of the server, where it is a child of ours.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref()?.child.pid()
    }

    /// A client for raw requests.
    #[must_use]
    pub fn client(&self) -> S3Client {
        S3Client::new(&self.endpoint, REGION, self.access_key(), self.secret_key())
    }

    /// Creates a bucket under a name that nobody else has, and tells the name.
    ///
    /// # Panics
    /// Where that fails.
    pub async fn create_bucket(&self) -> String {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "ops-test-{:x}-{:x}-{:x}",
            SystemClock.now().unix_millis(),
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let request = Request::put(format!("/{name}")).body(Bytes::new());
        let answer = self
            .client()
            .send(request.expect("the name is valid"))
            .await;
        let answer = answer.expect("the server answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
        name
    }
}

/// The Python that has boto3, where `cargo xtask setup` has made it.
#[must_use]
pub fn python() -> Option<std::path::PathBuf> {
    localstack::find()
}
