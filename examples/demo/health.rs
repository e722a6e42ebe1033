//! The health routes, over real HTTP.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ops_backup::Backup;
use ops_core::database::ConnectInfo;
use ops_health::checks::{BackupFreshness, Disk, Pool, Postgres};
use ops_health::{Health, Scheduler};
use ops_pool::SessionPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Result;

/// The routes that the report shows.
const ROUTES: [&str; 4] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/health/startup",
];

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    health: Health,
    server: JoinHandle<std::io::Result<()>>,
    _scheduler: Scheduler,
}

impl Served {
    pub(crate) async fn stop(self) {
        self.health.stop();
        // A server that was stopped has nothing more to say.
        let _ = self.server.await;
    }
}

/// Serves the health of everything that the demo uses.
pub(crate) async fn serve(
    info: &ConnectInfo,
    pool: &SessionPool,
    backup: &Backup,
    store: &Path,
) -> Result<Served> {
    let health = Health::builder()
        .service("demo")
        .version(env!("CARGO_PKG_VERSION"))
        .expose_names()
        .check(Postgres::new(info.clone()))
        .critical()
        .check(Pool::new(pool.clone()))
        .check(Disk::new(store))
        .check(BackupFreshness::new(Arc::new(backup.clone())))
        // The demo's first backup is to be seen soon after it is made.
        .interval(Duration::from_secs(1))
        .build()?;
    let scheduler = health.start()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stopped = health.shutdown_requested();
    let server = axum::serve(listener, health.router()).with_graceful_shutdown(stopped);
    let server = tokio::spawn(server.into_future());
    Ok(Served {
        address,
        health,
        server,
        _scheduler: scheduler,
    })
}

/// What a route answered.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Answer {
    pub(crate) route: &'static str,
    pub(crate) code: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The verdict in the body.
    pub(crate) fn status(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        body.get("status")?.as_str().map(str::to_owned)
    }

    /// The verdict on one check in the body.
    fn check(&self, name: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let status = body.get("checks")?.get(name)?.get("status")?;
        status.as_str().map(str::to_owned)
    }
}

/// Whether every route answered well, and every check whose subject the demo made is healthy.
/// How full the disk of this machine is was not the demo's doing.
pub(crate) fn is_good(answers: &[Answer]) -> bool {
    let healthy = |name| {
        let all = answers.first();
        all.and_then(|all| all.check(name)).as_deref() == Some("healthy")
    };
    answers.iter().all(|answer| answer.code == 200)
        && ["postgres", "pool", "backup"].into_iter().all(healthy)
}

/// Asks every route, until the newest backup has been seen or 15 s have passed.
pub(crate) async fn ask(address: SocketAddr) -> Result<Vec<Answer>> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
    loop {
        let mut answers = Vec::new();
        for route in ROUTES {
            answers.push(get(address, route).await?);
        }
        if is_good(&answers) || tokio::time::Instant::now() >= deadline {
            return Ok(answers);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// One plain HTTP/1.1 request, as any prober sends it.
async fn get(address: SocketAddr, route: &'static str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {route} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .ok_or("not an HTTP answer")?;
    let code = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or("no status code")?;
    Ok(Answer {
        route,
        code,
        body: body.to_owned(),
    })
}
