//! Each mock is a provider that answers what it is told.

use std::sync::Arc;

use ops_core::database::{Database, DatabaseDescription, DatabaseState, Engine};
use ops_core::hosting::{App, AppState, Hosting};
use ops_core::id::AppId;
use ops_core::mock::{MockDatabase, MockHosting, MockMonitor, MockObjectStore};
use ops_core::monitor::{Monitor, MonitorDescription};
use ops_core::object_store::{DeleteOutcome, ObjectKey, ObjectStore};
use ops_core::{Error, HostingExt, ProviderId};

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
