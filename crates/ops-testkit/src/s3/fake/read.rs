//! Objects: get and head.

use futures_util::stream;
use http::StatusCode;
use s3s::dto::{
    AcceptRanges, ChecksumMode, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ObjectLockLegalHoldStatus, ObjectLockMode, Range, StreamingBlob, Tag,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use super::Backend;
use super::conditions::{self, Read, Refused};
use super::errors::{custom, no_such_key};
use super::objects::shown;
use super::payload::set_checksums;
use super::store::{Bucket, Object, Segments, Version, etag, size, timestamp};

/// What `GetObject` and `HeadObject` both tell.
macro_rules! describe {
    ($output:ident, $version:expr, $object:expr, $chosen:expr, $behavior:expr, $input:expr) => {{
        let (version, object, chosen) = ($version, $object, &$chosen);
        let attributes = &object.attributes;
        let retention = object.retention.as_ref();
        let mut output = $output {
            accept_ranges: Some(AcceptRanges::from("bytes")),
            content_length: Some(size(chosen.to - chosen.from)),
            content_range: chosen.range.clone(),
            e_tag: Some(etag(&object.etag)),
            last_modified: Some(timestamp(version.modified)),
            content_type: Some(
                attributes
                    .content_type
                    .clone()
                    .unwrap_or_else(|| "binary/octet-stream".to_owned()),
            ),
            content_encoding: attributes.content_encoding.clone(),
            content_disposition: attributes.content_disposition.clone(),
            content_language: attributes.content_language.clone(),
            cache_control: attributes.cache_control.clone(),
            expires: attributes.expires.clone(),
            metadata: attributes.metadata.clone(),
            storage_class: attributes
                .storage_class
                .clone()
                .filter(|class| class.as_str() != "STANDARD"),
            server_side_encryption: attributes.encryption.clone(),
            parts_count: chosen.parts,
            version_id: shown(version),
            object_lock_mode: retention
                .and_then(|it| it.mode.as_ref())
                .map(|mode| ObjectLockMode::from(mode.as_str().to_owned())),
            object_lock_retain_until_date: retention.and_then(|it| it.retain_until_date.clone()),
            object_lock_legal_hold_status: object
                .legal_hold
                .then(|| ObjectLockLegalHoldStatus::from_static(ObjectLockLegalHoldStatus::ON)),
            ..$output::default()
        };
        let asked = $input
            .checksum_mode
            .as_ref()
            .is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        // A checksum is of the whole object: with a part of it, it would only mislead.
        if asked && chosen.range.is_none() && $behavior.returns_checksums {
            set_checksums!(output, &object.checksum);
            output.checksum_type = object.checksum.checksum_type.clone();
        }
        output
    }};
}
impl Backend {
    pub(super) fn get(&self, input: GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
        let store = self.store();
        let conditions = Read {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let bucket = store.bucket(&input.bucket)?;
        let (version, object) = find(bucket, &input.key, input.version_id.as_deref())?;
        check_read(&conditions, version, object)?;
        let chosen = Chosen::of(object, input.range, input.part_number)?;

        let mut output = describe!(
            GetObjectOutput,
            version,
            object,
            chosen,
            self.behavior(),
            input
        );
        output.tag_count = count(&object.attributes.tags);
        if let Some(value) = input.response_content_type {
            output.content_type = Some(value);
        }
        if let Some(value) = input.response_content_disposition {
            output.content_disposition = Some(value);
        }
        if let Some(value) = input.response_content_encoding {
            output.content_encoding = Some(value);
        }
        if let Some(value) = input.response_content_language {
            output.content_language = Some(value);
        }
        if let Some(value) = input.response_cache_control {
            output.cache_control = Some(value);
        }
        if let Some(value) = input.response_expires {
            output.expires = Some(value);
        }
        output.body = Some(body(object.data.slice(chosen.from..chosen.to)));
        Ok(S3Response::new(output))
    }

    pub(super) fn head(&self, input: HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
        let store = self.store();
        let conditions = Read {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let bucket = store.bucket(&input.bucket)?;
        let (version, object) = find(bucket, &input.key, input.version_id.as_deref())?;
        check_read(&conditions, version, object)?;
        let chosen = Chosen::of(object, input.range, input.part_number)?;
        let partial = chosen.range.is_some();
        let output = describe!(
            HeadObjectOutput,
            version,
            object,
            chosen,
            self.behavior(),
            input
        );
        let mut response = S3Response::new(output);
        if partial {
            response.status = Some(StatusCode::PARTIAL_CONTENT);
        }
        Ok(response)
    }
}

fn count(tags: &[Tag]) -> Option<i32> {
    (!tags.is_empty()).then(|| i32::try_from(tags.len()).unwrap_or(i32::MAX))
}

/// The version that a request reads.
pub(super) fn find<'a>(
    bucket: &'a Bucket,
    key: &str,
    id: Option<&str>,
) -> S3Result<(&'a Version, &'a Object)> {
    let version =
        match id {
            None => bucket.newest(key),
            Some(id) => {
                let versions = bucket.objects.get(key).map(Vec::as_slice);
                let found = versions
                    .unwrap_or_default()
                    .iter()
                    .find(|version| version.id == id);
                Some(found.ok_or_else(|| {
                    s3_error!(NoSuchVersion, "The specified version does not exist.")
                })?)
            }
        };
    let missing = no_such_key;
    let version = version.ok_or_else(missing)?;
    match &version.object {
        Some(object) => Ok((version, object)),
        None => Err(is_marker(version, id.is_some())),
    }
}

/// The answer to a read of a delete marker.
fn is_marker(version: &Version, named: bool) -> S3Error {
    let mut err = if named {
        s3_error!(
            MethodNotAllowed,
            "The specified method is not allowed against this resource."
        )
    } else {
        no_such_key()
    };
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "x-amz-delete-marker",
        http::HeaderValue::from_static("true"),
    );
    if let Ok(id) = http::HeaderValue::from_str(&version.id) {
        headers.insert("x-amz-version-id", id);
    }
    err.set_headers(headers);
    err
}

fn check_read(conditions: &Read, version: &Version, object: &Object) -> S3Result<()> {
    conditions
        .check(&object.etag, version.modified)
        .map_err(|refused| match refused {
            Refused::Failed => conditions::precondition_failed(),
            Refused::NotModified => conditions::not_modified(&object.etag),
        })
}

/// The bytes that a request reads.
#[derive(Debug)]
struct Chosen {
    from: u64,
    to: u64,
    range: Option<String>,
    parts: Option<i32>,
}

impl Chosen {
    fn of(object: &Object, range: Option<Range>, part: Option<i32>) -> S3Result<Self> {
        let len = object.data.len();
        let (from, to, parts) = match (range, part) {
            (Some(_), Some(_)) => {
                return Err(s3_error!(
                    InvalidRequest,
                    "Cannot specify both Range header and partNumber query parameter"
                ));
            }
            (None, None) => (0, len, None),
            (Some(range), None) => {
                let (from, to) = satisfied(range, len)?;
                (from, to, None)
            }
            (None, Some(part)) => Self::part(object, part)?,
        };
        let partial = range.is_some() || part.is_some();
        Ok(Self {
            from,
            to,
            range: (partial && to > from).then(|| format!("bytes {from}-{}/{len}", to - 1)),
            parts,
        })
    }

    fn part(object: &Object, number: i32) -> S3Result<(u64, u64, Option<i32>)> {
        let invalid = || {
            custom(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "InvalidPartNumber",
                "The requested partnumber is not satisfiable",
            )
        };
        let at = usize::try_from(number - 1).map_err(|_| invalid())?;
        if object.parts.is_empty() {
            return if at == 0 {
                Ok((0, object.data.len(), None))
            } else {
                Err(invalid())
            };
        }
        let len = *object.parts.get(at).ok_or_else(invalid)?;
        let from: u64 = object.parts.iter().take(at).sum();
        let parts = i32::try_from(object.parts.len()).unwrap_or(i32::MAX);
        Ok((from, from + len, Some(parts)))
    }
}

/// The bytes that a range takes of so many, as half-open bounds.
fn satisfied(range: Range, len: u64) -> S3Result<(u64, u64)> {
    let bounds = match range {
        Range::Int { first, last } => (
            first,
            last.map_or(len, |last| last.saturating_add(1).min(len)),
        ),
        Range::Suffix { length } => (len.saturating_sub(length), len),
    };
    if bounds.0 < bounds.1 {
        return Ok(bounds);
    }
    let mut err = s3_error!(InvalidRange, "The requested range is not satisfiable");
    let mut headers = http::HeaderMap::new();
    if let Ok(value) = http::HeaderValue::from_str(&format!("bytes */{len}")) {
        headers.insert(http::header::CONTENT_RANGE, value);
    }
    err.set_headers(headers);
    Err(err)
}

/// How much of an object goes into one piece of an answer.
const PIECE: usize = 64 << 10;

fn body(segments: Segments) -> StreamingBlob {
    let mut pieces = Vec::new();
    for segment in segments.0 {
        for from in (0..segment.len()).step_by(PIECE) {
            pieces.push(segment.slice(from..segment.len().min(from + PIECE)));
        }
    }
    StreamingBlob::wrap(stream::iter(
        pieces.into_iter().map(Ok::<_, std::io::Error>),
    ))
}
