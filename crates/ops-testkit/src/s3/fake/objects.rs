//! Objects: put, get, head, delete.

use std::time::SystemTime;

use futures_util::stream;
use http::StatusCode;
use s3s::dto::{
    AcceptRanges, ChecksumMode, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, Error as ObjectError, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ObjectLockLegalHoldStatus, ObjectLockMode, PutObjectInput,
    PutObjectOutput, Range, StreamingBlob, Tag,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::Backend;
use super::conditions::{self, Read, Refused, Write};
use super::errors::{custom, malformed_xml, no_such_key};
use super::lock;
use super::payload::{Claims, get_checksums, hex, receive, set_checksums};
use super::store::{
    Attributes, Bucket, NULL, Object, Segments, Store, Version, Versioning, etag, size, timestamp,
};

impl Backend {
    pub(super) async fn put(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let S3Request {
            mut input,
            headers,
            trailing_headers,
            ..
        } = req;
        let behavior = self.behavior();
        self.store().bucket(&input.bucket)?;
        let claims = claims!(input).with_headers(&headers, trailing_headers);
        let payload = receive(input.body.take(), &claims, behavior.verifies_checksums).await?;

        let mut object = Object {
            etag: hex(&payload.md5),
            data: Segments(vec![payload.data]),
            checksum: payload.checksum,
            parts: Vec::new(),
            attributes: attributes!(input),
            retention: retention!(input),
            legal_hold: legal_hold!(input),
        };
        object.attributes.tags = parse_tags(input.tagging.as_deref())?;
        let mut output = PutObjectOutput {
            e_tag: Some(etag(&object.etag)),
            checksum_type: object.checksum.checksum_type.clone(),
            server_side_encryption: object.attributes.encryption.clone(),
            ..PutObjectOutput::default()
        };
        if behavior.returns_checksums {
            set_checksums!(output, &object.checksum);
        } else {
            output.checksum_type = None;
        }
        let conditions = Write {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            on_match: behavior.if_match,
            on_none_match: behavior.if_none_match,
        };
        let now = self.now();
        let version = self
            .store()
            .write(&input.bucket, &input.key, object, &conditions, now)?;
        output.version_id = shown(&version);
        Ok(S3Response::new(output))
    }

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

    pub(super) fn delete(
        &self,
        input: &DeleteObjectInput,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let now = self.now();
        let mut store = self.store();
        if let Some(condition) = &input.if_match {
            let bucket = store.bucket(&input.bucket)?;
            let current = bucket
                .current(&input.key)
                .map(|(_, object)| object.etag.as_str());
            let conditions = Write {
                if_match: Some(condition),
                if_none_match: None,
                on_match: self.behavior().if_match,
                on_none_match: self.behavior().if_none_match,
            };
            conditions.check(current)?;
        }
        let bypass = input.bypass_governance_retention.unwrap_or_default();
        let id = input.version_id.as_deref();
        let removed = store.delete(&input.bucket, &input.key, id, bypass, now)?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: removed.marker.then_some(true),
            version_id: removed.version_id,
            ..DeleteObjectOutput::default()
        }))
    }

    pub(super) fn delete_many(
        &self,
        input: DeleteObjectsInput,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        if input.delete.objects.is_empty() || input.delete.objects.len() > 1000 {
            return Err(malformed_xml());
        }
        let now = self.now();
        let mut store = self.store();
        store.bucket(&input.bucket)?;
        let bypass = input.bypass_governance_retention.unwrap_or_default();
        let quiet = input.delete.quiet.unwrap_or_default();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let id = object.version_id.as_deref();
            match store.delete(&input.bucket, &object.key, id, bypass, now) {
                Ok(_) if quiet => {}
                Ok(removed) => deleted.push(DeletedObject {
                    key: Some(object.key),
                    delete_marker: removed.marker.then_some(true),
                    delete_marker_version_id: removed
                        .marker
                        .then_some(removed.version_id)
                        .flatten(),
                    version_id: object.version_id,
                }),
                Err(err) => errors.push(ObjectError {
                    code: Some(err.code().as_str().to_owned()),
                    message: err.message().map(str::to_owned),
                    key: Some(object.key),
                    version_id: object.version_id,
                }),
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..DeleteObjectsOutput::default()
        }))
    }
}

/// What the client says of the payload of an input.
macro_rules! claims {
    ($input:expr) => {
        Claims {
            checksum: get_checksums!($input),
            algorithm: $input
                .checksum_algorithm
                .as_ref()
                .map(|algorithm| algorithm.as_str().to_owned()),
            content_md5: $input.content_md5.clone(),
            ..Claims::default()
        }
    };
}
pub(super) use claims;

/// What an input says of an object beside its content.
macro_rules! attributes {
    ($input:expr) => {
        Attributes {
            content_type: $input.content_type.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_language: $input.content_language.clone(),
            cache_control: $input.cache_control.clone(),
            expires: $input.expires.clone(),
            metadata: $input.metadata.clone(),
            storage_class: $input.storage_class.clone(),
            encryption: $input.server_side_encryption.clone(),
            tags: Vec::new(),
        }
    };
}
pub(super) use attributes;

macro_rules! retention {
    ($input:expr) => {
        crate::s3::fake::lock::retention(
            $input.object_lock_mode.as_ref(),
            $input.object_lock_retain_until_date.clone(),
        )
    };
}
pub(super) use retention;

macro_rules! legal_hold {
    ($input:expr) => {
        $input
            .object_lock_legal_hold_status
            .as_ref()
            .is_some_and(|status| status.as_str() == s3s::dto::ObjectLockLegalHoldStatus::ON)
    };
}
pub(super) use legal_hold;

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
use describe;

/// The version id as answers show it: not at all where versions are not kept.
pub(super) fn shown(version: &Version) -> Option<String> {
    (version.id != NULL).then(|| version.id.clone())
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

/// Reads `key=value&key=value`.
pub(super) fn parse_tags(text: Option<&str>) -> S3Result<Vec<Tag>> {
    let mut tags = Vec::new();
    for pair in text
        .unwrap_or_default()
        .split('&')
        .filter(|it| !it.is_empty())
    {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        tags.push(Tag {
            key: Some(super::request::decoded(key)),
            value: Some(super::request::decoded(value)),
        });
    }
    if tags.len() > 10 {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidTag,
            "Object tags cannot be greater than 10",
        ));
    }
    Ok(tags)
}

/// What a delete did.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) marker: bool,
    pub(super) version_id: Option<String>,
}

impl Store {
    /// Makes an object the present one of its key.
    pub(super) fn write(
        &mut self,
        bucket: &str,
        key: &str,
        mut object: Object,
        conditions: &Write<'_>,
        now: SystemTime,
    ) -> S3Result<Version> {
        let id = self.new_id();
        let bucket = self.bucket_mut(bucket)?;
        let current = bucket.current(key).map(|(_, object)| object.etag.as_str());
        conditions.check(current)?;
        lock::apply_default(&bucket.config, &mut object, now);
        let version = Version {
            id: match bucket.versioning {
                Versioning::Enabled => id,
                Versioning::Never | Versioning::Suspended => NULL.to_owned(),
            },
            modified: now,
            object: Some(object),
        };
        bucket.push(key, version.clone());
        Ok(version)
    }

    /// Deletes a key or one version of it.
    pub(super) fn delete(
        &mut self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
        bypass: bool,
        now: SystemTime,
    ) -> S3Result<Removed> {
        let marker_id = self.new_id();
        let bucket = self.bucket_mut(bucket)?;
        if let Some(id) = id {
            let version = bucket.version_mut(key, Some(id));
            if let Some(object) = version.and_then(|version| version.object.as_ref()) {
                lock::check_removal(object, bypass, now)?;
            }
            let removed = bucket.remove(key, id);
            return Ok(Removed {
                marker: removed.is_some_and(|version| version.object.is_none()),
                version_id: Some(id.to_owned()),
            });
        }
        let id = match bucket.versioning {
            Versioning::Never => {
                bucket.remove(key, NULL);
                return Ok(Removed::default());
            }
            Versioning::Enabled => marker_id,
            Versioning::Suspended => NULL.to_owned(),
        };
        let marker = Version {
            id: id.clone(),
            modified: now,
            object: None,
        };
        bucket.push(key, marker);
        Ok(Removed {
            marker: true,
            version_id: Some(id),
        })
    }
}
