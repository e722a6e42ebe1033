//! Ids and keys.

use std::fmt;
use std::str::FromStr;

use ops_core::{ObjectKey, Timestamp};

use super::ObjectRole;
use crate::error::{Error, ErrorKind, Result};

/// The name of a backup: when it was begun, in UTC, and something random.
///
/// Ids sort by time: `20261120T225752Z-3f9a1c07`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

const TIME: &str = "%Y%m%dT%H%M%SZ";
const LEN: usize = 16 + 1 + 8;

impl BackupId {
    /// `random` need only differ between backups that begin in the same second.
    pub(crate) fn generate(begun_at: Timestamp, random: &[u8]) -> Self {
        let hash = blake3::hash(random).to_hex();
        let random = hash.get(..8).unwrap_or_default();
        Self(format!("{}-{random}", begun_at.strftime_utc(TIME)))
    }

    /// When it was begun, to the second.
    pub(crate) fn begun_at(&self) -> Timestamp {
        let field = |from: usize, to: usize| {
            let digits = self.0.get(from..to).unwrap_or_default();
            digits.to_owned()
        };
        let text = format!(
            "{}-{}-{}T{}:{}:{}Z",
            field(0, 4),
            field(4, 6),
            field(6, 8),
            field(9, 11),
            field(11, 13),
            field(13, 15)
        );
        // Digits that are no time are those of nobody's clock: as old as can be.
        text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BackupId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = text.len() == LEN
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 => byte == b'T',
                15 => byte == b'Z',
                16 => byte == b'-',
                17.. => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
                _ => byte.is_ascii_digit(),
            });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::new(
                ErrorKind::InvalidInput,
                "catalogue",
                format!("{text:?} is not a backup id"),
            ))
        }
    }
}

impl TryFrom<String> for BackupId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> Self {
        id.0
    }
}

/// Where things lie.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    prefix: String,
}

impl Layout {
    /// A prefix is empty or ends with `/`.
    pub(crate) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}/")
        };
        Self { prefix }
    }

    /// What all keys begin with: nothing, or something that ends with `/`.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn manifests(&self) -> String {
        format!("{}manifests/", self.prefix)
    }

    pub(crate) fn backups(&self) -> String {
        format!("{}backups/", self.prefix)
    }

    pub(crate) fn folder(&self, id: &BackupId) -> String {
        format!("{}backups/{id}/", self.prefix)
    }

    pub(crate) fn manifest(&self, id: &BackupId) -> Result<ObjectKey> {
        key(format!("{}manifests/{id}.json", self.prefix))
    }

    pub(crate) fn lease(&self, id: &BackupId) -> Result<ObjectKey> {
        key(format!("{}lease.json", self.folder(id)))
    }

    pub(crate) fn drill(&self, id: &BackupId, at: Timestamp) -> Result<ObjectKey> {
        key(format!(
            "{}drills/{}.json",
            self.folder(id),
            at.strftime_utc("%Y%m%dT%H%M%S.%3fZ")
        ))
    }

    pub(crate) fn object(
        &self,
        id: &BackupId,
        role: ObjectRole,
        number: usize,
        encrypted: bool,
    ) -> Result<ObjectKey> {
        let name = match role {
            ObjectRole::Identity => return key(format!("{}identity.age", self.folder(id))),
            ObjectRole::Dump => format!("dump.{number:05}.zst"),
            ObjectRole::Globals => "globals.sql.zst".to_owned(),
            ObjectRole::Fingerprint => "fingerprint.json.zst".to_owned(),
            ObjectRole::Data => format!("data.{number:05}.zst"),
            ObjectRole::Files => "files.jsonl.zst".to_owned(),
            ObjectRole::Frames => "frames.jsonl.zst".to_owned(),
            ObjectRole::BackupManifest => "backup_manifest.zst".to_owned(),
        };
        let suffix = if encrypted { ".age" } else { "" };
        key(format!("{}{name}{suffix}", self.folder(id)))
    }

    /// The backup that a key under [`Layout::backups`] belongs to.
    pub(crate) fn owner(&self, key: &ObjectKey) -> Option<BackupId> {
        let rest = key.as_str().strip_prefix(&self.backups())?;
        rest.split('/').next()?.parse().ok()
    }

    /// The backup that a manifest is of.
    pub(crate) fn manifest_id(&self, key: &ObjectKey) -> Option<BackupId> {
        key.as_str()
            .strip_prefix(&self.manifests())?
            .strip_suffix(".json")?
            .parse()
            .ok()
    }
}

fn key(text: String) -> Result<ObjectKey> {
    ObjectKey::new(text).map_err(|err| Error::store("build", err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_refuse_anything_else() {
        let at = |seconds| Timestamp::from_unix_seconds(seconds).unwrap();
        let early = BackupId::generate(at(1_000_000_000), b"b");
        let late = BackupId::generate(at(1_700_000_000), b"a");
        assert!(early < late);
        assert!(early.as_str().starts_with("20010909T014640Z-"));
        assert_eq!(early.as_str().parse::<BackupId>().unwrap(), early);
        assert_eq!(early.begun_at(), at(1_000_000_000));
        for bad in [
            "",
            "../etc",
            "20010909T014640Z-",
            "20010909T014640Z-zzzzzzzz",
            "20010909T014640Z-3f9a1c07/x",
        ] {
            assert_eq!(
                bad.parse::<BackupId>().unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_key_leads_back_to_its_backup() {
        let id = BackupId::generate(Timestamp::UNIX_EPOCH, b"x");
        for prefix in ["", "shop", "/a/b/"] {
            let layout = Layout::new(prefix);
            let dump = layout.object(&id, ObjectRole::Dump, 7, true).unwrap();
            assert!(dump.as_str().ends_with("/dump.00007.zst.age"));
            assert_eq!(layout.owner(&dump), Some(id.clone()));
            assert_eq!(
                layout.manifest_id(&layout.manifest(&id).unwrap()),
                Some(id.clone())
            );
            assert_eq!(layout.owner(&layout.manifest(&id).unwrap()), None);
        }
    }
}
