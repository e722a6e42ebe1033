//! What a backup whose process was killed leaves in a store that speaks S3.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::time::Duration;

use ops_backup::{Backup, Encryption};
use ops_core::memory::MemoryDatabase;
use ops_core::object_store::PutOptions;
use ops_core::{ObjectKey, ObjectStore};
use ops_s3::{S3Credentials, S3Store, StoreProfile};
use ops_testkit::s3::{Fault, S3Fake};

const DEAD: &str = "20261121T000000Z-00000000";
const LIVING: &str = "20261121T000000Z-11111111";

/// An object, and an upload that was begun and neither ended nor abandoned.
async fn begin(fake: &S3Fake, store: &S3Store, id: &str) {
    let key = |name: &str| ObjectKey::new(format!("backups/{id}/{name}")).unwrap();
    let options = PutOptions::default;
    let first = store.put(&key("first"), "x".into(), options()).await;
    first.unwrap();
    let refused = |operation| Fault::error(403, "AccessDenied").on(operation).times(1);
    fake.inject(refused("AbortMultipartUpload"));
    fake.inject(refused("CompleteMultipartUpload"));
    let piece = || Ok(vec![7; 6 << 20].into());
    let data = Box::pin(futures_util::stream::iter([piece(), piece()]));
    let outcome = store.put_stream(&key("second"), data, options()).await;
    outcome.unwrap_err();
}

/// A server, and a store on it.
async fn scene() -> (S3Fake, S3Store) {
    let fake = S3Fake::start().await;
    fake.create_bucket("bucket");
    let store = S3Store::builder("bucket")
        .endpoint(fake.endpoint())
        .allow_http(true)
        .region(fake.region())
        .credentials(S3Credentials::new(fake.access_key(), fake.secret_key()))
        .profile(StoreProfile::aws())
        .open()
        .await
        .unwrap();
    (fake, store)
}

fn backup(store: S3Store) -> Backup {
    Backup::builder(Arc::new(MemoryDatabase::new()), Arc::new(store))
        .encryption(Encryption::none())
        .sweep_grace(Duration::from_mins(5))
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_abandons_the_uploads_of_backups_that_were_abandoned_and_no_others() {
    let (fake, store) = scene().await;
    fake.behave(|it| it.clock_ahead_seconds = -600);
    begin(&fake, &store, DEAD).await;
    fake.behave(|it| it.clock_ahead_seconds = 0);
    begin(&fake, &store, LIVING).await;
    assert_eq!(fake.open_uploads().len(), 2);

    let report = backup(store).sweep().await.unwrap();
    assert_eq!((report.removed.len(), report.uploads), (1, 1));
    let left: Vec<_> = fake.open_uploads().into_iter().map(|it| it.key).collect();
    assert_eq!(left, [format!("backups/{LIVING}/second")]);
    let dead = format!("backups/{DEAD}/");
    let left = fake.keys("bucket");
    assert!(!left.iter().any(|key| key.starts_with(&dead)), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_beginning_was_never_heard_of_is_abandoned_once_no_job_is_under_way() {
    let (fake, store) = scene().await;
    fake.behave(|it| it.clock_ahead_seconds = -600);
    // It is begun twice: the answer to the first request is lost.
    fake.inject(Fault::lose_answer().on("CreateMultipartUpload").times(1));
    let key = ObjectKey::new(format!("backups/{DEAD}/pack")).unwrap();
    let piece = || Ok(vec![7; 6 << 20].into());
    let data = Box::pin(futures_util::stream::iter([piece(), piece()]));
    let stored = store.put_stream(&key, data, PutOptions::default()).await;
    stored.unwrap();
    // Its job has failed and cleaned up: nothing tells of it any more.
    store.delete(&key).await.unwrap();
    fake.behave(|it| it.clock_ahead_seconds = 0);
    let living = ObjectKey::new(format!("backups/{LIVING}/first")).unwrap();
    let put = store.put(&living, "x".into(), PutOptions::default()).await;
    put.unwrap();
    assert_eq!(fake.open_uploads().len(), 1);

    let backup = backup(store.clone());
    let report = backup.sweep().await.unwrap();
    assert_eq!((report.in_progress.len(), report.uploads), (1, 0));
    store.delete(&living).await.unwrap();
    let report = backup.sweep().await.unwrap();
    assert_eq!((report.in_progress.len(), report.uploads), (0, 1));
    assert!(fake.open_uploads().is_empty());
}
