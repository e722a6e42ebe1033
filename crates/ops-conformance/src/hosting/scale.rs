//! `Scale`.

use std::collections::BTreeMap;

use ops_core::ErrorKind;
use ops_core::hosting::{Replicas, ScaleRequest};

use super::{HostingFixture, release};
use crate::case::Outcome;
use crate::support::{done, missing, refused};

pub(super) async fn h_060_scaling_changes_the_number_of_instances(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    let scale = hosting.as_scale().unwrap();
    let request = ScaleRequest::default().with_replicas(Replicas::Total(3));
    done(scale.set_scale(&app, request).await);
    let state = done(scale.scale_state(&app).await);
    assert_eq!(state.replicas, Replicas::Total(3));
}

pub(super) async fn h_061_scaling_changes_the_size(fixture: &dyn HostingFixture) -> Outcome {
    let Some(size) = fixture.size() else {
        return Outcome::NotOffered("the vendor has no sizes");
    };
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    let scale = hosting.as_scale().unwrap();
    let request = ScaleRequest::default().with_size(size.clone());
    done(scale.set_scale(&app, request).await);
    assert_eq!(done(scale.scale_state(&app).await).size, Some(size));
    Outcome::Passed
}

pub(super) async fn h_062_scaling_changes_the_regions(fixture: &dyn HostingFixture) -> Outcome {
    let mut regions = fixture.regions();
    if regions.is_empty() {
        return Outcome::NotOffered("the vendor has no choice of regions");
    }
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    let scale = hosting.as_scale().unwrap();
    let request = ScaleRequest::default().with_regions(regions.clone());
    done(scale.set_scale(&app, request).await);
    let mut seen = done(scale.scale_state(&app).await).regions;
    seen.sort();
    regions.sort();
    assert_eq!(seen, regions);
    Outcome::Passed
}

pub(super) async fn h_063_what_is_not_asked_for_stays(fixture: &dyn HostingFixture) -> Outcome {
    let Some(size) = fixture.size() else {
        return Outcome::NotOffered("the vendor has no sizes");
    };
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    let scale = hosting.as_scale().unwrap();
    let larger = ScaleRequest::default().with_size(size);
    let before = done(scale.set_scale(&app, larger).await);
    let more = ScaleRequest::default().with_replicas(Replicas::Total(2));
    let after = done(scale.set_scale(&app, more).await);
    assert_eq!((after.size, after.regions), (before.size, before.regions));
    Outcome::Passed
}

fn upside_down() -> ScaleRequest {
    ScaleRequest::default().with_replicas(Replicas::Auto { min: 5, max: 1 })
}

pub(super) async fn h_064_a_minimum_above_the_maximum_is_refused(fixture: &dyn HostingFixture) {
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    let scale = hosting.as_scale().unwrap();
    refused(
        scale.set_scale(&app, upside_down()).await,
        &[ErrorKind::InvalidInput, ErrorKind::Unsupported],
    );
}

pub(super) async fn h_065_a_refused_request_changes_nothing(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let Some(size) = fixture.size() else {
        return Outcome::NotOffered("the vendor has no sizes");
    };
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    let scale = hosting.as_scale().unwrap();
    let before = done(scale.scale_state(&app).await);
    // The size alone would be fine.
    let request = upside_down().with_size(size);
    if scale.set_scale(&app, request).await.is_err() {
        assert_eq!(done(scale.scale_state(&app).await), before);
    }
    Outcome::Passed
}

pub(super) async fn h_066_regions_named_twice_are_refused(fixture: &dyn HostingFixture) -> Outcome {
    let regions = fixture.regions();
    if regions.is_empty() {
        return Outcome::NotOffered("the vendor has no choice of regions");
    }
    let (hosting, app) = (fixture.hosting(), fixture.new_app().await);
    release(fixture, &app, 1).await;
    let scale = hosting.as_scale().unwrap();
    let each: BTreeMap<_, _> = regions.iter().map(|region| (region.clone(), 1)).collect();
    let request = ScaleRequest::default()
        .with_replicas(Replicas::PerRegion(each))
        .with_regions(regions);
    refused(
        scale.set_scale(&app, request).await,
        &[ErrorKind::InvalidInput, ErrorKind::Unsupported],
    );
    Outcome::Passed
}

pub(super) async fn h_067_the_scale_of_a_missing_app_is_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let scale = hosting.as_scale().unwrap();
    missing(scale.scale_state(&fixture.missing_app()).await);
}

pub(super) async fn h_068_scaling_a_missing_app_is_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let scale = hosting.as_scale().unwrap();
    let request = ScaleRequest::default().with_replicas(Replicas::Total(2));
    missing(scale.set_scale(&fixture.missing_app(), request).await);
}
