//! Errors of the SDK and of the store, as errors of ours.

use std::borrow::Cow;
use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::ConnectorError;
use ops_core::{Error, ErrorKind, Retry};

use crate::credentials::Adapter;
use crate::operation::Operation;
use crate::trace::Trace;
use crate::transport::{Stalled, find};

/// What the codes of S3 mean. A code that is missing here is judged by its status.
const CODES: &[(&str, ErrorKind)] = {
    use ErrorKind as Kind;
    &[
        ("AccessDenied", Kind::PermissionDenied),
        ("AccessForbidden", Kind::PermissionDenied),
        ("AccountProblem", Kind::PermissionDenied),
        ("AllAccessDisabled", Kind::PermissionDenied),
        ("AuthorizationHeaderMalformed", Kind::InvalidConfig),
        ("BadDigest", Kind::Integrity),
        ("BandwidthLimitExceeded", Kind::RateLimited),
        ("BucketAlreadyExists", Kind::AlreadyExists),
        ("BucketNotEmpty", Kind::Conflict),
        ("ConditionalRequestConflict", Kind::Conflict),
        ("EntityTooLarge", Kind::InvalidInput),
        ("EntityTooSmall", Kind::InvalidInput),
        ("ExpiredToken", Kind::Unauthenticated),
        ("IllegalLocationConstraintException", Kind::InvalidConfig),
        ("IncompleteBody", Kind::Integrity),
        ("InternalError", Kind::Unavailable),
        ("InvalidAccessKeyId", Kind::Unauthenticated),
        ("InvalidBucketName", Kind::InvalidConfig),
        ("InvalidDigest", Kind::Integrity),
        ("InvalidObjectState", Kind::Conflict),
        ("InvalidPart", Kind::Integrity),
        ("InvalidPartOrder", Kind::Integrity),
        ("InvalidRange", Kind::InvalidInput),
        ("InvalidToken", Kind::Unauthenticated),
        ("KeyTooLongError", Kind::InvalidInput),
        ("MethodNotAllowed", Kind::Unsupported),
        ("NoSuchBucket", Kind::NotFound),
        ("NoSuchKey", Kind::NotFound),
        ("NoSuchUpload", Kind::NotFound),
        ("NoSuchVersion", Kind::NotFound),
        ("NotFound", Kind::NotFound),
        ("NotImplemented", Kind::Unsupported),
        ("NotSignedUp", Kind::PermissionDenied),
        ("OperationAborted", Kind::Conflict),
        ("PermanentRedirect", Kind::InvalidConfig),
        ("PreconditionFailed", Kind::Conflict),
        ("QuotaExceeded", Kind::QuotaExceeded),
        ("RequestLimitExceeded", Kind::RateLimited),
        ("RequestTimeTooSkewed", Kind::Unauthenticated),
        ("RequestTimeout", Kind::Timeout),
        ("ServiceUnavailable", Kind::Unavailable),
        ("SignatureDoesNotMatch", Kind::Unauthenticated),
        ("SlowDown", Kind::RateLimited),
        ("Throttling", Kind::RateLimited),
        ("ThrottlingException", Kind::RateLimited),
        ("TooManyBuckets", Kind::QuotaExceeded),
        ("TooManyRequests", Kind::RateLimited),
        ("XAmzContentChecksumMismatch", Kind::Integrity),
        ("XAmzContentSHA256Mismatch", Kind::Integrity),
        ("XMinioStorageFull", Kind::QuotaExceeded),
    ]
};

/// The longest text of a server that an error repeats, in bytes.
const MAX_MESSAGE: usize = 256;

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        301 | 302 | 307 | 308 => ErrorKind::InvalidConfig,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::PermissionDenied,
        404 | 410 => ErrorKind::NotFound,
        405 | 501 => ErrorKind::Unsupported,
        408 => ErrorKind::Timeout,
        409 | 412 => ErrorKind::Conflict,
        400..=428 => ErrorKind::InvalidInput,
        429 => ErrorKind::RateLimited,
        507 => ErrorKind::QuotaExceeded,
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Decode,
    }
}

/// Turns what the SDK returned into an error that says where and why.
#[cold]
pub(crate) fn from_sdk<E: ProvideErrorMetadata + StdError + 'static>(
    err: &SdkError<E, HttpResponse>,
    operation: &Operation,
    trace: &Trace,
    credentials: &Adapter,
) -> Error {
    let response = err.raw_response();
    let status = response.map(|response| response.status().as_u16());
    let mut ours = match err {
        SdkError::ServiceError(answer) => {
            from_answer(answer.err(), status.unwrap_or_default(), credentials)
        }
        SdkError::TimeoutError(_) => {
            Error::new(ErrorKind::Timeout, "the store did not answer in time")
        }
        SdkError::DispatchFailure(failure) => failure.as_connector_error().map_or_else(
            || Error::new(ErrorKind::Unavailable, "the request could not be sent"),
            from_connector,
        ),
        SdkError::ResponseError(_) => from_unreadable(err, status.unwrap_or_default(), credentials),
        _ => from_construction(err),
    };
    let header = |name| response.and_then(|response| response.headers().get(name));
    if let Some(id) = header("x-amz-request-id").or_else(|| header("cf-ray")) {
        ours = ours.with_request_id(cut(id));
    }
    if let Some(status) = status {
        ours = ours.with_status(status);
    }
    operation.decorate(with_attempts(ours, operation, trace))
}

/// The SDK has spent its attempts, or will not repeat such an error.
fn with_attempts(err: Error, operation: &Operation, trace: &Trace) -> Error {
    let retry = if operation.writes() && trace.maybe_applied() {
        Retry::OutcomeUnknown
    } else if trace.attempts() == 1 && err.kind() != ErrorKind::Timeout {
        err.retry()
    } else {
        Retry::Never
    };
    err.with_attempts(trace.attempts()).with_retry(retry)
}

fn from_answer<E: ProvideErrorMetadata + StdError + 'static>(
    answer: &E,
    status: u16,
    credentials: &Adapter,
) -> Error {
    let code = answer.code();
    let known = code.and_then(|code| CODES.iter().find(|(known, _)| *known == code));
    let kind = known.map_or_else(|| kind_of_status(status), |(_, kind)| *kind);
    let said = answer
        .message()
        .map(|message| cut(&credentials.scrub(message)));
    let message: Cow<'static, str> = match (said, code) {
        (Some(message), Some(code)) => format!("{code}: {message}").into(),
        (Some(message), None) => message.into(),
        (None, Some(code)) => format!("the store answered {code}").into(),
        (None, None) if status < 300 => not_understood(answer, credentials),
        (None, None) => format!("the store answered with status {status}").into(),
    };
    let err = Error::new(kind, message);
    match code {
        Some(code) => err.with_code(cut(code)),
        None => err,
    }
}

/// Which field of an answer is not as S3 has it.
fn not_understood(err: &(dyn StdError + 'static), credentials: &Adapter) -> Cow<'static, str> {
    let why = credentials.scrub(&innermost(err));
    format!("the answer is not one of S3: {why}").into()
}

/// What the store said about one key of many.
#[cold]
pub(crate) fn refused(code: &str, message: Option<&str>) -> Error {
    let known = CODES.iter().find(|(known, _)| *known == code);
    let kind = known.map_or(ErrorKind::Unavailable, |(_, kind)| *kind);
    let message = message.map_or_else(
        || format!("the store answered {}", cut(code)),
        |message| format!("{}: {}", cut(code), cut(message)),
    );
    Error::new(kind, message).with_code(cut(code))
}

fn from_connector(err: &ConnectorError) -> Error {
    if let Some(source) = find::<CredentialsError>(err) {
        return no_credentials(source);
    }
    let text = innermost(err);
    if err.is_timeout() {
        return Error::new(
            ErrorKind::Timeout,
            format!("the store did not answer: {text}"),
        );
    }
    Error::new(
        ErrorKind::Unavailable,
        format!("the store cannot be reached: {text}"),
    )
}

/// An answer came, but not whole, or not one of S3.
fn from_unreadable(err: &(dyn StdError + 'static), status: u16, credentials: &Adapter) -> Error {
    if let Some(stalled) = find::<Stalled>(err) {
        return Error::new(ErrorKind::Timeout, format!("the answer stalled: {stalled}"));
    }
    if find::<hyper::Error>(err).is_some() || find::<std::io::Error>(err).is_some() {
        return Error::new(ErrorKind::Unavailable, "the answer ended early");
    }
    match status {
        300.. => Error::new(
            kind_of_status(status),
            format!("the store answered with status {status}, and not as S3 does"),
        ),
        _ => Error::new(ErrorKind::Decode, not_understood(err, credentials)),
    }
}

fn from_construction(err: &(dyn StdError + 'static)) -> Error {
    match find::<CredentialsError>(err) {
        Some(source) => no_credentials(source),
        None => Error::new(
            ErrorKind::InvalidInput,
            format!("the request cannot be made: {}", innermost(err)),
        ),
    }
}

fn no_credentials(err: &CredentialsError) -> Error {
    let why = find::<Error>(err).map_or("the provider of credentials failed", Error::message);
    Error::new(
        ErrorKind::Unauthenticated,
        format!("no credentials: {}", cut(why)),
    )
}

/// The text at the end of a chain, where the operating system says what happened.
fn innermost(err: &(dyn StdError + 'static)) -> String {
    let last = std::iter::successors(Some(err), |&err| err.source()).last();
    cut(&last.unwrap_or(err).to_string())
}

fn cut(text: &str) -> String {
    text.chars()
        .scan(0, |length, char| {
            *length += char.len_utf8();
            (*length <= MAX_MESSAGE).then_some(char)
        })
        .collect()
}

/// The reasons that the store itself gives for a body that broke off.
#[cold]
pub(crate) fn broken_body(err: &(dyn StdError + 'static)) -> Error {
    let err = match find::<Stalled>(err) {
        Some(stalled) => Error::new(ErrorKind::Timeout, format!("the body stalled: {stalled}")),
        None => Error::new(
            ErrorKind::Unavailable,
            format!("the body broke off: {}", innermost(err)),
        ),
    };
    err.with_retry(Retry::Never)
}

#[cold]
pub(crate) fn integrity(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Integrity, message)
}

#[cold]
pub(crate) fn decode(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Decode, message)
}

#[cold]
pub(crate) fn unsupported(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

#[cold]
pub(crate) fn already_exists() -> Error {
    Error::new(ErrorKind::AlreadyExists, "an object with this key exists")
}

#[cold]
pub(crate) fn version_conflict() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the object does not have the expected version",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed_once_and_in_order() {
        assert!(CODES.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn a_status_without_a_code_has_a_kind_that_a_caller_can_act_on() {
        for (status, kind) in [
            (301, ErrorKind::InvalidConfig),
            (403, ErrorKind::PermissionDenied),
            (404, ErrorKind::NotFound),
            (412, ErrorKind::Conflict),
            (422, ErrorKind::InvalidInput),
            (429, ErrorKind::RateLimited),
            (501, ErrorKind::Unsupported),
            (503, ErrorKind::Unavailable),
            (999, ErrorKind::Decode),
        ] {
            assert_eq!(kind_of_status(status), kind, "{status}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(MAX_MESSAGE);
        assert_eq!(cut(&text).len(), MAX_MESSAGE);
        assert_eq!(cut(&format!("a{text}")).len(), MAX_MESSAGE - 1);
    }
}
