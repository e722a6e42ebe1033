//! The contract of `Database`. Each case is given a provider of an instance that answers,
//! with every ability.

use std::time::Duration;

use ops_core::database::{
    CreateBackupRequest, CreateBranchRequest, CreateDatabaseRequest, Database, DatabaseSize,
    DatabaseState, Engine, NativeBackup, NativeBackupState, RestoreBackupRequest, RestorePoint,
};
use ops_core::id::{BranchId, DatabaseId, IdempotencyKey, NativeBackupId};
use ops_core::{DatabaseExt, DeleteOutcome, ErrorKind, Timestamp};

use crate::support::all;

pub(crate) async fn an_instance_is_described_pinged_and_reached(database: &dyn Database) {
    let described = database.describe().await.unwrap();
    assert_eq!(described.state, DatabaseState::Available);
    assert!(!described.version.is_empty());
    database.ping().await.unwrap();
    let info = database.connect_info().await.unwrap();
    assert_eq!(info.engine, described.engine);
    let password = info.password.as_ref().unwrap().expose().to_owned();
    assert!(!format!("{info} {info:?} {database:?}").contains(&password));
}

pub(crate) async fn an_instance_is_made_listed_resized_and_deleted(database: &dyn Database) {
    let provision = database.require_provision().unwrap();
    let key = IdempotencyKey::new("make").unwrap();
    let request = CreateDatabaseRequest::new("second", Engine::Postgres).with_idempotency_key(key);
    let made = provision.create_database(request.clone()).await.unwrap();
    let id = made.instance.id.clone();
    assert_eq!(
        provision
            .create_database(request.clone())
            .await
            .unwrap()
            .instance
            .id,
        id
    );
    assert!(
        all(provision.list_databases())
            .await
            .iter()
            .any(|listed| listed.id == id)
    );
    let taken = CreateDatabaseRequest::new("second", Engine::Postgres);
    let taken = provision.create_database(taken).await.unwrap_err();
    assert_eq!(
        (taken.kind(), taken.resource()),
        (ErrorKind::AlreadyExists, Some(id.as_str()))
    );

    wait_available(database, &id).await;
    let size = DatabaseSize::default()
        .with_plan("large")
        .with_storage_bytes(1 << 30);
    let resized = provision.resize_database(&id, size).await.unwrap();
    assert_eq!(resized.description.state, DatabaseState::Updating);
    wait_available(database, &id).await;
    let odd = DatabaseSize::default()
        .with_min_cpu_millis(2000)
        .with_max_cpu_millis(1000);
    let odd = provision.resize_database(&id, odd).await.unwrap_err();
    assert_eq!(odd.kind(), ErrorKind::InvalidInput);

    assert_ne!(
        provision.delete_database(&id).await.unwrap(),
        DeleteOutcome::AlreadyGone
    );
    assert_ne!(
        provision.delete_database(&id).await.unwrap(),
        DeleteOutcome::Deleted
    );
    assert!(provision.instance(&id).await.unwrap_err().is_not_found());
    assert!(
        provision
            .connect_info_of(&id)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

pub(crate) async fn wait_available(database: &dyn Database, id: &DatabaseId) {
    let provision = database.require_provision().unwrap();
    for _ in 0..10 {
        if provision.instance(id).await.unwrap().description.state == DatabaseState::Available {
            return;
        }
    }
    panic!("{id} does not become available");
}

/// Makes a backup, and waits until it is complete.
pub(crate) async fn complete_backup(database: &dyn Database) -> NativeBackup {
    let backups = database.require_native_backups().unwrap();
    let started = backups
        .create_backup(CreateBackupRequest::default())
        .await
        .unwrap();
    for _ in 0..10 {
        let backup = backups.backup(&started.id).await.unwrap();
        if backup.state == NativeBackupState::Complete {
            return backup;
        }
    }
    panic!("{} does not become complete", started.id);
}

pub(crate) async fn a_backup_is_made_once_per_key_and_listed(database: &dyn Database) {
    let backups = database.require_native_backups().unwrap();
    let key = IdempotencyKey::new("nightly").unwrap();
    let request = CreateBackupRequest::default()
        .with_name("nightly")
        .with_idempotency_key(key);
    let made = backups.create_backup(request.clone()).await.unwrap();
    assert_eq!(made.name.as_deref(), Some("nightly"));
    assert_eq!(backups.create_backup(request).await.unwrap().id, made.id);
    assert_eq!(all(backups.list_backups()).await.len(), 1);
    let missing = NativeBackupId::new("no-such-backup").unwrap();
    assert!(backups.backup(&missing).await.unwrap_err().is_not_found());
    let restore = RestoreBackupRequest::in_place(RestorePoint::Backup(missing));
    assert!(
        backups
            .restore_backup(restore)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

pub(crate) async fn a_time_outside_the_window_is_refused(database: &dyn Database) {
    let backups = database.require_native_backups().unwrap();
    let window = backups.recovery_window().await.unwrap().unwrap();
    assert!(window.contains(window.earliest) && window.contains(window.latest));
    let second = Duration::from_secs(1);
    let outside: [Timestamp; 2] = [
        window.earliest.saturating_sub(second),
        window.latest.saturating_add(second * 3600),
    ];
    for at in outside {
        let request = RestoreBackupRequest::to_new_instance(RestorePoint::Time(at), "copy");
        let err = backups.restore_backup(request).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }
    let provision = database.require_provision().unwrap();
    assert_eq!(all(provision.list_databases()).await.len(), 1);
}

pub(crate) async fn a_branch_is_made_once_listed_and_deleted(database: &dyn Database) {
    let branching = database.require_branching().unwrap();
    let key = IdempotencyKey::new("preview").unwrap();
    let request = CreateBranchRequest::new("preview").with_idempotency_key(key);
    let made = branching.create_branch(request.clone()).await.unwrap();
    assert_eq!(branching.create_branch(request).await.unwrap().id, made.id);
    let taken = branching
        .create_branch(CreateBranchRequest::new("preview"))
        .await
        .unwrap_err();
    assert_eq!(
        (taken.kind(), taken.resource()),
        (ErrorKind::AlreadyExists, Some(made.id.as_str()))
    );
    let listed = all(branching.list_branches()).await;
    assert_eq!(listed.iter().filter(|branch| branch.is_default).count(), 1);
    assert_eq!(listed.len(), 2);
    let there = branching.branch_connect_info(&made.id).await.unwrap();
    assert_ne!(there.host, database.connect_info().await.unwrap().host);

    let default = listed.into_iter().find(|branch| branch.is_default).unwrap();
    let refused = branching.delete_branch(&default.id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    branching.delete_branch(&made.id).await.unwrap();
    let again = branching.delete_branch(&made.id).await.unwrap();
    assert_ne!(again, DeleteOutcome::Deleted);
    assert!(branching.branch(&made.id).await.unwrap_err().is_not_found());
    let orphan = CreateBranchRequest::new("x").with_parent(BranchId::new("none").unwrap());
    assert!(
        branching
            .create_branch(orphan)
            .await
            .unwrap_err()
            .is_not_found()
    );
}
