//! Servers, each in a process of its own.

use std::io::BufRead as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_health::prelude::{HealthDetail, HealthIndicator, health_check};
use bytes::Bytes;
use deadpool_postgres::Pool;
use ops_health::checks::Postgres;
use ops_health::{Health, HealthBuilder, Kind, Outcome, Scheduler, Unit, check_fn};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::Result;
use crate::database;
use crate::measure::Stopwatch;

/// What authorized callers send. Known to everybody.
pub(crate) const TOKEN: &str = "benchmarks-are-no-secret-0123456789abcdef";
/// How many checks the service has.
pub(crate) const CHECKS: usize = 20;
/// How many connections the handlers have that ask the database.
const POOL: usize = 8;

/// What is served.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Site {
    /// Our routes over checks that find all well.
    Ours {
        /// The service is served by [`Health::serve`], not by axum alone.
        whole: bool,
        /// How long the slowest check takes.
        slowest: Duration,
    },
    /// The bodies of paths, which never change.
    Static(Vec<(String, String)>),
    /// Our routes over a check of PostgreSQL at that port.
    OursOnDatabase { port: u16, interval: Duration },
    /// A handler that asks PostgreSQL `SELECT 1` for each request, through a pool.
    Naive { port: u16 },
    /// The same through axum-health.
    AxumHealth { port: u16 },
}

/// Serves until the end of the input. Prints its address, and for each line of input the
/// processor time that it has taken, in nanoseconds.
pub(crate) async fn child(site: Site) -> Result<()> {
    // A process that exists has taken time before; what counts are differences.
    let watch = Stopwatch::start();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    tokio::spawn(async move {
        if let Err(err) = serve(site, listener).await {
            eprintln!("a server ended: {err}");
        }
    });
    let lines = tokio::task::spawn_blocking(move || -> Result<()> {
        for line in std::io::stdin().lock().lines() {
            line?;
            println!("{}", watch.stop().cpu.as_nanos());
        }
        Ok(())
    });
    lines.await?
}

async fn serve(site: Site, listener: TcpListener) -> Result<()> {
    let app = match site {
        Site::Ours { whole, slowest } => {
            let (health, _scheduler) = started(service(slowest))?;
            if whole {
                return Ok(health.serve(listener, health.router()).await?);
            }
            axum::serve(listener, health.router::<()>()).await?;
            return Ok(());
        }
        Site::OursOnDatabase { port, interval } => {
            let check = Postgres::new(database::info(port, database::PROBER));
            let health = Health::builder().service("bench").check(check);
            let health = health.policy(|it| it.with_interval(interval).with_jitter(0.0));
            let (health, _scheduler) = started(health)?;
            axum::serve(listener, health.router::<()>()).await?;
            return Ok(());
        }
        Site::Static(bodies) => bodies.into_iter().fold(Router::new(), |app, (path, body)| {
            let body = Bytes::from(body);
            app.route(&path, get(move || async move { json(body) }))
        }),
        Site::Naive { port } => {
            let pool = database::pool(port, POOL)?;
            app_with_handler(pool)
        }
        Site::AxumHealth { port } => {
            let pool = Asking(database::pool(port, POOL)?);
            let health = axum_health::prelude::Health::builder().with_indicator(pool);
            Router::new()
                .route("/health", get(health_check))
                .layer(health.build())
        }
    };
    axum::serve(listener, app).await?;
    Ok(())
}

fn started(health: HealthBuilder) -> Result<(Health, Scheduler)> {
    let health = health.build()?;
    let scheduler = health.start()?;
    Ok((health, scheduler))
}

/// A service whose checks find all well, one of them after a while.
pub(crate) fn service(slowest: Duration) -> HealthBuilder {
    let builder = Health::builder()
        .service("bench")
        .version("1.4.2")
        .bearer_token(TOKEN);
    (0..CHECKS).fold(builder, |builder, number| {
        let takes = if number == 0 { slowest } else { Duration::ZERO };
        let check = check_fn(
            format!("check_{number:02}"),
            Kind::Custom,
            move |_| async move {
                tokio::time::sleep(takes).await;
                Outcome::healthy().with_observation("used", 0.25, Unit::Ratio)
            },
        );
        builder.check(check)
    })
}

/// What the routes of health send with a body.
fn json(body: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

/// As one finds it in services.
fn app_with_handler(pool: Pool) -> Router {
    let pool = Arc::new(pool);
    let handler = move || {
        let pool = Arc::clone(&pool);
        async move {
            match select_1(&pool).await {
                Ok(()) => json(Bytes::from_static(br#"{"status":"healthy"}"#)),
                Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        }
    };
    Router::new().route("/health", get(handler))
}

async fn select_1(pool: &Pool) -> Result<()> {
    pool.get().await?.simple_query("SELECT 1").await?;
    Ok(())
}

/// The indicator that a service would write: the crate's own asks sqlx for all of its
/// databases at once, and a ping is no statement that a server counts.
struct Asking(Pool);

#[async_trait]
impl HealthIndicator for Asking {
    fn name(&self) -> String {
        "postgres".to_owned()
    }

    async fn details(&self) -> HealthDetail {
        match select_1(&self.0).await {
            Ok(()) => HealthDetail::up(),
            Err(_) => HealthDetail::down(),
        }
    }
}
