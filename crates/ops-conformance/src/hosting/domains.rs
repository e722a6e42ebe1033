//! `Domains`.

use ops_core::hosting::{CertificateState, Domain, DomainState};
use ops_core::id::{AppId, DomainId};
use ops_core::{DeleteOutcome, ErrorKind};

use super::{HostingFixture, release};
use crate::case::Outcome;
use crate::support::{done, drain, eventually, missing, missing_stream, refused};

/// An app with a domain of its own.
async fn with_domain(fixture: &dyn HostingFixture) -> (AppId, Domain) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let domains = hosting.as_domains().unwrap();
    let domain = done(domains.add_domain(&app, &fixture.host_name()).await);
    (app, domain)
}

pub(super) async fn h_120_a_new_domain_names_the_records_it_needs(fixture: &dyn HostingFixture) {
    let (_, domain) = with_domain(fixture).await;
    assert!(!domain.records.is_empty(), "{domain:?}");
}

pub(super) async fn h_121_adding_a_domain_again_answers_the_same(fixture: &dyn HostingFixture) {
    let (app, domain) = with_domain(fixture).await;
    let hosting = fixture.hosting();
    let domains = hosting.as_domains().unwrap();
    let again = done(domains.add_domain(&app, &domain.name).await);
    assert_eq!(again.id, domain.id);
}

pub(super) async fn h_122_a_domain_of_another_app_already_exists(fixture: &dyn HostingFixture) {
    let (_, domain) = with_domain(fixture).await;
    let (hosting, other) = (fixture.hosting(), fixture.new_app().await);
    let domains = hosting.as_domains().unwrap();
    refused(
        domains.add_domain(&other, &domain.name).await,
        &[ErrorKind::AlreadyExists],
    );
}

pub(super) async fn h_123_what_is_no_host_name_is_refused(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let domains = hosting.as_domains().unwrap();
    for name in ["not a host", "https://shop.example/", ""] {
        refused(
            domains.add_domain(&app, name).await,
            &[ErrorKind::InvalidInput],
        );
    }
}

const NO_RECORDS: &str = "the fixture makes no DNS records";

/// Waits until the vendor has seen the records.
async fn wait_verified(fixture: &dyn HostingFixture, app: &AppId, domain: &Domain) {
    let hosting = fixture.hosting();
    let domains = hosting.as_domains().unwrap();
    eventually!(
        fixture,
        "the domain is verified",
        Some(done(domains.check_domain(app, &domain.id).await))
            .filter(|seen| seen.state == DomainState::Verified)
    );
}

pub(super) async fn h_124_a_domain_is_verified_once_its_records_are_there(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let (app, domain) = with_domain(fixture).await;
    assert_ne!(domain.state, DomainState::Verified);
    if !fixture.publish_records(&domain.name).await {
        return Outcome::NotOffered(NO_RECORDS);
    }
    wait_verified(fixture, &app, &domain).await;
    Outcome::Passed
}

pub(super) async fn h_125_a_verified_domain_gets_a_certificate(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let (app, domain) = with_domain(fixture).await;
    if !fixture.publish_records(&domain.name).await {
        return Outcome::NotOffered(NO_RECORDS);
    }
    let hosting = fixture.hosting();
    let domains = hosting.as_domains().unwrap();
    let is_over = |seen: &Domain| {
        matches!(
            seen.certificate,
            CertificateState::Valid { .. } | CertificateState::Failed(_)
        )
    };
    let seen = eventually!(
        fixture,
        "the certificate is issued",
        Some(done(domains.check_domain(&app, &domain.id).await)).filter(is_over)
    );
    let is_valid = matches!(seen.certificate, CertificateState::Valid { .. });
    assert!(is_valid, "{seen:?}");
    Outcome::Passed
}

pub(super) async fn h_126_a_domain_is_listed_once(fixture: &dyn HostingFixture) {
    let (app, domain) = with_domain(fixture).await;
    let hosting = fixture.hosting();
    let listed = drain(hosting.as_domains().unwrap().list_domains(&app)).await;
    let ids: Vec<_> = listed.into_iter().map(|each| each.id).collect();
    assert_eq!(ids, [domain.id]);
}

pub(super) async fn h_127_a_removed_domain_is_not_found(fixture: &dyn HostingFixture) {
    let (app, domain) = with_domain(fixture).await;
    let hosting = fixture.hosting();
    let domains = hosting.as_domains().unwrap();
    done(domains.remove_domain(&app, &domain.id).await);
    missing(domains.domain(&app, &domain.id).await);
}

pub(super) async fn h_128_removing_a_domain_twice_is_success(fixture: &dyn HostingFixture) {
    let (app, domain) = with_domain(fixture).await;
    let hosting = fixture.hosting();
    let domains = hosting.as_domains().unwrap();
    let first = done(domains.remove_domain(&app, &domain.id).await);
    assert_ne!(first, DeleteOutcome::AlreadyGone);
    let again = done(domains.remove_domain(&app, &domain.id).await);
    assert_ne!(again, DeleteOutcome::Deleted);
}

pub(super) async fn h_129_a_missing_domain_is_not_found(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    let nobody = DomainId::new("nobody.example").unwrap();
    missing(hosting.as_domains().unwrap().domain(&app, &nobody).await);
}

pub(super) async fn h_130_domains_of_a_missing_app_are_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let domains = hosting.as_domains().unwrap();
    missing_stream(domains.list_domains(&fixture.missing_app())).await;
}

pub(super) async fn h_131_adding_a_domain_to_a_missing_app_is_not_found(
    fixture: &dyn HostingFixture,
) {
    let hosting = fixture.hosting();
    let domains = hosting.as_domains().unwrap();
    let name = fixture.host_name();
    missing(domains.add_domain(&fixture.missing_app(), &name).await);
}

pub(super) async fn h_132_domains_survive_a_deployment(fixture: &dyn HostingFixture) {
    let (app, domain) = with_domain(fixture).await;
    release(fixture, &app, 1).await;
    let hosting = fixture.hosting();
    done(hosting.as_domains().unwrap().domain(&app, &domain.id).await);
}
