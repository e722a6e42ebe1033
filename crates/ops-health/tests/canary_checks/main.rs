//! A secret in the settings of any check, or in what its peer says, must not get out: not
//! by a body, a log, a metric, or `Debug`.

#![cfg(test)]
#![cfg(all(
    feature = "axum",
    feature = "http",
    feature = "json-logs",
    feature = "metrics",
    feature = "postgres",
    feature = "redis",
    feature = "tls"
))]

#[path = "../it/recorder.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod recorder;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod support;

use std::fmt::{Debug, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use ops_core::database::{ConnectInfo, Engine, Host};
use ops_core::{Error, ErrorKind, Result, Secret, async_trait};
use ops_health::checks::{
    AppliedMigrations, BackupFacts, BackupFreshness, BackupSource, Http, MigrationSource,
    Migrations, Postgres, PostgresConnections, PostgresDatabase, Redis, SizeSource, StorageSize,
    Tcp, Tls,
};
use ops_health::{Check, Health, HealthBuilder, JsonLogs, Kind, Outcome, check_fn};
use ops_testkit::RefusedPort;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt as _;

use recorder::Seen;
use support::{get, get_authorized, seconds, service};

const CANARY: &str = "c4n4ry-7d0f";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A source whose errors hold what they should not.
#[derive(Debug)]
struct Leaky;

fn leak() -> Error {
    let inner = io::Error::other(format!("postgres://app:{CANARY}@db:5432/shop is gone"));
    Error::new(
        ErrorKind::Unavailable,
        format!("password={CANARY} was sent to https://x/?sig={CANARY}"),
    )
    .with_source(inner)
}

#[async_trait]
impl BackupSource for Leaky {
    async fn latest(&self) -> Result<Option<BackupFacts>> {
        Err(leak())
    }
}

#[async_trait]
impl MigrationSource for Leaky {
    async fn applied(&self) -> Result<AppliedMigrations> {
        Err(leak())
    }
}

#[async_trait]
impl SizeSource for Leaky {
    async fn size_bytes(&self) -> Result<u64> {
        Err(leak())
    }
}

/// A server that answers everybody with one text.
async fn says(text: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = text.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(text.as_bytes()).await;
                // What the client still sends is not to be answered by a reset.
                while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
            });
        }
    });
    port
}

struct All {
    builder: HealthBuilder,
    names: Vec<String>,
    debug: String,
}

impl All {
    fn add(mut self, check: impl Check + Debug) -> Self {
        writeln!(self.debug, "{check:?}").unwrap();
        self.names.push(check.name().to_owned());
        self.builder = self.builder.check(check).policy(|policy| {
            policy
                .with_thresholds(1, 1)
                .with_groups(ops_health::Groups::READY_AND_HEALTH)
        });
        self
    }
}

fn postgres(port: u16) -> ConnectInfo {
    ConnectInfo::new(Engine::Postgres, Host::Tcp("127.0.0.1".into()), port)
        .with_user("app")
        .with_password(Secret::from(CANARY))
}

async fn everything(refused: &RefusedPort) -> All {
    let closed = refused.port();
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://app:{CANARY}@127.0.0.1:{closed}/?k={CANARY}\r\n\
         x-{CANARY}: {CANARY}\r\ncontent-length: 0\r\n\r\n"
    );
    let redirecting = says(redirect).await;
    let wrong = says(format!("-WRONGPASS password={CANARY} is wrong\r\n").repeat(8)).await;
    let garbage = says(format!("password={CANARY}")).await;
    let secret_url = |port: u16| format!("http://127.0.0.1:{port}/?token={CANARY}");
    let all = All {
        builder: service().aliases().expose_names(),
        names: Vec::new(),
        debug: String::new(),
    };
    all.add(Postgres::new(postgres(closed)))
        .add(Postgres::new(postgres(garbage)).named("postgres_garbage"))
        .add(PostgresConnections::new(postgres(closed)))
        .add(StorageSize::new(Arc::new(PostgresDatabase::new(postgres(
            closed,
        )))))
        .add(StorageSize::new(Arc::new(Leaky)).named("leaky_size"))
        .add(Migrations::new(1, Arc::new(Leaky)))
        .add(BackupFreshness::new(Arc::new(Leaky)))
        .add(Redis::new(format!(
            "redis://app:{CANARY}@127.0.0.1:{closed}/0"
        )))
        .add(Redis::new(format!("redis://app:{CANARY}@127.0.0.1:{wrong}/0")).named("redis_wrong"))
        .add(Redis::new(format!("rediss://app:{CANARY}@127.0.0.1:{garbage}/0")).named("redis_tls"))
        .add(Http::get(&secret_url(closed)).bearer(&Secret::from(CANARY)))
        .add(
            Http::get(&secret_url(garbage))
                .named("http_garbage")
                .header("x-key", CANARY),
        )
        .add(
            Http::get(&secret_url(redirecting))
                .named("http_away")
                .follow_redirects(3),
        )
        .add(Tls::new("127.0.0.1", garbage))
        .add(Tcp::new("127.0.0.1", closed))
        .add(check_fn("panics", Kind::Custom, |_| async {
            panic!("sent Bearer {CANARY} to redis://:{CANARY}@cache");
            #[expect(unreachable_code, reason = "it gives the closure its type")]
            Outcome::healthy()
        }))
}

#[tokio::test]
async fn no_check_lets_a_secret_out_by_any_way() {
    let log = Log::default();
    let seen = Seen::default();
    let _recording = metrics::set_default_local_recorder(&seen);
    let subscriber =
        tracing_subscriber::registry().with(JsonLogs::new("orders").writer(log.clone()));
    let _logging = tracing::subscriber::set_default(subscriber);
    let refused = RefusedPort::take();
    let All {
        builder,
        names,
        debug,
    } = everything(&refused).await;
    assert!(!debug.contains(CANARY), "{debug}");
    assert!(!format!("{builder:?}").contains(CANARY));
    let health: Health = builder.metrics(String::new).build().unwrap();
    let _scheduler = health.start().unwrap();
    ops_testkit::wait_until("every check to have failed", seconds(30), async || {
        health
            .checks()
            .iter()
            .all(|check| check.consecutive_failures > 0)
    })
    .await;

    let mut out = format!("{health:?} {:?}", health.checks());
    let paths = [
        "/health",
        "/health/ready",
        "/readyz?verbose",
        "/healthz?verbose",
        "/metrics",
    ];
    let shapes = ["native", "a", "b", "c", "draft"].map(|shape| format!("/health?format={shape}"));
    let checks = names.iter().map(|name| format!("/health/checks/{name}"));
    let paths = paths
        .into_iter()
        .map(str::to_owned)
        .chain(shapes)
        .chain(checks);
    for path in paths {
        for reply in [get(&health, &path), get_authorized(&health, &path)] {
            writeln!(out, "{path}: {reply:?}").unwrap();
        }
    }
    assert!(!out.contains(CANARY), "{out}");
    // The test is worth something only if the words of the checks were there.
    for expected in [
        "[redacted]@db:5432/shop",
        "Connection refused",
        "Password authentication failed",
    ] {
        assert!(out.contains(expected), "{expected:?} is missing in {out}");
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!log.contains(CANARY), "{log}");
    for name in &names {
        assert!(
            log.contains(&format!("\"check\":\"{name}\"")),
            "{name} was not logged: {log}"
        );
    }
    let metrics = seen.all();
    assert!(!metrics.contains(CANARY), "{metrics}");
    assert!(
        metrics.contains("ops_health_check_up{check=http_away"),
        "{metrics}"
    );
}
