//! A service with everything: its dependencies, its machine, its runtime, JSON logs and
//! metrics; an objective over its own requests, alerts, incidents and the heartbeat to a
//! monitor outside; and a second port with details and a status page for operators.
//!
//! ```text
//! DATABASE_URL=postgresql://app:secret@localhost/shop REDIS_URL=redis://localhost \
//!     HEALTH_TOKEN=at-least-32-characters-of-nonsense STATE_FOLDER=/var/lib/orders \
//!     health_full [ADDRESS] [OPERATORS' ADDRESS]
//! curl -i http://127.0.0.1:8080/health          # for everybody
//! curl -s http://127.0.0.1:9090/health          # for operators
//! curl -s http://127.0.0.1:9090/metrics
//! # and a page for people: http://127.0.0.1:9090/health/ui
//! ```

mod database_url;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use ops_core::memory::{MemoryMonitor, MemoryNotifier, MemoryObjectStore};
use ops_core::monitor::HeartbeatSpec;
use ops_health::alert::{LogNotifier, Sink, standard_rules};
use ops_health::checks::{
    Bucket, Disk, Heartbeat, Http, LastSuccess, Memory, Migrations, Pool, Postgres,
    PostgresConnections, PostgresDatabase, Redis, StorageSize, Tls,
};
use ops_health::incident::{IncidentLog, JsonLinesIncidents};
use ops_health::slo::Slo;
use ops_health::traffic::{Traffic, TrafficLayer};
use ops_health::{
    DURATION_BUCKETS, DeadMan, Health, HealthBuilder, Host, JsonLogs, StatusPage, Watch, Watchdog,
};
use ops_pool::SessionPool;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How often the monitor outside hears of us.
const HEARTBEAT: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let logs = JsonLogs::new("orders").environment("development");
    tracing_subscriber::registry().with(logs).init();
    let durations = Matcher::Full("ops_health_check_duration_seconds".to_owned());
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(durations, &DURATION_BUCKETS)?
        .install_recorder()?;

    let beats = LastSuccess::new();
    let builder = Health::builder()
        .service("orders")
        .version(env!("CARGO_PKG_VERSION"))
        .host(Host::SYSTEMD)
        .aliases()
        .metrics(move || metrics.render())
        .watchdog(Watchdog::new())
        .check(Heartbeat::new(beats.clone(), HEARTBEAT));
    let builder = dependencies(machine(builder))?;
    let builder = match setting("HEALTH_TOKEN") {
        Some(token) => builder.bearer_token(token.as_str()),
        None => builder,
    };
    let health = builder.build()?;
    let traffic = Traffic::new();
    let watch = watch(&health, &traffic, beats).await?;
    let _scheduler = health.start()?;
    let watching = watch.start()?;

    let mut term = signal(SignalKind::terminate())?;
    let leaving = health.clone();
    tokio::spawn(async move {
        term.recv().await;
        leaving.drain().await;
    });
    let operators = listen(2, "127.0.0.1:9090").await?;
    let page = StatusPage::new(&health).watch(&watch).for_everybody();
    let details: Router = health.details_router().merge(page.router());
    tokio::spawn(axum::serve(operators, details).into_future());

    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        // Around the service and not around its probes, which are no traffic.
        .layer(TrafficLayer::new(traffic));
    let listener = listen(1, "127.0.0.1:8080").await?;
    health.serve(listener, app.merge(health.router())).await?;
    watching.stop().await;
    // A check that nothing but a restart repairs ends in a failure, so that one comes.
    Ok(match health.gave_up_on() {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

async fn listen(argument: usize, default: &str) -> Result<TcpListener> {
    let address = std::env::args().nth(argument);
    let listener = TcpListener::bind(address.as_deref().unwrap_or(default)).await?;
    tracing::info!(address = %listener.local_addr()?, argument, "listening");
    Ok(listener)
}

/// An objective, the usual alerts, who is told of them, the incidents that they become, and
/// the sign of life for a monitor outside.
async fn watch(health: &Health, traffic: &Traffic, beats: LastSuccess) -> Result<Watch> {
    // With a folder of its own, a restart forgets nothing.
    let folder = setting("STATE_FOLDER").map(PathBuf::from);
    let objective = Slo::builder("availability")
        .objective(0.999)
        .with_requests();
    let (objective, incidents) = match &folder {
        Some(folder) => (
            objective.journal(folder.join("availability.slo")),
            IncidentLog::builder().store(JsonLinesIncidents::new(folder.join("incidents.jsonl"))),
        ),
        None => (objective, IncidentLog::builder()),
    };
    // In a service, these are a chat, a telephone and a monitor of some vendor.
    let chat = Arc::new(MemoryNotifier::new());
    let monitor = Arc::new(MemoryMonitor::new());
    let heartbeat = DeadMan::new(monitor, HeartbeatSpec::new("orders", HEARTBEAT));
    Ok(Watch::builder(health)
        .environment("development")
        .slo(objective.build()?)
        .traffic(traffic.clone())
        .rules(standard_rules(Duration::from_hours(24)))
        .adjust("service_down", |rule| {
            rule.runbook("https://wiki.example/orders-down")
        })
        .incidents(incidents.open().await?)
        .sink(Sink::chat("chat", chat))
        .sink(Sink::new("log", Arc::new(LogNotifier)))
        .dead_man(heartbeat.reports_to(beats))
        .build()?)
}

/// What every instance has.
fn machine(builder: HealthBuilder) -> HealthBuilder {
    builder
        .check(Disk::new("/"))
        .check(Memory::new())
        .check(Http::get("https://example.com/").named("partner"))
        .check(Tls::new("example.com", 443).named("certificate"))
        .check(
            Bucket::new(Arc::new(MemoryObjectStore::new()))
                .sentinel_may_be_missing()
                .named("uploads"),
        )
}

/// What the environment names.
fn dependencies(mut builder: HealthBuilder) -> Result<HealthBuilder> {
    if setting("DATABASE_URL").is_some() {
        let (info, options) = database_url::database_url()?;
        let database = Arc::new(PostgresDatabase::new(info.clone()));
        let pool = SessionPool::builder(info.clone())
            .connect_options(options)
            .build()?;
        builder = builder
            .check(Postgres::new(info.clone()).named("database"))
            .check(PostgresConnections::new(info).named("connections"))
            .depends_on("database")
            .check(
                StorageSize::new(Arc::<PostgresDatabase>::clone(&database)).named("database_size"),
            )
            .depends_on("database")
            // A pool that never gets its connections back is repaired by a restart.
            .check(Pool::new(pool))
            .critical()
            .policy(|policy| policy.with_unrecoverable_after(Duration::from_mins(10)))
            .depends_on("database");
        if let Some(version) = setting("SCHEMA_VERSION") {
            builder = builder.check(Migrations::new(version.parse()?, database));
        }
    }
    if let Some(url) = setting("REDIS_URL") {
        builder = builder.check(Redis::new(url).named("cache"));
    }
    Ok(builder)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment where it begins"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
