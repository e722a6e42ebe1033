//! Moving the coldest objects away.

use std::collections::BinaryHeap;

use super::transfer;
use crate::error::{Error, ErrorKind, Result};
use crate::macros::setters;
use crate::object_store::{ItemStream, ListOptions, ObjectKey, ObjectMeta, ObjectStore};
use crate::stream;
use crate::time::Timestamp;

/// When to move objects away, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffloadOptions {
    /// Only keys that start with this text. Defaults to all.
    pub prefix: String,
    /// What may be held, in bytes, before anything is moved.
    pub threshold_bytes: u64,
    /// How much is left, in bytes, when objects are moved.
    pub low_water_bytes: u64,
    /// The most objects that one call moves; what is remembered of them is held in
    /// memory. Defaults to 10 000.
    pub max_objects: usize,
}

impl OffloadOptions {
    /// Moves objects when there are more bytes than `threshold_bytes`, until
    /// `low_water_bytes` are left.
    #[must_use]
    pub fn new(threshold_bytes: u64, low_water_bytes: u64) -> Self {
        Self {
            prefix: String::new(),
            threshold_bytes,
            low_water_bytes,
            max_objects: 10_000,
        }
    }
}

setters! { OffloadOptions {
    into { with_prefix(prefix: String) }
    val { with_max_objects(max_objects: usize) }
} }

/// What was moved away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffloadReport {
    /// How much was held before, in bytes.
    pub before_bytes: u64,
    /// How many objects were moved.
    pub moved: u64,
    /// How many bytes those held.
    pub moved_bytes: u64,
    /// How many objects stayed because they changed or went while they were moved.
    pub skipped: u64,
    /// Whether no more than the threshold was held, or no more than the low-water mark is now.
    pub is_below: bool,
}

/// An object that may be moved. The greatest is the one written last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    last_modified: Timestamp,
    key: ObjectKey,
    size_bytes: u64,
}

pub(super) async fn run<T: ObjectStore + ?Sized>(
    source: &T,
    destination: &dyn ObjectStore,
    options: OffloadOptions,
) -> Result<OffloadReport> {
    if options.low_water_bytes > options.threshold_bytes {
        let message = "the low-water mark is above the threshold";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let list = || source.list(ListOptions::prefix(options.prefix.as_str()));
    let before_bytes = total(list()).await?;
    let mut report = OffloadReport {
        before_bytes,
        ..OffloadReport::default()
    };
    if before_bytes > options.threshold_bytes {
        let excess = before_bytes - options.low_water_bytes;
        for candidate in coldest(list(), excess, options.max_objects).await? {
            if report.moved_bytes >= excess {
                break;
            }
            match transfer::move_to(source, &candidate.key, destination, &candidate.key).await {
                Ok(copy) => {
                    report.moved += 1;
                    report.moved_bytes += copy.size_bytes;
                }
                Err(err) => {
                    let gone = transfer::is_gone(source, &candidate.key, &err).await?;
                    if !gone && err.kind() != ErrorKind::Conflict {
                        return Err(err);
                    }
                    report.skipped += 1;
                }
            }
        }
        report.is_below = report.moved_bytes >= excess;
    } else {
        report.is_below = true;
    }
    Ok(report)
}

async fn total(mut objects: ItemStream<ObjectMeta>) -> Result<u64> {
    let mut total = 0_u64;
    while let Some(meta) = stream::next(&mut objects).await {
        total = total.saturating_add(meta?.size_bytes);
    }
    Ok(total)
}

/// The coldest objects, coldest first: no more than hold `bytes`, and no more than `max`.
async fn coldest(
    mut objects: ItemStream<ObjectMeta>,
    bytes: u64,
    max: usize,
) -> Result<Vec<Candidate>> {
    let mut heap = BinaryHeap::new();
    let mut held = 0_u64;
    while let Some(meta) = stream::next(&mut objects).await {
        let ObjectMeta {
            key,
            size_bytes,
            last_modified,
            ..
        } = meta?;
        held = held.saturating_add(size_bytes);
        heap.push(Candidate {
            last_modified,
            key,
            size_bytes,
        });
        // The warmest go as long as the rest is enough.
        while let Some(warmest) = heap.peek() {
            if heap.len() <= max && held - warmest.size_bytes < bytes {
                break;
            }
            held -= warmest.size_bytes;
            heap.pop();
        }
    }
    Ok(heap.into_sorted_vec())
}
