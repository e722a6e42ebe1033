//! Archives whose objects are made by hand, on a clock that is moved by hand.

mod crash;
mod model;
mod scene;

use std::time::Duration;

use ops_core::ObjectStore;
use scene::{Base, DAY, GRACE, Scene, retention};

use super::*;

/// Ten segments, one a day, and a backup in the second, the sixth and the ninth.
async fn usual() -> Scene {
    let mut scene = Scene::new().await;
    for number in 0..10 {
        scene.segment(1, number).await;
        if [1, 5, 8].contains(&number) {
            scene.base(Base::new(1, number)).await;
        }
        scene.clock.advance(DAY);
    }
    scene
}

#[tokio::test]
async fn wal_before_the_newest_backup_that_is_older_than_the_window_is_marked_and_later_removed() {
    let scene = usual().await;
    let before = scene.windows().await;
    assert_eq!(before, [(1, 1, 10)]);
    // The fourth day ago lies between the second and the third backup.
    let report = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&report.marked), [(1, 0, 5)]);
    let backup = scene.ids[1].clone();
    assert!(
        report.plan.keep.iter().any(|kept| {
            scene::segments(&[kept.range]) == [(1, 5, 10)]
                && kept.reason
                    == KeepReason::Window {
                        backup: backup.clone(),
                    }
        }),
        "{:?}",
        report.plan.keep
    );
    assert_eq!((report.objects, report.removed.len()), (0, 0));
    // Nobody is promised it any more, and who uses it already still can.
    assert_eq!(scene.windows().await, [(1, 1, 1), (1, 5, 10)]);
    assert_eq!(scene.segments_there(1).await, (0..10).collect::<Vec<_>>());

    scene.clock.advance(GRACE / 2);
    let early = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&early.waiting), [(1, 0, 5)]);
    assert_eq!((early.objects, early.marked.len()), (0, 0));
    scene.clock.advance(GRACE / 2);
    let late = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&late.removed), [(1, 0, 5)]);
    assert_eq!(late.objects, 5);
    assert!(late.bytes > 0);
    assert_eq!(scene.segments_there(1).await, (5..10).collect::<Vec<_>>());
    assert_eq!(scene.windows().await, [(1, 1, 1), (1, 5, 10)]);
    assert_eq!(scene.frontier(1).await, 10);
    // There is nothing left to say.
    assert_eq!(scene.marks().await, 0);
    let again = scene.expire(&retention(3)).await;
    assert_eq!((again.marked.len(), again.objects), (0, 0));
}

#[tokio::test]
async fn a_plan_changes_nothing_and_says_what_a_run_does() {
    let scene = usual().await;
    let plan = scene.backup.plan_wal_expiry(&retention(3)).await.unwrap();
    assert_eq!(scene.marks().await, 0);
    assert_eq!(scene.expire(&retention(3)).await.plan, plan);
}

#[tokio::test]
async fn where_no_backup_is_old_enough_the_oldest_one_is_what_wal_is_kept_for() {
    let scene = usual().await;
    let report = scene.expire(&retention(30)).await;
    assert_eq!(scene::segments(&report.marked), [(1, 0, 1)]);
    assert_eq!(scene.windows().await, [(1, 1, 10)]);
}

#[tokio::test]
async fn without_a_sound_backup_nothing_is_let_go_of() {
    let mut scene = Scene::new().await;
    for number in 0..4 {
        scene.segment(1, number).await;
    }
    let mut degraded = Base::new(1, 2);
    degraded.degraded = true;
    scene.base(degraded).await;
    let missing = scene.base(Base::new(1, 3)).await;
    scene.remove_objects(&missing).await;
    scene.clock.advance(DAY * 30);
    let report = scene.expire(&retention(0)).await;
    assert_eq!(report.marked, []);
    assert!(
        report
            .plan
            .keep
            .iter()
            .any(|it| it.reason == KeepReason::NoBackup)
    );
}

#[tokio::test]
async fn a_backup_that_needs_archived_wal_keeps_it_and_the_archive_goes_on_behind_the_hole() {
    let mut scene = Scene::new().await;
    for number in 0..12 {
        scene.segment(1, number).await;
    }
    let mut bare = Base::new(1, 3);
    bare.includes_wal = false;
    let bare = scene.base(bare).await;
    scene.clock.advance(DAY);
    scene.base(Base::new(1, 8)).await;
    scene.clock.advance(DAY);
    for _ in 0..2 {
        scene.expire(&retention(0)).await;
        scene.clock.advance(GRACE);
    }
    assert_eq!(scene.segments_there(1).await, [3, 8, 9, 10, 11]);
    assert_eq!(scene.windows().await, [(1, 3, 4), (1, 8, 12)]);
    // An archiver must not go on at the hole.
    assert_eq!(scene.frontier(1).await, 12);
    // Without the backup the hole needs no reason any more.
    scene.forget(&bare).await;
    for _ in 0..3 {
        scene.expire(&retention(0)).await;
        scene.clock.advance(GRACE);
    }
    assert_eq!(scene.segments_there(1).await, [8, 9, 10, 11]);
    assert_eq!(scene.marks().await, 0);
}

#[tokio::test]
async fn a_backup_that_is_being_made_keeps_what_it_may_have_begun_with() {
    let mut scene = Scene::new().await;
    scene.segment(1, 0).await;
    scene.base(Base::new(1, 0)).await;
    scene.clock.advance(DAY);
    scene.begin_backup().await;
    scene.clock.advance(DAY);
    for number in 1..6 {
        scene.segment(1, number).await;
    }
    scene.base(Base::new(1, 4)).await;
    scene.clock.advance(DAY);
    let report = scene.expire(&retention(0)).await;
    assert_eq!(report.marked, []);
    scene.end_backup().await;
    let report = scene.expire(&retention(0)).await;
    assert_eq!(scene::segments(&report.marked), [(1, 0, 4)]);
}

#[tokio::test]
async fn a_clock_that_is_wrong_lets_go_of_nothing() {
    let scene = usual().await;
    // The engine's is a year ahead of the store's.
    let ahead = scene.engine_with_clock_ahead(DAY * 365);
    let outcomes = ahead.expire_wal(&retention(9)).await;
    let report = outcomes.into_iter().next().unwrap().outcome.unwrap();
    assert_eq!(scene::segments(&report.marked), [(1, 0, 1)]);
    // A backup was taken while the clock was set back by years.
    let mut scene = usual().await;
    let mut wrong = Base::new(1, 9);
    wrong.set_back = DAY * 3000;
    scene.base(wrong).await;
    let report = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&report.marked), [(1, 0, 5)]);
}

#[tokio::test]
async fn a_longer_window_takes_marks_back_while_the_wal_is_there() {
    let scene = usual().await;
    scene.expire(&retention(1)).await;
    assert_eq!(scene.windows().await.last(), Some(&(1, 8, 10)));
    let report = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&report.withdrawn), [(1, 0, 8)]);
    assert_eq!(scene::segments(&report.marked), [(1, 0, 5)]);
    assert_eq!(scene.windows().await.last(), Some(&(1, 5, 10)));
}

#[tokio::test]
async fn a_timeline_that_was_left_goes_when_no_moment_within_the_window_lies_on_it() {
    let mut scene = Scene::new().await;
    for number in 0..8 {
        scene.segment(1, number).await;
    }
    scene.base(Base::new(1, 2)).await;
    // Timeline 2 left in the middle of the sixth segment; the old primary wrote on.
    scene.history(2, 1, 5).await;
    for number in 5..9 {
        scene.segment(2, number).await;
    }
    scene.clock.advance(DAY * 2);
    scene.base(Base::new(2, 7)).await;
    let report = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&report.marked), [(1, 0, 2)]);
    assert_eq!(scene.windows().await, [(1, 2, 8), (2, 2, 9)]);
    scene.clock.advance(DAY * 4);
    let report = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&report.marked), [(1, 2, 8), (2, 5, 7)]);
    assert_eq!(scene.windows().await.last(), Some(&(2, 7, 9)));
    scene.clock.advance(DAY);
    scene.expire(&retention(3)).await;
    assert_eq!(scene.segments_there(1).await, Vec::<u64>::new());
    assert_eq!(scene.segments_there(2).await, [7, 8]);
}

#[tokio::test]
async fn the_end_of_the_archive_stays_also_where_every_backup_is_newer() {
    let mut scene = Scene::new().await;
    for number in 0..4 {
        scene.segment(1, number).await;
    }
    scene.base(Base::new(1, 9)).await;
    scene.clock.advance(DAY * 30);
    for _ in 0..2 {
        scene.expire(&retention(1)).await;
        scene.clock.advance(DAY);
    }
    assert_eq!(scene.segments_there(1).await, [3]);
    assert_eq!(scene.frontier(1).await, 4);
}

#[tokio::test]
async fn each_store_is_looked_at_by_itself_and_one_that_fails_does_not_keep_the_other() {
    let scene = usual().await;
    let faulty = ops_core::memory::FaultyObjectStore::new(scene.store());
    for nth in 1..=50 {
        faulty.fail(
            ops_core::memory::Operation::Put,
            nth,
            ops_core::ErrorKind::Unavailable,
        );
    }
    let engine = scene.builder(std::sync::Arc::new(faulty));
    let engine = engine.second_store(scene.store()).build().unwrap();
    let outcomes = engine.expire_wal(&retention(3)).await;
    let done: Vec<_> = outcomes
        .iter()
        .map(|it| (it.store, it.outcome.is_ok()))
        .collect();
    assert_eq!(done, [("first", false), ("second", true)]);
    assert_eq!(scene.marks().await, 1);
}

#[tokio::test]
async fn a_run_waits_for_another_and_goes_on_where_that_one_died() {
    let scene = usual().await;
    let lease = ops_core::ObjectKey::new(format!("{}expire-lease.json", scene.folder())).unwrap();
    let body = "{\"holder\":\"a\",\"instance\":\"a\",\"renewals\":0,\"ttl_ms\":300}";
    let options = ops_core::object_store::PutOptions::default();
    scene
        .store()
        .put(&lease, body.into(), options)
        .await
        .unwrap();
    let since = std::time::Instant::now();
    scene.expire(&retention(3)).await;
    assert!(since.elapsed() >= Duration::from_millis(300));
    assert_eq!(scene.marks().await, 1);
}

#[tokio::test]
async fn what_a_restore_needs_that_runs_for_longer_than_the_grace_is_kept_until_its_pin_lapses() {
    let scene = usual().await;
    let mut pin = scene.pin(1, 1).await;
    // Two days in which the restore gives signs of life.
    for _ in 0..2 {
        let report = scene.expire(&retention(3)).await;
        assert_eq!(scene::segments(&report.plan.expire), [(1, 0, 1)]);
        let restores = |kept: &KeptWal| matches!(kept.reason, KeepReason::Restore { .. });
        let kept = report.plan.keep.iter().find(|kept| restores(kept)).unwrap();
        assert_eq!(scene::segments(&[kept.range]), [(1, 1, 10)]);
        scene.clock.advance(DAY);
        pin.write().await.unwrap();
    }
    assert_eq!(scene.segments_there(1).await, (1..10).collect::<Vec<_>>());
    // It dies, and leaves its pin.
    scene.clock.advance(GRACE);
    let report = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&report.marked), [(1, 1, 8)]);
    assert_eq!((report.objects, scene.pins().await), (0, 0));
    scene.clock.advance(GRACE);
    assert_eq!(scene.expire(&retention(3)).await.objects, 7);
}

#[tokio::test]
async fn a_restore_that_begins_with_marked_wal_takes_the_marks_back() {
    let scene = usual().await;
    scene.expire(&retention(3)).await;
    assert_eq!(scene.marks().await, 1);
    let _pin = scene.pin(1, 1).await;
    let report = scene.expire(&retention(3)).await;
    assert_eq!(scene::segments(&report.withdrawn), [(1, 0, 5)]);
    assert_eq!(scene::segments(&report.marked), [(1, 0, 1)]);
}
