//! Copies within the server.

use s3s::dto::{
    ChecksumAlgorithm, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult,
    CopySource, MetadataDirective, TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use super::Backend;
use super::conditions::{Read, Write, precondition_failed};
use super::multipart::check_number;
use super::objects::{attributes, legal_hold, parse_tags, retention, shown};
use super::payload::{algorithm, checksum_of, hex, set_checksums};
use super::read::find;
use super::store::{Attributes, Bucket, Object, StoredPart, Version, etag, timestamp};
use s3s::crypto::{Checksum as _, Md5};

/// Bucket, key and version of a source.
type Source<'a> = (&'a str, &'a str, Option<&'a str>);

fn source(source: &CopySource) -> S3Result<Source<'_>> {
    match source {
        CopySource::Bucket {
            bucket,
            key,
            version_id,
        } => Ok((bucket, key, version_id.as_deref())),
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {
            Err(s3_error!(NotImplemented))
        }
    }
}

/// The version to copy, where the conditions on it hold.
fn readable<'a>(
    bucket: &'a Bucket,
    (_, key, id): Source<'_>,
    conditions: &Read,
) -> S3Result<(&'a Version, &'a Object)> {
    let (version, object) = find(bucket, key, id)?;
    conditions
        .check(&object.etag, version.modified)
        .map_err(|_| precondition_failed())?;
    Ok((version, object))
}

macro_rules! source_conditions {
    ($input:expr) => {
        Read {
            if_match: $input.copy_source_if_match.clone(),
            if_none_match: $input.copy_source_if_none_match.clone(),
            if_modified_since: $input.copy_source_if_modified_since.clone(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.clone(),
        }
    };
}

impl Backend {
    pub(super) fn copy(&self, input: &CopyObjectInput) -> S3Result<S3Response<CopyObjectOutput>> {
        let behavior = self.behavior();
        let now = self.now();
        let mut store = self.store();
        let from = source(&input.copy_source)?;
        let (version, object) = readable(store.bucket(from.0)?, from, &source_conditions!(input))?;
        let source_version = shown(version);
        if object.data.len() > behavior.max_copy_size {
            return Err(too_large(behavior.max_copy_size));
        }
        let copied = copied(input, from, object)?;
        store.bucket(&input.bucket)?;

        let mut result = CopyObjectResult {
            e_tag: Some(etag(&copied.etag)),
            last_modified: Some(timestamp(now)),
            ..CopyObjectResult::default()
        };
        if behavior.returns_checksums {
            set_checksums!(result, &copied.checksum);
            result
                .checksum_type
                .clone_from(&copied.checksum.checksum_type);
        }
        let unconditional = Write {
            if_match: None,
            if_none_match: None,
            on_match: behavior.if_match,
            on_none_match: behavior.if_none_match,
        };
        let written = store.write(&input.bucket, &input.key, copied, &unconditional, now)?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source_version,
            version_id: shown(&written),
            ..CopyObjectOutput::default()
        }))
    }

    pub(super) fn copy_part(
        &self,
        input: &UploadPartCopyInput,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let behavior = self.behavior();
        check_number(input.part_number, &behavior)?;
        let now = self.now();
        let (part, version) = {
            let store = self.store();
            let upload = store.bucket(&input.bucket)?;
            let upload = upload.upload(&input.upload_id, &input.key)?;
            let from = source(&input.copy_source)?;
            let (version, object) =
                readable(store.bucket(from.0)?, from, &source_conditions!(input))?;
            let bytes = match &input.copy_source_range {
                Some(range) => object.data.slice(inner_range(range, object.data.len())?),
                None => object.data.clone(),
            };
            let data = bytes.to_bytes();
            let algorithm = upload.algorithm.as_deref().unwrap_or("CRC64NVME");
            let part = StoredPart {
                md5: Md5::checksum(&data),
                checksum: checksum_of(std::slice::from_ref(&data), algorithm),
                data,
                modified: now,
            };
            (part, shown(version))
        };
        let mut result = CopyPartResult {
            e_tag: Some(etag(&hex(&part.md5))),
            last_modified: Some(timestamp(now)),
            ..CopyPartResult::default()
        };
        if behavior.returns_checksums {
            set_checksums!(result, &part.checksum);
        }
        self.add_part(
            &input.bucket,
            &input.key,
            &input.upload_id,
            input.part_number,
            part,
        )?;
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: version,
            ..UploadPartCopyOutput::default()
        }))
    }
}

fn too_large(limit: u64) -> S3Error {
    s3_error!(
        InvalidRequest,
        "The specified copy source is larger than the maximum allowable size for a copy source: {limit}"
    )
}

/// The object that a copy makes of its source.
fn copied(input: &CopyObjectInput, from: Source<'_>, object: &Object) -> S3Result<Object> {
    let replace = input
        .metadata_directive
        .as_ref()
        .is_some_and(|it| it.as_str() == MetadataDirective::REPLACE);
    let onto_itself = (from.0, from.1) == (input.bucket.as_str(), input.key.as_str());
    if onto_itself && from.2.is_none() && !replace && input.storage_class.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let mut attributes = if replace {
        attributes!(input)
    } else {
        object.attributes.clone()
    };
    attributes.storage_class.clone_from(&input.storage_class);
    attributes.tags = match &input.tagging_directive {
        Some(directive) if directive.as_str() == TaggingDirective::REPLACE => {
            parse_tags(input.tagging.as_deref())?
        }
        _ => object.attributes.tags.clone(),
    };
    // A copy is one piece, whatever its source was made of.
    let data = object.data.clone();
    let mut md5 = Md5::new();
    data.0.iter().for_each(|piece| md5.update(piece));
    let wanted = input
        .checksum_algorithm
        .as_ref()
        .map(ChecksumAlgorithm::as_str);
    let kind = wanted
        .or_else(|| algorithm(&object.checksum))
        .unwrap_or("CRC64NVME");
    Ok(Object {
        etag: hex(&md5.finalize()),
        checksum: checksum_of(&data.0, kind),
        data,
        parts: Vec::new(),
        attributes,
        retention: retention!(input),
        legal_hold: legal_hold!(input),
    })
}

/// Reads `bytes=first-last`, which must lie within the source.
fn inner_range(text: &str, len: u64) -> S3Result<std::ops::Range<u64>> {
    let invalid = || {
        s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
        )
    };
    let bounds = text
        .strip_prefix("bytes=")
        .and_then(|bounds| bounds.split_once('-'));
    let (first, last) = bounds.ok_or_else(invalid)?;
    let first: u64 = first.parse().map_err(|_| invalid())?;
    let last: u64 = last.parse().map_err(|_| invalid())?;
    if first > last {
        return Err(invalid());
    }
    if last >= len {
        return Err(s3_error!(
            InvalidRange,
            "The specified copy range is not within the source object"
        ));
    }
    Ok(first..last + 1)
}
