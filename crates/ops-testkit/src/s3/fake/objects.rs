//! Objects: put and delete.

use std::time::SystemTime;

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    Error as ObjectError, PutObjectInput, PutObjectOutput, Tag,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::Backend;
use super::conditions::Write;
use super::errors::malformed_xml;
use super::lock;
use super::payload::{Claims, get_checksums, hex, receive, set_checksums};
use super::store::{Attributes, NULL, Object, Segments, Store, Version, Versioning, etag};

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

/// The version id as answers show it: not at all where versions are not kept.
pub(super) fn shown(version: &Version) -> Option<String> {
    (version.id != NULL).then(|| version.id.clone())
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
