//! [`ObjectStore`] of R2.
//!
//! Objects go over S3 and are the business of [`ops_s3`], with the rules of R2: parts of
//! equal size, MD5 instead of the newer checksums. The bucket itself, its lifecycle rules
//! and its CORS go over the REST API, for which an API token is needed: a [`Cloudflare`]
//! given to [`R2Builder::admin`].
//!
//! ```no_run
//! # async fn run() -> ops_core::Result<()> {
//! use ops_cloudflare::r2::Jurisdiction;
//! use ops_cloudflare::{Cloudflare, R2};
//! use ops_core::object_store::BucketAdmin;
//!
//! let bucket = R2::from_env()? // CLOUDFLARE_ACCOUNT_ID, R2_BUCKET and an access key
//!     .jurisdiction(Jurisdiction::Eu)
//!     .admin(Cloudflare::from_env()?)
//!     .open()
//!     .await?;
//! bucket.create_bucket().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Not supported: versions, and locks of single objects.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ops_core::object_store::{
    BucketAdmin, ByteStream, DeleteOutcome, GetOptions, GetResult, ItemStream, Lifecycle,
    LifecycleRule, ListOptions, ObjectKey, ObjectLock, ObjectMeta, ObjectStore, ObjectStoreLimits,
    Presign, PutCondition, PutOptions, Versions,
};
use ops_core::{Error, ErrorKind, ProviderId, Result, Timestamp};
use ops_s3::S3Store;

use crate::{Cloudflare, PROVIDER};

pub mod api;
mod config;
mod cors;
mod model;

pub use config::{Jurisdiction, R2Builder};
pub use cors::CorsRule;

/// A bucket of R2; made by [`R2::builder`].
///
/// Clones are the same bucket and share connections, limits and budgets. With
/// [`R2Builder::admin`], and without a prefix, it has [`Lifecycle`] and [`BucketAdmin`].
#[derive(Clone, Debug)]
pub struct R2 {
    store: S3Store,
    bucket: Bucket,
    admin: Option<Cloudflare>,
}

/// A bucket as the REST API names it.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    account: String,
    name: String,
    jurisdiction: Option<Jurisdiction>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for R2 {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> ObjectStoreLimits {
        self.store.limits()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.store.put(key, data, options).await
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        self.store.put_stream(key, data, options).await
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        self.store.get(key, options).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        self.store.head(key).await
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        self.store.list(options)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        self.store.delete(key).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        self.store.delete_many(keys).await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        self.store.copy(from, to, condition).await
    }

    async fn abandon_uploads(&self, prefix: &str, begun_before: Timestamp) -> Result<u64> {
        self.store.abandon_uploads(prefix, begun_before).await
    }

    fn bounded(&self, memory_bytes: u64) -> Option<Arc<dyn ObjectStore>> {
        Some(Arc::new(Self {
            store: self.store.bounded_by(memory_bytes),
            ..self.clone()
        }))
    }

    fn as_presign(&self) -> Option<&dyn Presign> {
        self.store.as_presign()
    }

    fn as_lifecycle(&self) -> Option<&dyn Lifecycle> {
        self.has_admin().then_some(self as _)
    }

    fn as_versions(&self) -> Option<&dyn Versions> {
        None
    }

    fn as_object_lock(&self) -> Option<&dyn ObjectLock> {
        None
    }

    fn as_bucket_admin(&self) -> Option<&dyn BucketAdmin> {
        self.has_admin().then_some(self as _)
    }
}

/// The vendor replaces all rules at once. What of a rule cannot be said here, such as moving
/// objects to another storage class, is read first and kept; so are rules that are off, which
/// are not listed.
#[async_trait]
impl Lifecycle for R2 {
    async fn lifecycle_rules(&self) -> Result<Vec<LifecycleRule>> {
        let rules = self.present_rules().await?;
        let in_force = rules.into_iter().filter(|rule| rule.enabled);
        Ok(in_force.map(LifecycleRule::from).collect())
    }

    async fn set_lifecycle_rules(&self, rules: Vec<LifecycleRule>) -> Result<()> {
        let names: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        if names.len() < rules.len() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "two rules have one name")
                    .with_provider(PROVIDER)
                    .with_operation("object_store.set_lifecycle_rules"),
            );
        }
        let present = self.present_rules().await?;
        let replaced = model::replaced(present, rules);
        let request = api::put_lifecycle(&self.bucket, replaced);
        self.admin()?.api.execute(request).await?;
        Ok(())
    }
}

#[async_trait]
impl BucketAdmin for R2 {
    async fn create_bucket(&self) -> Result<()> {
        let made = self
            .admin()?
            .api
            .execute(api::create_bucket(&self.bucket))
            .await;
        match made {
            // Names are unique in an account: the one that is there is ours.
            Err(err) if err.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => made.map(drop),
        }
    }

    async fn delete_bucket(&self) -> Result<()> {
        self.admin()?
            .api
            .execute(api::delete_bucket(&self.bucket))
            .await?;
        Ok(())
    }
}

impl R2 {
    /// The store that objects go through, for what it tells of itself.
    #[must_use]
    pub fn store(&self) -> &S3Store {
        &self.store
    }

    async fn present_rules(&self) -> Result<Vec<model::Rule>> {
        let request = api::get_lifecycle(&self.bucket);
        let found = self.admin()?.api.execute(request).await?;
        Ok(found.result.rules)
    }

    /// The rules and the bucket are those of all keys, not of a part of them.
    fn has_admin(&self) -> bool {
        self.admin.is_some() && self.store.as_bucket_admin().is_some()
    }

    fn admin(&self) -> Result<&Cloudflare> {
        self.admin.as_ref().ok_or_else(|| {
            let problem = "administering a bucket needs an API token: R2Builder::admin";
            Error::invalid_config([problem]).with_provider(PROVIDER)
        })
    }
}
