//! LocalStack.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_pg::process::{Io, Program};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{OnceCell, oneshot};

use super::folder::Folder;
use super::{Running, S3Server};
use crate::fixture;

/// Where `cargo xtask setup` installs it, below the folder for what is built.
const FOLDER: &str = "s3/localstack-4.7.0";
/// Starting takes four seconds, and longer where many tests start at once.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const ATTEMPTS: usize = 3;

/// Starts the server on a free port, tells its endpoint, and ends it when we are gone.
const LAUNCHER: &str = include_str!("localstack.py");

/// The server of this process.
static SHARED: OnceCell<String> = OnceCell::const_new();

pub(super) async fn start() -> Option<S3Server> {
    let endpoint = if let Some(endpoint) = fixture::localstack_url() {
        endpoint
    } else {
        let Some(python) = find() else {
            fixture::skip("LocalStack is not installed; `cargo xtask setup` does");
            return None;
        };
        let endpoint = SHARED.get_or_init(|| keep_running(python)).await;
        endpoint.clone()
    };
    Some(S3Server {
        name: "localstack",
        endpoint,
        // The account that it has from the beginning.
        access_key: "test".into(),
        secret_key: "test".into(),
        running: None,
    })
}

/// Starts the server in a thread that lasts as long as this process, which no runtime of a
/// test does. Tells its endpoint.
async fn keep_running(python: PathBuf) -> String {
    let (told, endpoint) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime starts").block_on(async {
            let (endpoint, _running) = launch(&python).await;
            let _ = told.send(endpoint);
            std::future::pending::<()>().await;
        });
    });
    endpoint
        .await
        .expect("LocalStack starts; its thread says why not")
}

#[expect(clippy::panic, reason = "this is how a test fails")]
async fn launch(python: &Path) -> (String, Running) {
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        let folder = Folder::make().expect("a folder can be made");
        let program = Program::new(python)
            .args(["-c", LAUNCHER])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdin(Io::Piped)
            .stdout(Io::Piped);
        let mut child = program.spawn().expect("Python starts");
        let alive = child.take_stdin().expect("standard input is piped");
        let stdout = child.take_stdout().expect("standard output is piped");
        let mut endpoint = String::new();
        let mut stdout = BufReader::new(stdout);
        let line = stdout.read_line(&mut endpoint);
        let told = tokio::time::timeout(START_TIMEOUT, line).await;
        assert!(
            told.is_ok(),
            "LocalStack does not answer within {START_TIMEOUT:?}: {}",
            child.stderr_tail()
        );
        let endpoint = endpoint.trim().to_owned();
        if endpoint.starts_with("http://") {
            let running = Running {
                child,
                _alive: alive,
                _folder: folder,
            };
            return (endpoint, running);
        }
        // Most likely somebody else took the port in between.
        said = child.stderr_tail();
    }
    panic!("LocalStack ended {ATTEMPTS} times at its start: {said}");
}

/// Python with LocalStack: of the folder that the environment names, else of the one that
/// `cargo xtask setup` made beside what is built.
pub(super) fn find() -> Option<PathBuf> {
    let python = |folder: &Path| Some(folder.join("bin/python")).filter(|it| it.exists());
    if let Some(named) = fixture::localstack() {
        return python(&named);
    }
    let own = std::env::current_exe().ok()?;
    own.ancestors()
        .find_map(|folder| python(&folder.join(FOLDER)))
}
