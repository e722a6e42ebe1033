//! What the server keeps: buckets, versions of objects, and uploads under way.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use s3s::dto::{
    BucketLifecycleConfiguration, CORSConfiguration, Checksum, ChecksumType, ETag, Expires,
    LifecycleRules, Metadata, ObjectLockConfiguration, ObjectLockRetention,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionConfiguration,
    StorageClass, Tag, Timestamp, TransitionDefaultMinimumObjectSize,
};
use s3s::{S3Result, s3_error};

/// The id of the version in a bucket that keeps none.
pub(super) const NULL: &str = "null";

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) buckets: BTreeMap<String, Bucket>,
    ids: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Versioning {
    #[default]
    Never,
    Enabled,
    Suspended,
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) created: SystemTime,
    pub(super) region: Option<String>,
    pub(super) versioning: Versioning,
    /// The versions of each key, the oldest first.
    pub(super) objects: BTreeMap<String, Vec<Version>>,
    pub(super) uploads: BTreeMap<String, Upload>,
    pub(super) config: Configurations,
}

#[derive(Debug, Default)]
pub(super) struct Configurations {
    pub(super) lifecycle: Option<(LifecycleRules, Option<TransitionDefaultMinimumObjectSize>)>,
    pub(super) cors: Option<CORSConfiguration>,
    pub(super) object_lock: Option<ObjectLockConfiguration>,
    pub(super) tags: Option<Vec<Tag>>,
    pub(super) policy: Option<String>,
    pub(super) public_access: Option<PublicAccessBlockConfiguration>,
    pub(super) encryption: Option<ServerSideEncryptionConfiguration>,
}

impl Configurations {
    pub(super) fn set_lifecycle(
        &mut self,
        config: BucketLifecycleConfiguration,
        minimum: Option<TransitionDefaultMinimumObjectSize>,
    ) {
        self.lifecycle = Some((config.rules, minimum));
    }
}

#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) modified: SystemTime,
    /// None for a delete marker.
    pub(super) object: Option<Object>,
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) data: Segments,
    pub(super) etag: String,
    pub(super) checksum: Checksum,
    /// The sizes of the parts that the object was made of; empty for a simple one.
    pub(super) parts: Vec<u64>,
    pub(super) attributes: Attributes,
    pub(super) retention: Option<ObjectLockRetention>,
    pub(super) legal_hold: bool,
}

/// What a request says of an object beside its content.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) expires: Option<Expires>,
    pub(super) metadata: Option<Metadata>,
    pub(super) storage_class: Option<StorageClass>,
    pub(super) encryption: Option<ServerSideEncryption>,
    pub(super) tags: Vec<Tag>,
}

#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) initiated: SystemTime,
    pub(super) attributes: Attributes,
    pub(super) algorithm: Option<String>,
    pub(super) checksum_type: Option<ChecksumType>,
    pub(super) retention: Option<ObjectLockRetention>,
    pub(super) legal_hold: bool,
    pub(super) parts: BTreeMap<i32, StoredPart>,
}

#[derive(Clone, Debug)]
pub(super) struct StoredPart {
    pub(super) data: Bytes,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Checksum,
    pub(super) modified: SystemTime,
}

/// The content of an object, in the pieces in which it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments(pub(super) Vec<Bytes>);

impl Segments {
    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|segment| segment.len() as u64).sum()
    }

    /// The bytes of a range, without a copy.
    pub(super) fn slice(&self, range: std::ops::Range<u64>) -> Self {
        let mut pieces = Vec::new();
        let mut at = 0_u64;
        for segment in &self.0 {
            let end = at + segment.len() as u64;
            let (from, to) = (range.start.max(at), range.end.min(end));
            if from < to {
                pieces.push(segment.slice(index(from - at)..index(to - at)));
            }
            at = end;
        }
        Self(pieces)
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        match self.0.as_slice() {
            [only] => only.clone(),
            segments => segments.concat().into(),
        }
    }
}

/// An offset into memory.
pub(super) fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

pub(super) fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// An instant as the protocol shows it.
pub(super) fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::from(at)
}

pub(super) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

impl Store {
    /// An id that was never given before and looks like none that follows.
    pub(super) fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("{:016x}{:08x}", mix(self.ids), self.ids)
    }

    pub(super) fn bucket(&self, name: &str) -> S3Result<&Bucket> {
        let bucket = self.buckets.get(name);
        bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> S3Result<&mut Bucket> {
        let bucket = self.buckets.get_mut(name);
        bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }
}

/// The finalizer of `SplitMix64`.
pub(super) fn mix(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

impl Bucket {
    pub(super) fn new(created: SystemTime, region: Option<String>) -> Self {
        Self {
            created,
            region,
            versioning: Versioning::Never,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            config: Configurations::default(),
        }
    }

    /// The newest version of a key, which may be a delete marker.
    pub(super) fn newest(&self, key: &str) -> Option<&Version> {
        self.objects.get(key)?.last()
    }

    /// The present object of a key.
    pub(super) fn current(&self, key: &str) -> Option<(&Version, &Object)> {
        let newest = self.newest(key)?;
        Some((newest, newest.object.as_ref()?))
    }

    pub(super) fn version_mut(&mut self, key: &str, id: Option<&str>) -> Option<&mut Version> {
        let versions = self.objects.get_mut(key)?;
        match id {
            Some(id) => versions.iter_mut().find(|version| version.id == id),
            None => versions.last_mut(),
        }
    }

    /// Adds the newest version. Where versions are not kept, it takes the place of the one
    /// without an id.
    pub(super) fn push(&mut self, key: &str, version: Version) {
        let versions = self.objects.entry(key.to_owned()).or_default();
        if version.id == NULL {
            versions.retain(|known| known.id != NULL);
        }
        versions.push(version);
    }

    /// Removes one version for good.
    pub(super) fn remove(&mut self, key: &str, id: &str) -> Option<Version> {
        let versions = self.objects.get_mut(key)?;
        let at = versions.iter().position(|version| version.id == id)?;
        let removed = versions.remove(at);
        if versions.is_empty() {
            self.objects.remove(key);
        }
        Some(removed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}
