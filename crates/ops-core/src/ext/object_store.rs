//! [`ObjectStoreExt`].

use bytes::{Bytes, BytesMut};

use super::offload::{self, OffloadOptions, OffloadReport};
use super::require;
use super::transfer::{self, SyncOptions, SyncReport};
use crate::error::{Error, ErrorKind, Result};
use crate::object_store::{
    BucketAdmin, GetOptions, Lifecycle, ObjectKey, ObjectLock, ObjectMeta, ObjectStore, Presign,
    Versions,
};
use crate::stream;

/// What every [`ObjectStore`] can do because it is one.
pub trait ObjectStoreExt: ObjectStore {
    require! {
        require_presign: as_presign -> Presign = "signing URLs";
        require_lifecycle: as_lifecycle -> Lifecycle = "lifecycle rules";
        require_versions: as_versions -> Versions = "keeping versions";
        require_object_lock: as_object_lock -> ObjectLock = "locking objects";
        require_bucket_admin: as_bucket_admin -> BucketAdmin = "making buckets";
    }

    /// Reads a whole object that is known to be small.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use ops_core::memory::MemoryObjectStore;
    /// use ops_core::object_store::{ObjectKey, PutOptions};
    /// use ops_core::{ErrorKind, ObjectStore, ObjectStoreExt};
    ///
    /// let store = MemoryObjectStore::new();
    /// let key = ObjectKey::new("notes/today.txt")?;
    /// store.put(&key, "milk, bread".into(), PutOptions::default()).await?;
    /// assert_eq!(store.get_bytes(&key, 1024).await?, "milk, bread");
    ///
    /// let err = store.get_bytes(&key, 4).await.unwrap_err();
    /// assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    /// # Ok(())
    /// # })
    /// # }
    /// # #[cfg(not(feature = "memory"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// `QuotaExceeded` where the object is larger than `max_bytes`, before that much was
    /// read; `Integrity` where the body is not as long as promised; as
    /// [`get`](ObjectStore::get).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    fn get_bytes(
        &self,
        key: &ObjectKey,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Bytes>> + Send {
        async move {
            let mut object = self.get(key, GetOptions::default()).await?;
            let size = object.meta.size_bytes;
            let fits = usize::try_from(size).is_ok_and(|size| size <= max_bytes);
            let too_large = || {
                let message = format!("{key} holds {size} bytes, at most {max_bytes} are read");
                failed(self, ErrorKind::QuotaExceeded, message, key)
            };
            if !fits {
                return Err(too_large());
            }
            let mut data = BytesMut::new();
            while let Some(chunk) = stream::next(&mut object.body).await {
                let chunk = chunk?;
                if chunk.len() > max_bytes - data.len() {
                    return Err(too_large());
                }
                data.extend_from_slice(&chunk);
            }
            if data.len() as u64 != size {
                let message = format!("{key} holds {size} bytes, {} were sent", data.len());
                return Err(failed(self, ErrorKind::Integrity, message, key));
            }
            Ok(data.freeze())
        }
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// As [`head`](ObjectStore::head), except `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    fn exists(&self, key: &ObjectKey) -> impl Future<Output = Result<bool>> + Send {
        async move {
            match self.head(key).await {
                Ok(_) => Ok(true),
                Err(err) if err.is_not_found() => Ok(false),
                Err(err) => Err(err),
            }
        }
    }

    /// Moves an object to another store.
    ///
    /// # Behavior
    /// 1. The object is streamed; memory stays bounded.
    /// 2. Nothing is overwritten: a key that is taken by the same content counts as
    ///    copied, so that a move that was cut off can be repeated; one that is taken by
    ///    other content is `AlreadyExists`.
    /// 3. The copy is verified before the source is deleted: by checksums that both stores
    ///    keep in the same algorithm, and otherwise by reading both and comparing.
    /// 4. A source that was changed in between is not deleted, and the move is a `Conflict`.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists`; `Integrity` where the copy differs, which is left for
    /// inspection; as the methods of both stores. Moving again is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the object in both stores, never in none.
    fn move_to(
        &self,
        key: &ObjectKey,
        destination: &dyn ObjectStore,
        destination_key: &ObjectKey,
    ) -> impl Future<Output = Result<ObjectMeta>> + Send {
        transfer::move_to(self, key, destination, destination_key)
    }

    /// Makes another store hold what this one holds.
    ///
    /// # Behavior
    /// 1. Both are listed once, side by side; nothing is held in memory but the counts.
    /// 2. An object is copied where it is missing or differs: in size, or in a checksum
    ///    that both stores keep in the same algorithm, or, without one, where the source
    ///    was written later than the copy.
    /// 3. Each copy is verified as in [`move_to`](Self::move_to).
    /// 4. What only the other store has is deleted where the options say so.
    /// 5. An object that is deleted here while it runs is skipped.
    ///
    /// # Errors
    /// The first failure ends it. Running it again is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the objects copied or deleted.
    fn sync(
        &self,
        destination: &dyn ObjectStore,
        options: SyncOptions,
    ) -> impl Future<Output = Result<SyncReport>> + Send {
        transfer::sync(self, destination, options)
    }

    /// Moves the coldest objects to another store when this one holds too much.
    ///
    /// # Behavior
    /// 1. Nothing happens while the objects under the prefix hold no more than the threshold.
    /// 2. Above it, objects are moved as by [`move_to`](Self::move_to), those written
    ///    longest ago first, until no more than the low-water mark is left.
    /// 3. At most [`max_objects`](OffloadOptions::max_objects) are moved in one call; the
    ///    report says whether the mark was reached.
    /// 4. An object that changes while it is moved stays.
    ///
    /// # Errors
    /// `InvalidInput` where the low-water mark is above the threshold; otherwise the first
    /// failure ends it. Running it again is harmless.
    ///
    /// # Cancel safety
    /// As [`move_to`](Self::move_to).
    fn offload(
        &self,
        destination: &dyn ObjectStore,
        options: OffloadOptions,
    ) -> impl Future<Output = Result<OffloadReport>> + Send {
        offload::run(self, destination, options)
    }
}

impl<T: ObjectStore + ?Sized> ObjectStoreExt for T {}

#[cold]
pub(super) fn failed<T: ObjectStore + ?Sized>(
    store: &T,
    kind: ErrorKind,
    message: String,
    key: &ObjectKey,
) -> Error {
    Error::new(kind, message)
        .with_provider(store.provider())
        .with_resource(key.as_str())
}
