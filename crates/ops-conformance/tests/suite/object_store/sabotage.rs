//! The wrapper that does one thing wrong, and its base methods.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::id::ProviderId;
use ops_core::memory::MemoryObjectStore;
use ops_core::object_store::{
    BucketAdmin, Checksum, ETag, GetOptions, GetResult, Lifecycle, LifecycleRule, ListOptions,
    ObjectKey, ObjectLock, ObjectMeta, ObjectStoreLimits, Presign, PutCondition, PutOptions,
    Versions,
};
use ops_core::{ByteStream, DeleteOutcome, Error, ErrorKind, ItemStream, ObjectStore, Result};

use crate::saboteur::{Saboteur, wrong};

mod reads;
mod writes;

pub(super) type Sabotaged = Saboteur<MemoryObjectStore, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) asked: Option<ObjectKey>,
    pub(super) deleted: BTreeMap<ObjectKey, (ObjectMeta, Bytes)>,
    pub(super) cached: BTreeMap<ObjectKey, (ObjectMeta, Bytes)>,
    pub(super) leaked: usize,
    pub(super) rules: Vec<LifecycleRule>,
    pub(super) has_no_bucket: bool,
}

pub(super) fn replace(key: &ObjectKey, from: &str, to: &str) -> Result<ObjectKey> {
    ObjectKey::new(key.as_str().replace(from, to))
}

/// The key up to a question mark, as where it is not encoded in a URL.
pub(super) fn cut(key: &ObjectKey) -> Result<ObjectKey> {
    ObjectKey::new(key.as_str().split('?').next().unwrap_or_default())
}

impl Sabotaged {
    /// An object with its content, as it really is.
    pub(super) async fn peek(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes)> {
        let object = self.memory().get(key, GetOptions::default()).await?;
        let chunks: Vec<Bytes> = object.body.try_collect().await?;
        Ok((object.meta, chunks.concat().into()))
    }

    fn forget(&self, key: &ObjectKey) {
        self.notes().cached.remove(key);
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sabotaged")
    }
}

pub(super) fn once(data: Bytes) -> ByteStream {
    Box::pin(stream::iter([Ok(data)]))
}

#[async_trait]
impl ObjectStore for Sabotaged {
    fn provider(&self) -> ProviderId {
        self.memory().provider()
    }

    fn limits(&self) -> ObjectStoreLimits {
        self.memory().limits()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let (asked, mut options) = (key, options);
        let key = &self.stored(key)?;
        self.forget(key);
        let is_create = options.condition == PutCondition::IfNoneMatch;
        if self.is("O-039") && is_create && self.notes().deleted.contains_key(key) {
            return Err(Error::new(ErrorKind::AlreadyExists, "sabotaged"));
        }
        if self.is("O-050") {
            options.checksum = None;
        }
        if self.is("O-052") && options.checksum.is_some() {
            return Err(Error::new(ErrorKind::Integrity, "sabotaged"));
        }
        self.decide(key, &mut options).await?;
        let data = self.mangled(key, data).await;
        let put = self.memory().put(key, data.clone(), options).await;
        let mut written = match put {
            Err(err) if self.is("O-051") && err.kind() == ErrorKind::Integrity => {
                self.memory().put(key, data, PutOptions::default()).await?;
                return Err(err);
            }
            Err(err) => return Err(self.lost(key, err).await),
            Ok(written) => written,
        };
        written.key = asked.clone();
        if self.is("O-004") {
            written.size_bytes = 0;
        }
        Ok(written)
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        self.forget(key);
        self.upload(key, data, options).await
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        let mut key = self.stored(key)?;
        let mut options = options;
        if self.is("O-010") {
            key = replace(&key, "%2F", "/")?;
        }
        if self.is("O-013") {
            self.notes().asked = Some(key.clone());
            tokio::task::yield_now().await;
            key = self.notes().asked.clone().unwrap();
        }
        if self.is("O-040") {
            options.if_match = None;
        }
        if self.is("O-041") && options.if_match.is_some() {
            return Err(Error::new(ErrorKind::Conflict, "sabotaged"));
        }
        if self.is("O-142") && self.memory().versioning_enabled().await? {
            let cached = self.notes().cached.get(&key).cloned();
            let (meta, data) = match cached {
                Some(cached) => cached,
                None => self.peek(&key).await?,
            };
            self.notes()
                .cached
                .insert(key, (meta.clone(), data.clone()));
            let range = 0..meta.size_bytes;
            return Ok(GetResult::new(meta, range, once(data)));
        }
        if self.is("O-070") && self.memory().head(&key).await.is_err() {
            let deleted = self.notes().deleted.get(&key).cloned();
            if let Some((meta, data)) = deleted {
                let range = 0..meta.size_bytes;
                return Ok(GetResult::new(meta, range, once(data)));
            }
        }
        match options.range {
            Some(range) => self.ranged(&key, range).await,
            None => self.whole(&key, options).await,
        }
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        let mut meta = match self.memory().head(&self.stored(key)?).await {
            Err(err) if self.is("O-007") && err.is_not_found() => {
                return Err(Error::new(ErrorKind::PermissionDenied, "sabotaged"));
            }
            meta => meta?,
        };
        if self.is("O-003") && meta.size_bytes == 0 {
            return Err(Error::not_found(key.as_str()));
        }
        if self.is("O-005") {
            meta.etag = Some(ETag::new("another"));
        }
        if self.is("O-009") {
            meta.content_type = Some("application/octet-stream".to_owned());
        }
        if self.is("O-054") {
            meta.checksum = Some(Checksum::Crc32c(1));
        }
        Ok(meta)
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        let this = self.clone();
        let listed = async move { stream::iter(this.listed(options).await) };
        Box::pin(stream::once(listed).flatten())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        self.forget(key);
        if let Ok(kept) = self.peek(key).await {
            self.notes().deleted.insert(key.clone(), kept);
        }
        if self.is("O-073") {
            let alike = self.memory().list(ListOptions::prefix(key.as_str()));
            let alike: Vec<ObjectMeta> = alike.try_collect().await?;
            for meta in alike {
                self.memory().delete(&meta.key).await?;
            }
            return Ok(DeleteOutcome::Gone);
        }
        match self.memory().delete(key).await? {
            DeleteOutcome::AlreadyGone if self.is("O-071") => Err(Error::not_found(key.as_str())),
            outcome => Ok(outcome),
        }
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        if self.is("O-077") && keys.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "sabotaged"));
        }
        let mut sent = keys.clone();
        if self.is("O-074") && !keys.is_empty() {
            let folder = keys[0].as_str().rsplit_once('/').unwrap().0;
            let all = self.memory().list(ListOptions::prefix(folder));
            let all: Vec<ObjectMeta> = all.try_collect().await?;
            sent.extend(all.into_iter().map(|meta| meta.key));
        }
        if self.is("O-076") {
            sent.truncate(50);
        }
        if self.is("O-078") {
            sent.retain(|key| !key.as_str().contains(['<', '&']));
        }
        let mut outcomes = self.memory().delete_many(sent).await?;
        outcomes.resize_with(keys.len(), || Ok(DeleteOutcome::Gone));
        if self.is("O-075") {
            outcomes.reverse();
        }
        Ok(outcomes)
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        self.forget(to);
        let (mut source, mut condition) = (from.clone(), condition);
        let is_there = self.memory().head(to).await.is_ok();
        if self.is("O-084") && is_there {
            return Err(Error::new(ErrorKind::AlreadyExists, "sabotaged"));
        }
        if self.is("O-085") {
            condition = PutCondition::Always;
        }
        if self.is("O-086") {
            source = replace(&source, "+", " ")?;
        }
        let mut copied = match self.memory().copy(&source, to, condition).await {
            Err(err) if self.is("O-083") && err.is_not_found() => return wrong(),
            copied => copied?,
        };
        if self.is("O-080") && copied.size_bytes > 1_000 {
            let (_, data) = self.peek(to).await?;
            let options = PutOptions::default();
            self.memory().put(to, data.slice(1..), options).await?;
        }
        if self.is("O-081") {
            copied.key = from.clone();
        }
        if self.is("O-082") {
            self.memory().delete(from).await?;
        }
        Ok(copied)
    }

    fn as_presign(&self) -> Option<&dyn Presign> {
        (!self.is_bare() && !self.is("O-001")).then_some(self as &dyn Presign)
    }

    fn as_lifecycle(&self) -> Option<&dyn Lifecycle> {
        (!self.is_bare()).then_some(self as &dyn Lifecycle)
    }

    fn as_versions(&self) -> Option<&dyn Versions> {
        if self.is("O-142") {
            // Goes around the wrapper, which then does not know that its content is old.
            return self.memory().as_versions();
        }
        (!self.is_bare()).then_some(self as &dyn Versions)
    }

    fn as_object_lock(&self) -> Option<&dyn ObjectLock> {
        (!self.is_bare()).then_some(self as &dyn ObjectLock)
    }

    fn as_bucket_admin(&self) -> Option<&dyn BucketAdmin> {
        (!self.is_bare()).then_some(self as &dyn BucketAdmin)
    }
}
