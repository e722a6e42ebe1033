//! Each mock is a provider that answers what it is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use ops_core::database::{Database, DatabaseDescription, DatabaseState, Engine};
use ops_core::hosting::{App, AppState, Deployment, DeploymentState, Hosting};
use ops_core::id::{AppId, DeploymentId};
use ops_core::mock::{MockDatabase, MockHosting, MockMonitor, MockObjectStore};
use ops_core::monitor::{Monitor, MonitorDescription};
use ops_core::object_store::{DeleteOutcome, ObjectKey, ObjectStore};
use ops_core::{Error, ErrorKind, HostingExt, ProviderId, Report, Retry, WaitOptions};

#[tokio::test]
async fn a_mock_of_hosting_answers_and_has_no_ability_by_itself() {
    let mut mock = MockHosting::new();
    mock.expect_app()
        .withf(|app| app.as_str() == "shop")
        .times(1)
        .returning(|app| Ok(App::new(app.clone(), "shop", AppState::Running)));
    mock.expect_as_rollback().returning(|| None);
    mock.expect_provider()
        .return_const(ProviderId::from_static("mock"));
    let hosting: Arc<dyn Hosting> = Arc::new(mock);

    let app = hosting.app(&AppId::new("shop").unwrap()).await.unwrap();

    assert_eq!(app.state, AppState::Running);
    assert!(hosting.require_rollback().unwrap_err().is_unsupported());
}

#[tokio::test]
async fn a_mock_of_a_database_answers() {
    let mut mock = MockDatabase::new();
    mock.expect_describe().times(1).returning(|| {
        Ok(DatabaseDescription::new(
            Engine::Postgres,
            "16.4",
            DatabaseState::Available,
        ))
    });
    let database: Box<dyn Database> = Box::new(mock);
    assert_eq!(database.describe().await.unwrap().version, "16.4");
}

#[tokio::test]
async fn a_mock_of_an_object_store_answers() {
    let mut mock = MockObjectStore::new();
    mock.expect_delete().times(2).returning(|key| {
        if key.as_str() == "gone" {
            return Ok(DeleteOutcome::AlreadyGone);
        }
        Err(Error::not_found(key.as_str()))
    });
    let store: Arc<dyn ObjectStore> = Arc::new(mock);
    let gone = store
        .delete(&ObjectKey::new("gone").unwrap())
        .await
        .unwrap();
    assert_eq!(gone, DeleteOutcome::AlreadyGone);
    assert!(
        store
            .delete(&ObjectKey::new("other").unwrap())
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_mock_of_a_monitor_answers() {
    let mut mock = MockMonitor::new();
    mock.expect_describe()
        .times(1)
        .returning(|| Ok(MonitorDescription::new("team")));
    let monitor: Arc<dyn Monitor> = Arc::new(mock);
    assert_eq!(monitor.describe().await.unwrap().account, "team");
}

fn shop() -> (AppId, DeploymentId) {
    (
        AppId::new("shop").unwrap(),
        DeploymentId::new("d1").unwrap(),
    )
}

/// Answers these one after another, and the last one again and again.
fn looks(answers: Vec<Result<DeploymentState, Error>>) -> MockHosting {
    let mut mock = MockHosting::new();
    let mut answers = answers.into_iter();
    mock.expect_provider()
        .return_const(ProviderId::from_static("mock"));
    mock.expect_deployment().returning(move |app, id| {
        let answer = answers.next();
        let answer = answer.unwrap_or_else(|| Err(Error::new(ErrorKind::Unavailable, "no route")));
        answer.map(|state| Deployment::new(id.clone(), app.clone(), state))
    });
    mock
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_for_a_moment_does_not_end_a_wait_and_its_pause_is_kept() {
    let (app, id) = shop();
    let later = Error::new(ErrorKind::RateLimited, "slow down")
        .with_retry(Retry::After(Duration::from_secs(40)));
    let lost = Error::new(ErrorKind::Unavailable, "no route");
    let mock = looks(vec![Err(later), Err(lost), Ok(DeploymentState::Live)]);
    let start = tokio::time::Instant::now();
    let is_live = DeploymentState::is_live;
    let wait = WaitOptions::default();
    mock.wait_until(&app, &id, is_live, wait, tokio::time::sleep)
        .await
        .unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(40 + 2));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_cannot_get_better_ends_a_wait_at_once() {
    let (app, id) = shop();
    let mock = looks(vec![Err(Error::new(
        ErrorKind::Unauthenticated,
        "bad token",
    ))]);
    let is_live = DeploymentState::is_live;
    let wait = WaitOptions::default();
    let err = mock
        .wait_until(&app, &id, is_live, wait, tokio::time::sleep)
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_saw_nothing_says_why() {
    let (app, id) = shop();
    let mock = looks(Vec::new());
    let is_live = DeploymentState::is_live;
    let wait = WaitOptions::default().with_timeout(Duration::from_secs(9));
    let err = mock
        .wait_until(&app, &id, is_live, wait, tokio::time::sleep)
        .await
        .unwrap_err();
    assert_eq!(
        Report(&err).to_string(),
        "mock: hosting.wait_until: deployment d1 could not be seen within 9 s: no route"
    );
}
