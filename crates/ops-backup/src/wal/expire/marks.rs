//! Marks of WAL that is not to be relied upon any more.

use futures_util::TryStreamExt;
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, ObjectStore, Timestamp};

use super::super::OPERATION;
use super::super::gap::{GapReason, GapRecord};
use super::super::info::json;
use super::super::layout::WalLayout;
use crate::error::{Error, Result};
use crate::physical::WalRange;

/// A mark. Its key says everything; what is in it is for people.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) key: ObjectKey,
    pub(crate) range: WalRange,
    /// When it was made, by the store's clock.
    pub(crate) marked_at: Timestamp,
}

/// A mark as the record of a gap.
pub(crate) fn record(mark: &Mark) -> GapRecord {
    let WalRange {
        timeline,
        start,
        end,
    } = mark.range;
    GapRecord::new(timeline, start, end, GapReason::Expired, mark.marked_at)
}

/// All marks, by timeline and position. One request per 1000 of them.
pub(crate) async fn list(store: &dyn ObjectStore, layout: &WalLayout) -> Result<Vec<Mark>> {
    let listed: Vec<_> = store
        .list(ListOptions::prefix(layout.expired()))
        .try_collect()
        .await
        .map_err(|err| Error::store(OPERATION, err))?;
    let marks = listed.into_iter().filter_map(|meta| {
        let range = layout.expired_range(&meta.key)?;
        Some(Mark {
            key: meta.key,
            range,
            marked_at: meta.last_modified,
        })
    });
    Ok(marks.collect())
}

/// Marks a range. One that is marked already stays as it is.
pub(crate) async fn put(
    store: &dyn ObjectStore,
    layout: &WalLayout,
    range: WalRange,
    now: Timestamp,
) -> Result<()> {
    let key = layout.expired_mark(range)?;
    let body = json(&GapRecord::new(
        range.timeline,
        range.start,
        range.end,
        GapReason::Expired,
        now,
    ))?;
    match store.put(&key, body, PutOptions::if_none_match()).await {
        Ok(_) => Ok(()),
        Err(err) if err.kind() == CoreKind::AlreadyExists => Ok(()),
        Err(err) => Err(Error::store(OPERATION, err)),
    }
}
