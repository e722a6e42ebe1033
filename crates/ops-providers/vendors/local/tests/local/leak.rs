//! The content of objects is seen nowhere.

use futures_util::stream;
use ops_conformance::leak::assert_no_leak;
use ops_core::object_store::{Checksum, PutOptions};
use ops_core::{Error, ErrorKind, ObjectStore};

use crate::support::{Scratch, key, put, read};

#[test]
fn a_store_keeps_what_is_in_its_objects() {
    let canary = "canary-local-5f3a9c0e71d2";
    assert_no_leak(canary, |texts| async move {
        let scratch = Scratch::new();
        let store = &scratch.store;
        let written = put(store, "a", canary).await;
        read(store, "a").await.unwrap();
        texts.debug("the answers", &(store, written));

        let wrong = PutOptions::default().with_checksum(Checksum::Crc32c(1));
        let refused = store.put(&key("b"), canary.into(), wrong).await;
        texts.error("a wrong checksum", &refused.unwrap_err());
        let create = PutOptions::if_none_match();
        let lost = store.put(&key("a"), canary.into(), create).await;
        texts.error("a lost race", &lost.unwrap_err());
        let cut = Error::new(ErrorKind::Unavailable, "cut");
        let data = Box::pin(stream::iter([Ok(canary.into()), Err(cut)]));
        let abandoned = store
            .put_stream(&key("c"), data, PutOptions::default())
            .await;
        texts.error("an abandoned write", &abandoned.unwrap_err());
    });
}
