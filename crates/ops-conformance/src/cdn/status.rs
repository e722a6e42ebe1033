//! `PurgeStatus`.

use ops_core::cdn::{PurgeRequest, PurgeState, PurgeStatus};
use ops_core::id::PurgeId;
use ops_core::{CdnExt, ErrorKind};

use super::{CdnFixture, Site};
use crate::case::Outcome;
use crate::support::{AWKWARD, done, eventually, missing, refused, unsupported};

/// The id of a purge, if the vendor answers one.
async fn begun(fixture: &dyn CdnFixture) -> Option<PurgeId> {
    done(fixture.cdn().purge(PurgeRequest::everything()).await).id
}

async fn ends(fixture: &dyn CdnFixture, status: &dyn PurgeStatus, purge: &PurgeId) {
    eventually!(
        fixture,
        "the purge is done",
        (done(status.purge_status(purge).await).state == PurgeState::Done).then_some(())
    );
}

pub(super) async fn c_070_a_purge_is_followed_to_its_end_or_that_is_unsupported_by_name(
    fixture: &dyn CdnFixture,
) {
    let site = Site::new(fixture);
    let Some(status) = site.cdn.as_purge_status() else {
        let required = site.cdn.require_purge_status();
        let ability = "reading the state of a purge";
        return unsupported(required, &site.cdn.provider(), ability);
    };
    if let Some(id) = begun(fixture).await {
        ends(fixture, status, &id).await;
    }
}

pub(super) async fn c_071_a_purge_that_is_not_done_has_an_id(fixture: &dyn CdnFixture) -> Outcome {
    let cdn = fixture.cdn();
    let purge = done(cdn.purge(PurgeRequest::everything()).await);
    if purge.state == PurgeState::Done {
        return Outcome::NotOffered("a purge is done when it is answered");
    }
    assert!(purge.id.is_some(), "nobody can ask for {purge:?}");
    Outcome::Passed
}

const NO_ID: Outcome = Outcome::NotOffered("a purge that is done has no id");

pub(super) async fn c_072_the_state_of_a_purge_names_it(fixture: &dyn CdnFixture) -> Outcome {
    let cdn = fixture.cdn();
    let Some(id) = begun(fixture).await else {
        return NO_ID;
    };
    let seen = done(cdn.as_purge_status().unwrap().purge_status(&id).await);
    assert_eq!(seen.id, Some(id));
    Outcome::Passed
}

pub(super) async fn c_073_a_purge_that_is_done_stays_done(fixture: &dyn CdnFixture) -> Outcome {
    let cdn = fixture.cdn();
    let status = cdn.as_purge_status().unwrap();
    let Some(id) = begun(fixture).await else {
        return NO_ID;
    };
    let mut was_done = false;
    for _ in 0..fixture.patience() {
        let is_done = done(status.purge_status(&id).await).state == PurgeState::Done;
        if was_done {
            assert!(is_done, "the purge goes on after its end");
            return Outcome::Passed;
        }
        was_done = is_done;
        fixture.pause().await;
    }
    Outcome::NotOffered("the purge does not get done")
}

pub(super) async fn c_074_a_missing_purge_is_not_found(fixture: &dyn CdnFixture) {
    let cdn = fixture.cdn();
    let status = cdn.as_purge_status().unwrap();
    missing(status.purge_status(&fixture.missing_purge()).await);
}

pub(super) async fn c_075_an_awkward_purge_id_is_nobody_elses(fixture: &dyn CdnFixture) -> Outcome {
    let cdn = fixture.cdn();
    let status = cdn.as_purge_status().unwrap();
    let Some(id) = begun(fixture).await else {
        return NO_ID;
    };
    for tail in AWKWARD {
        let other = PurgeId::new(format!("{id}{tail}")).unwrap();
        refused(
            status.purge_status(&other).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
    Outcome::Passed
}
