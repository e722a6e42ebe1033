//! What the bucket holds.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;

use super::{checksum, listing};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Sequence, error, missing};
use crate::object_store::{
    DeleteOutcome, ETag, LifecycleRule, ObjectKey, ObjectMeta, ObjectVersion, PutCondition,
    PutOptions, Retention, VersionId,
};
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One version of an object. One without data is the mark that a delete left.
pub(super) struct Version {
    pub(super) id: VersionId,
    /// Whether it was written while no versions were kept, so that the next write takes its place.
    is_null: bool,
    meta: ObjectMeta,
    data: Option<Bytes>,
    pub(super) retention: Option<Retention>,
}

impl Version {
    /// What a plain read gets.
    pub(super) fn live(&self) -> Option<(&ObjectMeta, &Bytes)> {
        self.data.as_ref().map(|data| (&self.meta, data))
    }

    pub(super) fn describe(&self, is_latest: bool) -> ObjectVersion {
        let mut version = ObjectVersion::new(self.meta.clone(), self.id.clone());
        version.is_latest = is_latest;
        version.is_delete_marker = self.data.is_none();
        version
    }

    pub(super) fn is_locked(&self, now: Timestamp) -> bool {
        self.retention
            .is_some_and(|retention| retention.until > now)
    }
}

/// What a signed URL allows.
pub(super) struct Grant {
    pub(super) key: ObjectKey,
    pub(super) may_write: bool,
    pub(super) expires_at: Timestamp,
}

/// What the bucket holds.
pub(super) struct State {
    pub(super) has_bucket: bool,
    /// Versions by key, oldest first; none of the lists is empty.
    pub(super) objects: BTreeMap<String, (ObjectKey, Vec<Version>)>,
    pub(super) is_versioned: bool,
    pub(super) rules: Vec<LifecycleRule>,
    /// Uploads that have begun, with the instant.
    pub(super) uploads: HashMap<u64, Timestamp>,
    pub(super) grants: HashMap<String, Grant>,
    pub(super) sequence: Sequence,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            has_bucket: true,
            objects: BTreeMap::new(),
            is_versioned: false,
            rules: Vec::new(),
            uploads: HashMap::new(),
            grants: HashMap::new(),
            sequence: Sequence::default(),
        }
    }

    pub(super) fn require_bucket(&self, operation: &'static str) -> Result<()> {
        if self.has_bucket {
            Ok(())
        } else {
            Err(missing(operation, "the bucket"))
        }
    }

    pub(super) fn begin_upload(&mut self, now: Timestamp) -> u64 {
        let id = self.sequence.next();
        self.uploads.insert(id, now);
        id
    }

    /// The objects with a prefix after a key, in the order of the keys' bytes.
    pub(super) fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a ObjectKey>,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Vec<Version>)> {
        self.objects
            .range::<str, _>((listing::start(prefix, after), Bound::Unbounded))
            .map(|(_, (key, versions))| (key, versions))
            .take_while(move |(key, _)| key.as_str().starts_with(prefix))
    }

    fn versions(&self, key: &ObjectKey) -> &[Version] {
        self.objects
            .get(key.as_str())
            .map_or(&[], |(_, versions)| versions)
    }

    pub(super) fn versions_mut(&mut self, key: &ObjectKey) -> Option<&mut Vec<Version>> {
        self.objects
            .get_mut(key.as_str())
            .map(|(_, versions)| versions)
    }

    /// What a plain read gets.
    pub(super) fn get(
        &self,
        operation: &'static str,
        key: &ObjectKey,
    ) -> Result<(ObjectMeta, Bytes)> {
        let live = self.versions(key).last().and_then(Version::live);
        let (meta, data) = live.ok_or_else(|| missing(operation, key))?;
        Ok((meta.clone(), data.clone()))
    }

    pub(super) fn put(
        &mut self,
        operation: &'static str,
        key: &ObjectKey,
        data: Bytes,
        options: PutOptions,
        now: Timestamp,
        capacity: Option<u64>,
    ) -> Result<ObjectMeta> {
        self.check_condition(operation, key, &options.condition)?;
        if !self.is_versioned {
            self.check_unlocked(operation, key, now)?;
        }
        self.check_room(operation, key, data.len(), capacity)?;
        let number = self.sequence.next();
        let mut meta = ObjectMeta::new(key.clone(), data.len() as u64, now)
            .with_etag(ETag::new(format!("{number:08x}")))
            .with_checksum(options.checksum.unwrap_or_else(|| checksum::crc32c(&data)));
        meta.content_type = options.content_type;
        self.push(key, number, meta.clone(), Some(data));
        Ok(meta)
    }

    fn check_condition(
        &self,
        operation: &'static str,
        key: &ObjectKey,
        condition: &PutCondition,
    ) -> Result<()> {
        let live = self.versions(key).last().and_then(Version::live);
        let (kind, message) = match condition {
            PutCondition::IfNoneMatch if live.is_some() => {
                (ErrorKind::AlreadyExists, format!("{key} exists already"))
            }
            PutCondition::IfMatch(etag)
                if live.and_then(|(meta, _)| meta.etag.as_ref()) != Some(etag) =>
            {
                (ErrorKind::Conflict, format!("{key} has another version"))
            }
            _ => return Ok(()),
        };
        Err(error(kind, operation, message).with_resource(key.as_str()))
    }

    fn check_unlocked(
        &self,
        operation: &'static str,
        key: &ObjectKey,
        now: Timestamp,
    ) -> Result<()> {
        let locked = |version: &Version| version.is_null && version.is_locked(now);
        if self.versions(key).iter().any(locked) {
            Err(locked_error(operation, key))
        } else {
            Ok(())
        }
    }

    fn check_room(
        &self,
        operation: &'static str,
        key: &ObjectKey,
        length: usize,
        capacity: Option<u64>,
    ) -> Result<()> {
        let Some(capacity) = capacity else {
            return Ok(());
        };
        let replaced =
            |version: &Version| !self.is_versioned && version.is_null && version.meta.key == *key;
        let versions = self.objects.values().flat_map(|(_, versions)| versions);
        let kept: u64 = versions
            .filter(|version| !replaced(version))
            .map(|version| version.meta.size_bytes)
            .sum();
        if kept + length as u64 <= capacity {
            return Ok(());
        }
        let message = format!("{key} does not fit: the store holds {kept} of {capacity} bytes");
        Err(error(ErrorKind::QuotaExceeded, operation, message).with_resource(key.as_str()))
    }

    /// Adds a version; while no versions are kept it takes the place of the last such.
    fn push(&mut self, key: &ObjectKey, number: u64, meta: ObjectMeta, data: Option<Bytes>) {
        let is_null = !self.is_versioned;
        let id = if is_null {
            "null".to_owned()
        } else {
            format!("v{number:08x}")
        };
        let entry = self.objects.entry(key.as_str().to_owned());
        let (_, versions) = entry.or_insert_with(|| (key.clone(), Vec::new()));
        if is_null {
            versions.retain(|version| !version.is_null);
        }
        versions.push(Version {
            id: VersionId::new(id),
            is_null,
            meta,
            data,
            retention: None,
        });
    }

    pub(super) fn delete(
        &mut self,
        operation: &'static str,
        key: &ObjectKey,
        now: Timestamp,
    ) -> Result<DeleteOutcome> {
        if self.versions(key).last().and_then(Version::live).is_none() {
            return Ok(DeleteOutcome::AlreadyGone);
        }
        if !self.is_versioned {
            self.check_unlocked(operation, key, now)?;
        }
        let number = self.sequence.next();
        self.push(key, number, ObjectMeta::new(key.clone(), 0, now), None);
        // A mark that hides nothing is no use.
        let hides = self
            .versions(key)
            .iter()
            .any(|version| version.data.is_some());
        if !hides && !self.is_versioned {
            self.objects.remove(key.as_str());
        }
        Ok(DeleteOutcome::Deleted)
    }

    /// Removes what the rules say.
    pub(super) fn apply_rules(&mut self, now: Timestamp) {
        for rule in self.rules.clone() {
            if let Some(days) = rule.abort_uploads_after_days {
                self.uploads
                    .retain(|_, begun| begun.saturating_add(DAY * days) > now);
            }
            let Some(days) = rule.expire_after_days else {
                continue;
            };
            let is_due = |version: &Version| {
                version
                    .live()
                    .is_some_and(|(meta, _)| meta.last_modified.saturating_add(DAY * days) <= now)
            };
            let due: Vec<ObjectKey> = self
                .range(&rule.prefix, None)
                .filter(|(_, versions)| versions.last().is_some_and(is_due))
                .map(|(key, _)| key.clone())
                .collect();
            for key in due {
                // What is under lock stays, as in S3.
                _ = self.delete("object_store.lifecycle", &key, now);
            }
        }
    }
}

#[cold]
pub(super) fn locked_error(operation: &'static str, key: &ObjectKey) -> Error {
    let message = format!("{key} is under lock");
    error(ErrorKind::PermissionDenied, operation, message).with_resource(key.as_str())
}
