//! The base methods.

use futures_util::future::join_all;
use ops_core::database::DatabaseState;

use super::DatabaseFixture;
use crate::case::Outcome;
use crate::support::done;

pub(super) async fn d_001_the_abilities_are_those_that_are_declared(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let offered = [
        ("as_provision", database.as_provision().is_some()),
        ("as_native_backups", database.as_native_backups().is_some()),
        ("as_branching", database.as_branching().is_some()),
        ("as_stats", database.as_stats().is_some()),
        ("as_audit", database.as_audit().is_some()),
        ("as_usage", database.as_usage().is_some()),
    ];
    crate::support::assert_abilities(&offered, fixture.abilities());
}

pub(super) async fn d_002_an_instance_that_answers_is_available(fixture: &dyn DatabaseFixture) {
    let described = done(fixture.database().describe().await);
    assert_eq!(described.state, DatabaseState::Available);
}

pub(super) async fn d_003_the_version_is_told(fixture: &dyn DatabaseFixture) {
    let described = done(fixture.database().describe().await);
    assert!(
        described.version.starts_with(|c: char| c.is_ascii_digit()),
        "{:?}",
        described.version
    );
}

pub(super) async fn d_004_description_and_address_name_one_engine(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let described = done(database.describe().await);
    assert_eq!(done(database.connect_info().await).engine, described.engine);
}

pub(super) async fn d_005_a_ping_is_answered(fixture: &dyn DatabaseFixture) {
    done(fixture.database().ping().await);
}

pub(super) async fn d_006_the_password_is_never_printed(fixture: &dyn DatabaseFixture) -> Outcome {
    let database = fixture.database();
    let info = done(database.connect_info().await);
    let Some(password) = &info.password else {
        return Outcome::NotOffered("the instance has no password");
    };
    let text = format!("{info} {info:?} {database:?}");
    assert!(!text.contains(password.expose()), "the password is printed");
    Outcome::Passed
}

pub(super) async fn d_007_concurrent_calls_are_all_answered(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let calls: Vec<_> = (0..8).map(|_| database.connect_info()).collect();
    for answer in join_all(calls).await {
        done(answer);
    }
    let calls: Vec<_> = (0..8).map(|_| database.describe()).collect();
    for answer in join_all(calls).await {
        done(answer);
    }
}
