//! A Redis server for a test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::{fixture, wait_until};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// A Redis server for a test, on a Unix-domain socket alone. It keeps its data in memory
/// and is gone when this is dropped.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    /// Where it saves what it is told to save.
    data: PathBuf,
    process: Child,
}

impl Redis {
    /// Starts a server. None where `redis-server` is not installed; see [`fixture::skip`].
    ///
    /// # Panics
    /// Where the server does not start.
    pub async fn start() -> Option<Self> {
        Self::launched(None).await
    }

    /// As [`Redis::start`], with a folder of the caller's for what it is told to save.
    ///
    /// # Panics
    /// Where the server does not start.
    pub async fn start_in(data: impl Into<PathBuf>) -> Option<Self> {
        Self::launched(Some(data.into())).await
    }

    #[expect(clippy::expect_used, reason = "it is a test's preparation")]
    async fn launched(data: Option<PathBuf>) -> Option<Self> {
        let base = fixture::folder();
        std::fs::create_dir_all(&base).expect("making the folder of fixtures");
        let folder = TempDir::with_prefix_in("redis-", base).expect("making a folder");
        let data = data.unwrap_or_else(|| folder.path().to_owned());
        let Some(process) = launch(folder.path(), &data) else {
            fixture::skip("redis-server is not installed");
            return None;
        };
        let redis = Self {
            folder,
            data,
            process,
        };
        redis.answers().await;
        Some(redis)
    }

    /// The socket that the server listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// Kills the server with SIGKILL.
    ///
    /// # Panics
    /// Where that fails.
    #[expect(clippy::expect_used, reason = "it is a test's preparation")]
    pub async fn kill9(&mut self) {
        self.process.kill().await.expect("killing the server");
    }

    /// Starts the server again on the same socket.
    ///
    /// # Panics
    /// Where the server does not start.
    #[expect(clippy::expect_used, reason = "it is a test's preparation")]
    pub async fn start_again(&mut self) {
        self.process = launch(self.folder.path(), &self.data).expect("it has been there before");
        self.answers().await;
    }

    async fn answers(&self) {
        wait_until("redis-server to listen", START, async || {
            UnixStream::connect(self.socket()).await.is_ok()
        })
        .await;
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

fn launch(folder: &Path, data: &Path) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(data)
        .arg("--unixsocket")
        .arg(socket(folder))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command.spawn().ok()
}
