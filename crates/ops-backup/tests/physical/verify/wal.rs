//! What damage to archived WAL does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ops_backup::{CheckOutcome, CheckedPart, ClosureEnd, Encryption, ProblemKind, VerifyDepth};
use ops_core::ObjectKey;
use ops_testkit::Pg;

use super::{Scene, cut, flip, remove};
use crate::restore::source;

#[tokio::test(flavor = "multi_thread")]
async fn each_damage_to_archived_wal_is_found_with_its_object() {
    let Some(pg) = source().start().await else {
        return;
    };
    let scene = Scene::new(pg, None).await;
    let (listed, opened) = (VerifyDepth::Listed, VerifyDepth::Opened);
    let segments = scene.wal("segments");
    assert!(segments.len() >= 4, "{segments:?}");
    let last = segments.len() - 1;
    scene
        .finds(listed, &segments[last - 1], ProblemKind::WalMissing, remove)
        .await;
    scene
        .finds(listed, &segments[2], ProblemKind::WalDamaged, |path| {
            fs::write(path, "").unwrap();
        })
        .await;
    for (key, at) in [(&segments[1], 1), (&segments[last], 40)] {
        scene
            .finds(opened, key, ProblemKind::WalDamaged, |path| flip(path, at))
            .await;
        scene.finds(opened, key, ProblemKind::WalDamaged, cut).await;
    }
    for part in scene.wal("parts") {
        scene
            .finds(opened, &part, ProblemKind::WalDamaged, |path| flip(path, 1))
            .await;
    }
    // Two segments that changed places.
    let other = fs::read(scene.path(&segments[1])).unwrap();
    let replaced = |path: &Path| fs::write(path, &other).unwrap();
    scene
        .finds(
            VerifyDepth::Hashed,
            &segments[2],
            ProblemKind::WalMislabeled,
            replaced,
        )
        .await;
    for epoch in scene.wal("epochs") {
        scene
            .finds(opened, &epoch, ProblemKind::EpochMissing, remove)
            .await;
    }
    let stray = segments[1].replace(".zst.age", ".tmp");
    fs::write(scene.path(&stray), "x").unwrap();
    scene
        .finds(listed, &stray, ProblemKind::WalMislabeled, |_| {})
        .await;
    remove(&scene.path(&stray));
    let report = scene.verify(opened).await;
    assert!(report.passed, "and whole again it is sound: {report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_of_another_cluster_under_the_right_name_is_found() {
    // Servers that are set up in the same way may be copies of one, with one identifier.
    let (Some(pg), Some(other)) = (source().start().await, Pg::start().await) else {
        return;
    };
    let scene = Scene::new(pg, Some(Encryption::none())).await;
    let foreign = Scene::new(other, Some(Encryption::none())).await;
    let id = |scene: &Scene| scene.base.physical.as_ref().unwrap().system_id;
    assert_ne!(id(&scene), id(&foreign));
    let own = scene.wal("segments");
    let file = |key: &str| {
        Path::new(key)
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    let theirs = foreign.wal("segments");
    let names: BTreeSet<_> = theirs.iter().map(|key| file(key)).collect();
    let shared = own.iter().rev().find(|key| names.contains(&file(key)));
    let key = shared.expect("both began at the same position");
    let from = theirs.iter().find(|it| file(it) == file(key)).unwrap();
    let content = fs::read(foreign.path(from)).unwrap();
    let replaced = |path: &Path| fs::write(path, &content).unwrap();
    scene
        .finds(VerifyDepth::Opened, key, ProblemKind::WalForeign, replaced)
        .await;
    let report = scene.verify(VerifyDepth::Opened).await;
    assert!(report.passed, "{report:#?}");
    let authentication = report.outcome(CheckedPart::Authentication);
    assert_eq!(
        authentication,
        CheckOutcome::NotChecked,
        "nothing is encrypted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_that_was_removed_at_the_end_of_the_archive_is_found_by_the_witness() {
    let Some(pg) = source().start().await else {
        return;
    };
    let scene = Scene::new(pg, None).await;
    let id = scene.base.physical.as_ref().unwrap().system_id;
    let segments = scene.wal("segments");
    let report = scene.verify(VerifyDepth::Listed).await;
    let end = report.wal[0].to;
    // What the archiver writes once a minute.
    let witness = format!(
        "{{\"timeline\": \"1\", \"end\": \"{}\", \"newest_commit\": null, \
         \"written_at\": \"2026-11-20T22:57:52Z\"}}",
        report.wal[0].from
    );
    let key = format!("wal/{id}/frontier.json");
    scene.put(&key, witness.clone().into_bytes()).await;
    assert!(scene.verify(VerifyDepth::Listed).await.passed);
    let later = end.saturating_add(1 << 24).to_string();
    let witness = witness.replace(&report.wal[0].from.to_string(), &later);
    scene.put(&key, witness.into_bytes()).await;
    let report = scene.verify(VerifyDepth::Listed).await;
    let [problem] = &report.problems[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(problem.kind, ProblemKind::WalMissing);
    assert_eq!(problem.backup.as_ref(), Some(&scene.base.id));
    assert!(matches!(report.wal[0].end, ClosureEnd::Missing(_)));
    remove(&scene.path(&key));

    // WAL of a timeline whose history is not there.
    let next = segments[1]
        .replace("/00000001/", "/00000002/")
        .replace("/00000001000", "/00000002000");
    let content = fs::read(scene.path(&segments[1])).unwrap();
    scene.put(&next, content).await;
    let history = format!("wal/{id}/history/00000002.zst.age");
    let report = scene.verify(VerifyDepth::Listed).await;
    let found = report
        .problems
        .iter()
        .find(|it| it.kind == ProblemKind::HistoryMissing);
    let object = found
        .unwrap_or_else(|| panic!("{report:#?}"))
        .object
        .as_ref();
    assert_eq!(object.map(ObjectKey::as_str), Some(history.as_str()));
    remove(&scene.path(&next));
    assert!(scene.verify(VerifyDepth::Opened).await.passed);
}
