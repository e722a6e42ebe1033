//! What is refused before an operation is looked at.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Response, request};
use ops_core::Timestamp;

use super::behavior::Behavior;
use super::request::query;
use super::server::error;

/// How far the clocks of client and server may be apart.
const SKEW: Duration = Duration::from_mins(15);

/// Operations that weaker stores do not know.
const FEATURES: [&str; 12] = [
    "BucketVersioning",
    "BucketLifecycleConfiguration",
    "BucketCors",
    "ObjectLockConfiguration",
    "BucketPolicy",
    "BucketEncryption",
    "PublicAccessBlock",
    "ObjectRetention",
    "ObjectLegalHold",
    "ObjectTagging",
    "BucketTagging",
    "ListObjectVersions",
];

/// The answer to a request that the server's ways or its clock forbid.
pub(super) fn refusal(
    behavior: &Behavior,
    operation: &str,
    head: &request::Parts,
    now: SystemTime,
) -> Option<Response<s3s::Body>> {
    let copies = ["CopyObject", "UploadPartCopy"].contains(&operation);
    let unknown = (!behavior.lists_uploads && operation == "ListMultipartUploads")
        || (!behavior.copies && copies)
        || (!behavior.bucket_features && FEATURES.iter().any(|it| operation.ends_with(it)))
        || behavior.unknown_operations.contains(&operation);
    if unknown {
        let said = "This operation is not implemented.";
        return Some(error(501, "NotImplemented", said));
    }
    if let Some(said) = unknown_header(behavior, &head.headers) {
        return Some(error(501, "NotImplemented", &said));
    }
    skewed(head, now)
}

/// What the store says of a header that it does not know.
fn unknown_header(behavior: &Behavior, headers: &HeaderMap) -> Option<String> {
    let full = headers
        .get("x-amz-checksum-type")
        .is_some_and(|it| it == "FULL_OBJECT");
    let refused = |name: &str, value: &[u8]| {
        let hash = name == "x-amz-content-sha256";
        let trailer = hash && value.ends_with(b"-TRAILER");
        let checksum = name.starts_with("x-amz-checksum-") && name != "x-amz-checksum-mode";
        let announced = name == "x-amz-sdk-checksum-algorithm";
        let crc32 = name == "x-amz-checksum-algorithm" && value.starts_with(b"CRC32");
        (!behavior.accepts_request_checksums && (checksum || announced || trailer))
            || (!behavior.accepts_chunked_payloads && hash && value.starts_with(b"STREAMING-"))
            || (!behavior.full_object_crc32 && full && crc32)
    };
    let mut all = headers.iter();
    let (name, value) = all.find(|(name, value)| refused(name.as_str(), value.as_bytes()))?;
    let value = String::from_utf8_lossy(value.as_bytes());
    Some(format!(
        "Header '{name}' with value '{value}' not implemented"
    ))
}

/// Compares the date of a signature with the server's clock.
fn skewed(head: &request::Parts, now: SystemTime) -> Option<Response<s3s::Body>> {
    let parameters = query(&head.uri);
    let parameter = |name: &str| {
        let found = parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let header = head
        .headers
        .get("x-amz-date")
        .and_then(|it| it.to_str().ok());
    let presigned = parameter("X-Amz-Date");
    let signed = amz_date(presigned.or(header)?)?;
    let ahead = signed.duration_since(now).unwrap_or_default();
    let behind = now.duration_since(signed).unwrap_or_default();
    let too_far = "The difference between the request time and the current time is too large.";
    if ahead > SKEW || (presigned.is_none() && behind > SKEW) {
        return Some(error(403, "RequestTimeTooSkewed", too_far));
    }
    let seconds = parameter("X-Amz-Expires").and_then(|it| it.parse().ok());
    let expires = Duration::from_secs(seconds.unwrap_or_default());
    (presigned.is_some() && behind > expires)
        .then(|| error(403, "AccessDenied", "Request has expired"))
}

/// Reads `20260102T030405Z`.
fn amz_date(text: &str) -> Option<SystemTime> {
    let part = |range: std::ops::Range<usize>| text.get(range);
    let rfc3339 = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(9..11)?,
        part(11..13)?,
        part(13..15)?
    );
    let at: Timestamp = rfc3339.parse().ok()?;
    let seconds = u64::try_from(at.unix_seconds()).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// An instant as the header `Date` has it.
pub(super) fn http_date(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let days = seconds.div_euclid(24 * 60 * 60);
    let shown = Timestamp::from_unix_seconds(seconds)
        .map(|at| at.to_string())
        .unwrap_or_default();
    let part = |range: std::ops::Range<usize>| shown.get(range).unwrap_or_default();
    // 1970-01-01 was a Thursday.
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let weekday = usize::try_from(days.rem_euclid(7)).unwrap_or_default();
    let month = part(5..7).parse::<usize>().unwrap_or(1);
    format!(
        "{}, {} {} {} {} GMT",
        weekdays.get(weekday).unwrap_or(&"Thu"),
        part(8..10),
        months.get(month.saturating_sub(1)).unwrap_or(&"Jan"),
        part(0..4),
        part(11..19)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_signatures_are_read_and_shown_as_http_dates() {
        let at = amz_date("20261120T225752Z").unwrap();
        assert_eq!(http_date(at), "Fri, 20 Nov 2026 22:57:52 GMT");
        assert_eq!(amz_date("20261120"), None);
    }
}
