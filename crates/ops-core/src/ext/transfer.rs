//! Objects between two stores.

use std::cmp::Ordering;

use bytes::{Buf, Bytes};

use super::object_store::{ObjectStoreExt, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::macros::setters;
use crate::object_store::{
    ByteStream, DeleteOutcome, GetOptions, ListOptions, ObjectKey, ObjectMeta, ObjectStore,
    PutOptions,
};
use crate::stream;

/// What to make equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Only keys that start with this text. Defaults to all.
    pub prefix: String,
    /// Whether what only the destination has is deleted there. Defaults to no.
    pub delete_extra: bool,
}

setters! { SyncOptions {
    into { with_prefix(prefix: String) }
    val { with_delete_extra(delete_extra: bool) }
} }

/// What was made equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// How many objects were copied.
    pub copied: u64,
    /// How many bytes those hold.
    pub copied_bytes: u64,
    /// How many objects were equal already.
    pub unchanged: u64,
    /// How many objects were deleted at the destination.
    pub deleted: u64,
}

pub(super) async fn move_to<T: ObjectStore + ?Sized>(
    source: &T,
    key: &ObjectKey,
    destination: &dyn ObjectStore,
    destination_key: &ObjectKey,
) -> Result<ObjectMeta> {
    let before = source.head(key).await?;
    let copy = match copy_out(
        source,
        &before,
        destination,
        destination_key,
        PutOptions::if_none_match(),
    )
    .await
    {
        Ok(copy) => copy,
        Err(err) if err.kind() == ErrorKind::AlreadyExists => {
            let copy = destination.head(destination_key).await?;
            if looks_the_same(&before, &copy) && is_one_store(source, key, destination).await? {
                let message = format!("{key} is moved onto itself, and stays");
                return Err(failed(source, ErrorKind::InvalidInput, message, key));
            }
            if !same_content(source, &before, destination, &copy).await? {
                return Err(err);
            }
            copy
        }
        Err(err) => return Err(err),
    };
    let after = source.head(key).await?;
    if (&after.etag, after.last_modified) != (&before.etag, before.last_modified) {
        let message = format!("{key} was changed while it was moved, and stays");
        return Err(failed(source, ErrorKind::Conflict, message, key));
    }
    source.delete(key).await?;
    Ok(copy)
}

/// Whether two stores that may be one show what may be one object. Deleting the source of
/// such a move would delete the only copy.
fn looks_the_same(meta: &ObjectMeta, other: &ObjectMeta) -> bool {
    (&meta.key, &meta.etag, meta.last_modified) == (&other.key, &other.etag, other.last_modified)
}

/// Whether two stores are one. Stores that keep times by the second show an object and its
/// copy of the same second alike, so that this is tried: what is written to the one is then
/// in the other.
async fn is_one_store<T: ObjectStore + ?Sized>(
    source: &T,
    key: &ObjectKey,
    destination: &dyn ObjectStore,
) -> Result<bool> {
    let Ok(probe) = ObjectKey::new(format!("{key}.ops-is-one-store")) else {
        return Ok(true);
    };
    let mark = Bytes::from_static(b"removed at once");
    match destination
        .put(&probe, mark, PutOptions::if_none_match())
        .await
    {
        // Left by a move that was cut off here.
        Err(err) if err.kind() != ErrorKind::AlreadyExists => return Err(err),
        _ => {}
    }
    let seen = source.exists(&probe).await;
    destination.delete(&probe).await?;
    seen
}

/// Copies one version of an object, and verifies the copy.
async fn copy_out<T: ObjectStore + ?Sized>(
    source: &T,
    meta: &ObjectMeta,
    destination: &dyn ObjectStore,
    destination_key: &ObjectKey,
    options: PutOptions,
) -> Result<ObjectMeta> {
    let object = source.get(&meta.key, this_version(meta)).await?;
    let meta = object.meta;
    destination
        .put_stream(destination_key, object.body, options)
        .await?;
    // What counts is what the store has, not what it answered to the write.
    let copy = destination.head(destination_key).await?;
    if same_content(source, &meta, destination, &copy).await? {
        return Ok(copy);
    }
    let message = format!("the copy of {} differs from it", meta.key);
    Err(failed(
        destination,
        ErrorKind::Integrity,
        message,
        destination_key,
    ))
}

fn this_version(meta: &ObjectMeta) -> GetOptions {
    let options = GetOptions::default();
    match &meta.etag {
        Some(etag) => options.with_if_match(etag.clone()),
        None => options,
    }
}

/// Whether two objects hold the same bytes.
async fn same_content<T: ObjectStore + ?Sized>(
    store: &T,
    meta: &ObjectMeta,
    other_store: &dyn ObjectStore,
    other: &ObjectMeta,
) -> Result<bool> {
    if meta.size_bytes != other.size_bytes {
        return Ok(false);
    }
    if let Some(same) = same_checksum(meta, other) {
        return Ok(same);
    }
    let mut left = store.get(&meta.key, this_version(meta)).await?.body;
    let mut right = other_store.get(&other.key, this_version(other)).await?.body;
    same_bytes(&mut left, &mut right).await
}

/// Whether the checksums say that two objects are equal; `None` where they cannot.
fn same_checksum(meta: &ObjectMeta, other: &ObjectMeta) -> Option<bool> {
    let (left, right) = (meta.checksum?, other.checksum?);
    (left.algorithm() == right.algorithm()).then(|| left == right)
}

async fn same_bytes(left: &mut ByteStream, right: &mut ByteStream) -> Result<bool> {
    let (mut a, mut b) = (Bytes::new(), Bytes::new());
    loop {
        let more_a = fill(left, &mut a).await?;
        let more_b = fill(right, &mut b).await?;
        if !more_a || !more_b {
            return Ok(more_a == more_b);
        }
        let length = a.len().min(b.len());
        if a.slice(..length) != b.slice(..length) {
            return Ok(false);
        }
        a.advance(length);
        b.advance(length);
    }
}

/// Makes `chunk` hold at least one byte; `false` at the end.
async fn fill(body: &mut ByteStream, chunk: &mut Bytes) -> Result<bool> {
    while chunk.is_empty() {
        match stream::next(body).await {
            Some(next) => *chunk = next?,
            None => return Ok(false),
        }
    }
    Ok(true)
}

pub(super) async fn sync<T: ObjectStore + ?Sized>(
    source: &T,
    destination: &dyn ObjectStore,
    options: SyncOptions,
) -> Result<SyncReport> {
    let mut report = SyncReport::default();
    let mut here = source.list(ListOptions::prefix(options.prefix.as_str()));
    let mut there = destination.list(ListOptions::prefix(options.prefix.as_str()));
    let mut wanted = stream::next(&mut here).await.transpose()?;
    let mut present = stream::next(&mut there).await.transpose()?;
    loop {
        let order = match (&wanted, &present) {
            (None, None) => return Ok(report),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(wanted), Some(present)) => wanted.key.cmp(&present.key),
        };
        if let (Some(meta), Ordering::Less | Ordering::Equal) = (&wanted, order) {
            let copy = present.as_ref().filter(|_| order == Ordering::Equal);
            bring(source, meta, destination, copy, &mut report).await?;
        }
        if let (Some(extra), Ordering::Greater, true) = (&present, order, options.delete_extra)
            && destination.delete(&extra.key).await? != DeleteOutcome::AlreadyGone
        {
            report.deleted += 1;
        }
        if order != Ordering::Greater {
            wanted = stream::next(&mut here).await.transpose()?;
        }
        if order != Ordering::Less {
            present = stream::next(&mut there).await.transpose()?;
        }
    }
}

async fn bring<T: ObjectStore + ?Sized>(
    source: &T,
    meta: &ObjectMeta,
    destination: &dyn ObjectStore,
    copy: Option<&ObjectMeta>,
    report: &mut SyncReport,
) -> Result<()> {
    let equal = copy.is_some_and(|copy| {
        copy.size_bytes == meta.size_bytes
            && same_checksum(meta, copy).unwrap_or_else(|| copy.last_modified >= meta.last_modified)
    });
    if equal {
        report.unchanged += 1;
        return Ok(());
    }
    match copy_out(source, meta, destination, &meta.key, PutOptions::default()).await {
        Ok(copied) => {
            report.copied += 1;
            report.copied_bytes += copied.size_bytes;
            Ok(())
        }
        // Deleted here since it was listed.
        Err(err) if is_gone(source, &meta.key, &err).await? => Ok(()),
        Err(err) => Err(err),
    }
}

/// Whether an operation failed because the object was deleted meanwhile.
pub(super) async fn is_gone<T: ObjectStore + ?Sized>(
    source: &T,
    key: &ObjectKey,
    err: &Error,
) -> Result<bool> {
    Ok(err.is_not_found() && !source.exists(key).await?)
}
