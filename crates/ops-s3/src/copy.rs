//! Copying objects within the store.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_core::object_store::{Checksum, ETag, GetOptions, ObjectMeta, PutCondition, PutOptions};
use ops_core::{ErrorKind, ObjectKey, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::condition::{Lost, Request, settle};
use crate::error::{decode, integrity};
use crate::get::{self, timestamp};
use crate::operation::Operation;
use crate::put::{self, Failure};
use crate::store::Shared;
use crate::upload::{Part, Session};

/// What may stand in the header that names the source.
const IN_SOURCE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A part of a copy in parts; the store moves it by itself, so it may be large.
const PART_BYTES: u64 = 512 * 1024 * 1024;

/// Copies an object by the store where that can be done under the condition, and through
/// this process otherwise.
pub(crate) async fn object(
    shared: &Arc<Shared>,
    operation: &Operation,
    from: &ObjectKey,
    to: &ObjectKey,
    condition: PutCondition,
) -> Result<ObjectMeta> {
    let profile = &shared.profile;
    let source = get::head(shared, &operation.reading(), from).await?.meta;
    if profile.copy
        && source.size_bytes <= profile.max_copy_bytes
        && Request::Copy.obeys(profile, &condition)
    {
        return in_one_piece(shared, operation, &source, to, &condition).await;
    }
    // An upload has at least one part, and a part that is copied at least one byte.
    if profile.upload_part_copy
        && source.size_bytes > 0
        && Request::Complete.obeys(profile, &condition)
    {
        return in_parts(shared, operation, &source, to, &condition).await;
    }
    through_here(shared, operation, &source, to, condition).await
}

/// Names an object of this bucket as the source of a copy.
pub(crate) fn source_header(shared: &Shared, key: &ObjectKey, version: Option<&str>) -> String {
    let path = source_of(&shared.bucket, &shared.full_key(key));
    match version {
        Some(version) => {
            let version = utf8_percent_encode(version, NON_ALPHANUMERIC);
            format!("{path}?versionId={version}")
        }
        None => path,
    }
}

/// Names what has this key in a bucket, prefix and all.
pub(crate) fn source_of(bucket: &str, key: &str) -> String {
    utf8_percent_encode(&format!("{bucket}/{key}"), IN_SOURCE).to_string()
}

/// The version of the source that is copied, for the header that asks for it.
fn source_etag(shared: &Shared, source: &ObjectMeta) -> Option<String> {
    let form = shared.profile.get_if_match?;
    let etag = source.etag.as_ref()?;
    Some(crate::condition::etag_header(etag, form))
}

async fn in_one_piece(
    shared: &Arc<Shared>,
    operation: &Operation,
    source: &ObjectMeta,
    to: &ObjectKey,
    condition: &PutCondition,
) -> Result<ObjectMeta> {
    let conditions = Request::Copy.headers(&shared.profile, condition)?;
    let request = shared
        .client
        .copy_object()
        .bucket(&shared.bucket)
        .key(shared.full_key(to))
        .copy_source(source_header(shared, &source.key, None))
        .set_copy_source_if_match(source_etag(shared, source))
        .set_if_none_match(conditions.if_none_match)
        .set_if_match(conditions.if_match);
    let copy = shared.call(operation, request.send());
    let answer = match copy.await {
        Ok((answer, _)) => answer,
        Err(err) => {
            let lost = Lost {
                key: to,
                condition,
                write_id: None,
            };
            return settle(shared, operation, lost, err).await;
        }
    };
    let result = answer
        .copy_object_result()
        .ok_or_else(|| decode("the answer lacks `CopyObjectResult`"))?;
    let written = timestamp(result.last_modified())?;
    let mut meta = ObjectMeta::new(to.clone(), source.size_bytes, written);
    meta.etag = result.e_tag().map(ETag::new);
    meta.content_type.clone_from(&source.content_type);
    meta.checksum = crate::digest::of_headers(
        result.checksum_crc32_c(),
        result.checksum_crc64_nvme(),
        result.checksum_sha256(),
    );
    same_content(source, &meta)?;
    Ok(meta)
}

fn same_content(source: &ObjectMeta, copy: &ObjectMeta) -> Result<()> {
    match (source.checksum, copy.checksum) {
        (Some(before), Some(after))
            if before.algorithm() == after.algorithm() && before != after =>
        {
            Err(integrity("the copy has another checksum than its source"))
        }
        _ => Ok(()),
    }
}

async fn in_parts(
    shared: &Arc<Shared>,
    operation: &Operation,
    source: &ObjectMeta,
    to: &ObjectKey,
    condition: &PutCondition,
) -> Result<ObjectMeta> {
    let content_type = source.content_type.clone();
    let session = Session::begin(shared, operation, to, content_type).await?;
    let size = source.size_bytes;
    let least = size.div_ceil(u64::from(shared.profile.max_parts.max(1)));
    let part_bytes = PART_BYTES.max(least).min(shared.profile.max_copy_bytes);
    let starts = (0..size.div_ceil(part_bytes)).map(|index| index * part_bytes);
    let parts: Result<Vec<Part>> = stream::iter(starts.zip(1..))
        .map(|(start, number)| {
            let range = start..size.min(start.saturating_add(part_bytes));
            part(
                shared,
                operation,
                source,
                to,
                session.upload_id(),
                (range, number),
            )
        })
        .buffer_unordered(shared.concurrency)
        .try_collect()
        .await;
    match parts {
        Ok(parts) => {
            let meta = session.complete(parts, condition).await?;
            same_content(source, &meta)?;
            Ok(meta)
        }
        Err(err) => {
            session.abandon::<()>(tokio::task::JoinSet::new()).await;
            Err(err)
        }
    }
}

async fn part(
    shared: &Arc<Shared>,
    operation: &Operation,
    source: &ObjectMeta,
    to: &ObjectKey,
    upload_id: &str,
    (range, number): (std::ops::Range<u64>, i32),
) -> Result<Part> {
    let request = shared
        .client
        .upload_part_copy()
        .bucket(&shared.bucket)
        .key(shared.full_key(to))
        .upload_id(upload_id)
        .part_number(number)
        .copy_source(source_header(shared, &source.key, None))
        .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
        .set_copy_source_if_match(source_etag(shared, source));
    let operation = operation.reading();
    let copy = shared.call(&operation, request.send());
    let (answer, _) = copy.await?;
    let result = answer.copy_part_result();
    let etag = result.and_then(|result| result.e_tag()).map(ETag::new);
    let checksum = result.and_then(|result| {
        crate::digest::of_headers(result.checksum_crc32_c(), None, result.checksum_sha256())
    });
    Ok(Part {
        number,
        size_bytes: range.end - range.start,
        etag: etag.ok_or_else(|| decode("the answer lacks `ETag`, that of the part"))?,
        checksum: checksum.filter(|sum| matches!(sum, Checksum::Crc32c(_) | Checksum::Sha256(_))),
    })
}

/// Reads the object and writes it again.
async fn through_here(
    shared: &Arc<Shared>,
    operation: &Operation,
    source: &ObjectMeta,
    to: &ObjectKey,
    condition: PutCondition,
) -> Result<ObjectMeta> {
    let options = match &source.etag {
        Some(etag) => GetOptions::default().with_if_match(etag.clone()),
        None => GetOptions::default(),
    };
    let read = get::get(shared, &operation.reading(), &source.key, options).await?;
    let mut options = PutOptions::default();
    options.condition = condition;
    options.content_type.clone_from(&source.content_type);
    let profile = &shared.profile;
    let one_piece_only = !Request::Complete.obeys(profile, &options.condition);
    let short = source.size_bytes <= shared.plan.part_bytes(0).unwrap_or(0);
    if one_piece_only && !short {
        let message =
            "a copy under this condition would have to be held in memory, and is too large";
        return Err(ops_core::Error::new(ErrorKind::Unsupported, message));
    }
    put::stream(shared, operation, to, read.body, options)
        .await
        .map_err(|failure| match failure {
            Failure::Source(err) | Failure::Store(err) => err,
        })
}
