//! The bucket in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use ops_conformance::Fixture;
use ops_conformance::memory::MemoryObjectStoreFixture;
use ops_conformance::object_store::ObjectStoreFixture;
use ops_core::memory::{FaultyObjectStore, MemoryObjectStore};
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{ErrorKind, ObjectStore, Result, Secret, async_trait};

use crate::support::{body, key, keys, put, read};

mod conformance {
    use ops_conformance::memory::MemoryObjectStoreFixture;

    ops_conformance::object_store!(MemoryObjectStoreFixture::new());
}

/// The bucket inside a decorator without faults, which must be the same bucket.
mod decorated {
    use super::*;

    struct Decorated(MemoryObjectStoreFixture, FaultyObjectStore);

    fn decorated() -> Decorated {
        let inside = MemoryObjectStoreFixture::new();
        let store = FaultyObjectStore::new(Arc::new(inside.memory().clone()));
        Decorated(inside, store)
    }

    #[async_trait]
    impl Fixture for Decorated {
        async fn advance(&self, by: Duration) -> bool {
            self.0.advance(by).await
        }
    }

    #[async_trait]
    impl ObjectStoreFixture for Decorated {
        fn store(&self) -> Arc<dyn ObjectStore> {
            Arc::new(self.1.clone())
        }

        fn abilities(&self) -> &'static [&'static str] {
            self.0.abilities()
        }

        async fn pending_uploads(&self) -> Option<usize> {
            self.0.pending_uploads().await
        }

        async fn fetch(&self, url: &Secret) -> Option<Result<Bytes>> {
            self.0.fetch(url).await
        }

        async fn send(&self, url: &Secret, data: Bytes) -> Option<Result<()>> {
            self.0.send(url, data).await
        }
    }

    ops_conformance::object_store!(decorated());
}

#[tokio::test]
async fn an_upload_is_pending_until_it_ends_or_is_dropped() {
    let store = MemoryObjectStore::new();
    let name = key("s");
    let endless = body([Ok("half")]).chain(stream::pending());
    let mut upload = store.put_stream(&name, Box::pin(endless), PutOptions::default());
    assert_eq!(store.pending_uploads(), 0);
    assert!((&mut upload).now_or_never().is_none());
    assert_eq!(store.pending_uploads(), 1);
    drop(upload);
    assert_eq!(store.pending_uploads(), 0);

    store
        .put_stream(&name, body([Ok("whole")]), PutOptions::default())
        .await
        .unwrap();
    assert_eq!(store.pending_uploads(), 0);
}

#[tokio::test]
async fn a_full_store_refuses_and_keeps_what_it_has() {
    let store = MemoryObjectStore::builder().capacity_bytes(10).build();
    put(&store, "a", "12345678").await;
    let err = store
        .put(&key("b"), "123".into(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(keys(&store, ListOptions::default()).await, ["a"]);
    // What is replaced makes room for what replaces it.
    put(&store, "a", "1234567890").await;
    store.delete(&key("a")).await.unwrap();
    put(&store, "b", "1234567890").await;
}

#[tokio::test]
async fn an_object_above_the_limit_is_refused_before_the_stream_has_ended() {
    let store = MemoryObjectStore::builder().max_object_bytes(4).build();
    assert_eq!(store.limits().max_object_bytes, Some(4));
    let endless = body([Ok("123"), Ok("456")]).chain(stream::pending());
    let err = store
        .put_stream(&key("a"), Box::pin(endless), PutOptions::default())
        .await;
    assert_eq!(err.unwrap_err().kind(), ErrorKind::QuotaExceeded);
    assert_eq!(store.pending_uploads(), 0);
    put(&store, "a", "1234").await;
}

#[tokio::test]
async fn clones_are_the_same_bucket() {
    let store = MemoryObjectStore::new();
    put(&store.clone(), "a", "x").await;
    assert_eq!(read(&store, "a").await.unwrap(), "x");
}

#[tokio::test]
async fn errors_name_provider_operation_and_key() {
    let err = MemoryObjectStore::new().head(&key("no")).await.unwrap_err();
    assert_eq!(
        err.to_string(),
        "memory: object_store.head: no does not exist"
    );
    assert_eq!(err.resource(), Some("no"));
}
