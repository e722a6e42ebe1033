//! The manifest: what a backup is, and by what its objects are known.

use std::time::Duration;

use ops_core::{ObjectKey, Timestamp};

use super::BackupId;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{BackupIdentity, EncryptionInfo};
use crate::physical::PhysicalInfo;

/// The format of a dump's manifest.
pub(crate) const FORMAT: u32 = 1;
/// The format of a physical backup's manifest: what readers of format 1 must not take for
/// a dump.
pub(crate) const PHYSICAL_FORMAT: u32 = 2;
/// The [`Manifest::kind`] of a dump.
pub(crate) const DUMP: &str = "dump";
/// The [`Manifest::kind`] of a physical backup.
pub(crate) const PHYSICAL: &str = "physical";

/// What a stored object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObjectRole {
    /// The backup's age identity, for the recipients. Its size and hash are those of the
    /// first time it was stored: it may be stored again for other recipients.
    Identity,
    /// A piece of the `pg_dump -Fc` archive.
    Dump,
    /// Roles and tablespaces, as SQL.
    Globals,
    /// What a restored copy must equal.
    Fingerprint,
    /// A pack of a physical backup: a piece of a tar archive.
    Data,
    /// The index of a physical backup's files.
    Files,
    /// The lengths of the frames of a physical backup's packs.
    Frames,
    /// The manifest that the server made of a physical backup, byte for byte.
    BackupManifest,
}

/// One stored object.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ManifestObject {
    /// What it is.
    pub role: ObjectRole,
    /// Where it lies.
    pub key: ObjectKey,
    /// Its size as it is stored.
    pub size_bytes: u64,
    /// The BLAKE3 of its bytes as they are stored, in hex.
    pub blake3: String,
}

impl ManifestObject {
    pub(crate) fn new(
        role: ObjectRole,
        key: ObjectKey,
        size_bytes: u64,
        blake3: blake3::Hash,
    ) -> Self {
        Self {
            role,
            key,
            size_bytes,
            blake3: blake3.to_hex().to_string(),
        }
    }

    /// The hash that was written.
    pub(crate) fn hash(&self, operation: &'static str) -> Result<blake3::Hash> {
        blake3::Hash::from_hex(&self.blake3).map_err(|_| {
            Error::new(
                ErrorKind::Integrity,
                operation,
                format!("the manifest has no hash of {}", self.key),
            )
        })
    }

    /// Compares what was read with what was written.
    pub(crate) fn check(
        &self,
        operation: &'static str,
        size_bytes: u64,
        blake3: blake3::Hash,
    ) -> Result<()> {
        let problem = if size_bytes != self.size_bytes {
            format!(
                "{} has {size_bytes} bytes instead of {}",
                self.key, self.size_bytes
            )
        } else if blake3.to_hex().as_str() != self.blake3 {
            format!("{} has other content than was written", self.key)
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Integrity, operation, problem)
            .with_hint("restore another backup and find out what changed the store"))
    }
}

/// The server that was backed up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct SourceInfo {
    /// Its version as it prints it.
    pub server_version: String,
    /// Its major version.
    pub server_major: u32,
    /// The database; empty where the whole cluster was backed up.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub database: String,
    /// The database's encoding, such as `UTF8`; empty as [`database`](Self::database) is.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub encoding: String,
    /// The database's `LC_COLLATE`; empty as [`database`](Self::database) is.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub collate: String,
    /// The database's `LC_CTYPE`; empty as [`database`](Self::database) is.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub ctype: String,
    /// The cluster's bootstrap superuser, who owns what nobody else owns; empty as
    /// [`database`](Self::database) is.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub superuser: String,
    /// The version of `pg_dump` that read it; empty where none did.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub client_version: String,
}

/// How payloads are compressed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct CompressionInfo {
    /// Always `zstd`: the payload of an object is a row of zstd frames.
    pub codec: String,
    /// The level.
    pub level: i32,
    /// How many bytes went into a frame.
    pub frame_bytes: u64,
}

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The format: 1 for a dump, 2 for a physical backup.
    pub format: u32,
    /// The backup.
    pub id: BackupId,
    /// `dump`: a `pg_dump -Fc` archive with the cluster's globals. `physical`: the files of
    /// the whole cluster.
    pub kind: String,
    /// When the job began.
    pub started_at: Timestamp,
    /// What had been committed by then is in the backup: when a dump's snapshot was taken,
    /// or when a physical backup's start was known to us.
    pub snapshot_at: Timestamp,
    /// When everything but the manifest was stored.
    pub completed_at: Timestamp,
    /// What was backed up.
    pub source: SourceInfo,
    /// What `pg_dump` was told to leave out or to keep to; empty for a whole database.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub selection: Vec<String>,
    /// How it is encrypted.
    pub encryption: EncryptionInfo,
    /// How it is compressed.
    pub compression: CompressionInfo,
    /// The size of the archive, or of all archives, before compression.
    pub bytes_in: u64,
    /// The size of all stored objects.
    pub bytes_stored: u64,
    /// What else there is to say about a physical backup; none for a dump.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub physical: Option<PhysicalInfo>,
    /// The objects; those of one role in their order.
    pub objects: Vec<ManifestObject>,
}

const SEAL_FIELD: &str = ",\n  \"seal\": \"";
const SEAL_END: &str = "\"\n}\n";

impl Manifest {
    /// The stored objects of a role, in order.
    pub fn objects_of(&self, role: ObjectRole) -> impl Iterator<Item = &ManifestObject> {
        self.objects
            .iter()
            .filter(move |object| object.role == role)
    }

    /// How long the backup took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.completed_at.saturating_since(self.started_at)
    }

    /// The bytes to store: JSON whose last field seals all bytes before it.
    ///
    /// The seal is a BLAKE3 keyed by the backup's identity, so that nobody without that
    /// identity can alter the manifest. Without encryption it is a plain BLAKE3, which
    /// finds accidents only.
    pub(crate) fn to_bytes(&self, identity: Option<&BackupIdentity>) -> Result<Vec<u8>> {
        let text = serde_json::to_string_pretty(self).map_err(|source| {
            Error::new(
                ErrorKind::Internal,
                "dump",
                "the manifest cannot be written",
            )
            .with_source(source)
        })?;
        let body = text.strip_suffix("\n}").unwrap_or(&text);
        let seal = seal(body.as_bytes(), identity);
        Ok([body, SEAL_FIELD, &seal, SEAL_END].concat().into_bytes())
    }

    /// Reads a manifest without checking its seal.
    pub(crate) fn parse(operation: &'static str, bytes: &[u8]) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |source: serde_json::Error| {
            Error::new(ErrorKind::Integrity, operation, "a manifest cannot be read")
                .with_source(source)
        };
        let Version { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if ![FORMAT, PHYSICAL_FORMAT].contains(&format) {
            let message = format!(
                "the backup has format {format}, this version knows up to {PHYSICAL_FORMAT}"
            );
            return Err(Error::new(ErrorKind::UnknownFormat, operation, message));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        manifest.check_shape(operation)?;
        Ok(manifest)
    }

    /// Whether format, kind and the physical part say the same thing.
    fn check_shape(&self, operation: &'static str) -> Result<()> {
        let fits = match (self.format, self.kind.as_str(), &self.physical) {
            (FORMAT, DUMP, None) => true,
            (PHYSICAL_FORMAT, PHYSICAL, Some(physical)) => {
                let packs = self.objects_of(ObjectRole::Data).count();
                let archives = physical.archives.len();
                let known = |archive: u32| usize::try_from(archive).is_ok_and(|at| at < archives);
                packs == physical.packs.len()
                    && physical.packs.iter().all(|pack| known(pack.archive))
                    && physical.tablespaces.iter().all(|it| known(it.archive))
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let message = format!("the manifest of {} contradicts itself", self.id);
        Err(Error::new(ErrorKind::Integrity, operation, message))
    }

    /// The physical part; fails for a dump.
    pub(crate) fn require_physical(&self, operation: &'static str) -> Result<&PhysicalInfo> {
        self.physical.as_ref().ok_or_else(|| {
            let message = format!("{} is a dump, not a physical backup", self.id);
            Error::new(ErrorKind::InvalidInput, operation, message)
        })
    }

    /// Fails for a physical backup.
    pub(crate) fn require_dump(&self, operation: &'static str) -> Result<()> {
        if self.physical.is_none() {
            return Ok(());
        }
        let message = format!("{} is a physical backup, not a dump", self.id);
        Err(Error::new(ErrorKind::InvalidInput, operation, message))
    }

    /// Checks the seal.
    pub(crate) fn verify_seal(
        operation: &'static str,
        bytes: &[u8],
        identity: Option<&BackupIdentity>,
    ) -> Result<()> {
        let broken = || {
            Error::new(
                ErrorKind::Integrity,
                operation,
                "the manifest is not what was written",
            )
            .with_hint("restore another backup and find out what changed the store")
        };
        let text = std::str::from_utf8(bytes).map_err(|_| broken())?;
        let (body, rest) = text.rsplit_once(SEAL_FIELD).ok_or_else(broken)?;
        let found = rest.strip_suffix(SEAL_END).ok_or_else(broken)?;
        if found == seal(body.as_bytes(), identity) {
            Ok(())
        } else {
            Err(broken())
        }
    }
}

fn seal(body: &[u8], identity: Option<&BackupIdentity>) -> String {
    match identity {
        Some(identity) => {
            format!(
                "blake3-keyed:{}",
                blake3::keyed_hash(&identity.seal_key(), body).to_hex()
            )
        }
        None => format!("blake3:{}", blake3::hash(body).to_hex()),
    }
}
