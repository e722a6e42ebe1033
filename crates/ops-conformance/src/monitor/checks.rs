//! `UptimeMonitors`.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::id::MonitorId;
use ops_core::monitor::{
    HttpTarget, MonitorInfo, MonitorSpec, MonitorState, MonitorTarget, UptimeMonitors,
};
use ops_core::{DeleteOutcome, EnsureOutcome, Ensured, ErrorKind, Secret};

use super::MonitorFixture;
use crate::case::Outcome;
use crate::support::{AWKWARD, done, drain, eventually, missing, refused};

async fn ensure(checks: &dyn UptimeMonitors, spec: MonitorSpec) -> Ensured<MonitorInfo> {
    let mut answers = done(checks.ensure_monitors(vec![spec]).await);
    assert_eq!(answers.len(), 1, "one answer per check");
    done(answers.remove(0))
}

/// A new check.
pub(super) async fn make(fixture: &dyn MonitorFixture) -> MonitorInfo {
    let monitor = fixture.monitor();
    let spec = fixture.check(&fixture.unique("check"));
    ensure(monitor.as_uptime_monitors().unwrap(), spec)
        .await
        .resource
}

async fn keys(checks: &dyn UptimeMonitors) -> Vec<String> {
    let checks = drain(checks.list_monitors()).await.into_iter();
    checks.filter_map(|check| check.key).collect()
}

pub(super) async fn m_010_a_missing_check_is_made(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let made = ensure(checks, fixture.check(&fixture.unique("check"))).await;
    assert_eq!(made.outcome, EnsureOutcome::Created);
}

pub(super) async fn m_011_ensuring_the_same_again_is_unchanged(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let spec = fixture.check(&fixture.unique("check"));
    ensure(checks, spec.clone()).await;
    let again = ensure(checks, spec).await;
    assert_eq!(again.outcome, EnsureOutcome::Unchanged);
}

/// Ensures a check, and again with twice the interval.
async fn slower(fixture: &dyn MonitorFixture) -> (Duration, Ensured<MonitorInfo>) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let spec = fixture.check(&fixture.unique("check"));
    let interval = spec.interval * 2;
    ensure(checks, spec.clone()).await;
    (interval, ensure(checks, spec.with_interval(interval)).await)
}

pub(super) async fn m_012_a_check_that_differs_is_updated(fixture: &dyn MonitorFixture) {
    let (_, changed) = slower(fixture).await;
    assert_eq!(changed.outcome, EnsureOutcome::Updated);
}

pub(super) async fn m_013_an_updated_check_is_as_it_was_asked_for(fixture: &dyn MonitorFixture) {
    let (interval, changed) = slower(fixture).await;
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let seen = done(checks.monitor(&changed.resource.id).await);
    assert_eq!(seen.interval, Some(interval));
}

pub(super) async fn m_014_each_check_is_answered_in_order(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let wanted = ["c", "a", "b"].map(|name| fixture.unique(name));
    let specs = wanted.iter().map(|key| fixture.check(key)).collect();
    let answers = done(checks.ensure_monitors(specs).await).into_iter();
    let keys: Vec<_> = answers
        .filter_map(|answer| done(answer).resource.key)
        .collect();
    assert_eq!(keys, wanted);
}

pub(super) async fn m_015_one_bad_check_does_not_stop_the_others(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let bad = fixture.bad_check(&fixture.unique("bad"));
    let good = fixture.check(&fixture.unique("good"));
    let mut answers = done(checks.ensure_monitors(vec![bad, good]).await);
    done(answers.pop().unwrap_or_else(|| panic!("no answer")));
    refused(
        answers.remove(0),
        &[ErrorKind::InvalidInput, ErrorKind::Unsupported],
    );
}

fn twice(fixture: &dyn MonitorFixture) -> (String, Vec<MonitorSpec>) {
    let key = fixture.unique("check");
    let specs = vec![
        fixture.check(&key),
        fixture.check(&key).with_name("another"),
    ];
    (key, specs)
}

pub(super) async fn m_016_two_checks_of_one_key_are_refused(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let (_, specs) = twice(fixture);
    refused(
        checks.ensure_monitors(specs).await,
        &[ErrorKind::InvalidInput],
    );
}

pub(super) async fn m_017_refused_checks_are_not_made(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let (key, specs) = twice(fixture);
    if checks.ensure_monitors(specs).await.is_err() {
        assert!(!keys(checks).await.contains(&key));
    }
}

pub(super) async fn m_018_a_check_keeps_its_id_under_another_name(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let spec = fixture.check(&fixture.unique("check"));
    let made = ensure(checks, spec.clone()).await.resource;
    let renamed = ensure(checks, spec.with_name("Another name"))
        .await
        .resource;
    assert_eq!(renamed.id, made.id);
}

pub(super) async fn m_019_a_check_is_listed_once_with_its_key(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let key = fixture.unique("check");
    ensure(checks, fixture.check(&key)).await;
    let keys = keys(checks).await;
    assert_eq!(keys.iter().filter(|each| **each == key).count(), 1);
}

pub(super) async fn m_020_a_long_listing_of_checks_comes_whole(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let wanted: Vec<_> = (0..fixture.more_than_a_page())
        .map(|_| fixture.unique("check"))
        .collect();
    let specs = wanted.iter().map(|key| fixture.check(key)).collect();
    for answer in done(checks.ensure_monitors(specs).await) {
        done(answer);
    }
    let keys = keys(checks).await;
    assert!(wanted.iter().all(|key| keys.contains(key)), "{keys:?}");
}

async fn state(fixture: &dyn MonitorFixture, id: &MonitorId) -> MonitorState {
    let monitor = fixture.monitor();
    done(monitor.as_uptime_monitors().unwrap().monitor(id).await).state
}

pub(super) async fn m_021_a_paused_check_is_paused(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let id = make(fixture).await.id;
    done(
        monitor
            .as_uptime_monitors()
            .unwrap()
            .pause_monitor(&id)
            .await,
    );
    assert_eq!(state(fixture, &id).await, MonitorState::Paused);
}

pub(super) async fn m_022_pausing_a_check_twice_is_success(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let id = make(fixture).await.id;
    done(checks.pause_monitor(&id).await);
    done(checks.pause_monitor(&id).await);
}

pub(super) async fn m_023_a_paused_check_stays_paused_when_it_is_ensured(
    fixture: &dyn MonitorFixture,
) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let spec = fixture.check(&fixture.unique("check"));
    let id = ensure(checks, spec.clone()).await.resource.id;
    done(checks.pause_monitor(&id).await);
    let before = state(fixture, &id).await;
    let interval = spec.interval * 2;
    ensure(checks, spec.with_interval(interval)).await;
    assert_eq!(state(fixture, &id).await, before);
}

pub(super) async fn m_024_a_resumed_check_is_not_paused(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let id = make(fixture).await.id;
    done(checks.pause_monitor(&id).await);
    done(checks.resume_monitor(&id).await);
    assert_ne!(state(fixture, &id).await, MonitorState::Paused);
}

pub(super) async fn m_025_a_deleted_check_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let id = make(fixture).await.id;
    done(checks.delete_monitor(&id).await);
    assert!(checks.monitor(&id).await.is_err());
}

pub(super) async fn m_026_deleting_a_check_twice_is_success(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let id = make(fixture).await.id;
    let first = done(checks.delete_monitor(&id).await);
    assert_ne!(first, DeleteOutcome::AlreadyGone);
    let again = done(checks.delete_monitor(&id).await);
    assert_ne!(again, DeleteOutcome::Deleted);
}

pub(super) async fn m_027_a_missing_check_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    missing(checks.monitor(&fixture.missing_monitor()).await);
}

pub(super) async fn m_028_pausing_a_missing_check_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    missing(checks.pause_monitor(&fixture.missing_monitor()).await);
    missing(checks.resume_monitor(&fixture.missing_monitor()).await);
}

pub(super) async fn m_029_an_awkward_id_is_nobody_elses(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let made = make(fixture).await;
    for tail in AWKWARD {
        let id = MonitorId::new(format!("{}{tail}", made.id)).unwrap();
        refused(
            checks.monitor(&id).await,
            &[ErrorKind::NotFound, ErrorKind::InvalidInput],
        );
    }
}

pub(super) async fn m_030_a_target_is_told_without_its_credentials(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let (key, canary) = (fixture.unique("check"), fixture.unique("canary"));
    let url = format!("https://shop.example/health?token={canary}");
    let made = ensure(checks, MonitorSpec::http(key, url)).await.resource;
    let seen = done(checks.monitor(&made.id).await);
    let text = format!("{:?} {:?}", made.target, seen.target);
    assert!(!text.contains(&canary), "a credential is told");
}

pub(super) async fn m_031_a_header_is_never_printed(fixture: &dyn MonitorFixture) -> Outcome {
    let monitor = fixture.monitor();
    let checks = monitor.as_uptime_monitors().unwrap();
    let (key, canary) = (fixture.unique("check"), fixture.unique("canary"));
    let headers = BTreeMap::from([("x-probe".to_owned(), Secret::from(canary.as_str()))]);
    let target = HttpTarget::new("https://shop.example/health").with_headers(headers);
    let spec = MonitorSpec::new(key, MonitorTarget::Http(target));
    let mut answers = done(checks.ensure_monitors(vec![spec]).await);
    match answers.remove(0) {
        Err(err) if err.is_unsupported() => {
            return Outcome::NotOffered("the vendor sends no headers");
        }
        made => {
            let text = format!("{monitor:?} {:?}", done(made));
            assert!(!text.contains(&canary), "the value of a header is printed");
        }
    }
    Outcome::Passed
}

pub(super) async fn m_032_a_check_tells_what_it_has_found(fixture: &dyn MonitorFixture) -> Outcome {
    let made = make(fixture).await;
    for found in [MonitorState::Down, MonitorState::Up] {
        if !fixture.observe(&made.id, found.clone()).await {
            return Outcome::NotOffered("the fixture makes no check find something");
        }
        eventually!(
            fixture,
            format_args!("the check is {found:?}"),
            (state(fixture, &made.id).await == found).then_some(())
        );
    }
    Outcome::Passed
}
