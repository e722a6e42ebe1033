//! Reading objects.

use std::ops::Range;
use std::sync::Arc;

use ops_core::object_store::{ByteRange, Checksum, GetOptions, GetResult, ObjectMeta};
use ops_core::{Error, ErrorKind, ObjectKey, Result, Timestamp};

use crate::condition::etag_header;
use crate::digest::{self, Hasher};
use crate::error::{decode, version_conflict};
use crate::operation::Operation;
use crate::profile::{ChecksumKind, StoreProfile};
use crate::store::Shared;
use crate::wire::{WireAnswer, WireRequest};

mod body;
mod ranges;

use body::{Body, Source};

/// What the store knows of an object, with what only we look at.
pub(crate) struct Head {
    pub(crate) meta: ObjectMeta,
    pub(crate) write_id: Option<String>,
}

/// Asks what the store knows of an object.
pub(crate) async fn head(shared: &Shared, operation: &Operation, key: &ObjectKey) -> Result<Head> {
    let checksums = wants_checksums(&shared.profile).then(|| "ENABLED".to_owned());
    let request = WireRequest::head(&shared.full_key(key)).header("x-amz-checksum-mode", checksums);
    let head = shared.call(operation, shared.wire.send(request));
    let (answer, _) = head.await.map_err(missing)?;
    Ok(Head {
        meta: answer.meta(key)?,
        write_id: answer.write_id().map(ToOwned::to_owned),
    })
}

/// An answer to a HEAD has no body that could name the error.
fn missing(err: Error) -> Error {
    if err.status() == Some(404) && err.code().is_none_or(|code| code == "NotFound") {
        return err.with_code("NoSuchKey");
    }
    err
}

/// Whether the store keeps checksums that answers can repeat.
pub(crate) fn wants_checksums(profile: &StoreProfile) -> bool {
    let kept = |kind| matches!(kind, ChecksumKind::Crc32c | ChecksumKind::Sha256);
    kept(profile.checksum) || kept(profile.part_checksum)
}

pub(crate) fn timestamp(time: Option<&aws_sdk_s3::primitives::DateTime>) -> Result<Timestamp> {
    let missing = || decode("the answer lacks `LastModified`, the time of the write");
    let millis = time.ok_or_else(missing)?.to_millis();
    Timestamp::from_unix_millis(millis.map_err(|source| missing().with_source(source))?)
}

/// Reads an object, whole or in part.
///
/// The first request tells the size. Up to two parts come by it alone; of a larger object
/// it gives the first part, and parallel requests for ranges the others.
pub(crate) async fn get(
    shared: &Arc<Shared>,
    operation: &Operation,
    key: &ObjectKey,
    options: GetOptions,
) -> Result<GetResult> {
    let part = shared.plan.part_bytes(0).unwrap_or(u64::MAX);
    let source = Source {
        shared: Arc::clone(shared),
        operation: operation.clone(),
        key: key.clone(),
        etag: options.if_match.clone(),
    };
    let first = match options.range {
        None => None,
        Some(range) => Some(source.first_range(range, part).await?),
    };
    let answer = source.request(first.map(Wanted::header)).await?;
    let meta = answer.meta(key)?;
    let sent = sent_range(&answer, first.is_some(), meta.size_bytes)?;
    if source.etag.is_some() && source.etag != meta.etag {
        return Err(version_conflict());
    }
    let range = match options.range {
        None => 0..meta.size_bytes,
        Some(range) => range.resolve(meta.size_bytes)?,
    };
    if sent.start != range.start || sent.end > range.end {
        return Err(decode(
            "`Content-Range` is another range than was asked for",
        ));
    }
    let whole = range == (0..meta.size_bytes);
    let verify = if whole { expected(shared, &meta) } else { None };
    let source = Source {
        etag: meta.etag.clone(),
        ..source
    };
    let piece = first_piece(&sent, &range, part, meta.etag.is_some());
    let body = Body::new(source, answer.into_body(), piece, range.clone(), verify);
    Ok(GetResult::new(meta, range, body.into_stream()))
}

/// How much the first answer is read for. Without a version that later requests could be
/// bound to, it is all.
fn first_piece(sent: &Range<u64>, range: &Range<u64>, part: u64, pinned: bool) -> Range<u64> {
    let all = range.end - range.start;
    if !pinned || (sent.end == range.end && all <= part.saturating_mul(2)) {
        return sent.clone();
    }
    sent.start..sent.end.min(sent.start.saturating_add(part))
}

/// The checksum that the store keeps over the whole object.
fn expected(shared: &Shared, meta: &ObjectMeta) -> Option<(Checksum, Hasher)> {
    let profile = &shared.profile;
    let by_etag = || {
        let md5 = profile.checksum == ChecksumKind::Md5 && profile.etag_is_md5;
        let etag = meta.etag.as_ref().filter(|_| md5)?;
        digest::of_etag(etag.as_str())
    };
    let checksum = meta.checksum.or_else(by_etag)?;
    Some((checksum, Hasher::like(&checksum)?))
}

/// Which bytes an answer holds: first and one past the last.
fn sent_range(answer: &WireAnswer, asked: bool, size: u64) -> Result<Range<u64>> {
    let Some(text) = answer.content_range() else {
        if asked {
            return Err(decode(
                "the answer lacks `Content-Range`: the store ignored the range",
            ));
        }
        return Ok(0..size);
    };
    let parse = || {
        let range = text.strip_prefix("bytes ")?.split('/').next()?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(first..last.checked_add(1)?)
    };
    parse().ok_or_else(|| decode("`Content-Range` is no range"))
}

/// A range as a request names it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Bounded { first: u64, last: u64 },
    Suffix(u64),
}

impl Wanted {
    pub(super) fn header(self) -> String {
        match self {
            Self::Bounded { first, last } => format!("bytes={first}-{last}"),
            Self::Suffix(length) => format!("bytes=-{length}"),
        }
    }
}

impl Source {
    /// What the first request asks for: no more of a range than one part.
    ///
    /// Ranges that no server counts right, and long ones at the end, are resolved by the
    /// size first.
    async fn first_range(&self, range: ByteRange, part: u64) -> Result<Wanted> {
        let bounded = |first: u64, length: u64| Wanted::Bounded {
            first,
            last: first.saturating_add(length.min(part).max(1) - 1),
        };
        match range {
            ByteRange::Bounded { offset, length } if offset < MAX_OFFSET && length > 0 => {
                Ok(bounded(offset, length))
            }
            ByteRange::From(offset) if offset < MAX_OFFSET => Ok(bounded(offset, part)),
            ByteRange::Suffix(length) if length > 0 && length <= part => Ok(Wanted::Suffix(length)),
            range => {
                let head = head(&self.shared, &self.operation, &self.key).await?;
                let resolved = range.resolve(head.meta.size_bytes)?;
                Ok(bounded(resolved.start, resolved.end - resolved.start))
            }
        }
    }

    /// Asks for the object, or a range of it, at the version that is read.
    async fn request(&self, range: Option<String>) -> Result<WireAnswer> {
        let shared = &self.shared;
        let form = shared.profile.get_if_match;
        let if_match = self.etag.as_ref().zip(form);
        let request = WireRequest::get(&shared.full_key(&self.key))
            .header("range", range)
            .header(
                "if-match",
                if_match.map(|(etag, form)| etag_header(etag, form)),
            );
        let get = shared.transfer(&self.operation, shared.wire.send(request));
        let (answer, _) = get.await.map_err(|err| match err.status() {
            Some(412) => version_conflict().with_status(412),
            Some(416) => Error::new(
                ErrorKind::InvalidInput,
                "the range holds nothing of the object",
            )
            .with_status(416),
            _ => err,
        })?;
        Ok(answer)
    }
}

/// Offsets beyond this overflow somewhere on the way.
const MAX_OFFSET: u64 = 1 << 62;
