//! Two stores that are filled from one read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ops_backup::{
    Backup, BaseBackupReport, BaseBackupRequest, ErrorKind, PhysicalOptions, StoreOutcome,
};
use ops_core::memory::{FaultyObjectStore, MemoryObjectStore, Operation};
use ops_core::object_store::{
    DeleteOutcome, GetOptions, GetResult, ListOptions, ObjectMeta, ObjectStoreLimits, PutCondition,
    PutOptions,
};
use ops_core::{
    ByteStream, ErrorKind as CoreKind, ItemStream, ObjectKey, ObjectStore, ProviderId, Result,
    async_trait,
};
use ops_testkit::Pg;

use super::quiet;
use crate::shared::{self, Bench};
use crate::support::{unpack, verify};

/// An engine with a second store.
fn engine(pg: &Pg, bench: &Bench, second: Arc<dyn ObjectStore>) -> Backup {
    bench
        .builder(pg.connect_info("postgres"))
        .second_store(second)
        .physical(PhysicalOptions::new().with_pack_bytes(1 << 20))
        .stall_timeout(Duration::from_secs(8))
        .build()
        .unwrap()
}

async fn take(backup: &Backup) -> BaseBackupReport {
    backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap()
}

/// An engine with one store, and packs as small.
fn bench_backup(pg: &Pg, bench: &Bench) -> Backup {
    let options = PhysicalOptions::new().with_pack_bytes(1 << 20);
    let builder = bench.builder(pg.connect_info("postgres"));
    builder.physical(options).build().unwrap()
}

fn committed(outcomes: &[StoreOutcome]) -> Vec<(&str, bool)> {
    outcomes.iter().map(|it| (it.store, it.committed)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_stores_get_the_same_objects_and_either_restores() {
    let Some(pg) = quiet().start().await else {
        return;
    };
    let (bench, mut other) = (Bench::new(), Bench::new());
    let backup = engine(&pg, &bench, Arc::clone(&other.store));
    let report = take(&backup).await;
    assert!(report.is_everywhere());
    assert_eq!(
        committed(&report.stores),
        [("first", true), ("second", true)]
    );
    let keys = shared::keys(&*bench.store).await;
    assert_eq!(keys, shared::keys(&*other.store).await);
    assert!(!keys.iter().any(|key| key.ends_with("lease.json")));
    other.keys = bench.keys;
    let alone = other.backup(pg.connect_info("postgres"));
    let latest = alone.latest().await.unwrap().unwrap();
    assert_eq!(
        latest.manifest_blake3,
        backup.latest().await.unwrap().unwrap().manifest_blake3
    );
    let unpacked = unpack(&other, &latest.manifest, "ours");
    verify(&pg, &unpacked.folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_left_out_and_left_clean_whenever_it_fails() {
    let Some(pg) = quiet().start().await else {
        return;
    };
    let mut bench = Bench::new();
    let counted = Arc::new(FaultyObjectStore::new(Arc::new(MemoryObjectStore::new())));
    bench.store = Arc::clone(&counted) as _;
    take(&bench_backup(&pg, &bench)).await;
    let streams = counted.calls(Operation::PutStream);
    let puts = counted.calls(Operation::Put);
    let faults = [
        ("the lease", Operation::Put, 1),
        ("the identity", Operation::Put, 2),
        ("the first pack", Operation::PutStream, 1),
        ("a pack", Operation::PutStream, 2),
        ("the index", Operation::PutStream, streams - 2),
        ("the frame table", Operation::PutStream, streams),
        ("the renewed lease", Operation::Put, puts - 1),
        ("the manifest", Operation::Put, puts),
    ];
    for second_fails in [true, false] {
        for (what, operation, nth) in faults {
            let (good, bad) = (
                Arc::new(MemoryObjectStore::new()),
                Arc::new(MemoryObjectStore::new()),
            );
            let troubled = FaultyObjectStore::new(Arc::clone(&bad) as _);
            troubled.fail(operation, nth, CoreKind::PermissionDenied);
            let (first, second): (Arc<dyn ObjectStore>, Arc<dyn ObjectStore>) = if second_fails {
                (Arc::clone(&good) as _, Arc::new(troubled.clone()))
            } else {
                (Arc::new(troubled.clone()), Arc::clone(&good) as _)
            };
            bench.store = first;
            let backup = engine(&pg, &bench, second);
            let report = take(&backup).await;
            assert_eq!(troubled.pending_faults(), 0, "{what}");
            let expected = [("first", second_fails), ("second", !second_fails)];
            assert_eq!(committed(&report.stores), expected, "{what}");
            assert!(!report.is_everywhere());
            assert!(
                report
                    .warnings
                    .iter()
                    .any(|it| it.contains("has no backup")),
                "{what}"
            );
            let lost = report.stores.iter().find(|it| !it.committed).unwrap();
            assert!(
                lost.error.as_ref().unwrap().contains("not allow"),
                "{what}: {lost:?}"
            );
            let left = shared::pieces(&*bad).await;
            assert_eq!(left, Vec::<String>::new(), "{what}");

            bench.store = good;
            let backup = bench.backup(pg.connect_info("postgres"));
            assert_eq!(backup.catalogue().await.unwrap().len(), 1);
            shared::assert_only_committed(&backup, &*bench.store).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_stores_fail_the_backup_fails() {
    let Some(pg) = quiet().start().await else {
        return;
    };
    let mut bench = Bench::new();
    let store = || {
        let faulty = FaultyObjectStore::new(Arc::new(MemoryObjectStore::new()));
        faulty.fail(Operation::PutStream, 1, CoreKind::QuotaExceeded);
        Arc::new(faulty)
    };
    bench.store = store();
    let second = store();
    let backup = engine(&pg, &bench, Arc::clone(&second) as _);
    let failed = backup.base_backup(BaseBackupRequest::full()).finish().await;
    let err = failed.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::StoreFull, "{err:?}");
    assert!(
        err.left_behind().unwrap().contains("nothing is left"),
        "{err}"
    );
    for store in [&bench.store, &(second as Arc<dyn ObjectStore>)] {
        assert_eq!(shared::keys(&**store).await, Vec::<String>::new());
    }
}

/// A store that takes an upload's first bytes and then nothing more.
#[derive(Debug)]
struct Hanging(Arc<dyn ObjectStore>);

#[async_trait]
impl ObjectStore for Hanging {
    fn provider(&self) -> ProviderId {
        self.0.provider()
    }

    fn limits(&self) -> ObjectStoreLimits {
        self.0.limits()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.0.put(key, data, options).await
    }

    async fn put_stream(
        &self,
        _: &ObjectKey,
        mut data: ByteStream,
        _: PutOptions,
    ) -> Result<ObjectMeta> {
        futures_util::StreamExt::next(&mut data).await;
        std::future::pending().await
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        self.0.get(key, options).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        self.0.head(key).await
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        self.0.list(options)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        self.0.delete(key).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        self.0.delete_many(keys).await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        self.0.copy(from, to, condition).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_does_not_keep_the_other_from_its_backup() {
    let Some(pg) = quiet().start().await else {
        return;
    };
    let (bench, other) = (Bench::new(), Bench::new());
    let backup = engine(&pg, &bench, Arc::new(Hanging(Arc::clone(&other.store))));
    let report = take(&backup).await;
    assert_eq!(
        committed(&report.stores),
        [("first", true), ("second", false)]
    );
    let why = report.stores[1].error.as_ref().unwrap();
    assert!(why.contains("taken nothing"), "{why}");
    assert_eq!(shared::pieces(&*other.store).await, Vec::<String>::new());
}
