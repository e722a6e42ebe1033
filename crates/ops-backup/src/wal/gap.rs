//! Gaps: WAL that the archive lacks and will never get.

use futures_util::TryStreamExt;
use ops_core::object_store::{GetOptions, ListOptions, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectStore, Timestamp};
use ops_pg_replication::{Lsn, Timeline};

use super::OPERATION;
use super::info::{json, parse};
use super::layout::WalLayout;
use super::objects::read_small;
use crate::error::{Error, Result};

/// Why WAL is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GapReason {
    /// The replication slot was not there, and the server had removed the WAL.
    SlotMissing,
    /// The server had invalidated the replication slot (`max_slot_wal_keep_size`, or
    /// `idle_replication_slot_timeout`) and removed the WAL.
    SlotLost,
    /// The server had removed the WAL although the slot was there.
    WalRemoved,
    /// The slot was dropped by policy, because the server was running out of room.
    DroppedByPolicy,
    /// It was archived, and let go of since: see [`WalRetention`](super::WalRetention).
    Expired,
}

/// WAL that the archive lacks and will never get. No restore can cross it: whatever comes
/// after it needs a base backup that begins after it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct GapRecord {
    /// The timeline.
    pub timeline: Timeline,
    /// The first position that is missing.
    pub from: Lsn,
    /// The first position after it that is there again.
    pub to: Lsn,
    /// Why.
    pub reason: GapReason,
    /// When it was found.
    pub found_at: Timestamp,
}

impl GapRecord {
    pub(crate) fn new(
        timeline: Timeline,
        from: Lsn,
        to: Lsn,
        reason: GapReason,
        found_at: Timestamp,
    ) -> Self {
        Self {
            timeline,
            from,
            to,
            reason,
            found_at,
        }
    }

    /// How much is missing, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.to.saturating_distance_from(self.from)
    }

    /// Writes it down. A gap that is written down already is left as it is.
    pub(crate) async fn store(&self, store: &dyn ObjectStore, layout: &WalLayout) -> Result<()> {
        let key = layout.gap(self.timeline, self.from, self.to)?;
        match store
            .put(&key, json(self)?, PutOptions::if_none_match())
            .await
        {
            Ok(_) => Ok(()),
            Err(err) if err.kind() == CoreKind::AlreadyExists => Ok(()),
            Err(err) => Err(Error::store(OPERATION, err)),
        }
    }
}

/// All gaps that are written down, by timeline and position.
pub(crate) async fn list(store: &dyn ObjectStore, layout: &WalLayout) -> Result<Vec<GapRecord>> {
    let listed: Vec<_> = store
        .list(ListOptions::prefix(layout.gaps()))
        .try_collect()
        .await
        .map_err(|err| Error::store(OPERATION, err))?;
    let mut gaps = Vec::with_capacity(listed.len());
    for meta in listed {
        if let Some((bytes, _)) = read_small(store, &meta.key, GetOptions::default()).await? {
            gaps.push(parse(&meta.key, &bytes)?);
        }
    }
    Ok(gaps)
}
