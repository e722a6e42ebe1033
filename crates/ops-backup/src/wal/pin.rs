//! Pins: WAL that a running restore needs is not let go of.
//!
//! Who restores writes a small object of its own, and writes it again and again while it
//! runs. Whoever lets go of WAL keeps what it names, for as long as it was written no longer
//! ago than it says, by the store's clock. A process that died leaves a pin that lapses.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_core::object_store::{GetOptions, ListOptions, ObjectMeta, PutOptions};
use ops_core::{ObjectKey, ObjectStore, Timestamp};
use ops_pg_replication::{Lsn, Timeline};

use super::info::json;
use super::layout::WalLayout;
use super::objects::{Store, read_small};
use super::{OPERATION, WalArchive};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::BackupIdentity;

/// How long a pin holds without being written again.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The longest that a pin is believed.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What the object says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Body {
    /// What recovery goes along.
    pub(crate) timeline: Timeline,
    /// From where WAL is needed.
    pub(crate) from: Lsn,
    /// So that no two writings are the same.
    pub(crate) renewals: u64,
    pub(crate) ttl_ms: u64,
}

/// A pin that is held.
#[derive(Debug)]
pub(crate) struct Pin {
    store: Store,
    key: ObjectKey,
    body: Body,
}

impl Pin {
    /// Pins the WAL from a position on, along a timeline and those that it came from.
    pub(crate) async fn set(archive: &WalArchive, timeline: Timeline, from: Lsn) -> Result<Self> {
        // Nothing but a name that nobody else has.
        let name = blake3::hash(BackupIdentity::generate().public_text().as_bytes());
        let name = name.to_hex();
        let mut pin = Self {
            store: Arc::clone(archive.store()),
            key: archive
                .layout()
                .restore_pin(name.get(..16).unwrap_or(&name))?,
            body: Body {
                timeline,
                from,
                renewals: 0,
                ttl_ms: u64::try_from(LIFETIME.as_millis()).unwrap_or(u64::MAX),
            },
        };
        pin.write().await?;
        Ok(pin)
    }

    /// Writes it, for the first time or again.
    pub(super) async fn write(&mut self) -> Result<()> {
        let body = json(&self.body)?;
        let put = self.store.put(&self.key, body, PutOptions::default()).await;
        put.map_err(|err| Error::store(OPERATION, err))?;
        self.body.renewals += 1;
        Ok(())
    }

    async fn keep(&mut self) -> Infallible {
        loop {
            tokio::time::sleep(LIFETIME / 5).await;
            if let Err(err) = self.write().await {
                tracing::warn!(error = %ops_core::Report(&err), "the pin of a restore could not be renewed");
            }
        }
    }

    /// Runs something while the WAL is pinned, where it is. Where it is dropped, the pin
    /// lapses by itself.
    pub(crate) async fn hold<T>(pin: Option<Self>, work: impl Future<Output = T>) -> T {
        let Some(mut pin) = pin else {
            return work.await;
        };
        let done = tokio::select! {
            done = work => done,
            never = pin.keep() => match never {},
        };
        if let Err(err) = pin.store.delete(&pin.key).await {
            tracing::debug!(error = %ops_core::Report(&err), "the pin of a restore stays until it lapses");
        }
        done
    }
}

/// The pins of an archive: those that hold, with their names, and those that have lapsed.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    pub(crate) held: Vec<(String, Body)>,
    pub(crate) lapsed: Vec<ObjectKey>,
}

impl Pins {
    /// Reads all pins. One request per 1000 of them, and one for each.
    pub(crate) async fn read(
        store: &dyn ObjectStore,
        layout: &WalLayout,
        store_now: Timestamp,
    ) -> Result<Self> {
        let listed = store.list(ListOptions::prefix(layout.restore_pins()));
        let listed: Vec<ObjectMeta> = listed
            .try_collect()
            .await
            .map_err(|err| Error::store(OPERATION, err))?;
        let mut pins = Self::default();
        for meta in listed {
            let Some(name) = layout.restore_pin_name(&meta.key) else {
                continue;
            };
            let age = store_now.saturating_since(meta.last_modified);
            let read = read_small(store, &meta.key, GetOptions::default()).await?;
            // It was given up since.
            let Some((bytes, _)) = read else { continue };
            let body: Option<Body> = serde_json::from_slice(&bytes).ok();
            let lifetime = body.as_ref().map(|it| Duration::from_millis(it.ttl_ms));
            if age >= lifetime.unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME) {
                pins.lapsed.push(meta.key);
            } else if let Some(body) = body {
                pins.held.push((name, body));
            } else {
                let message = format!("{} cannot be read", meta.key);
                return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
            }
        }
        Ok(pins)
    }
}

#[cfg(test)]
mod tests;
