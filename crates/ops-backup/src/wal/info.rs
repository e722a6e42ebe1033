//! What the archive of one cluster is, and which cluster a prefix belongs to.

use bytes::Bytes;
use ops_core::object_store::{ETag, GetOptions, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, ObjectStore, Timestamp};
use ops_pg_replication::{SystemId, WalSegmentSize};

use super::OPERATION;
use super::layout::WalLayout;
use super::objects::read_small;
use crate::error::{Error, ErrorKind, Result};

/// The format of the archive.
const FORMAT: u32 = 1;

/// `archive.json`: written once, before anything else.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ArchiveInfo {
    pub(crate) format: u32,
    pub(crate) system_id: SystemId,
    pub(crate) wal_segment_size: WalSegmentSize,
    /// Whether objects are encrypted. Fixed, so that one piece of WAL has one key.
    pub(crate) encrypted: bool,
    pub(crate) created_at: Timestamp,
}

impl ArchiveInfo {
    pub(crate) fn new(
        system_id: SystemId,
        size: WalSegmentSize,
        encrypted: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            format: FORMAT,
            system_id,
            wal_segment_size: size,
            encrypted,
            created_at: now,
        }
    }

    /// Reads what a store has; `None` where there is no archive of this cluster.
    pub(crate) async fn read(store: &dyn ObjectStore, layout: &WalLayout) -> Result<Option<Self>> {
        let key = layout.info()?;
        let Some((bytes, _)) = read_small(store, &key, GetOptions::default()).await? else {
            return Ok(None);
        };
        let info: Self = parse(&key, &bytes)?;
        if info.format != FORMAT {
            let message = format!(
                "the archive has format {}, this version knows {FORMAT}",
                info.format
            );
            return Err(Error::new(ErrorKind::UnknownFormat, OPERATION, message));
        }
        if !key
            .as_str()
            .ends_with(&format!("{}/archive.json", info.system_id))
        {
            let message = format!("{key} is that of the cluster {}", info.system_id);
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        }
        Ok(Some(info))
    }

    /// Writes it, or finds that what the store has is the same archive.
    pub(crate) async fn create(self, store: &dyn ObjectStore, layout: &WalLayout) -> Result<Self> {
        let there = if let Some(there) = Self::read(store, layout).await? {
            there
        } else {
            let body = json(&self)?;
            match store
                .put(&layout.info()?, body, PutOptions::if_none_match())
                .await
            {
                Ok(_) => return Ok(self),
                Err(err) if err.kind() == CoreKind::AlreadyExists => Self::read(store, layout)
                    .await?
                    .ok_or_else(|| Error::store(OPERATION, err))?,
                Err(err) => return Err(Error::store(OPERATION, err)),
            }
        };
        there.check(&self)?;
        Ok(there)
    }

    fn check(&self, ours: &Self) -> Result<()> {
        let problem = if self.wal_segment_size != ours.wal_segment_size {
            format!(
                "the archive has WAL segments of {} bytes and the server has segments of {}",
                self.wal_segment_size, ours.wal_segment_size
            )
        } else if self.encrypted != ours.encrypted {
            let word = if self.encrypted { "is" } else { "is not" };
            format!("the archive {word} encrypted and the configuration says otherwise")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidConfig, OPERATION, problem)
            .with_hint("begin a new archive under another prefix"))
    }
}

/// `lineage.json`: which cluster's WAL goes under a prefix.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Lineage {
    pub(crate) system_id: SystemId,
    pub(crate) since: Timestamp,
    /// The clusters before it, whose archives stay where they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) before: Vec<SystemId>,
}

impl Lineage {
    pub(crate) async fn read(store: &dyn ObjectStore, prefix: &str) -> Result<Option<Self>> {
        Ok(Self::read_version(store, prefix).await?.map(|(it, _)| it))
    }

    async fn read_version(
        store: &dyn ObjectStore,
        prefix: &str,
    ) -> Result<Option<(Self, Option<ETag>)>> {
        let key = WalLayout::lineage_of(prefix)?;
        let found = read_small(store, &key, GetOptions::default()).await?;
        found
            .map(|(bytes, etag)| Ok((parse(&key, &bytes)?, etag)))
            .transpose()
    }

    /// Sees to it that the prefix is this cluster's. Another cluster is refused by name,
    /// unless it is to take the prefix over: the archive of the old one then stays where it is.
    pub(crate) async fn claim(
        store: &dyn ObjectStore,
        prefix: &str,
        system_id: SystemId,
        take_over: bool,
        now: Timestamp,
    ) -> Result<()> {
        let key = WalLayout::lineage_of(prefix)?;
        let mut claim = Self {
            system_id,
            since: now,
            before: Vec::new(),
        };
        loop {
            let options = match Self::read_version(store, prefix).await? {
                None => PutOptions::if_none_match(),
                Some((there, _)) if there.system_id == system_id => return Ok(()),
                Some((there, _)) if !take_over => return Err(foreign(there.system_id, system_id)),
                Some((there, etag)) => {
                    claim.before.clone_from(&there.before);
                    claim.before.push(there.system_id);
                    etag.map_or_else(PutOptions::default, PutOptions::if_match)
                }
            };
            match store.put(&key, json(&claim)?, options).await {
                Ok(_) => return Ok(()),
                // Somebody else was quicker: look again.
                Err(err) if err.is_conflict() || err.kind() == CoreKind::AlreadyExists => {}
                Err(err) => return Err(Error::store(OPERATION, err)),
            }
        }
    }
}

/// WAL of another cluster than the archive's.
#[cold]
pub(crate) fn foreign(archive: SystemId, other: SystemId) -> Error {
    let message = format!(
        "the archive is that of the cluster {archive}, and this is WAL of the cluster {other}"
    );
    Error::new(ErrorKind::WrongSystem, OPERATION, message)
        .with_hint("use another prefix, or let the new cluster take this one over")
}

pub(crate) fn json(value: &impl serde::Serialize) -> Result<Bytes> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|source| {
        Error::new(ErrorKind::Internal, OPERATION, "a record cannot be written").with_source(source)
    })?;
    text.push(b'\n');
    Ok(Bytes::from(text))
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(key: &ObjectKey, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| {
        let message = format!("{key} cannot be read");
        Error::new(ErrorKind::Integrity, OPERATION, message).with_source(source)
    })
}
