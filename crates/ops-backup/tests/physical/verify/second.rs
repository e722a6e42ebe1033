//! Verifying the second store.

use std::fs;
use std::path::Path;

use ops_backup::{CheckOutcome, VerifyOptions};

use super::{
    Arc, Backup, BaseBackupRequest, CheckedPart, ErrorKind, ObjectRole, PhysicalOptions,
    ProblemKind, VerifyDepth, VerifyReport, cut, flip, remove, source,
};
use crate::shared::Bench;

/// What is done to a stored object.
type Damage = fn(&Path);

async fn verify(backup: &Backup, second: bool, depth: VerifyDepth) -> VerifyReport {
    let options = VerifyOptions::new()
        .with_second_store(second)
        .with_depth(depth);
    backup.verify(options).finish().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_one_of_two_stores_is_found_there_and_nowhere_else() {
    let Some(pg) = source().start().await else {
        return;
    };
    let (first, second) = (Bench::new(), Bench::new());
    let backup = first
        .builder(pg.connect_info("postgres"))
        .second_store(Arc::clone(&second.store))
        .physical(PhysicalOptions::new().with_pack_bytes(1 << 20))
        .build()
        .unwrap();
    let job = backup.base_backup(BaseBackupRequest::full());
    assert!(job.finish().await.unwrap().is_everywhere());
    for in_second in [false, true] {
        let report = verify(&backup, in_second, VerifyDepth::Opened).await;
        assert!(report.passed && report.backups.len() == 1, "{report:#?}");
        assert_eq!(report.outcome(CheckedPart::Content), CheckOutcome::Passed);
    }
    let manifest = backup.latest().await.unwrap().unwrap().manifest;
    let data = manifest.objects_of(ObjectRole::Data).nth(1).unwrap();
    let index = manifest.objects_of(ObjectRole::Files).next().unwrap();
    let sealed = format!("manifests/{}.json", manifest.id);
    let damages: [(&str, ProblemKind, Damage); 5] = [
        (data.key.as_str(), ProblemKind::ObjectMissing, remove),
        (data.key.as_str(), ProblemKind::WrongLength, cut),
        (data.key.as_str(), ProblemKind::WrongHash, |path| {
            flip(path, 9);
        }),
        (index.key.as_str(), ProblemKind::WrongHash, |path| {
            flip(path, 9);
        }),
        (&sealed, ProblemKind::ManifestUnreadable, cut),
    ];
    for (damaged, in_second) in [(&second, true), (&first, false)] {
        for (key, kind, damage) in damages {
            let path = damaged.folder.path().join("store").join(key);
            let whole = fs::read(&path).unwrap();
            damage(&path);
            let report = verify(&backup, in_second, VerifyDepth::Opened).await;
            assert!(!report.passed, "{kind:?} of {key} was not found");
            let found = report.problems.iter().any(|it| {
                it.kind == kind && it.object.as_ref().is_some_and(|it| it.as_str() == key)
            });
            assert!(found, "no {kind:?} of {key} in {:#?}", report.problems);
            let report = verify(&backup, !in_second, VerifyDepth::Opened).await;
            assert!(
                report.problems.is_empty(),
                "{key} is sound there: {report:#?}"
            );
            fs::write(&path, whole).unwrap();
        }
    }
    // WAL goes to the first store alone, so the second proves nothing of it.
    let report = verify(&backup, true, VerifyDepth::Opened).await;
    assert_eq!(
        report.outcome(CheckedPart::WalObjects),
        CheckOutcome::NotChecked
    );

    let alone = first.backup(pg.connect_info("postgres"));
    let job = alone.verify(VerifyOptions::new().with_second_store(true));
    assert_eq!(
        job.finish().await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}
