//! `Branching`.

use ops_core::database::{Branch, Branching, CreateBranchRequest, DatabaseState};
use ops_core::id::{BranchId, IdempotencyKey};
use ops_core::{DeleteOutcome, Error, ErrorKind};

use super::{DatabaseFixture, Place, UNREACHED};
use crate::case::Outcome;
use crate::support::{done, drain, eventually, missing, refused};

/// Makes a branch of the default one, and waits until it answers.
async fn make(fixture: &dyn DatabaseFixture) -> Branch {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    let request = CreateBranchRequest::new(fixture.unique("branch"));
    let made = done(branching.create_branch(request).await);
    eventually!(
        fixture,
        format_args!("{} is available", made.id),
        Some(done(branching.branch(&made.id).await)).filter(|seen| {
            matches!(
                seen.state,
                DatabaseState::Available | DatabaseState::Suspended
            )
        })
    );
    made
}

async fn listed(branching: &dyn Branching) -> Vec<Branch> {
    drain(branching.list_branches()).await
}

async fn default(branching: &dyn Branching) -> Vec<BranchId> {
    let branches = listed(branching).await.into_iter();
    let default = branches.filter(|branch| branch.is_default);
    default.map(|branch| branch.id).collect()
}

pub(super) async fn d_060_a_branch_that_was_made_is_listed(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    listed(branching).await;
    let made = make(fixture).await;
    let branches = listed(branching).await;
    assert!(branches.iter().any(|branch| branch.id == made.id));
}

pub(super) async fn d_061_one_key_makes_one_branch(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    let key = IdempotencyKey::new(fixture.unique("key")).unwrap();
    let request = CreateBranchRequest::new(fixture.unique("branch")).with_idempotency_key(key);
    let made = done(branching.create_branch(request.clone()).await);
    assert_eq!(done(branching.create_branch(request).await).id, made.id);
}

/// Makes a branch under a name twice: its id, and what came of the second call.
async fn taken(fixture: &dyn DatabaseFixture) -> (BranchId, Error) {
    let database = fixture.database();
    let made = make(fixture).await;
    let request = CreateBranchRequest::new(made.name);
    let again = database
        .as_branching()
        .unwrap()
        .create_branch(request)
        .await;
    let err = again.err();
    (
        made.id,
        err.unwrap_or_else(|| panic!("two branches of one name were made")),
    )
}

pub(super) async fn d_062_a_taken_name_already_exists(fixture: &dyn DatabaseFixture) {
    let (_, err) = taken(fixture).await;
    assert_eq!(err.kind(), ErrorKind::AlreadyExists, "{err:?}");
}

pub(super) async fn d_063_a_taken_name_names_the_branch_that_has_it(fixture: &dyn DatabaseFixture) {
    let (id, err) = taken(fixture).await;
    assert_eq!(err.resource(), Some(id.as_str()), "{err:?}");
}

pub(super) async fn d_064_one_branch_is_the_default(fixture: &dyn DatabaseFixture) {
    make(fixture).await;
    let database = fixture.database();
    assert_eq!(default(database.as_branching().unwrap()).await.len(), 1);
}

pub(super) async fn d_065_the_default_branch_is_not_deleted(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    let default = default(branching).await;
    refused(
        branching.delete_branch(&default[0]).await,
        &[ErrorKind::Conflict],
    );
}

pub(super) async fn d_066_a_deleted_branch_is_not_found(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    let made = make(fixture).await;
    done(branching.delete_branch(&made.id).await);
    let err = eventually!(
        fixture,
        "the branch goes away",
        branching.branch(&made.id).await.err()
    );
    assert_eq!(err.kind(), ErrorKind::NotFound, "{err:?}");
}

pub(super) async fn d_067_deleting_a_branch_twice_is_success(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    let made = make(fixture).await;
    let first = done(branching.delete_branch(&made.id).await);
    assert_ne!(first, DeleteOutcome::AlreadyGone);
    done(branching.delete_branch(&made.id).await);
    let never = done(branching.delete_branch(&fixture.missing_branch()).await);
    assert_ne!(never, DeleteOutcome::Deleted);
}

pub(super) async fn d_068_a_missing_branch_is_not_found(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    missing(branching.branch(&fixture.missing_branch()).await);
}

pub(super) async fn d_069_a_missing_parent_is_not_found(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    let request = CreateBranchRequest::new(fixture.unique("branch"));
    let orphan = request.with_parent(fixture.missing_branch());
    missing(branching.create_branch(orphan).await);
}

pub(super) async fn d_070_the_address_of_a_missing_branch_is_not_found(
    fixture: &dyn DatabaseFixture,
) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    missing(
        branching
            .branch_connect_info(&fixture.missing_branch())
            .await,
    );
}

pub(super) async fn d_071_a_branch_has_an_address_of_its_own(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    let made = make(fixture).await;
    let there = done(branching.branch_connect_info(&made.id).await);
    let here = done(database.connect_info().await);
    assert_ne!(there.to_string(), here.to_string());
}

pub(super) async fn d_072_a_branch_holds_what_its_parent_held(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    if !fixture.write(&Place::Here, "parent").await {
        return Outcome::NotOffered(UNREACHED);
    }
    let made = make(fixture).await;
    let there = fixture.read(&Place::Branch(made.id)).await;
    assert_eq!(there.as_deref(), Some("parent"));
    Outcome::Passed
}

pub(super) async fn d_073_the_parent_does_not_see_what_is_written_to_a_branch(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    if !fixture.write(&Place::Here, "parent").await {
        return Outcome::NotOffered(UNREACHED);
    }
    let made = make(fixture).await;
    fixture.write(&Place::Branch(made.id), "branch").await;
    assert_eq!(fixture.read(&Place::Here).await.as_deref(), Some("parent"));
    Outcome::Passed
}

pub(super) async fn d_074_a_branch_does_not_see_what_is_written_to_its_parent(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let made = make(fixture).await;
    if !fixture
        .write(&Place::Branch(made.id.clone()), "branch")
        .await
    {
        return Outcome::NotOffered(UNREACHED);
    }
    fixture.write(&Place::Here, "later").await;
    let there = fixture.read(&Place::Branch(made.id)).await;
    assert_eq!(there.as_deref(), Some("branch"));
    Outcome::Passed
}

pub(super) async fn d_075_a_long_listing_of_branches_comes_whole_and_once(
    fixture: &dyn DatabaseFixture,
) {
    let database = fixture.database();
    let mut made = Vec::new();
    for _ in 0..fixture.more_than_a_page() {
        made.push(make(fixture).await.id);
    }
    let branches = listed(database.as_branching().unwrap()).await.into_iter();
    let mut ids: Vec<_> = branches.map(|branch| branch.id).collect();
    ids.retain(|id| made.contains(id));
    ids.sort();
    made.sort();
    assert_eq!(ids, made);
}

pub(super) async fn d_076_a_branch_names_its_parent(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let branching = database.as_branching().unwrap();
    let default = default(branching).await;
    let made = make(fixture).await;
    let seen = done(branching.branch(&made.id).await);
    assert_eq!(seen.parent.as_ref(), default.first());
}
