//! Apps.

use futures_util::future::join_all;
use ops_core::DeleteOutcome;
use ops_core::ErrorKind;
use ops_core::hosting::Hosting;
use ops_core::id::AppId;

use super::HostingFixture;
use crate::support::{AWKWARD, done, drain, eventually, missing, refused};

pub(super) async fn h_001_the_abilities_are_those_that_are_declared(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let offered = [
        ("as_create_apps", hosting.as_create_apps().is_some()),
        ("as_rollback", hosting.as_rollback().is_some()),
        ("as_scale", hosting.as_scale().is_some()),
        ("as_env_vars", hosting.as_env_vars().is_some()),
        ("as_app_secrets", hosting.as_app_secrets().is_some()),
        ("as_logs", hosting.as_logs().is_some()),
        ("as_domains", hosting.as_domains().is_some()),
        ("as_restart", hosting.as_restart().is_some()),
        ("as_usage", hosting.as_usage().is_some()),
    ];
    crate::support::assert_abilities(&offered, fixture.abilities());
}

pub(super) async fn h_002_an_app_without_a_deployment_names_none(fixture: &dyn HostingFixture) {
    let app = fixture.new_app().await;
    let described = done(fixture.hosting().app(&app).await);
    assert_eq!(described.id, app);
    assert_eq!(described.current_deployment, None);
}

/// The ids of all apps.
pub(super) async fn listed(hosting: &dyn Hosting) -> Vec<AppId> {
    let apps = drain(hosting.list_apps()).await;
    apps.into_iter().map(|app| app.id).collect()
}

pub(super) async fn h_003_the_listing_names_each_app_once_and_ends(fixture: &dyn HostingFixture) {
    let app = fixture.new_app().await;
    let ids = listed(&*fixture.hosting()).await;
    assert_eq!(ids.iter().filter(|id| **id == app).count(), 1);
}

pub(super) async fn h_004_a_long_listing_of_apps_comes_whole(fixture: &dyn HostingFixture) {
    let mut made = Vec::new();
    for _ in 0..fixture.more_than_a_page() {
        made.push(fixture.new_app().await);
    }
    let ids = listed(&*fixture.hosting()).await;
    made.retain(|id| !ids.contains(id));
    assert!(made.is_empty(), "not listed: {made:?}");
}

pub(super) async fn h_005_a_missing_app_is_not_found(fixture: &dyn HostingFixture) {
    missing(fixture.hosting().app(&fixture.missing_app()).await);
}

pub(super) async fn h_006_an_awkward_app_id_is_nobody_elses(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let app = fixture.new_app().await;
    for tail in AWKWARD {
        let id = AppId::new(format!("{app}{tail}")).unwrap();
        // A vendor may refuse the form of an id; it may not take it for another one.
        refused(
            hosting.app(&id).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
}

pub(super) async fn h_007_concurrent_calls_do_not_mix(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let apps = [
        fixture.new_app().await,
        fixture.new_app().await,
        fixture.new_app().await,
    ];
    let asked: Vec<&AppId> = apps.iter().cycle().take(12).collect();
    let answers = join_all(asked.iter().map(|app| hosting.app(app))).await;
    for (app, answer) in asked.into_iter().zip(answers) {
        assert_eq!(done(answer).id, *app);
    }
}

pub(super) async fn h_008_deleting_an_app_twice_is_success(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let first = done(hosting.delete_app(&app).await);
    assert_ne!(first, DeleteOutcome::AlreadyGone);
    done(hosting.delete_app(&app).await);
}

pub(super) async fn h_009_a_deleted_app_is_not_found(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    done(hosting.delete_app(&app).await);
    let err = eventually!(fixture, "the app goes away", hosting.app(&app).await.err());
    assert_eq!(err.kind(), ErrorKind::NotFound, "{err:?}");
}

pub(super) async fn h_010_a_deleted_app_is_not_listed(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    done(hosting.delete_app(&app).await);
    eventually!(
        fixture,
        "the app leaves the listing",
        (!listed(&*hosting).await.contains(&app)).then_some(())
    );
}

pub(super) async fn h_011_deleting_one_app_leaves_the_others(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let (kept, deleted) = (fixture.new_app().await, fixture.new_app().await);
    done(hosting.delete_app(&deleted).await);
    assert_eq!(done(hosting.app(&kept).await).id, kept);
}

pub(super) async fn h_012_deleting_what_never_was_is_success(fixture: &dyn HostingFixture) {
    let outcome = done(fixture.hosting().delete_app(&fixture.missing_app()).await);
    assert_ne!(outcome, DeleteOutcome::Deleted);
}
