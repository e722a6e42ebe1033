//! What is Neon's own: work that goes on after the answer, locks, states, restores.

use std::time::Duration;

use ops_core::database::{
    Branching, CreateBackupRequest, CreateBranchRequest, CreateDatabaseRequest, Database,
    DatabaseState, Engine, NativeBackups, Provision, RestoreBackupRequest, RestorePoint,
    RestoreTarget, Usage,
};
use ops_core::ext::WaitOptions;
use ops_core::id::{BranchId, DatabaseId, IdempotencyKey};
use ops_core::usage::UsageQuery;
use ops_core::{Clock, DatabaseExt, ErrorKind, Retry};
use ops_http::RetryPolicy;

use crate::fake::{Fake, PROJECT};

fn options() -> WaitOptions {
    WaitOptions::default().with_interval(Duration::from_millis(1))
}

#[tokio::test]
async fn a_project_that_was_made_starts_and_answers_after_several_looks() {
    let fake = Fake::start();
    let neon = fake.neon();
    let request = CreateDatabaseRequest::new("blog", Engine::Postgres);
    let made = neon.create_database(request).await.unwrap();
    assert_eq!(made.instance.description.state, DatabaseState::Starting);
    let address = made.connect_info.unwrap();
    assert_eq!(address.tls.mode.as_sslmode(), "verify-full");

    let seen = neon.instance(&made.instance.id).await.unwrap();
    assert_eq!(seen.description.state, DatabaseState::Starting);
    let other = fake.builder_of(made.instance.id.as_str()).build().unwrap();
    let seen = other
        .wait_until_available(options(), tokio::time::sleep)
        .await
        .unwrap();
    assert_eq!(seen.state, DatabaseState::Available);
}

#[tokio::test]
async fn a_locked_project_is_a_conflict_that_is_safe_to_repeat() {
    let fake = Fake::start();
    let neon = fake.builder().retry(RetryPolicy::never()).build().unwrap();
    neon.create_branch(CreateBranchRequest::new("one"))
        .await
        .unwrap();
    let request = CreateBranchRequest::new("two");
    let err = neon.create_branch(request.clone()).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Conflict, Retry::Safe)
    );
    assert_eq!(err.status(), Some(423));

    // With the usual policy the transport sends even the create again.
    fake.neon().create_branch(request).await.unwrap();
}

#[tokio::test]
async fn a_branch_of_another_key_or_of_none_is_in_the_way() {
    let fake = Fake::start();
    let neon = fake.neon();
    let keyed = |key: &str| {
        let key = IdempotencyKey::new(key).unwrap();
        CreateBranchRequest::new("dev").with_idempotency_key(key)
    };
    let made = neon.create_branch(keyed("one")).await.unwrap();
    assert_eq!(neon.create_branch(keyed("one")).await.unwrap().id, made.id);
    for other in [keyed("two"), CreateBranchRequest::new("dev")] {
        let err = neon.create_branch(other).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::AlreadyExists);
        assert_eq!(err.resource(), Some(made.id.as_str()));
    }
}

#[tokio::test]
async fn a_restore_to_an_instant_keeps_the_former_state_under_a_name() {
    let fake = Fake::start();
    let neon = fake.neon();
    let begin = fake.clock.now();
    write(&fake, "old");
    fake.clock.advance(Duration::from_secs(60));
    write(&fake, "new");
    fake.clock.advance(Duration::from_secs(60));
    let point = RestorePoint::Time(begin.saturating_add(Duration::from_secs(30)));

    let restored = neon
        .restore_backup(RestoreBackupRequest::in_place(point))
        .await
        .unwrap();

    assert_eq!(restored.state, DatabaseState::Updating);
    neon.wait_until_available(options(), tokio::time::sleep)
        .await
        .unwrap();
    let mut state = fake.state();
    let project = state.project(PROJECT).unwrap();
    assert_eq!(project.default_branch().read().as_deref(), Some("old"));
    let mut branches = project.branches.iter();
    let kept = branches.find(|it| it.name == "before-restore-2026-11-21T04-07-06Z");
    assert_eq!(kept.unwrap().read().as_deref(), Some("new"));
}

#[tokio::test]
async fn an_instant_outside_the_window_changes_nothing() {
    let fake = Fake::start();
    let neon = fake.neon();
    write(&fake, "now");
    let window = neon.recovery_window().await.unwrap().unwrap();
    for at in [
        window.earliest.saturating_sub(Duration::from_secs(1)),
        window.latest.saturating_add(Duration::from_secs(1)),
    ] {
        let request = RestoreBackupRequest::in_place(RestorePoint::Time(at));
        let err = neon.restore_backup(request).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(
        neon.describe().await.unwrap().state,
        DatabaseState::Available
    );
}

#[tokio::test]
async fn the_window_begins_with_the_branch_and_slides_with_the_retention() {
    let fake = Fake::start();
    let neon = fake.neon();
    let born = fake.clock.now();
    fake.clock.advance(Duration::from_secs(3_600));
    let window = neon.recovery_window().await.unwrap().unwrap();
    assert_eq!((window.earliest, window.latest), (born, fake.clock.now()));
    fake.clock.advance(Duration::from_secs(86_400));
    let window = neon.recovery_window().await.unwrap().unwrap();
    assert_eq!(
        window.earliest,
        born.saturating_add(Duration::from_secs(3_600))
    );
}

#[tokio::test]
async fn a_snapshot_cannot_be_restored_while_it_is_made() {
    let fake = Fake::start();
    let neon = fake.builder().retry(RetryPolicy::never()).build().unwrap();
    let made = neon
        .create_backup(CreateBackupRequest::default())
        .await
        .unwrap();
    let point = RestorePoint::Backup(made.id);
    let request = RestoreBackupRequest::in_place(point);
    let err = neon.restore_backup(request).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Conflict, Retry::Safe)
    );
}

#[tokio::test]
async fn a_former_state_that_keeps_its_name_is_told_where_the_rename_fails() {
    let fake = Fake::start();
    let (_, snapshot) = fake.state().seed();
    let main = fake
        .state()
        .project(PROJECT)
        .unwrap()
        .default_branch()
        .id
        .clone();
    // The project is locked by the restore itself, and nothing is sent again.
    let neon = fake.builder().retry(RetryPolicy::never()).build().unwrap();
    let preserve_as = Some("kept".to_owned());
    let point = RestorePoint::Backup(snapshot.parse().unwrap());
    let request =
        RestoreBackupRequest::in_place(point).with_target(RestoreTarget::InPlace { preserve_as });
    let err = neon.restore_backup(request).await.unwrap_err();
    assert_eq!(err.retry(), Retry::Never);
    assert_eq!(err.resource(), Some(main.as_str()));
    let told = format!(
        "the restore was accepted, but the former state, branch {main}, could not be renamed to kept"
    );
    assert_eq!(err.message(), told);
}

#[tokio::test]
async fn a_named_branch_is_still_the_one_after_its_restore() {
    let fake = Fake::start();
    let neon = fake.builder().branch("main").build().unwrap();
    let before = fake
        .state()
        .project(PROJECT)
        .unwrap()
        .default_branch()
        .id
        .clone();
    let made = neon
        .create_backup(CreateBackupRequest::default())
        .await
        .unwrap();
    let request = RestoreBackupRequest::in_place(RestorePoint::Backup(made.id));
    neon.restore_backup(request).await.unwrap();
    let after = fake
        .state()
        .project(PROJECT)
        .unwrap()
        .default_branch()
        .id
        .clone();
    assert_ne!(before, after);
    neon.wait_until_available(options(), tokio::time::sleep)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_branch_with_branches_of_its_own_is_not_deleted() {
    let fake = Fake::start();
    let neon = fake.neon();
    let parent = neon
        .create_branch(CreateBranchRequest::new("parent"))
        .await
        .unwrap();
    let request = CreateBranchRequest::new("child").with_parent(parent.id.clone());
    neon.create_branch(request).await.unwrap();
    let err = neon.delete_branch(&parent.id).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Conflict, Retry::Never)
    );
}

#[tokio::test]
async fn the_oldest_database_and_its_owner_are_the_ones_unless_others_are_named() {
    let fake = Fake::start();
    let info = fake.neon().connect_info().await.unwrap();
    assert_eq!(info.database.as_deref(), Some("neondb"));
    assert_eq!(info.user.as_deref(), Some("casey"));
    let later = fake.builder().database("later").build().unwrap();
    assert_eq!(
        later.connect_info().await.unwrap().database.as_deref(),
        Some("later")
    );
    let missing = fake.builder().database("nope").build().unwrap();
    assert_eq!(
        missing.connect_info().await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn the_branch_of_another_project_is_its_default_one_whatever_was_named_here() {
    let fake = Fake::start();
    let request = CreateDatabaseRequest::new("blog", Engine::Postgres);
    let made = fake.neon().create_database(request).await.unwrap();
    let (branch, _) = fake.state().seed();
    let neon = fake
        .builder()
        .branch("dev")
        .database("later")
        .build()
        .unwrap();
    let ours = neon.connect_info().await.unwrap();
    assert_eq!(
        ours.to_string(),
        neon.branch_connect_info(&BranchId::new(branch).unwrap())
            .await
            .unwrap()
            .to_string()
    );
    let other = neon.connect_info_of(&made.instance.id).await.unwrap();
    assert_eq!(other.database.as_deref(), Some("neondb"));
}

#[tokio::test]
async fn the_billing_period_is_told_without_the_history() {
    let fake = Fake::start();
    let report = fake.neon().usage(UsageQuery::default()).await.unwrap();
    assert_eq!(report.period.start.to_string(), "2026-11-01T00:00:00Z");
    let storage = report
        .items
        .iter()
        .find(|item| item.name == "data_storage")
        .unwrap();
    assert!(
        (storage.used - 1_040.0 * 3_600.0).abs() < 1.0,
        "{storage:?}"
    );
    assert_eq!(fake.requests(), [format!("GET /projects/{PROJECT}")]);
}

#[tokio::test]
async fn a_project_of_no_name_known_is_not_deleted() {
    let fake = Fake::start();
    let gone = DatabaseId::new("no-such-project").unwrap();
    let outcome = fake.neon().delete_database(&gone).await.unwrap();
    assert_eq!(outcome, ops_core::DeleteOutcome::AlreadyGone);
}

fn write(fake: &Fake, text: &str) {
    let now = fake.clock.now();
    let mut state = fake.state();
    state
        .project(PROJECT)
        .unwrap()
        .default_branch()
        .write(now, text);
}
