//! Each mock is a provider that answers what it is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use ops_core::cdn::{Cdn, Purge, PurgeRequest, PurgeState};
use ops_core::database::{Database, DatabaseDescription, DatabaseState, Engine};
use ops_core::dns::{Dns, DnsName, RecordData, RecordSet};
use ops_core::hosting::{App, AppState, Deployment, DeploymentState, Hosting};
use ops_core::id::{AppId, DeploymentId, PurgeId, RunId, SecretName, ZoneId};
use ops_core::mock::{
    MockCdn, MockDatabase, MockDns, MockHosting, MockMonitor, MockNotifier, MockObjectStore,
    MockPipeline, MockSecretStore,
};
use ops_core::monitor::{Monitor, MonitorDescription};
use ops_core::notifier::{Delivery, DeliveryState, Notifier};
use ops_core::object_store::{DeleteOutcome, ObjectKey, ObjectStore};
use ops_core::pipeline::{GitReference, Pipeline, Run, RunState, StartRunRequest};
use ops_core::secret_store::{SecretMeta, SecretStore};
use ops_core::{
    CdnExt, DnsExt, Error, ErrorKind, HostingExt, NotifierExt, PipelineExt, ProviderId, Report,
    Retry, SecretStoreExt, Timestamp, WaitOptions,
};

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

#[tokio::test]
async fn a_mock_of_a_secret_store_answers_and_has_no_ability_by_itself() {
    let mut mock = MockSecretStore::new();
    mock.expect_secret()
        .times(1)
        .returning(|name| Ok(SecretMeta::new(name.clone())));
    mock.expect_as_write_secrets().returning(|| None);
    mock.expect_provider()
        .return_const(ProviderId::from_static("mock"));
    let store: Arc<dyn SecretStore> = Arc::new(mock);
    let name = SecretName::new("JWT_SECRET").unwrap();
    assert_eq!(store.secret(&name).await.unwrap().name, name);
    let err = store.ensure_secret(&name, "x".into()).await.unwrap_err();
    assert_eq!(err.to_string(), "mock: setting secrets is not supported");
}

#[tokio::test]
async fn a_test_of_alerts_whose_end_is_not_delivered_has_failed() {
    let mut mock = MockNotifier::new();
    let mut answers = vec![
        Err(Error::new(ErrorKind::Unavailable, "no route")),
        Ok(Delivery::new(DeliveryState::Accepted)),
    ];
    mock.expect_notify()
        .times(2)
        .returning(move |_| answers.pop().unwrap());
    let notifier: Arc<dyn Notifier> = Arc::new(mock);
    let now = Timestamp::UNIX_EPOCH;
    let err = notifier.send_test("shop:prod", now).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_be_seen_is_told_with_the_reason() {
    let mut mock = MockPipeline::new();
    mock.expect_provider()
        .return_const(ProviderId::from_static("mock"));
    mock.expect_start_run()
        .times(1)
        .returning(|_| Ok(Run::new(RunId::new("7").unwrap(), RunState::Queued)));
    mock.expect_run()
        .returning(|_| Err(Error::new(ErrorKind::Unavailable, "no route")));
    let pipeline: Arc<dyn Pipeline> = Arc::new(mock);
    let request = StartRunRequest::new(GitReference::Branch("main".to_owned()));
    let wait = WaitOptions::default();
    let waited = pipeline.run_and_wait(request, wait, tokio::time::sleep);
    let err = waited.await.unwrap_err();
    assert_eq!(
        Report(&err).to_string(),
        "mock: pipeline.wait_for_run: run 7 could not be seen within 600 s: no route",
    );
    assert_eq!(err.resource(), Some("7"));
}

#[tokio::test]
async fn sets_are_not_put_where_the_listing_fails() {
    let mut mock = MockDns::new();
    mock.expect_list_record_sets().times(1).returning(|_, _| {
        let broken = Error::new(ErrorKind::Unavailable, "no route");
        Box::pin(futures_util::stream::iter([Err(broken)]))
    });
    mock.expect_put_record_set().never();
    let dns: Arc<dyn Dns> = Arc::new(mock);
    let (zone, name) = (ZoneId::new("z").unwrap(), DnsName::new("a.example"));
    let record = RecordData::Txt("x".to_owned());
    let wanted = vec![RecordSet::new(name.unwrap(), vec![record]).unwrap()];
    let err = dns.ensure_record_sets(&zone, wanted).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_purge_that_nobody_tells_the_end_of_is_not_waited_for() {
    let mut mock = MockCdn::new();
    mock.expect_provider()
        .return_const(ProviderId::from_static("mock"));
    mock.expect_as_purge_status().returning(|| None);
    mock.expect_purge().times(1).returning(|_| {
        let id = PurgeId::new("p").unwrap();
        Ok(Purge::new(PurgeState::InProgress).with_id(id))
    });
    let cdn: Arc<dyn Cdn> = Arc::new(mock);
    let all = PurgeRequest::everything();
    let waited = cdn.purge_and_wait(all, WaitOptions::default(), tokio::time::sleep);
    assert!(waited.await.unwrap_err().is_unsupported());
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
