//! What the service answers.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ops_core::Report;
use ops_pool::{AcquireError, SessionPool};

pub(crate) fn router(pool: SessionPool) -> Router {
    Router::new()
        .route("/hits", get(hits))
        .route("/pool", get(state))
        .with_state(pool)
}

/// Somebody's work: 5 ms of the database's time.
async fn hits(State(pool): State<SessionPool>) -> Result<String, Failure> {
    let session = pool.acquire().await?;
    let sql = "SELECT pg_sleep(0.005), count(*) FROM pg_class";
    let row = session.query_one(sql, &[]).await?;
    Ok(format!("{}\n", row.get::<_, i64>(1)))
}

/// The pool as `SHOW POOLS` of PgBouncer shows it.
async fn state(State(pool): State<SessionPool>) -> String {
    format!("{:#?}\n", pool.show_pools())
}

/// Why a request was not answered.
#[derive(Debug)]
pub(crate) enum Failure {
    NoSession(AcquireError),
    Query(tokio_postgres::Error),
}

impl From<AcquireError> for Failure {
    fn from(err: AcquireError) -> Self {
        Self::NoSession(err)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(err: tokio_postgres::Error) -> Self {
        Self::Query(err)
    }
}

impl IntoResponse for Failure {
    /// Callers are told when to come again, and nothing about the inside; the cause is for
    /// the log.
    fn into_response(self) -> Response {
        match self {
            Self::NoSession(err) => {
                println!("refused: {}", Report(&err));
                let seconds = match &err {
                    AcquireError::ServerDown(down) => down.retry_in.as_secs() + 1,
                    AcquireError::Overloaded { expected, .. } => expected.as_secs() + 1,
                    _ => 1,
                };
                let again = [(header::RETRY_AFTER, seconds.to_string())];
                (StatusCode::SERVICE_UNAVAILABLE, again, "busy\n").into_response()
            }
            Self::Query(err) => {
                println!("failed: {}", Report(&err));
                (StatusCode::INTERNAL_SERVER_ERROR, "failed\n").into_response()
            }
        }
    }
}
