//! The one table of statuses, and what a failure means for sending again.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use ops_core::redact::value_looks_secret;
use ops_core::{Clock, Error, ErrorKind, Retry, Timestamp};

use crate::errors::{ErrorBody, ErrorRow, ErrorRules, ResetHeader};
use crate::operation::Idempotency;

/// The longest text of a vendor that is kept, in characters.
const MAX_MESSAGE: usize = 300;

/// What a failed attempt means.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) error: Error,
    pub(crate) again: Again,
}

/// Whether to send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It would change nothing, or could do harm.
    No,
    /// After the backoff.
    Backoff,
    /// Not before the vendor allows it.
    NotBefore(Duration),
}

/// An answer that is no success.
pub(crate) struct Refusal<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Option<ErrorBody>,
}

/// What a status means, unless a vendor's row says otherwise.
fn kind_of(status: u16) -> ErrorKind {
    match status {
        300..=399 => ErrorKind::InvalidConfig,
        401 => ErrorKind::Unauthenticated,
        402 => ErrorKind::QuotaExceeded,
        403 => ErrorKind::PermissionDenied,
        404 | 410 => ErrorKind::NotFound,
        405 | 501 => ErrorKind::Unsupported,
        408 | 504 => ErrorKind::Timeout,
        409 | 412 | 423 => ErrorKind::Conflict,
        429 => ErrorKind::RateLimited,
        400..=499 => match status {
            425 => ErrorKind::Unavailable,
            _ => ErrorKind::InvalidInput,
        },
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

/// Tells what an answer means that is no success.
pub(crate) fn refusal(
    refusal: &Refusal<'_>,
    class: Idempotency,
    rules: &ErrorRules,
    clock: &dyn Clock,
) -> Verdict {
    let status = refusal.status.as_u16();
    let body = refusal.body.clone().unwrap_or_default();
    let row = rules.rows.iter().find(|row| applies(row, status, &body));
    let kind = match row {
        Some(row) => row.kind,
        None if status == 403 && is_exhausted(refusal.headers, rules) => ErrorKind::RateLimited,
        None => kind_of(status),
    };
    let delay = delay(refusal, kind, rules, clock);
    let repeatable = class != Idempotency::Once;
    // The vendor says that nothing was executed, by a status or by a documented code.
    let not_executed = matches!(status, 425 | 429)
        || (status == 503 && delay.is_some())
        || kind == ErrorKind::RateLimited;
    let (again, retry) = match (row.and_then(|row| row.retry), delay) {
        (Some(Retry::Safe), None) => (Again::Backoff, Retry::Safe),
        (Some(Retry::Safe), Some(delay)) | (Some(Retry::After(delay)), _) => {
            (Again::NotBefore(delay), Retry::After(delay))
        }
        (Some(retry), _) => (Again::No, retry),
        (None, Some(delay)) if not_executed => (Again::NotBefore(delay), Retry::After(delay)),
        (None, None) if not_executed => (Again::Backoff, Retry::Safe),
        (None, _) if !matches!(status, 408 | 500 | 502..=504) => (Again::No, Retry::Never),
        (None, Some(delay)) if repeatable => (Again::NotBefore(delay), Retry::After(delay)),
        (None, None) if repeatable => (Again::Backoff, Retry::Safe),
        (None, _) => (Again::No, Retry::OutcomeUnknown),
    };
    let error = Error::new(kind, message(refusal, &body))
        .with_status(status)
        .with_retry(retry);
    Verdict {
        error: named(error, &body, refusal.headers, rules),
        again,
    }
}

fn named(mut error: Error, body: &ErrorBody, headers: &HeaderMap, rules: &ErrorRules) -> Error {
    if let Some(code) = &body.code {
        error = error.with_code(scrubbed(code, 100));
    }
    let header = rules.request_id_header.and_then(|name| headers.get(name));
    let id = header.and_then(|value| value.to_str().ok());
    if let Some(id) = id.or(body.request_id.as_deref()) {
        error = error.with_request_id(scrubbed(id, 100));
    }
    error
}

/// Whether the vendor says that no request is left.
fn is_exhausted(headers: &HeaderMap, rules: &ErrorRules) -> bool {
    let left = rules.remaining.and_then(|name| headers.get(name));
    left.is_some_and(|value| value.as_bytes() == b"0")
}

fn applies(row: &ErrorRow, status: u16, body: &ErrorBody) -> bool {
    let contains = |part: &str| {
        let message = body.message.as_deref().unwrap_or_default();
        message.to_lowercase().contains(&part.to_lowercase())
    };
    row.status.is_none_or(|it| it == status)
        && row.code.is_none_or(|it| body.code.as_deref() == Some(it))
        && row.message.is_none_or(contains)
}

fn message(refusal: &Refusal<'_>, body: &ErrorBody) -> String {
    let status = refusal.status.as_u16();
    if refusal.status.is_redirection() {
        // The path and the query may hold what nobody else should see.
        let to = refusal.headers.get(http::header::LOCATION);
        let to = to.and_then(|value| url::Url::parse(value.to_str().ok()?).ok());
        return match to
            .as_ref()
            .and_then(|url| Some((url.scheme(), url.host_str()?)))
        {
            Some((scheme, host)) => format!(
                "the server redirects to {scheme}://{host}, which is not followed: check the base URL"
            ),
            None => "the server redirects, which is not followed: check the base URL".to_owned(),
        };
    }
    match body
        .message
        .as_deref()
        .map(str::trim)
        .filter(|it| !it.is_empty())
    {
        Some(message) => scrubbed(message, MAX_MESSAGE),
        None => format!("the server answered {status}"),
    }
}

/// A vendor's text without what looks like a secret, not longer than so many characters.
fn scrubbed(text: &str, longest: usize) -> String {
    let words = text.split_whitespace().map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        if value_looks_secret(word) || value_looks_secret(bare) {
            "[redacted]"
        } else {
            word
        }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// How long the vendor wants to be left alone.
fn delay(
    refusal: &Refusal<'_>,
    kind: ErrorKind,
    rules: &ErrorRules,
    clock: &dyn Clock,
) -> Option<Duration> {
    let text = |name: &str| refusal.headers.get(name)?.to_str().ok();
    if let Some(delay) = text("retry-after").and_then(|value| retry_after(value, clock.now())) {
        return Some(delay);
    }
    // The header stands in every answer: only a limit makes it a wait.
    if kind != ErrorKind::RateLimited {
        return None;
    }
    match rules.reset? {
        ResetHeader::Seconds(name) => seconds(text(name)?),
        ResetHeader::EpochSeconds(name) => {
            let at = text(name)?.trim().parse().ok()?;
            let at = Timestamp::from_unix_seconds(at).ok()?;
            Some(at.saturating_since(clock.now()))
        }
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    seconds(value).or_else(|| {
        let at = Timestamp::parse_http_date(value.trim()).ok()?;
        Some(at.saturating_since(now))
    })
}

/// Seconds, which some vendors send with a fraction.
fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What an attempt without an answer means: lost after it was sent.
pub(crate) fn lost(error: Error, class: Idempotency) -> Verdict {
    match class {
        Idempotency::Once => Verdict {
            error: error.with_retry(Retry::OutcomeUnknown),
            again: Again::No,
        },
        _ => Verdict {
            error: error.with_retry(Retry::Safe),
            again: Again::Backoff,
        },
    }
}

#[cfg(test)]
mod tests;
