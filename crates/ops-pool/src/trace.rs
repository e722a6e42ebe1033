//! Spans.

use std::pin::Pin;

use tracing::field::{Empty, display};
use tracing::{Instrument, Span, debug_span};

use crate::config::Config;
use crate::error::AcquireError;
use crate::shared::Holding;

/// Waits inside of the span `ops.pool.acquire`, of level debug.
///
/// It covers the wait: a caller that is served at once makes none, and pays for none.
pub(crate) async fn waiting<T: Send>(
    config: &Config,
    holding: &Holding,
    wait: Pin<&mut (impl Future<Output = Result<T, AcquireError>> + Send)>,
) -> Result<T, AcquireError> {
    let span = debug_span!(
        "ops.pool.acquire",
        ops.operation = "pool.acquire",
        db.system.name = "postgresql",
        db.namespace = %config.target.database,
        ops.pool.label = Empty,
        code.file.path = holding.location.file(),
        code.line.number = holding.location.line(),
        otel.status_code = Empty,
        error.type = Empty,
    );
    if span.is_disabled() {
        return wait.await;
    }
    if let Some(label) = &holding.label {
        span.record("ops.pool.label", display(label));
    }
    let outcome = wait.instrument(span.clone()).await;
    if let Err(err) = &outcome {
        failed(&span, err);
    }
    outcome
}

fn failed(span: &Span, err: &AcquireError) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error_type(err));
}

const fn error_type(err: &AcquireError) -> &'static str {
    match err {
        AcquireError::Timeout(_) => "timeout",
        AcquireError::NestedAcquire(_) => "nested_acquire",
        AcquireError::Paused(_) => "paused",
        AcquireError::QueueFull(_) => "queue_full",
        AcquireError::Overloaded { .. } => "overloaded",
        AcquireError::UnknownLane(_) => "unknown_lane",
        AcquireError::ServerDown(_) => "server_down",
        AcquireError::ShuttingDown => "shutting_down",
    }
}
