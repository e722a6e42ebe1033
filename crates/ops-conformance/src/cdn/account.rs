//! What is known of the provider itself.

use ops_core::ErrorKind;
use ops_core::cdn::PurgeRequest;

use super::{CdnFixture, Site};
use crate::case::Outcome;
use crate::support::{assert_abilities, keeps, names, printed, refused};

pub(super) async fn c_001_the_abilities_are_those_that_are_declared(fixture: &dyn CdnFixture) {
    let cdn = fixture.cdn();
    let offered = [
        ("as_purge_tags", cdn.as_purge_tags().is_some()),
        ("as_purge_hosts", cdn.as_purge_hosts().is_some()),
        ("as_purge_status", cdn.as_purge_status().is_some()),
    ];
    assert_abilities(&offered, fixture.abilities());
}

pub(super) async fn c_002_a_refusal_names_the_provider(fixture: &dyn CdnFixture) {
    let site = Site::new(fixture);
    let purge = site.cdn.purge(PurgeRequest::urls(["nowhere"])).await;
    let err = refused(purge, &[ErrorKind::InvalidInput]);
    names(&err, &site.cdn.provider());
}

pub(super) async fn c_003_the_credential_is_not_printed(fixture: &dyn CdnFixture) -> Outcome {
    let Some(credential) = fixture.credential() else {
        return Outcome::NotOffered("there is no credential");
    };
    let cdn = fixture.cdn();
    keeps(&credential, &format!("{cdn:?}"));
    if let Err(err) = cdn.purge(PurgeRequest::urls(["nowhere"])).await {
        keeps(&credential, &printed(&err));
    }
    Outcome::Passed
}
