//! `Provision`.

use ops_core::database::{DatabaseInstance, DatabaseSize, DatabaseState, Provision};
use ops_core::id::{DatabaseId, IdempotencyKey};
use ops_core::{DeleteOutcome, Error, ErrorKind};

use super::DatabaseFixture;
use crate::case::Outcome;
use crate::support::{AWKWARD, done, drain, eventually, missing, refused};

/// Makes an instance.
async fn make(fixture: &dyn DatabaseFixture) -> DatabaseInstance {
    make_named(fixture, &fixture.unique("db")).await
}

/// Makes an instance of a name.
pub(super) async fn make_named(fixture: &dyn DatabaseFixture, name: &str) -> DatabaseInstance {
    let database = fixture.database();
    let request = fixture.new_database(name);
    let provision = database.as_provision().unwrap();
    done(provision.create_database(request).await).instance
}

/// Waits until an instance answers.
pub(super) async fn wait_available(fixture: &dyn DatabaseFixture, id: &DatabaseId) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    eventually!(
        fixture,
        format_args!("{id} is available"),
        Some(done(provision.instance(id).await))
            .filter(|seen| seen.description.state == DatabaseState::Available)
    );
}

async fn listed(provision: &dyn Provision) -> Vec<DatabaseId> {
    let instances = drain(provision.list_databases()).await;
    instances.into_iter().map(|each| each.id).collect()
}

pub(super) async fn d_020_an_instance_that_was_made_is_listed(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    // Listed before as well: a wrapper that keeps listings must hear of the change.
    listed(provision).await;
    let made = make(fixture).await;
    assert!(listed(provision).await.contains(&made.id));
}

pub(super) async fn d_021_one_key_makes_one_instance(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    let key = IdempotencyKey::new(fixture.unique("key")).unwrap();
    let request = fixture.new_database(&fixture.unique("db"));
    let request = request.with_idempotency_key(key);
    let made = done(provision.create_database(request.clone()).await);
    let again = done(provision.create_database(request).await);
    assert_eq!(made.instance.id, again.instance.id);
}

/// Makes an instance under a name twice: its id, and what came of the second call.
async fn taken(fixture: &dyn DatabaseFixture) -> (DatabaseId, Error) {
    let database = fixture.database();
    let name = fixture.unique("db");
    let made = make_named(fixture, &name).await;
    let request = fixture.new_database(&name);
    let again = database
        .as_provision()
        .unwrap()
        .create_database(request)
        .await;
    let err = again.err();
    (
        made.id,
        err.unwrap_or_else(|| panic!("two instances of one name were made")),
    )
}

pub(super) async fn d_022_a_taken_name_already_exists(fixture: &dyn DatabaseFixture) {
    let (_, err) = taken(fixture).await;
    assert_eq!(err.kind(), ErrorKind::AlreadyExists, "{err:?}");
}

pub(super) async fn d_023_a_taken_name_names_the_instance_that_has_it(
    fixture: &dyn DatabaseFixture,
) {
    let (id, err) = taken(fixture).await;
    assert_eq!(err.resource(), Some(id.as_str()), "{err:?}");
}

pub(super) async fn d_025_an_instance_has_the_name_that_was_asked_for(
    fixture: &dyn DatabaseFixture,
) {
    let name = fixture.unique("db");
    assert_eq!(make_named(fixture, &name).await.name, name);
}

pub(super) async fn d_026_a_missing_instance_is_not_found(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    missing(provision.instance(&fixture.missing_database()).await);
}

pub(super) async fn d_027_the_address_of_a_missing_instance_is_not_found(
    fixture: &dyn DatabaseFixture,
) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    refused(
        provision.connect_info_of(&fixture.missing_database()).await,
        &[ErrorKind::NotFound, ErrorKind::Unsupported],
    );
}

pub(super) async fn d_028_resizing_a_missing_instance_is_not_found(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let Some(size) = fixture.size() else {
        return Outcome::NotOffered("the vendor changes no sizes");
    };
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    missing(
        provision
            .resize_database(&fixture.missing_database(), size)
            .await,
    );
    Outcome::Passed
}

pub(super) async fn d_029_a_resized_instance_becomes_available_again(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let Some(size) = fixture.size() else {
        return Outcome::NotOffered("the vendor changes no sizes");
    };
    let database = fixture.database();
    let made = make(fixture).await;
    wait_available(fixture, &made.id).await;
    let provision = database.as_provision().unwrap();
    done(provision.resize_database(&made.id, size).await);
    wait_available(fixture, &made.id).await;
    Outcome::Passed
}

pub(super) async fn d_030_a_minimum_above_the_maximum_is_refused(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let made = make(fixture).await;
    wait_available(fixture, &made.id).await;
    let size = DatabaseSize::default()
        .with_min_cpu_millis(2_000)
        .with_max_cpu_millis(1_000);
    refused(
        database
            .as_provision()
            .unwrap()
            .resize_database(&made.id, size)
            .await,
        &[ErrorKind::InvalidInput, ErrorKind::Unsupported],
    );
}

pub(super) async fn d_031_a_deleted_instance_is_not_found(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    let made = make(fixture).await;
    wait_available(fixture, &made.id).await;
    done(provision.delete_database(&made.id).await);
    let err = eventually!(
        fixture,
        "the instance goes away",
        provision.instance(&made.id).await.err()
    );
    assert_eq!(err.kind(), ErrorKind::NotFound, "{err:?}");
}

pub(super) async fn d_032_deleting_an_instance_twice_is_success(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    let made = make(fixture).await;
    wait_available(fixture, &made.id).await;
    let first = done(provision.delete_database(&made.id).await);
    assert_ne!(first, DeleteOutcome::AlreadyGone);
    done(provision.delete_database(&made.id).await);
    let never = done(provision.delete_database(&fixture.missing_database()).await);
    assert_ne!(never, DeleteOutcome::Deleted);
}

pub(super) async fn d_033_a_deleted_instance_is_not_listed(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    let made = make(fixture).await;
    wait_available(fixture, &made.id).await;
    done(provision.delete_database(&made.id).await);
    eventually!(
        fixture,
        "the instance leaves the listing",
        (!listed(provision).await.contains(&made.id)).then_some(())
    );
}

pub(super) async fn d_034_deleting_one_instance_leaves_the_others(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    let (kept, deleted) = (make(fixture).await, make(fixture).await);
    wait_available(fixture, &deleted.id).await;
    done(provision.delete_database(&deleted.id).await);
    assert_eq!(done(provision.instance(&kept.id).await).id, kept.id);
}

pub(super) async fn d_035_a_long_listing_of_instances_comes_whole_and_once(
    fixture: &dyn DatabaseFixture,
) {
    let database = fixture.database();
    let mut made = Vec::new();
    for _ in 0..fixture.more_than_a_page() {
        made.push(make(fixture).await.id);
    }
    let mut ids = listed(database.as_provision().unwrap()).await;
    ids.retain(|id| made.contains(id));
    ids.sort();
    made.sort();
    assert_eq!(ids, made);
}

pub(super) async fn d_036_an_awkward_id_is_nobody_elses(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let provision = database.as_provision().unwrap();
    let made = make(fixture).await;
    for tail in AWKWARD {
        let id = DatabaseId::new(format!("{}{tail}", made.id)).unwrap();
        refused(
            provision.instance(&id).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
}
