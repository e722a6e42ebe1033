//! LocalStack.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_pg::process::{Io, Program};
use tokio::sync::{OnceCell, oneshot};

use super::folder::Folder;
use super::{Running, S3Server, answers};
use crate::fixture;

/// Where `cargo xtask setup` installs it, below the folder for what is built.
const FOLDER: &str = "s3/localstack-4.7.0";
/// Starting takes four seconds, and longer where many tests start at once.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const ATTEMPTS: usize = 3;

/// Runs the server, and ends it when whoever started us is gone.
const LAUNCHER: &str = "\
import os, runpy, shutil, sys, threading
def watch():
    sys.stdin.buffer.read()
    shutil.rmtree(os.environ['HOME'], ignore_errors=True)
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module('localstack.runtime.main', run_name='__main__')
";

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
        let endpoint = format!("http://127.0.0.1:{}", free_port());
        let program = program(python, &endpoint, folder.path());
        let mut child = program.spawn().expect("Python starts");
        let alive = child.take_stdin().expect("standard input is piped");
        if answers(&endpoint, "/_localstack/health", &mut child, START_TIMEOUT).await {
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

fn program(python: &Path, endpoint: &str, folder: &Path) -> Program {
    Program::new(python)
        .args(["-c", LAUNCHER])
        .current_dir(folder)
        .stdin(Io::Piped)
        .env("HOME", folder)
        .env("FILESYSTEM_ROOT", folder.join("state"))
        .env("GATEWAY_LISTEN", endpoint.trim_start_matches("http://"))
        .env("SERVICES", "s3")
        .env("EAGER_SERVICE_LOADING", "1")
        .env("S3_SKIP_SIGNATURE_VALIDATION", "0")
        .env("DISABLE_EVENTS", "1")
        .env("SKIP_SSL_CERT_DOWNLOAD", "1")
        .env("SKIP_INFRA_DOWNLOADS", "1")
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

/// A port that is free now, from those that neither the kernel gives to clients nor
/// servers of PostgreSQL take.
fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 12_000..20_000;
    let count = u64::from(PORTS.end - PORTS.start);
    let first = RandomState::new().hash_one(()) % count;
    let ports = (0..count).map(|step| (first + step) % count);
    ports
        .map(|offset| PORTS.start + u16::try_from(offset).unwrap_or_default())
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("one port of thousands is free")
}
