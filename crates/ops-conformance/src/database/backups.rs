//! `NativeBackups`: making and listing.

use std::time::Duration;

use ops_core::database::{CreateBackupRequest, NativeBackup, NativeBackupState, NativeBackups};
use ops_core::id::{IdempotencyKey, NativeBackupId};

use super::DatabaseFixture;
use crate::case::Outcome;
use crate::support::{done, drain, eventually, missing};

pub(super) const BY_SCHEDULE: &str = "the vendor makes backups by its own schedule alone";

/// Starts a backup; `None` where the vendor makes them by its own schedule alone.
pub(super) async fn start(
    backups: &dyn NativeBackups,
    request: CreateBackupRequest,
) -> Option<NativeBackup> {
    match backups.create_backup(request).await {
        Err(err) if err.is_unsupported() => None,
        started => Some(done(started)),
    }
}

/// Makes a backup, and waits until it has ended.
pub(super) async fn make(fixture: &dyn DatabaseFixture) -> Option<NativeBackup> {
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    let started = start(backups, CreateBackupRequest::default()).await?;
    let ended = eventually!(
        fixture,
        format_args!("{} comes to an end", started.id),
        Some(done(backups.backup(&started.id).await)).filter(|seen| {
            matches!(
                seen.state,
                NativeBackupState::Complete | NativeBackupState::Failed
            )
        })
    );
    Some(ended)
}

pub(super) async fn d_040_a_backup_becomes_complete(fixture: &dyn DatabaseFixture) -> Outcome {
    let Some(made) = make(fixture).await else {
        return Outcome::NotOffered(BY_SCHEDULE);
    };
    assert_eq!(made.state, NativeBackupState::Complete);
    Outcome::Passed
}

async fn listed(backups: &dyn NativeBackups) -> Vec<NativeBackupId> {
    let listed = drain(backups.list_backups()).await;
    listed.into_iter().map(|each| each.id).collect()
}

pub(super) async fn d_041_backups_are_listed_newest_first(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let Some(first) = make(fixture).await else {
        return Outcome::NotOffered(BY_SCHEDULE);
    };
    fixture.advance(Duration::from_secs(60)).await;
    let second = make(fixture).await.unwrap();
    let database = fixture.database();
    let mut ids = listed(database.as_native_backups().unwrap()).await;
    ids.retain(|id| [&first.id, &second.id].contains(&id));
    assert_eq!(ids, [second.id, first.id]);
    Outcome::Passed
}

pub(super) async fn d_042_one_key_makes_one_backup(fixture: &dyn DatabaseFixture) -> Outcome {
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    let key = IdempotencyKey::new(fixture.unique("key")).unwrap();
    let request = CreateBackupRequest::default().with_idempotency_key(key);
    let Some(made) = start(backups, request.clone()).await else {
        return Outcome::NotOffered(BY_SCHEDULE);
    };
    assert_eq!(start(backups, request).await.unwrap().id, made.id);
    Outcome::Passed
}

pub(super) async fn d_043_a_missing_backup_is_not_found(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    missing(backups.backup(&fixture.missing_backup()).await);
}

pub(super) async fn d_044_a_window_holds_its_ends(fixture: &dyn DatabaseFixture) -> Outcome {
    let database = fixture.database();
    fixture.advance(Duration::from_secs(60)).await;
    let backups = database.as_native_backups().unwrap();
    let Some(window) = done(backups.recovery_window().await) else {
        return Outcome::NotOffered("the vendor restores no instants");
    };
    assert!(window.earliest <= window.latest, "{window:?}");
    Outcome::Passed
}
