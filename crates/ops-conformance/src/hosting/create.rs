//! `CreateApps`.

use ops_core::hosting::{AppSettings, CreateAppRequest, Replicas};
use ops_core::id::IdempotencyKey;
use ops_core::{Error, ErrorKind};

use super::HostingFixture;
use super::apps::listed;
use crate::support::{done, drain, refused};

pub(super) async fn h_040_an_app_is_listed_once_it_was_made(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    // Listed before as well: a wrapper that keeps listings must hear of the change.
    listed(&*hosting).await;
    let apps = hosting.as_create_apps().unwrap();
    let request = CreateAppRequest::new(fixture.unique("app"));
    let made = done(apps.create_app(request).await);
    assert!(listed(&*hosting).await.contains(&made.id));
}

pub(super) async fn h_041_one_key_makes_one_app(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let apps = hosting.as_create_apps().unwrap();
    let key = IdempotencyKey::new(fixture.unique("key")).unwrap();
    let request = CreateAppRequest::new(fixture.unique("app")).with_idempotency_key(key);
    let made = done(apps.create_app(request.clone()).await);
    assert_eq!(done(apps.create_app(request).await).id, made.id);
}

/// Makes an app under a name twice: its id, and what came of the second call.
async fn taken(fixture: &dyn HostingFixture) -> (String, Error) {
    let hosting = fixture.hosting();
    let apps = hosting.as_create_apps().unwrap();
    let name = fixture.unique("app");
    let made = done(apps.create_app(CreateAppRequest::new(name.as_str())).await);
    let again = apps.create_app(CreateAppRequest::new(name)).await;
    let err = again
        .err()
        .unwrap_or_else(|| panic!("two apps of one name were made"));
    (made.id.into(), err)
}

pub(super) async fn h_042_a_taken_name_already_exists(fixture: &dyn HostingFixture) {
    let (_, err) = taken(fixture).await;
    assert_eq!(err.kind(), ErrorKind::AlreadyExists, "{err:?}");
}

pub(super) async fn h_043_a_taken_name_names_the_app_that_has_it(fixture: &dyn HostingFixture) {
    let (id, err) = taken(fixture).await;
    assert_eq!(err.resource(), Some(id.as_str()), "{err:?}");
}

pub(super) async fn h_044_an_app_has_the_name_that_was_asked_for(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let apps = hosting.as_create_apps().unwrap();
    let name = fixture.unique("app");
    let made = done(apps.create_app(CreateAppRequest::new(name.as_str())).await);
    assert_eq!(made.name, name);
}

pub(super) async fn h_045_settings_that_cannot_be_are_refused_and_nothing_is_made(
    fixture: &dyn HostingFixture,
) {
    let hosting = fixture.hosting();
    let apps = hosting.as_create_apps().unwrap();
    let name = fixture.unique("app");
    let settings = AppSettings::default().with_replicas(Replicas::Auto { min: 5, max: 1 });
    let request = CreateAppRequest::new(name.as_str()).with_settings(settings);
    refused(
        apps.create_app(request).await,
        &[ErrorKind::InvalidInput, ErrorKind::Unsupported],
    );
    let apps = drain(hosting.list_apps()).await;
    assert!(apps.iter().all(|app| app.name != name));
}
