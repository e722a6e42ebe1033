//! Whether an object store answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ops_core::object_store::{ObjectKey, PutOptions};
use ops_core::{Error, ErrorKind, ObjectStore, Result};

use crate::check::{Check, CheckCtx};
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Scope};

/// Whether an object store answers, and lets us read.
///
/// One HEAD of one small object per run, never a listing: that is what costs little and
/// needs no permission to list. The object is made once with [`Bucket::create_sentinel`]. A
/// store that answers that it is missing ([`Code::NotFound`]) has lost it, or the bucket; one
/// that refuses ([`Code::Forbidden`]) may only lack the permission to say so.
///
/// Every 60 s and not more often, because requests are paid for; not critical, and shared
/// by all replicas.
///
/// ```
/// use std::sync::Arc;
/// use ops_core::memory::MemoryObjectStore;
/// use ops_health::checks::Bucket;
///
/// let check = Bucket::new(Arc::new(MemoryObjectStore::new())).named("uploads");
/// ```
#[derive(Clone, Debug)]
pub struct Bucket {
    name: String,
    store: Arc<dyn ObjectStore>,
    sentinel: Result<ObjectKey, String>,
    may_be_missing: bool,
}

const SENTINEL: &str = "ops-health/sentinel";

impl Bucket {
    /// Looks at this store.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            name: "object_store".to_owned(),
            store,
            sentinel: key(SENTINEL),
            may_be_missing: false,
        }
    }

    /// Sets the name. Defaults to `object_store`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the object that is asked about. Defaults to `ops-health/sentinel`.
    #[must_use]
    pub fn sentinel(mut self, object: &str) -> Self {
        self.sentinel = key(object);
        self
    }

    /// Takes the answer that the object is missing for a good one: it answers. A bucket
    /// that is missing looks the same.
    #[must_use]
    pub fn sentinel_may_be_missing(mut self) -> Self {
        self.may_be_missing = true;
        self
    }

    /// Makes the object that is asked about.
    ///
    /// # Errors
    /// What the store reports; `InvalidInput` for a key that is none.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the object made.
    pub async fn create_sentinel(&self) -> Result<()> {
        let key = self
            .sentinel
            .as_ref()
            .map_err(|problem| Error::new(ErrorKind::InvalidInput, problem.clone()))?;
        self.store
            .put(key, Bytes::from_static(b"ok\n"), PutOptions::default())
            .await
            .map(drop)
    }
}

fn key(text: &str) -> Result<ObjectKey, String> {
    ObjectKey::new(text).map_err(|err| err.message().to_owned())
}

impl Check for Bucket {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::ObjectStore
    }

    fn policy(&self) -> Policy {
        let minute = Duration::from_secs(60);
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_scope(Scope::SharedDependency)
            .with_interval(minute)
            .with_min_interval(minute)
            .with_timeout(Duration::from_secs(5))
    }

    fn problems(&self) -> Vec<String> {
        self.sentinel.as_ref().err().cloned().into_iter().collect()
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        let Ok(key) = &self.sentinel else {
            return Outcome::unhealthy(Code::Failed);
        };
        match self.store.head(key).await {
            Ok(_) => Outcome::healthy(),
            Err(err) if err.kind() == ErrorKind::NotFound && self.may_be_missing => {
                Outcome::healthy()
            }
            Err(err) => Outcome::from(err),
        }
    }
}
