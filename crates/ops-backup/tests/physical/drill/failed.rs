//! Drills that do not come to their end: that is what the status shows.

use std::cmp::Ordering;
use std::fs;
use std::sync::Arc;

use ops_backup::{
    Backup, DrillLevel, DrillSummary, ErrorKind, ObjectRole, Phase, PhysicalOptions, RestoreTarget,
    Unlock,
};
use ops_testkit::store::StoreFault;
use ops_testkit::{FaultStore, Pg};

use super::drill_options;
use crate::restore::source;
use crate::shared::{Bench, Keys};
use crate::support::full;

async fn packed(pg: &Pg) -> (Bench, Backup) {
    let bench = Bench::new();
    let builder = bench.builder(pg.connect_info("postgres"));
    let packs = PhysicalOptions::new().with_pack_bytes(1 << 20);
    let backup = builder.physical(packs).build().unwrap();
    full(&backup).await;
    (bench, backup)
}

/// The kind of the error of a drill that must fail, and what the status says of it.
pub(crate) async fn failed(backup: &Backup, target: RestoreTarget) -> (ErrorKind, DrillSummary) {
    let job = backup.drill_cluster(target, drill_options());
    let err = job.finish().await.unwrap_err();
    let last = backup.status().await.unwrap().last_drill.unwrap();
    let failure = last.failure.as_ref().unwrap();
    assert_eq!(failure.message, ops_core::Report(&err).to_string());
    assert!(!last.passed);
    (err.kind(), last)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_fails_takes_the_place_of_an_older_one_that_came_to_its_end() {
    let Some(pg) = source().start().await else {
        return;
    };
    let (bench, backup) = packed(&pg).await;
    let job = backup.drill_cluster(RestoreTarget::Latest, drill_options());
    let good = job.finish().await.unwrap();
    let status = backup.status().await.unwrap();
    assert_eq!(status.last_drill.unwrap().failure, None);

    let manifest = backup.latest().await.unwrap().unwrap().manifest;
    // Neither that with the label nor that with pg_control, which are read first.
    let count = manifest.objects_of(ObjectRole::Data).count();
    let object = manifest
        .objects_of(ObjectRole::Data)
        .nth(count / 2)
        .unwrap();
    let path = bench.folder.path().join("store").join(object.key.as_str());
    let content = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let (_, last) = failed(&backup, RestoreTarget::Latest).await;
    assert_eq!(last.level, DrillLevel::Unproven);
    assert_eq!(last.failure.unwrap().phase, Phase::Preflight);
    let rto = backup.status().await.unwrap().last_rto.unwrap();
    assert_eq!(
        rto.as_secs_f64().total_cmp(&good.rto_seconds),
        Ordering::Equal
    );
    let stored = backup.cluster_drills(&manifest.id).await.unwrap();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0], good);
    assert_eq!(stored[1].manifest_blake3, good.manifest_blake3);

    // The backup is whole again, and there is no place for a copy.
    fs::write(&path, content).unwrap();
    let options = drill_options().with_folder(path);
    let job = backup.drill_cluster(RestoreTarget::Latest, options);
    assert_eq!(job.finish().await.unwrap_err().kind(), ErrorKind::Server);
    let last = backup.status().await.unwrap().last_drill.unwrap();
    assert_eq!((last.passed, last.level), (false, DrillLevel::Listed));
    assert_eq!(last.failure.unwrap().phase, Phase::Preflight);

    // A target that cannot be chosen for is a drill that failed, too: of the newest backup.
    let (kind, last) = failed(&backup, RestoreTarget::Name("nowhere".to_owned())).await;
    assert_eq!(
        (kind, last.backup),
        (ErrorKind::NotRecoverable, manifest.id)
    );
    assert_eq!(last.level, DrillLevel::Unproven);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_without_the_right_key_is_stored_without_any() {
    let Some(pg) = source().start().await else {
        return;
    };
    let (bench, backup) = packed(&pg).await;
    let id = backup.latest().await.unwrap().unwrap().manifest.id;
    let wrong = Keys::generate().identity;
    let stranger = Backup::builder(
        crate::shared::database(pg.connect_info("postgres")),
        Arc::clone(&bench.store),
    )
    .encryption(ops_backup::Encryption::recipients([&bench.keys.recipient]).unwrap())
    .unlock(Unlock::identity(wrong.as_str()))
    .build()
    .unwrap();
    let (kind, last) = failed(&stranger, RestoreTarget::Latest).await;
    assert_eq!((kind, &last.backup), (ErrorKind::WrongKey, &id));
    let folder = bench
        .folder
        .path()
        .join(format!("store/backups/{id}/drills"));
    let stored = fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let stored = fs::read_to_string(stored.path()).unwrap();
    for secret in [&wrong, &bench.keys.identity] {
        assert!(!stored.contains(secret.as_str()), "{stored}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_whose_store_is_away_says_that_its_result_is_not_stored() {
    let Some(pg) = source().start().await else {
        return;
    };
    let (bench, _) = packed(&pg).await;
    let faulty = Arc::new(FaultStore::new(Arc::clone(&bench.store)));
    let store = Arc::clone(&faulty) as _;
    let builder = bench.builder_in(store, pg.connect_info("postgres"));
    let backup = builder.build().unwrap();
    let id = backup.latest().await.unwrap().unwrap().manifest.id;
    faulty.inject(1, u64::MAX, StoreFault::Refuse);
    let job = backup.drill_cluster(RestoreTarget::Latest, drill_options());
    let err = job.finish().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Store, "{err:?}");
    let left = err.left_behind().unwrap();
    assert!(left.contains("the result is not stored"), "{err}");
    faulty.mend();
    assert_eq!(backup.cluster_drills(&id).await.unwrap(), []);
}
