//! What an answer of the SDK does not say about its requests.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use ops_core::Timestamp;

use crate::transport;

/// Follows the requests of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Arc<Facts>);

#[derive(Debug, Default)]
struct Facts {
    attempts: AtomicU32,
    maybe_applied: AtomicBool,
    date: OnceLock<Timestamp>,
}

impl Trace {
    /// How many requests were begun; at least 1.
    pub(crate) fn attempts(&self) -> u32 {
        self.0.attempts.load(Ordering::Relaxed).max(1)
    }

    /// Whether a request was sent whose effect nobody told.
    pub(crate) fn maybe_applied(&self) -> bool {
        self.0.maybe_applied.load(Ordering::Relaxed)
    }

    /// What the store's clock said when it answered.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        self.0.date.get().copied()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Trace {
    fn name(&self) -> &'static str {
        "Trace"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.attempts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let date = response.headers().get("date");
        if let Some(date) = date.and_then(|date| Timestamp::parse_http_date(date).ok()) {
            let _ = self.0.date.set(date);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Err(err)) = context.output_or_error() else {
            return Ok(());
        };
        let status = context
            .response()
            .map(|response| response.status().as_u16());
        let unknown = match (err.as_connector_error(), status) {
            (Some(err), _) => !transport::was_never_sent(err),
            (None, Some(500 | 502 | 504)) => true,
            // An answer whose body did not arrive, or is none of S3.
            (None, _) => err.is_response_error() || err.is_timeout_error(),
        };
        if unknown {
            self.0.maybe_applied.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
