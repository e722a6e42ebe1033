//! Multipart uploads.

use std::collections::BTreeMap;

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Checksum, ChecksumAlgorithm,
    ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::Backend;
use super::behavior::Behavior;
use super::conditions::Write;
use super::errors::malformed_xml;
use super::objects::{attributes, claims, legal_hold, parse_tags, retention, shown};
use super::payload::{self, Claims, checksum_of, get_checksums, hex, receive, set_checksums};
use super::store::{Attributes, Bucket, Object, Segments, StoredPart, Upload, etag, size};

impl Backend {
    pub(super) fn create_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        let algorithm = input
            .checksum_algorithm
            .as_ref()
            .map(|it| it.as_str().to_owned());
        let checksum_type = match (&input.checksum_type, algorithm.as_deref()) {
            (Some(kind), _) => Some(kind.clone()),
            (None, Some("CRC64NVME") | None) => None,
            (None, Some(_)) => Some(ChecksumType::from_static(ChecksumType::COMPOSITE)),
        };
        check_type(algorithm.as_deref(), checksum_type.as_ref())?;
        let mut attributes = attributes!(input);
        attributes.tags = parse_tags(input.tagging.as_deref())?;
        let now = self.now();
        let mut store = self.store();
        let id = store.new_id();
        let upload = Upload {
            key: input.key.clone(),
            initiated: now,
            attributes,
            algorithm,
            checksum_type: checksum_type.clone(),
            retention: retention!(input),
            legal_hold: legal_hold!(input),
            parts: BTreeMap::new(),
        };
        let encryption = upload.attributes.encryption.clone();
        let bucket = store.bucket_mut(&input.bucket)?;
        bucket.uploads.insert(id.clone(), upload);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type,
            server_side_encryption: encryption,
            ..CreateMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let S3Request {
            mut input,
            headers,
            trailing_headers,
            ..
        } = req;
        let behavior = self.behavior();
        check_number(input.part_number, &behavior)?;
        let mut claims = claims!(input).with_headers(&headers, trailing_headers);
        {
            let store = self.store();
            let bucket = store.bucket(&input.bucket)?;
            let upload = bucket.upload(&input.upload_id, &input.key)?;
            if claims.algorithm.is_none() {
                claims.algorithm.clone_from(&upload.algorithm);
            }
        }
        let payload = receive(input.body.take(), &claims, behavior.verifies_checksums).await?;
        let mut output = UploadPartOutput {
            e_tag: Some(etag(&hex(&payload.md5))),
            ..UploadPartOutput::default()
        };
        if behavior.returns_checksums {
            set_checksums!(output, &payload.checksum);
        }
        let part = StoredPart {
            data: payload.data,
            md5: payload.md5,
            checksum: payload.checksum,
            modified: self.now(),
        };
        self.add_part(
            &input.bucket,
            &input.key,
            &input.upload_id,
            input.part_number,
            part,
        )?;
        Ok(S3Response::new(output))
    }

    /// Keeps a part. An upload that ended while the part arrived is no more.
    pub(super) fn add_part(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        number: i32,
        part: StoredPart,
    ) -> S3Result<()> {
        let mut store = self.store();
        let upload = store.bucket_mut(bucket)?.upload_mut(upload, key)?;
        upload.parts.insert(number, part);
        Ok(())
    }

    pub(super) fn complete_upload(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let behavior = self.behavior();
        let now = self.now();
        let mut store = self.store();
        let bucket = store.bucket(&input.bucket)?;
        let upload = bucket.upload(&input.upload_id, &input.key)?;
        let listed = input
            .multipart_upload
            .as_ref()
            .and_then(|it| it.parts.as_deref());
        let parts = chosen(upload, listed.unwrap_or_default(), &behavior)?;
        let object = assemble(upload, &parts);
        check_whole(&input, &object, &behavior)?;
        let conditions = Write {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            on_match: behavior.conditional_complete,
            on_none_match: behavior.conditional_complete,
        };
        let tag = object.etag.clone();
        let checksum = object.checksum.clone();
        let encryption = object.attributes.encryption.clone();
        let version = store.write(&input.bucket, &input.key, object, &conditions, now)?;
        store
            .bucket_mut(&input.bucket)?
            .uploads
            .remove(&input.upload_id);
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&tag)),
            version_id: shown(&version),
            server_side_encryption: encryption,
            ..CompleteMultipartUploadOutput::default()
        };
        if behavior.returns_checksums {
            set_checksums!(output, &checksum);
            output.checksum_type = checksum.checksum_type;
        }
        Ok(S3Response::new(output))
    }

    pub(super) fn abort_upload(
        &self,
        input: &AbortMultipartUploadInput,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let mut store = self.store();
        let bucket = store.bucket_mut(&input.bucket)?;
        bucket.upload(&input.upload_id, &input.key)?;
        bucket.uploads.remove(&input.upload_id);
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

fn check_type(algorithm: Option<&str>, kind: Option<&ChecksumType>) -> S3Result<()> {
    let Some(kind) = kind else { return Ok(()) };
    let full = kind.as_str() == ChecksumType::FULL_OBJECT;
    match algorithm {
        None => Err(s3_error!(
            InvalidRequest,
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
        )),
        Some(algorithm @ ("SHA1" | "SHA256")) if full => Err(unfit(algorithm, kind)),
        Some(algorithm @ "CRC64NVME") if !full => Err(unfit(algorithm, kind)),
        Some(_) => Ok(()),
    }
}

fn unfit(algorithm: &str, kind: &ChecksumType) -> S3Error {
    S3Error::with_message(
        S3ErrorCode::InvalidRequest,
        format!(
            "The {} checksum type cannot be used with the {algorithm} checksum algorithm.",
            kind.as_str()
        ),
    )
}

pub(super) fn check_number(number: i32, behavior: &Behavior) -> S3Result<()> {
    if (1..=behavior.max_parts).contains(&number) {
        return Ok(());
    }
    Err(S3Error::with_message(
        S3ErrorCode::InvalidArgument,
        format!(
            "Part number must be an integer between 1 and {}, inclusive",
            behavior.max_parts
        ),
    ))
}

fn no_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

impl Bucket {
    pub(super) fn upload(&self, id: &str, key: &str) -> S3Result<&Upload> {
        let upload = self.uploads.get(id).filter(|upload| upload.key == key);
        upload.ok_or_else(no_upload)
    }

    fn upload_mut(&mut self, id: &str, key: &str) -> S3Result<&mut Upload> {
        let upload = self.uploads.get_mut(id).filter(|upload| upload.key == key);
        upload.ok_or_else(no_upload)
    }
}

/// The parts that a client names, where they are as it says.
fn chosen<'a>(
    upload: &'a Upload,
    listed: &[CompletedPart],
    behavior: &Behavior,
) -> S3Result<Vec<(i32, &'a StoredPart)>> {
    if listed.is_empty() {
        return Err(malformed_xml());
    }
    let mut parts: Vec<(i32, &StoredPart)> = Vec::new();
    for named in listed {
        let number = named.part_number.unwrap_or_default();
        if parts.last().is_some_and(|(last, _)| *last >= number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        let part = upload.parts.get(&number).ok_or_else(invalid_part)?;
        let same_tag = named.e_tag.as_ref().map(ETag::value) == Some(&*hex(&part.md5));
        if !same_tag || !same_checksum(named, part) {
            return Err(invalid_part());
        }
        parts.push((number, part));
    }
    let inner = parts.split_last().map_or(&[][..], |(_, inner)| inner);
    if inner
        .iter()
        .any(|(_, part)| (part.data.len() as u64) < behavior.min_part_size)
    {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        ));
    }
    if behavior.equal_part_sizes && !equal_sizes(&parts) {
        return Err(s3_error!(
            InvalidPart,
            "All non-trailing parts must have the same length."
        ));
    }
    Ok(parts)
}

fn equal_sizes(parts: &[(i32, &StoredPart)]) -> bool {
    let Some(((_, last), inner)) = parts.split_last() else {
        return true;
    };
    let Some((_, first)) = inner.first() else {
        return true;
    };
    let len = first.data.len();
    inner.iter().all(|(_, part)| part.data.len() == len) && last.data.len() <= len
}

fn same_checksum(named: &CompletedPart, part: &StoredPart) -> bool {
    let claimed = get_checksums!(named);
    payload::ALGORITHMS.into_iter().all(|algorithm| {
        let claimed = payload::value(&claimed, algorithm);
        claimed.is_none() || claimed == payload::value(&part.checksum, algorithm)
    })
}

fn invalid_part() -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    )
}

fn assemble(upload: &Upload, parts: &[(i32, &StoredPart)]) -> Object {
    let mut md5 = Md5::new();
    for (_, part) in parts {
        md5.update(&part.md5);
    }
    let data: Vec<Bytes> = parts.iter().map(|(_, part)| part.data.clone()).collect();
    Object {
        etag: format!("{}-{}", hex(&md5.finalize()), parts.len()),
        checksum: whole_checksum(upload, parts, &data),
        data: Segments(data),
        parts: parts
            .iter()
            .map(|(_, part)| part.data.len() as u64)
            .collect(),
        attributes: upload.attributes.clone(),
        retention: upload.retention.clone(),
        legal_hold: upload.legal_hold,
    }
}

/// The checksum of the whole object: over its bytes, or over the checksums of its parts.
fn whole_checksum(upload: &Upload, parts: &[(i32, &StoredPart)], data: &[Bytes]) -> Checksum {
    let algorithm = upload.algorithm.as_deref().unwrap_or("CRC64NVME");
    let composite = upload
        .checksum_type
        .as_ref()
        .is_some_and(|kind| kind.as_str() == ChecksumType::COMPOSITE);
    if !composite {
        return checksum_of(data, algorithm);
    }
    let sums: Vec<Bytes> = parts
        .iter()
        .filter_map(|(_, part)| payload::value(&part.checksum, algorithm))
        .filter_map(|sum| payload::from_base64(sum).map(Bytes::from))
        .collect();
    let mut checksum = checksum_of(&sums, algorithm);
    let of_parts = [
        &mut checksum.checksum_crc32,
        &mut checksum.checksum_crc32c,
        &mut checksum.checksum_sha1,
        &mut checksum.checksum_sha256,
    ];
    for sum in of_parts.into_iter().flatten() {
        *sum = format!("{sum}-{}", parts.len());
    }
    checksum.checksum_type.clone_from(&upload.checksum_type);
    checksum
}

/// What the client says of the whole object.
fn check_whole(
    input: &CompleteMultipartUploadInput,
    object: &Object,
    behavior: &Behavior,
) -> S3Result<()> {
    if input
        .mpu_object_size
        .is_some_and(|claimed| claimed != size(object.data.len()))
    {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header value does not match what was computed"
        ));
    }
    if !behavior.verifies_checksums {
        return Ok(());
    }
    let claimed = get_checksums!(input);
    for algorithm in payload::ALGORITHMS {
        let Some(claimed) = payload::value(&claimed, algorithm) else {
            continue;
        };
        if payload::value(&object.checksum, algorithm) != Some(claimed) {
            return Err(s3_error!(
                BadDigest,
                "The checksum you specified did not match the calculated checksum."
            ));
        }
    }
    Ok(())
}

/// The algorithm of an upload, as lists show it.
pub(super) fn algorithm(upload: &Upload) -> Option<ChecksumAlgorithm> {
    upload.algorithm.clone().map(ChecksumAlgorithm::from)
}
