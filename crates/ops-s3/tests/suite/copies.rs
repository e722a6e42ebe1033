//! Copies of objects that are too large for one request.

use futures_util::future::try_join_all;
use ops_core::object_store::{PutCondition, PutOptions};
use ops_core::{ErrorKind, ObjectStore};
use ops_s3::{S3Store, StoreProfile};

use crate::support::{Fault, Server, error, key, noise, on_every_server, put, read};

const MIB: usize = 1024 * 1024;

on_every_server!(
    an_object_above_the_limit_of_one_copy_is_copied_in_parts,
    a_copy_in_parts_keeps_its_condition,
    a_copy_of_which_a_part_fails_leaves_nothing,
    a_copy_in_parts_that_is_dropped_is_abandoned,
);

/// A store whose server copies no more than 5 MiB at once.
async fn limited(server: &Server) -> S3Store {
    if let Some(fake) = server.as_fake() {
        fake.behave(|it| it.max_copy_size = 5 << 20);
    }
    server.with_profile(|it| it.max_copy_bytes = 5 << 20).await
}

async fn an_object_above_the_limit_of_one_copy_is_copied_in_parts(server: Server) {
    let store = limited(&server).await;
    let whole = noise(12 * MIB + 1);
    for (size, parts) in [(5 * MIB, 0), (5 * MIB + 1, 2), (12 * MIB + 1, 3)] {
        let (from, to) = (key(&format!("from/{size}")), key(&format!("to/{size}")));
        let data = whole.slice(..size);
        let options = PutOptions::default().with_content_type("text/x-noise");
        store.put(&from, data.clone(), options).await.unwrap();
        let copy = store.copy(&from, &to, PutCondition::Always).await.unwrap();
        assert_eq!(copy.size_bytes, size as u64);
        assert!(read(&store, to.as_str()).await.unwrap() == data, "{size}");
        let sent = server.requests("partNumber");
        let sent = sent.iter().filter(|line| line.contains("/to/"));
        let of_this = sent.filter(|line| line.contains(to.as_str())).count();
        assert_eq!(of_this, parts, "{size}");
    }
    let kept = store.head(&key(&format!("to/{}", 12 * MIB + 1))).await;
    assert_eq!(kept.unwrap().content_type.as_deref(), Some("text/x-noise"));
}

async fn a_copy_in_parts_keeps_its_condition(server: Server) {
    let store = limited(&server).await;
    let data = noise(6 * MIB);
    let options = PutOptions::default();
    store
        .put(&key("from"), data.clone(), options)
        .await
        .unwrap();
    let (from, to) = (key("from"), key("to"));
    let create = || store.copy(&from, &to, PutCondition::IfNoneMatch);
    create().await.unwrap();
    let err = create().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::AlreadyExists);
    assert!(read(&store, "to").await.unwrap() == data);
    let ended = server.requests("DELETE /bucket/to?").len();
    assert_eq!(ended, 1, "the upload that lost was abandoned");
}

async fn a_copy_of_which_a_part_fails_leaves_nothing(server: Server) {
    let store = limited(&server).await;
    let options = PutOptions::default();
    store
        .put(&key("from"), noise(12 * MIB), options)
        .await
        .unwrap();
    server.fault(1, "partNumber=1", error(503, "SlowDown"));
    server.fault(3, "partNumber=2", error(500, "InternalError"));
    let (from, to) = (key("from"), key("to"));
    let copy = store.copy(&from, &to, PutCondition::Always).await;
    assert_eq!(copy.unwrap_err().code(), Some("InternalError"));
    assert_eq!(server.requests("DELETE /bucket/to?").len(), 1);
    assert!(store.head(&to).await.unwrap_err().is_not_found());
    // A later one is not hindered by what went before.
    let copy = store.copy(&from, &to, PutCondition::IfNoneMatch).await;
    assert_eq!(copy.unwrap().size_bytes, 12 * MIB as u64);
}

async fn a_copy_in_parts_that_is_dropped_is_abandoned(server: Server) {
    let store = limited(&server).await;
    let options = PutOptions::default();
    store
        .put(&key("from"), noise(12 * MIB), options)
        .await
        .unwrap();
    let third = "UploadPartCopy&partNumber=3";
    server.fault(1, third, Fault::Silence);
    let (from, to) = (key("from"), key("to"));
    tokio::select! {
        copy = store.copy(&from, &to, PutCondition::Always) => panic!("it ended: {copy:?}"),
        () = server.wait_for(third) => {}
    }
    server.wait_for("DELETE /bucket/to?").await;
    assert!(store.head(&to).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_wants_equal_parts_gets_them_from_a_copy_too() {
    let server = Server::fake().await;
    let fake = server.as_fake().unwrap();
    fake.behave(|it| {
        it.equal_part_sizes = true;
        it.accepts_request_checksums = false;
        it.max_copy_size = 5 << 20;
    });
    let mut profile = StoreProfile::r2();
    profile.max_copy_bytes = 5 << 20;
    let store = server.builder().profile(profile).open().await.unwrap();
    let data = noise(17 * MIB);
    let options = PutOptions::default();
    store
        .put(&key("from"), data.clone(), options)
        .await
        .unwrap();
    let copies = ["to/1", "to/2"].map(|name| {
        let store = &store;
        async move {
            store
                .copy(&key("from"), &key(name), PutCondition::Always)
                .await
        }
    });
    try_join_all(copies).await.unwrap();
    assert!(read(&store, "to/2").await.unwrap() == data);
    assert!(fake.open_uploads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_parts_is_of_one_version() {
    let server = Server::fake().await;
    let store = limited(&server).await;
    let options = PutOptions::default();
    store
        .put(&key("from"), noise(12 * MIB), options)
        .await
        .unwrap();
    server.fault(1, "partNumber=2", error(503, "SlowDown"));
    server.fault(1, "partNumber=2", Fault::CloseBefore);
    // The upload has begun; the first part may be there or not.
    let (from, to) = (key("from"), key("to"));
    let copy = store.copy(&from, &to, PutCondition::Always);
    let change = async {
        server.wait_for("POST /bucket/to?uploads").await;
        put(&store, "from", "other").await;
    };
    let (copy, ()) = tokio::join!(copy, change);
    if copy.is_ok() {
        assert!(read(&store, "to").await.unwrap() == noise(12 * MIB));
    } else {
        assert!(store.head(&to).await.unwrap_err().is_not_found());
        assert!(server.as_fake().unwrap().open_uploads().is_empty());
    }
}
