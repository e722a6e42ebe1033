//! Every method of a store, called once.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use ops_conformance::contract::Request;
use ops_core::object_store::{
    ByteRange, GetOptions, LifecycleRule, ListOptions, ObjectStore, PutCondition, PutOptions,
    Retention, RetentionMode, VersionId,
};
use ops_core::{Clock, Error, ErrorKind, ObjectKey, Result, SystemClock};

/// More than two parts of the least size, the last one not full.
const LARGE: usize = (5 << 20) * 2 + (1 << 20);

/// A key that has to be encoded in a path.
const AWKWARD: &str = "b c/d+é";

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).expect("a key")
}

async fn drain(store: &dyn ObjectStore, name: &str, options: GetOptions) -> Result<()> {
    let mut body = store.get(&key(name), options).await?.body;
    while body.try_next().await?.is_some() {}
    Ok(())
}

/// Calls every method of a store and of its abilities, and gives the first error of each,
/// with the method's name. The bucket should be empty, and is removed at the end where the
/// store can do so.
///
/// A store with parts of 5 MiB uploads in parts.
pub async fn call_everything(store: &dyn ObjectStore) -> Vec<(&'static str, Error)> {
    let mut calls = Calls {
        store,
        failed: Vec::new(),
    };
    calls.write().await;
    calls.read().await;
    calls.copy().await;
    calls.lifecycle_and_lock().await;
    calls.versions().await;
    calls.remove().await;
    calls.failed
}

struct Calls<'a> {
    store: &'a dyn ObjectStore,
    failed: Vec<(&'static str, Error)>,
}

impl Calls<'_> {
    fn note<T>(&mut self, name: &'static str, result: Result<T>) {
        self.failed.extend(result.err().map(|err| (name, err)));
    }

    /// An error of this kind is what the call is made for.
    fn note_unless<T>(&mut self, name: &'static str, expected: ErrorKind, result: Result<T>) {
        let failed = result.err().filter(|err| err.kind() != expected);
        self.failed.extend(failed.map(|err| (name, err)));
    }

    async fn put(&mut self, name: &str, options: PutOptions) {
        let data = Bytes::from_static(b"content");
        let put = self.store.put(&key(name), data, options).await;
        self.note("put", put);
    }

    async fn write(&mut self) {
        self.put("a", PutOptions::default()).await;
        let typed = PutOptions::if_none_match().with_content_type("text/plain");
        self.put(AWKWARD, typed).await;
        match self.store.head(&key("a")).await {
            Ok(meta) => {
                let same = meta.etag.map(PutOptions::if_match);
                self.put("a", same.unwrap_or_default()).await;
            }
            Err(err) => self.failed.push(("head", err)),
        }
        let data = || Ok(Bytes::from(vec![7; LARGE]));
        let whole = Box::pin(stream::iter([data()]));
        let name = key("large");
        let put = self.store.put_stream(&name, whole, PutOptions::default());
        let put = put.await;
        self.note("put_stream", put);
        // The upload of a source that breaks off is abandoned.
        let end = Err(Error::new(ErrorKind::Internal, "the source broke off"));
        let broken = Box::pin(stream::iter([data(), end]));
        let name = key("broken");
        let put = self.store.put_stream(&name, broken, PutOptions::default());
        let put = put.await;
        self.note_unless("put_stream, broken", ErrorKind::Internal, put);
    }

    async fn read(&mut self) {
        for name in ["a", AWKWARD, "large"] {
            let read = drain(self.store, name, GetOptions::default()).await;
            self.note("get", read);
        }
        let range = GetOptions::range(ByteRange::From(3));
        let read = drain(self.store, "a", range).await;
        self.note("get, range", read);
        let listed: Result<Vec<_>> = self
            .store
            .list(ListOptions::prefix("b c"))
            .try_collect()
            .await;
        self.note("list", listed);
    }

    async fn copy(&mut self) {
        for (from, to, condition) in [
            ("a", "copy", PutCondition::Always),
            ("a", "copy", PutCondition::IfNoneMatch),
            ("large", "large copy", PutCondition::Always),
        ] {
            let copied = self.store.copy(&key(from), &key(to), condition).await;
            self.note_unless("copy", ErrorKind::AlreadyExists, copied);
        }
    }

    async fn lifecycle_and_lock(&mut self) {
        if let Some(lifecycle) = self.store.as_lifecycle() {
            let rule = LifecycleRule::new("old", "tmp/")
                .with_expire_after_days(30)
                .with_abort_uploads_after_days(3);
            let set = lifecycle.set_lifecycle_rules(vec![rule]).await;
            self.note("set_lifecycle_rules", set);
            let read = lifecycle.lifecycle_rules().await;
            self.note("lifecycle_rules", read);
            let removed = lifecycle.set_lifecycle_rules(Vec::new()).await;
            self.note("set_lifecycle_rules, none", removed);
        }
        if let Some(lock) = self.store.as_object_lock() {
            let name = key("a");
            let until = SystemClock.now().saturating_add(Duration::from_secs(1));
            let mode = RetentionMode::Governance;
            let read = lock.retention(&name).await;
            self.note("retention", read);
            let set = lock.set_retention(&name, Retention { mode, until }).await;
            self.note("set_retention", set);
        }
    }

    async fn versions(&mut self) {
        let Some(versions) = self.store.as_versions() else {
            return;
        };
        let set = versions.set_versioning(true).await;
        self.note("set_versioning", set);
        let read = versions.versioning_enabled().await;
        self.note("versioning_enabled", read);
        let name = key("versioned");
        for _ in 0..2 {
            self.put("versioned", PutOptions::default()).await;
        }
        let listed: Result<Vec<_>> = versions.list_versions("versioned").try_collect().await;
        let oldest = listed.as_ref().ok().and_then(|it| it.last());
        let oldest = oldest.map_or_else(|| VersionId::new("null"), |it| it.version.clone());
        self.note("list_versions", listed);
        let restored = versions.restore_version(&name, &oldest).await;
        self.note("restore_version", restored);
        let deleted = versions.delete_version(&name, &oldest).await;
        self.note("delete_version", deleted);
        // A bucket that locks objects keeps its versions.
        let set = versions.set_versioning(false).await;
        self.note_unless("set_versioning, off", ErrorKind::Conflict, set);
    }

    async fn remove(&mut self) {
        let deleted = self.store.delete(&key("a")).await;
        self.note("delete", deleted);
        let names = [AWKWARD, "large", "copy", "large copy", "versioned"];
        match self.store.delete_many(names.map(key).to_vec()).await {
            Ok(outcomes) => {
                for outcome in outcomes {
                    self.note("delete_many", outcome);
                }
            }
            Err(err) => self.failed.push(("delete_many", err)),
        }
        let Some(admin) = self.store.as_bucket_admin() else {
            return;
        };
        let made = admin.create_bucket().await;
        self.note("create_bucket", made);
        // One that keeps versions is not empty.
        let deleted = admin.delete_bucket().await;
        self.note_unless("delete_bucket", ErrorKind::Conflict, deleted);
    }
}

/// The requests that a store's signed URLs ask for.
///
/// # Errors
/// Where nothing can be signed.
///
/// # Panics
/// Where what was signed is no URL.
pub async fn call_presigned(store: &dyn ObjectStore) -> Result<Vec<Request>> {
    let Some(presign) = store.as_presign() else {
        return Ok(Vec::new());
    };
    let valid = Duration::from_mins(5);
    let of = |method: http::Method, url: &str| {
        let uri: http::Uri = url.parse().expect("a URL");
        Request::new(method, uri.path_and_query().map_or("/", |it| it.as_str()))
    };
    let get = presign.presign_get(&key(AWKWARD), valid).await?;
    let put = presign.presign_put(&key(AWKWARD), valid).await?;
    Ok(vec![
        of(http::Method::GET, get.url.expose()),
        of(http::Method::PUT, put.url.expose()),
    ])
}
