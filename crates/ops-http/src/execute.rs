//! Sends requests: the deadline around the retries, the retries around the attempts.
//!
//! From the outside in: operation span, deadline, retries { permit and rate, credential,
//! attempt span, attempt timeout, transport }, classification, decoding.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::HeaderMap;
use ops_core::object_store::ByteStream;
use ops_core::{Error, ErrorKind, Result, Retry};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, debug, field, warn};

use crate::classify::{Again, Verdict, lost};
use crate::client::Inner;
use crate::exchange::{Answer, Want, broken, exchange, final_verdict};
use crate::limit::later;
use crate::observe::RetryEvent;
use crate::operation::{Idempotency, Operation};
use crate::outgoing::Outgoing;
use crate::request::{ApiRequest, Decode, Response};
use crate::transport;

/// Sends and decodes, and hands over the headers of the answer as well.
pub(crate) async fn execute<T>(inner: &Inner, request: ApiRequest<T>) -> Result<(T, HeaderMap)> {
    let decode = request.decode;
    let (operation, class) = (request.operation, request.class);
    let span = span(inner, operation, request.resource.as_deref());
    let resource = request.resource.clone();
    let outcome = async {
        let mut outgoing = Outgoing::new(inner, request)?;
        let (answer, attempts) = run(inner, &mut outgoing, Want::Whole).await?;
        let Answer::Whole(response) = answer else {
            return Err(Error::new(
                ErrorKind::Internal,
                "an answer without its body",
            ));
        };
        let value = decoded(&response, decode, class, inner);
        let value = value.map_err(|err| err.with_attempts(attempts))?;
        Ok((value, response.headers))
    }
    .instrument(span.clone())
    .await;
    outcome.map_err(|err| finish(err, inner, operation, resource, &span))
}

/// Sends and hands over the body as it comes.
pub(crate) async fn stream<T>(inner: Arc<Inner>, request: ApiRequest<T>) -> Result<ByteStream> {
    let operation = request.operation;
    let pause = request.timeout.unwrap_or(inner.attempt_timeout);
    let span = span(&inner, operation, request.resource.as_deref());
    let resource = request.resource.clone();
    let outcome = async {
        let mut outgoing = Outgoing::new(&inner, request)?;
        match run(&inner, &mut outgoing, Want::Head).await? {
            (Answer::Head(head), _) => Ok(head),
            (Answer::Whole(_), _) => Err(Error::new(ErrorKind::NotFound, "there is no body")),
        }
    }
    .instrument(span.clone())
    .await;
    let head = outcome.map_err(|err| finish(err, &inner, operation, resource, &span))?;
    let provider = inner.provider.clone();
    let chunks = stream::try_unfold(head, move |mut head| {
        let provider = provider.clone();
        async move {
            let chunk = tokio::time::timeout(pause, head.response.chunk()).await;
            match chunk {
                Ok(Ok(chunk)) => Ok(chunk.map(|chunk| (chunk, head))),
                Ok(Err(err)) => Err(broken(transport::failure(err))),
                Err(_) => Err(Error::new(ErrorKind::Timeout, "the body stopped coming")
                    .with_retry(Retry::Safe)),
            }
            .map_err(|err| err.with_provider(provider).with_operation(operation.id()))
        }
    });
    Ok(chunks.boxed())
}

fn decoded<T>(
    response: &Response,
    decode: Decode<T>,
    class: Idempotency,
    inner: &Inner,
) -> Result<T> {
    decode(response).map_err(|err| {
        let err = if err.status().is_none() {
            err.with_status(response.status.as_u16())
        } else {
            err
        };
        let header = inner.rules.request_id_header;
        let id = header.and_then(|name| response.headers.get(name)?.to_str().ok());
        let err = match id {
            Some(id) => err.with_request_id(id),
            None => err,
        };
        // The vendor did it; what it answered is what is not understood.
        if class == Idempotency::Once && err.kind() == ErrorKind::Decode {
            return err.with_retry(Retry::OutcomeUnknown);
        }
        err
    })
}

fn span(inner: &Inner, operation: &'static Operation, resource: Option<&str>) -> Span {
    tracing::info_span!(
        "ops.http.operation",
        otel.name = operation.id(),
        otel.kind = "internal",
        otel.status_code = field::Empty,
        ops.provider = inner.provider.as_str(),
        ops.operation = operation.id(),
        ops.resource.id = resource,
        ops.attempts = field::Empty,
        error.r#type = field::Empty,
    )
}

/// Gives an error its names, and tells the span.
fn finish(
    err: Error,
    inner: &Inner,
    operation: &'static Operation,
    resource: Option<String>,
    span: &Span,
) -> Error {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", err.kind().as_str());
    span.record("ops.attempts", err.attempts());
    let err = err
        .with_provider(inner.provider.clone())
        .with_operation(operation.id());
    match resource {
        Some(resource) => err.with_resource(resource),
        None => err,
    }
}

/// The retry loop.
async fn run(inner: &Inner, outgoing: &mut Outgoing, want: Want) -> Result<(Answer, u32)> {
    let deadline = later(inner.policy.deadline);
    let mut attempts = 0;
    let mut refreshed = false;
    loop {
        attempts += 1;
        let verdict = match attempt(inner, outgoing, want, attempts, deadline).await {
            Ok(answer) => {
                inner.budget.succeeded();
                return Ok((answer, attempts));
            }
            Err(verdict) => verdict,
        };
        let unauthenticated = verdict.error.status() == Some(401);
        if unauthenticated && !refreshed && outgoing.can_repeat() && inner.auth.refused().await {
            refreshed = true;
            debug!(
                ops.attempts = attempts,
                "credential refused, fetching another"
            );
            continue;
        }
        let delay = match next_delay(inner, outgoing, &verdict, attempts, deadline) {
            Ok(delay) => delay,
            Err(advice) => {
                let error = verdict.error.with_attempts(attempts);
                return Err(error.with_retry(advice));
            }
        };
        let kind = verdict.error.kind();
        observe(inner, outgoing.operation, attempts, delay, kind);
        tokio::time::sleep(delay).await;
    }
}

/// How long to wait before the next attempt, or the advice to give up with.
fn next_delay(
    inner: &Inner,
    outgoing: &Outgoing,
    verdict: &Verdict,
    attempts: u32,
    deadline: Instant,
) -> Result<Duration, Retry> {
    let advice = verdict.error.retry();
    let backoff = inner.policy.backoff(attempts, (inner.jitter)());
    let wait = match verdict.again {
        Again::No => return Err(advice),
        Again::Backoff => backoff,
        Again::NotBefore(delay) => {
            // Nobody else of this client should run into the same limit.
            inner
                .limiter
                .hold_back(delay.min(inner.policy.max_retry_after));
            if delay > inner.policy.max_retry_after {
                return Err(Retry::After(delay));
            }
            delay.max(backoff)
        }
    };
    let spent = if attempts > 1 { Retry::Never } else { advice };
    if attempts >= inner.policy.max_attempts || !outgoing.can_repeat() {
        return Err(match verdict.again {
            Again::NotBefore(delay) => Retry::After(delay),
            _ => spent,
        });
    }
    if later(wait) >= deadline {
        return Err(match verdict.again {
            Again::NotBefore(delay) => Retry::After(delay),
            _ => spent,
        });
    }
    if !inner.budget.pay() {
        warn!(
            ops.provider = inner.provider.as_str(),
            "retry budget spent, failing at once"
        );
        return Err(spent);
    }
    Ok(wait)
}

fn observe(
    inner: &Inner,
    operation: &'static Operation,
    attempts: u32,
    delay: Duration,
    kind: ErrorKind,
) {
    debug!(
        ops.attempts = attempts,
        delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        error.r#type = kind.as_str(),
        "sending again"
    );
    if let Some(observer) = &inner.observer {
        observer.on_retry(RetryEvent {
            provider: &inner.provider,
            operation: operation.id(),
            attempts,
            delay,
            kind,
        });
    }
}

/// One attempt, from the permit to the classified answer.
async fn attempt(
    inner: &Inner,
    outgoing: &mut Outgoing,
    want: Want,
    number: u32,
    deadline: Instant,
) -> Result<Answer, Verdict> {
    let late = || {
        let message = "no request could be sent before the deadline";
        final_verdict(Error::new(ErrorKind::Timeout, message).with_retry(Retry::Safe))
    };
    let permit = tokio::time::timeout_at(deadline, inner.limiter.acquire())
        .await
        .ok()
        .flatten()
        .ok_or_else(late)?;
    let mut headers = inner.headers.clone();
    tokio::time::timeout_at(deadline, inner.auth.apply(&mut headers))
        .await
        .map_err(|_| late())?
        .map_err(final_verdict)?;
    let expected = outgoing.expected;
    let request = outgoing.request(inner, headers);
    let request = tokio::time::timeout_at(deadline, request).await;
    let request = request.map_err(|_| late())?.map_err(final_verdict)?;
    let span = tracing::debug_span!(
        "ops.http.attempt",
        otel.name = outgoing.span_name(),
        otel.kind = "client",
        http.request.method = outgoing.operation.method().as_str(),
        http.request.resend_count = number - 1,
        http.response.status_code = field::Empty,
        server.address = inner.base.url.host_str(),
        server.port = inner.base.url.port_or_known_default(),
        url.template = outgoing.operation.template(),
        error.r#type = field::Empty,
    );
    let ends = deadline.min(later(outgoing.timeout.unwrap_or(inner.attempt_timeout)));
    let exchange = exchange(inner, expected, request, want, permit);
    let outcome = tokio::time::timeout_at(ends, exchange.instrument(span.clone())).await;
    let outcome = outcome.unwrap_or_else(|_| {
        let message = "the server did not answer in time";
        Err(lost(
            Error::new(ErrorKind::Timeout, message),
            expected.class,
        ))
    });
    match &outcome {
        Ok(_) => {}
        Err(verdict) => {
            span.record("error.type", verdict.error.kind().as_str());
            if let Some(status) = verdict.error.status() {
                span.record("http.response.status_code", status);
            }
        }
    }
    outcome
}
