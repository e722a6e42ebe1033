//! `NativeBackups`: restoring.

use std::time::Duration;

use ops_core::ErrorKind;
use ops_core::database::{
    CreateBackupRequest, NativeBackupState, NativeRestore, RestoreBackupRequest, RestorePoint,
    RestoreTarget,
};
use ops_core::id::NativeBackupId;

use super::backups::{BY_SCHEDULE, make, start};
use super::provision::{make_named, wait_available};
use super::{DatabaseFixture, Place, UNREACHED};
use crate::case::Outcome;
use crate::support::{done, drain, refused};

const NO_INSTANTS: &str = "the vendor restores no instants";
const NO_TARGET: &str = "the vendor does not restore to there";
const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn d_045_restoring_a_missing_backup_is_not_found(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    let point = RestorePoint::Backup(fixture.missing_backup());
    let name = fixture.unique("db");
    refused(
        backups
            .restore_backup(RestoreBackupRequest::to_new_instance(point, name))
            .await,
        &[ErrorKind::NotFound, ErrorKind::Unsupported],
    );
}

pub(super) async fn d_046_an_instant_outside_the_window_is_refused(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    let Some(window) = done(backups.recovery_window().await) else {
        return Outcome::NotOffered(NO_INSTANTS);
    };
    let outside = [
        window.earliest.saturating_sub(60 * MINUTE),
        window.latest.saturating_add(60 * MINUTE),
    ];
    for at in outside {
        let name = fixture.unique("db");
        let request = RestoreBackupRequest::to_new_instance(RestorePoint::Time(at), name);
        refused(
            backups.restore_backup(request).await,
            &[ErrorKind::InvalidInput, ErrorKind::Unsupported],
        );
    }
    Outcome::Passed
}

pub(super) async fn d_047_a_backup_that_runs_cannot_be_restored(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    let Some(started) = start(backups, CreateBackupRequest::default()).await else {
        return Outcome::NotOffered(BY_SCHEDULE);
    };
    if started.state != NativeBackupState::Running {
        return Outcome::NotOffered("a backup is complete at once");
    }
    let point = RestorePoint::Backup(started.id);
    let request = RestoreBackupRequest::to_new_instance(point, fixture.unique("db"));
    refused(
        backups.restore_backup(request).await,
        &[ErrorKind::Conflict, ErrorKind::Unsupported],
    );
    Outcome::Passed
}

/// An instance that held `old` when a backup was made, and holds `new` now.
async fn backed_up(fixture: &dyn DatabaseFixture) -> Result<NativeBackupId, &'static str> {
    if !fixture.write(&Place::Here, "old").await {
        return Err(UNREACHED);
    }
    fixture.advance(MINUTE).await;
    let Some(backup) = make(fixture).await else {
        return Err(BY_SCHEDULE);
    };
    fixture.advance(MINUTE).await;
    fixture.write(&Place::Here, "new").await;
    Ok(backup.id)
}

/// Restores to a new instance, and waits until it answers where that can be seen.
async fn restore_to_new(
    fixture: &dyn DatabaseFixture,
    point: RestorePoint,
) -> Option<NativeRestore> {
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    let request = RestoreBackupRequest::to_new_instance(point, fixture.unique("db"));
    let restored = match backups.restore_backup(request).await {
        Err(err) if err.is_unsupported() => return None,
        restored => done(restored),
    };
    if database.as_provision().is_some() {
        wait_available(fixture, &restored.instance).await;
    }
    Some(restored)
}

pub(super) async fn d_048_a_new_instance_holds_what_the_backup_held(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let backup = match backed_up(fixture).await {
        Ok(backup) => backup,
        Err(why) => return Outcome::NotOffered(why),
    };
    let Some(restored) = restore_to_new(fixture, RestorePoint::Backup(backup)).await else {
        return Outcome::NotOffered(NO_TARGET);
    };
    let there = fixture.read(&Place::Instance(restored.instance)).await;
    assert_eq!(there.as_deref(), Some("old"));
    Outcome::Passed
}

pub(super) async fn d_049_restoring_to_a_new_instance_leaves_the_old_one(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let backup = match backed_up(fixture).await {
        Ok(backup) => backup,
        Err(why) => return Outcome::NotOffered(why),
    };
    if restore_to_new(fixture, RestorePoint::Backup(backup))
        .await
        .is_none()
    {
        return Outcome::NotOffered(NO_TARGET);
    }
    assert_eq!(fixture.read(&Place::Here).await.as_deref(), Some("new"));
    Outcome::Passed
}

pub(super) async fn d_050_a_restore_to_a_taken_name_already_exists(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let Some(backup) = make(fixture).await else {
        return Outcome::NotOffered(BY_SCHEDULE);
    };
    let name = fixture.unique("db");
    make_named(fixture, &name).await;
    let database = fixture.database();
    let point = RestorePoint::Backup(backup.id);
    let request = RestoreBackupRequest::to_new_instance(point, name);
    refused(
        database
            .as_native_backups()
            .unwrap()
            .restore_backup(request)
            .await,
        &[ErrorKind::AlreadyExists, ErrorKind::Unsupported],
    );
    Outcome::Passed
}

pub(super) async fn d_051_an_instant_is_restored_as_it_was(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    if !fixture.write(&Place::Here, "old").await {
        return Outcome::NotOffered(UNREACHED);
    }
    fixture.advance(MINUTE).await;
    let Some(window) = done(backups.recovery_window().await) else {
        return Outcome::NotOffered(NO_INSTANTS);
    };
    fixture.advance(MINUTE).await;
    fixture.write(&Place::Here, "new").await;
    let point = RestorePoint::Time(window.latest);
    let Some(restored) = restore_to_new(fixture, point).await else {
        return Outcome::NotOffered(NO_TARGET);
    };
    let there = fixture.read(&Place::Instance(restored.instance)).await;
    assert_eq!(there.as_deref(), Some("old"));
    Outcome::Passed
}

/// Restores the instance itself.
async fn restore_in_place(
    fixture: &dyn DatabaseFixture,
    preserve_as: Option<String>,
) -> Result<(), &'static str> {
    let backup = backed_up(fixture).await?;
    let database = fixture.database();
    let backups = database.as_native_backups().unwrap();
    let target = RestoreTarget::InPlace { preserve_as };
    let request = RestoreBackupRequest::in_place(RestorePoint::Backup(backup)).with_target(target);
    let restored = match backups.restore_backup(request).await {
        Err(err) if err.is_unsupported() => return Err(NO_TARGET),
        restored => done(restored),
    };
    if database.as_provision().is_some() {
        wait_available(fixture, &restored.instance).await;
    }
    Ok(())
}

pub(super) async fn d_052_a_restore_in_place_takes_the_place_of_what_is_there(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    if let Err(why) = restore_in_place(fixture, None).await {
        return Outcome::NotOffered(why);
    }
    assert_eq!(fixture.read(&Place::Here).await.as_deref(), Some("old"));
    Outcome::Passed
}

pub(super) async fn d_053_what_was_preserved_holds_what_was_there(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let name = fixture.unique("kept");
    if let Err(why) = restore_in_place(fixture, Some(name.clone())).await {
        return Outcome::NotOffered(why);
    }
    let database = fixture.database();
    let branches = drain(database.as_branching().unwrap().list_branches()).await;
    let kept = branches.into_iter().find(|branch| branch.name == name);
    let kept = kept.unwrap_or_else(|| panic!("nothing was preserved as {name}"));
    let there = fixture.read(&Place::Branch(kept.id)).await;
    assert_eq!(there.as_deref(), Some("new"));
    Outcome::Passed
}
