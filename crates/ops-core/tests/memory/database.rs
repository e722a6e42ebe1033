//! The database account in memory.

use std::sync::Arc;
use std::time::Duration;

use ops_core::database::{
    ActiveStatement, AuditPolicy, Branching, CreateBackupRequest, CreateBranchRequest,
    CreateDatabaseRequest, Database, DatabaseState, Engine, Extension, MigrationQuery,
    MigrationTool, NativeBackups, RestoreBackupRequest, RestorePoint, RestoreTarget, RoleInfo,
    RoleRight, Setting, SettingRule, SlowStatement, TableSize,
};
use ops_core::memory::{MemoryAudit, MemoryDatabase, MemoryStats};
use ops_core::{Clock, DatabaseExt, ErrorKind, WaitOptions};

use crate::support::{ManualClock, complete_backup, wait_available};

mod conformance {
    use ops_conformance::memory::MemoryDatabaseFixture;

    ops_conformance::database!(MemoryDatabaseFixture::new());
}

fn database() -> (Arc<ManualClock>, MemoryDatabase) {
    let clock = ManualClock::new();
    (Arc::clone(&clock), MemoryDatabase::with_clock(clock))
}

fn value(database: &MemoryDatabase) -> Option<String> {
    database.read("price").unwrap()
}

#[tokio::test]
async fn a_backup_restores_what_it_holds_to_a_new_instance() {
    let (_, database) = database();
    database.write("price", "10").unwrap();
    let backup = complete_backup(&database).await;
    database.write("price", "20").unwrap();
    let point = RestorePoint::Backup(backup.id);
    let request = RestoreBackupRequest::to_new_instance(point, "restored");
    let restore = database.restore_backup(request).await.unwrap();
    wait_available(&database, &restore.instance).await;
    assert_eq!(
        value(&database.open(&restore.instance).unwrap()).as_deref(),
        Some("10")
    );
    assert_eq!(value(&database).as_deref(), Some("20"));
}

#[tokio::test]
async fn a_backup_that_runs_cannot_be_restored_and_blocks_another() {
    let (_, database) = database();
    let running = database
        .create_backup(CreateBackupRequest::default())
        .await
        .unwrap();
    let request = RestoreBackupRequest::in_place(RestorePoint::Backup(running.id));
    let err = database.restore_backup(request).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
    let second = database
        .create_backup(CreateBackupRequest::default())
        .await
        .unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_point_in_time_is_restored_in_place_and_the_present_is_preserved() {
    let (clock, database) = database();
    database.write("price", "10").unwrap();
    clock.advance(Duration::from_secs(60));
    let then = clock.now();
    clock.advance(Duration::from_secs(60));
    database.write("price", "20").unwrap();
    let target = RestoreTarget::InPlace {
        preserve_as: Some("before".to_owned()),
    };
    let request = RestoreBackupRequest::in_place(RestorePoint::Time(then)).with_target(target);
    let restore = database.restore_backup(request).await.unwrap();
    assert_eq!(&restore.instance, database.id());
    wait_available(&database, &restore.instance).await;
    assert_eq!(value(&database).as_deref(), Some("10"));
    let branches = crate::support::all(database.list_branches()).await;
    let before = branches
        .iter()
        .find(|branch| branch.name == "before")
        .unwrap();
    assert_eq!(
        value(&database.open_branch(&before.id).unwrap()).as_deref(),
        Some("20")
    );
}

#[tokio::test]
async fn branches_do_not_see_each_other() {
    let (clock, database) = database();
    database.write("price", "10").unwrap();
    let then = clock.now();
    clock.advance(Duration::from_secs(60));
    database.write("price", "20").unwrap();
    let request = CreateBranchRequest::new("past").with_at(then);
    let branch = database.create_branch(request).await.unwrap();
    let past = database.open_branch(&branch.id).unwrap();
    assert_eq!(value(&past).as_deref(), Some("10"));
    past.write("price", "99").unwrap();
    assert_eq!(value(&database).as_deref(), Some("20"));
    let child = CreateBranchRequest::new("child").with_parent(branch.id.clone());
    database.create_branch(child).await.unwrap();
    let parent = database.delete_branch(&branch.id).await.unwrap_err();
    assert_eq!(parent.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_branch_ends_at_its_time() {
    let (clock, database) = database();
    let end = clock.now().saturating_add(Duration::from_secs(60));
    let request = CreateBranchRequest::new("short").with_expires_at(end);
    let branch = database.create_branch(request).await.unwrap();
    clock.advance(Duration::from_secs(59));
    database.branch(&branch.id).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(
        database
            .branch(&branch.id)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn an_instance_that_sleeps_wakes_and_one_that_is_broken_does_not_answer() {
    let (_, database) = database();
    database.set_state(DatabaseState::Suspended).unwrap();
    database.ping().await.unwrap();
    assert_eq!(
        database.describe().await.unwrap().state,
        DatabaseState::Available
    );
    database.set_state(DatabaseState::Failed).unwrap();
    let err = database.ping().await.unwrap_err();
    assert_eq!(
        err.to_string(),
        "memory: database.ping: the instance is failed"
    );
    assert_eq!(
        database.write("a", "b").unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_instance_ends_when_it_answers_or_cannot() {
    let (_, database) = database();
    let provision = database.require_provision().unwrap();
    let request = CreateDatabaseRequest::new("second", Engine::Redis);
    let id = provision
        .create_database(request)
        .await
        .unwrap()
        .instance
        .id;
    let second = database.open(&id).unwrap();
    let wait = WaitOptions::default();
    let described = second
        .wait_until_available(wait, tokio::time::sleep)
        .await
        .unwrap();
    assert_eq!(described.engine, Engine::Redis);

    second.set_state(DatabaseState::Stopped).unwrap();
    let err = second
        .wait_until_available(wait, tokio::time::sleep)
        .await
        .unwrap_err();
    assert_eq!(
        err.to_string(),
        "memory: database.wait_until_available: the instance is stopped"
    );
    second
        .set_state(DatabaseState::Other("migrating".into()))
        .unwrap();
    let err = second
        .wait_until_available(wait, tokio::time::sleep)
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn statistics_are_sorted_and_cut() {
    let (_, database) = database();
    let second = Duration::from_secs(1);
    let password = "alter role app password 'hunter2'";
    database.set_stats(MemoryStats {
        active: vec![
            ActiveStatement::new(1, second, "select 1"),
            ActiveStatement::new(2, second * 9, password),
            ActiveStatement::new(3, second * 3, "select 3"),
        ],
        slow: vec![
            SlowStatement::new("a", 4, second * 2),
            SlowStatement::new("b", 1, second * 8),
        ],
        tables: vec![
            TableSize::new("public", "small", 1),
            TableSize::new("public", "big", 9),
        ],
        ..MemoryStats::default()
    });
    let stats = database.require_stats().unwrap();
    let active = stats.active_statements(second * 2).await.unwrap();
    assert_eq!(
        active
            .iter()
            .map(|statement| statement.pid)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    assert!(!format!("{active:?}").contains("hunter2"));
    assert_eq!(active[0].text.expose(), password);
    let slow = stats.slow_statements(1).await.unwrap();
    assert_eq!(
        (slow.len(), slow[0].total, slow[0].mean),
        (1, second * 8, second * 8)
    );
    assert_eq!(stats.table_sizes(5).await.unwrap()[0].table, "big");
    assert_eq!(stats.wal_archiving().await.unwrap(), None);
    database.write("key", "value").unwrap();
    database.write("key", "other value").unwrap();
    assert_eq!(stats.sizes().await.unwrap().database_bytes, 14);
}

#[tokio::test]
async fn an_audit_finds_what_is_wrong_worst_first() {
    let (_, database) = database();
    let app = RoleInfo::new("app")
        .with_can_login(true)
        .with_rights(vec![RoleRight::Superuser]);
    database.set_audit(MemoryAudit {
        settings: vec![Setting::new("max_connections", "100")],
        roles: vec![app],
        extensions: vec![Extension::new("vector").with_installed("0.8.0")],
        migrations: Some(vec!["1".to_owned()]),
        failed_migrations: Vec::new(),
    });
    let policy = AuditPolicy::new()
        .with_setting("max_connections", SettingRule::AtMost(50))
        .with_extensions(vec!["vector".to_owned()]);
    let findings = database.audit(&policy).await.unwrap();
    let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "app: may do more than it needs: superuser",
            "max_connections: is 100, should be at most 50",
        ]
    );
    let query = MigrationQuery::new(MigrationTool::Sqlx, ["1", "2"]);
    let audit = database.require_audit().unwrap();
    assert_eq!(audit.migrations(&query).await.unwrap().pending, ["2"]);
    database.set_audit(MemoryAudit::default());
    assert!(!audit.migrations(&query).await.unwrap().is_initialized);
}

#[tokio::test]
async fn a_vector_database_has_dimensions_and_no_other_has() {
    let (_, database) = database();
    let provision = database.require_provision().unwrap();
    for request in [
        CreateDatabaseRequest::new("v", Engine::Vector),
        CreateDatabaseRequest::new("p", Engine::Postgres).with_dimensions(3),
    ] {
        let err = provision.create_database(request).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }
    let vector = CreateDatabaseRequest::new("v", Engine::Vector).with_dimensions(1536);
    provision.create_database(vector).await.unwrap();
}
