//! Named restore points.

use bytes::Bytes;
use futures_util::TryStreamExt;
use ops_core::object_store::{GetOptions, ListOptions, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectStore, Timestamp};
use ops_pg_replication::{Lsn, Timeline};

use super::OPERATION;
use super::info::{json, parse};
use super::layout::WalLayout;
use super::objects::read_small;
use crate::error::{Error, Result};

/// A restore point that somebody made by `pg_create_restore_point`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct RestorePoint {
    /// Its name. Names may occur more than once.
    pub name: String,
    /// The timeline.
    pub timeline: Timeline,
    /// The position after its record.
    pub end: Lsn,
    /// When it was made.
    pub at: Timestamp,
}

impl RestorePoint {
    pub(crate) async fn store(&self, store: &dyn ObjectStore, layout: &WalLayout) -> Result<()> {
        let key = layout.restore_point(self.timeline, self.end)?;
        let body: Bytes = json(self)?;
        match store.put(&key, body, PutOptions::if_none_match()).await {
            Ok(_) => Ok(()),
            Err(err) if err.kind() == CoreKind::AlreadyExists => Ok(()),
            Err(err) => Err(Error::store(OPERATION, err)),
        }
    }
}

/// All restore points, by timeline and position.
pub(crate) async fn list(store: &dyn ObjectStore, layout: &WalLayout) -> Result<Vec<RestorePoint>> {
    let listed: Vec<_> = store
        .list(ListOptions::prefix(layout.restore_points()))
        .try_collect()
        .await
        .map_err(|err| Error::store(OPERATION, err))?;
    let mut points = Vec::with_capacity(listed.len());
    for meta in listed {
        if let Some((bytes, _)) = read_small(store, &meta.key, GetOptions::default()).await? {
            points.push(parse(&meta.key, &bytes)?);
        }
    }
    Ok(points)
}
