//! What is told to the SDK beside a request, and what it does not tell in its answer.
//!
//! One interceptor serves all calls of a client and finds the present one by the task it
//! runs in: an interceptor for each call would make the SDK rebuild its configuration.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use ops_core::Timestamp;

use crate::digest::{self, ChecksumHeaders};
use crate::profile::ChecksumKind;
use crate::transport;

/// A request with such a header is one to which the SDK adds no checksum of its own. It is
/// gone before the request is signed.
const HELD_PLACE: &str = "x-amz-checksum-held-place";

tokio::task_local! {
    static PRESENT: Trace;
}

/// Follows the requests of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Arc<Facts>);

/// How content is part of a signature.
#[derive(Clone, Debug, Default)]
pub(crate) enum Payload {
    /// By its SHA-256, which is computed for it.
    #[default]
    Signed,
    /// By this SHA-256, in hexadecimal.
    Hashed(String),
    /// Not at all.
    Unsigned,
}

#[derive(Debug, Default)]
struct Facts {
    payload: Payload,
    /// Sends a `Content-MD5` in place of the checksum that the SDK would add.
    content_md5: bool,
    /// Asks for the checksum that the store keeps.
    wants_checksum: bool,
    attempts: AtomicU32,
    maybe_applied: AtomicBool,
    date: OnceLock<Timestamp>,
}

impl Trace {
    /// Follows a call that transfers content.
    pub(crate) fn of_transfer(payload: Payload, wants_checksum: bool) -> Self {
        Self(Arc::new(Facts {
            payload,
            wants_checksum,
            ..Facts::default()
        }))
    }

    /// Follows a call whose request S3 wants with a checksum.
    pub(crate) fn of_checked(content_md5: bool) -> Self {
        Self(Arc::new(Facts {
            content_md5,
            ..Facts::default()
        }))
    }

    /// Follows what is sent while this runs.
    pub(crate) async fn follow<F: Future>(&self, send: F) -> F::Output {
        PRESENT.scope(self.clone(), send).await
    }

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

fn present(note: impl FnOnce(&Facts)) {
    // A presigned URL is made outside of any call.
    let _ = PRESENT.try_with(|trace| note(&trace.0));
}

/// The interceptor.
#[derive(Debug)]
pub(crate) struct Follow;

#[dyn_dispatch_hint]
impl Intercept for Follow {
    fn name(&self) -> &'static str {
        "Follow"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        present(|facts| {
            if facts.content_md5 {
                let headers = context.request_mut().headers_mut();
                headers.insert(HELD_PLACE, "");
            }
        });
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        present(|facts| {
            let payload = match &facts.payload {
                Payload::Signed => None,
                Payload::Hashed(sum) => Some(PayloadSigningOverride::Precomputed(sum.clone())),
                Payload::Unsigned => Some(PayloadSigningOverride::unsigned_payload()),
            };
            if let Some(payload) = payload {
                config.interceptor_state().store_put(payload);
            }
            let request = context.request_mut();
            if facts.content_md5 {
                let sum = digest::of(ChecksumKind::Md5, request.body().bytes().unwrap_or(&[]));
                let sums = ChecksumHeaders::new(sum.as_ref());
                let headers = request.headers_mut();
                headers.remove(HELD_PLACE);
                headers.insert("content-md5", sums.content_md5.unwrap_or_default());
            }
            if facts.wants_checksum && request.method() == "GET" {
                // By the header alone: told by its input, the SDK would hash the body as well.
                request
                    .headers_mut()
                    .insert("x-amz-checksum-mode", "ENABLED");
            }
        });
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        present(|facts| {
            facts.attempts.fetch_add(1, Ordering::Relaxed);
        });
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(date) = date.and_then(|date| Timestamp::parse_http_date(date).ok()) {
            present(|facts| {
                let _ = facts.date.set(date);
            });
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
            present(|facts| facts.maybe_applied.store(true, Ordering::Relaxed));
        }
        Ok(())
    }
}
