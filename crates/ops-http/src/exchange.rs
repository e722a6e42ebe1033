//! One exchange: a request goes out, and what comes back is read and judged.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use ops_core::{Error, ErrorKind, Retry};

use crate::classify::{Again, Refusal, Verdict, lost, refusal};
use crate::client::Inner;
use crate::limit::Permit;
use crate::operation::Idempotency;
use crate::outgoing::Expected;
use crate::request::Response;
use crate::transport::{self, Failure};

/// The largest error body that is read.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// An answer of which only the head has been read.
pub(crate) struct Head {
    pub(crate) response: reqwest::Response,
    #[expect(dead_code, reason = "held until the body has been read")]
    permit: Permit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Whole,
    Head,
}

pub(crate) enum Answer {
    Whole(Response),
    Head(Head),
}

/// Sends, and reads what came back.
pub(crate) async fn exchange(
    inner: &Inner,
    expected: Expected,
    request: reqwest::Request,
    want: Want,
    permit: Permit,
) -> Result<Answer, Verdict> {
    let class = expected.class;
    let mut response = inner
        .http
        .reqwest
        .execute(request)
        .await
        .map_err(|err| failed(err, class))?;
    let status = response.status();
    if status.is_success() {
        if want == Want::Head {
            return Ok(Answer::Head(Head { response, permit }));
        }
        let body = read(&mut response, expected.max_body, class).await?;
        let found = expected.under_success.or(inner.rules.under_success);
        if let Some(body) = found.and_then(|find| find(&body)) {
            return Err(refused(inner, class, status, response.headers(), Some(body)).await);
        }
        return Ok(whole(&mut response, body));
    }
    if expected.absent_is_none && matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        return Ok(whole(&mut response, Bytes::new()));
    }
    // A body that breaks off or is too long says as much as none.
    let body = read(&mut response, MAX_ERROR_BODY, Idempotency::Safe).await;
    let body = body.ok().and_then(|body| (inner.rules.parse)(&body));
    Err(refused(inner, class, status, response.headers(), body).await)
}

fn failed(err: reqwest::Error, class: Idempotency) -> Verdict {
    match transport::failure(err) {
        Failure::NotSent(error) => {
            let again = if error.retry() == Retry::Never {
                Again::No
            } else {
                Again::Backoff
            };
            Verdict { error, again }
        }
        Failure::Lost(error) => lost(error, class),
        // What failed is the caller's, and so is the advice, unless a server took half for all.
        Failure::BodyFailed(error) => final_verdict(match class {
            Idempotency::Once => error.with_retry(Retry::OutcomeUnknown),
            _ => error,
        }),
    }
}

fn whole(response: &mut reqwest::Response, body: Bytes) -> Answer {
    Answer::Whole(Response {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

async fn refused(
    inner: &Inner,
    class: Idempotency,
    status: StatusCode,
    headers: &HeaderMap,
    mut body: Option<crate::errors::ErrorBody>,
) -> Verdict {
    if let Some(body) = &mut body {
        // A vendor may quote the credential in any of them.
        for text in [&mut body.message, &mut body.code, &mut body.request_id] {
            if let Some(told) = text.take() {
                *text = Some(inner.auth.scrub(told).await);
            }
        }
    }
    let found = Refusal {
        status,
        headers,
        body,
    };
    refusal(&found, class, &inner.rules, &*inner.clock)
}

/// Reads a body that may not be larger than so many bytes.
async fn read(
    response: &mut reqwest::Response,
    max: usize,
    class: Idempotency,
) -> Result<Bytes, Verdict> {
    let too_large = || {
        let message = format!("the answer is larger than {max} bytes");
        let error = Error::new(ErrorKind::Decode, message);
        final_verdict(match class {
            Idempotency::Once => error.with_retry(Retry::OutcomeUnknown),
            _ => error,
        })
    };
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |length| length > max) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|err| failed(err, class))? {
        if body.len() + chunk.len() > max {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(crate) fn broken(failure: Failure) -> Error {
    match failure {
        Failure::NotSent(err) | Failure::Lost(err) | Failure::BodyFailed(err) => {
            err.with_retry(Retry::Safe)
        }
    }
}

pub(crate) fn final_verdict(error: Error) -> Verdict {
    Verdict {
        error,
        again: Again::No,
    }
}
