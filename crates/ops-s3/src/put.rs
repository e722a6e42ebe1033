//! Writing objects.

use std::sync::Arc;

use bytes::Bytes;
use ops_core::object_store::{Checksum, ETag, ObjectMeta, PutCondition, PutOptions};
use ops_core::{ByteStream, Error, ErrorKind, ObjectKey, Result};

use crate::condition::{Lost, Request, WRITE_ID, new_write_id, settle};
use crate::digest::{self, ChecksumHeaders, Hasher};
use crate::error::{decode, integrity, unsupported};
use crate::operation::Operation;
use crate::profile::{ChecksumKind, StoreProfile};
use crate::store::Shared;
use crate::upload;
use crate::wire::WireRequest;

mod buffers;
mod feed;

pub(crate) use buffers::{Buffers, Lease};
pub(crate) use feed::Feed;

/// Why a stream was not written.
pub(crate) enum Failure {
    /// The stream itself ended with this error.
    Source(Error),
    Store(Error),
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        Self::Store(err)
    }
}

/// Writes what is in memory: small objects in one request, large ones in parallel parts.
pub(crate) async fn bytes(
    shared: &Arc<Shared>,
    operation: &Operation,
    key: &ObjectKey,
    data: Bytes,
    options: PutOptions,
) -> Result<ObjectMeta> {
    if let Some(expected) = &options.checksum {
        let mut hasher = hasher_for(expected)?;
        hasher.update(&data);
        compare(expected, &hasher.finish())?;
    }
    let size = data.len() as u64;
    if size > shared.profile.max_object_bytes {
        return Err(too_large(shared.profile.max_object_bytes));
    }
    if in_one_piece(shared, size, &options.condition) {
        return object(shared, operation, key, data, &options).await;
    }
    let feed = Feed::of_bytes(data, shared.plan.of_length(size));
    upload::run(shared, operation, key, feed, &options)
        .await
        .map_err(|failure| match failure {
            Failure::Source(err) | Failure::Store(err) => err,
        })
}

/// Writes a stream: one request where it is short, parallel parts otherwise.
pub(crate) async fn stream(
    shared: &Arc<Shared>,
    operation: &Operation,
    key: &ObjectKey,
    data: ByteStream,
    options: PutOptions,
) -> Result<ObjectMeta, Failure> {
    let hasher = options.checksum.as_ref().map(hasher_for).transpose()?;
    let mut feed = Feed::of_stream(data, shared.plan, hasher, shared.buffers.lease());
    let Some(whole) = feed.whole_if_short().await? else {
        return upload::run(shared, operation, key, feed, &options).await;
    };
    if let (Some(expected), Some(hasher)) = (&options.checksum, feed.take_hasher()) {
        compare(expected, &hasher.finish())?;
    }
    Ok(object(shared, operation, key, whole, &options).await?)
}

/// One request takes less time than three, up to two parts. Beyond that it is chosen only
/// to keep a condition that the store obeys nowhere else.
fn in_one_piece(shared: &Shared, size: u64, condition: &PutCondition) -> bool {
    let part = shared.plan.part_bytes(0).unwrap_or(u64::MAX);
    let profile = &shared.profile;
    if size <= part.saturating_mul(2).min(profile.max_single_bytes()) {
        return true;
    }
    size <= profile.max_single_bytes()
        && !Request::Complete.obeys(profile, condition)
        && Request::Put.obeys(profile, condition)
}

/// Writes an object in one request.
pub(crate) async fn object(
    shared: &Arc<Shared>,
    operation: &Operation,
    key: &ObjectKey,
    data: Bytes,
    options: &PutOptions,
) -> Result<ObjectMeta> {
    let profile = &shared.profile;
    let conditions = Request::Put.headers(profile, &options.condition)?;
    let write_id = match options.condition {
        PutCondition::Always => None,
        _ => Some(new_write_id()?),
    };
    let size = data.len() as u64;
    let checksum = digest::of(profile.checksum, &data);
    let sums = ChecksumHeaders::new(checksum.as_ref());
    let content_type = options.content_type.as_deref();
    let request = WireRequest::put(&shared.full_key(key), data, content_type)
        .condition(conditions)
        .checksum(sums)
        .write_id(write_id.clone());
    let sent = shared.transfer(operation, shared.wire.send(request)).await;
    let (answer, trace) = match sent {
        Ok(answer) => answer,
        Err(err) => {
            let lost = Lost {
                key,
                condition: &options.condition,
                write_id: write_id.as_deref(),
            };
            return settle(shared, operation, lost, err).await;
        }
    };
    let etag = answer.etag();
    acknowledged(
        profile,
        profile.checksum,
        checksum.as_ref(),
        answer.taken(),
        etag.as_ref(),
    )?;
    let mut meta = ObjectMeta::new(key.clone(), size, shared.answered_at(&trace));
    meta.etag = etag;
    meta.checksum = checksum;
    meta.content_type.clone_from(&options.content_type);
    Ok(meta)
}

/// The metadata that names a write.
pub(crate) fn metadata(write_id: String) -> std::collections::HashMap<String, String> {
    [(WRITE_ID.to_owned(), write_id)].into()
}

/// Compares what the store says it took with what it was sent.
pub(crate) fn acknowledged(
    profile: &StoreProfile,
    kind: ChecksumKind,
    sent: Option<&Checksum>,
    said: Option<Checksum>,
    etag: Option<&ETag>,
) -> Result<()> {
    let said = match kind {
        ChecksumKind::None => return Ok(()),
        ChecksumKind::Md5 if !profile.etag_is_md5 => return Ok(()),
        ChecksumKind::Md5 => etag.and_then(|etag| digest::of_etag(etag.as_str())),
        ChecksumKind::Crc32c | ChecksumKind::Sha256 => said,
    };
    match (sent, said) {
        (Some(sent), Some(said)) => compare(sent, &said),
        (None, _) => Ok(()),
        (Some(_), None) => Err(decode(
            "the answer lacks `x-amz-checksum-*`, the checksum of what the store took",
        )),
    }
}

/// Fails where content is not what it must be.
pub(crate) fn compare(expected: &Checksum, actual: &Checksum) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(integrity(format!(
        "the content hashes to {actual}, expected {expected}"
    )))
}

fn hasher_for(checksum: &Checksum) -> Result<Hasher> {
    Hasher::like(checksum).ok_or_else(|| {
        unsupported(format!(
            "the checksum {} is not supported",
            checksum.algorithm()
        ))
    })
}

pub(crate) fn too_large(max: u64) -> Error {
    Error::new(
        ErrorKind::QuotaExceeded,
        format!("the object is larger than {max} bytes"),
    )
}
