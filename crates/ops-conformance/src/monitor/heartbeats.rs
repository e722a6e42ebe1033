//! `Heartbeats`.

use std::time::Duration;

use ops_core::monitor::{Beat, BeatKind, Heartbeat, HeartbeatState, Heartbeats};
use ops_core::{DeleteOutcome, EnsureOutcome, ErrorKind};

use super::MonitorFixture;
use crate::case::Outcome;
use crate::support::{done, drain, eventually, missing, refused};

async fn make(fixture: &dyn MonitorFixture) -> Heartbeat {
    let monitor = fixture.monitor();
    let spec = fixture.heartbeat(&fixture.unique("beat"));
    let heartbeats = monitor.as_heartbeats().unwrap();
    done(heartbeats.ensure_heartbeat(spec).await).resource
}

async fn state(heartbeats: &dyn Heartbeats, heartbeat: &Heartbeat) -> HeartbeatState {
    done(heartbeats.heartbeat(&heartbeat.id).await).state
}

pub(super) async fn m_040_a_missing_heartbeat_is_made(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let spec = fixture.heartbeat(&fixture.unique("beat"));
    let made = done(
        monitor
            .as_heartbeats()
            .unwrap()
            .ensure_heartbeat(spec)
            .await,
    );
    assert_eq!(made.outcome, EnsureOutcome::Created);
}

pub(super) async fn m_041_ensuring_the_same_again_is_unchanged(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let spec = fixture.heartbeat(&fixture.unique("beat"));
    done(heartbeats.ensure_heartbeat(spec.clone()).await);
    let again = done(heartbeats.ensure_heartbeat(spec).await);
    assert_eq!(again.outcome, EnsureOutcome::Unchanged);
}

pub(super) async fn m_042_the_address_of_a_heartbeat_stays(
    fixture: &dyn MonitorFixture,
) -> Outcome {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let spec = fixture.heartbeat(&fixture.unique("beat"));
    let made = done(heartbeats.ensure_heartbeat(spec.clone()).await).resource;
    let again = done(heartbeats.ensure_heartbeat(spec).await).resource;
    let (Some(before), Some(after)) = (made.url, again.url) else {
        return Outcome::NotOffered("the vendor gives no addresses");
    };
    assert!(before.matches(after.expose()), "another address");
    Outcome::Passed
}

pub(super) async fn m_043_a_heartbeat_that_differs_is_updated(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let mut spec = fixture.heartbeat(&fixture.unique("beat"));
    done(heartbeats.ensure_heartbeat(spec.clone()).await);
    spec.period *= 2;
    let changed = done(heartbeats.ensure_heartbeat(spec).await);
    assert_eq!(changed.outcome, EnsureOutcome::Updated);
}

pub(super) async fn m_044_a_beat_makes_it_up(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let made = make(fixture).await;
    done(heartbeats.beat(&made, Beat::success()).await);
    eventually!(
        fixture,
        "the heartbeat is up",
        (state(heartbeats, &made).await == HeartbeatState::Up).then_some(())
    );
}

async fn not_up_after(fixture: &dyn MonitorFixture, kind: BeatKind) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let made = make(fixture).await;
    done(heartbeats.beat(&made, Beat::new(kind)).await);
    assert_ne!(state(heartbeats, &made).await, HeartbeatState::Up);
}

pub(super) async fn m_045_a_failing_beat_is_no_success(fixture: &dyn MonitorFixture) {
    not_up_after(fixture, BeatKind::Fail).await;
    not_up_after(fixture, BeatKind::Exit(3)).await;
}

pub(super) async fn m_046_a_starting_beat_is_no_success(fixture: &dyn MonitorFixture) {
    not_up_after(fixture, BeatKind::Start).await;
}

pub(super) async fn m_047_a_long_message_is_cut_at_a_character(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let made = make(fixture).await;
    // The first byte makes every cut at an even place fall into a character.
    let message = format!("x{}", "é".repeat(20_000));
    let beat = Beat::success().with_message(message);
    done(monitor.as_heartbeats().unwrap().beat(&made, beat).await);
}

pub(super) async fn m_048_silence_is_the_alarm(fixture: &dyn MonitorFixture) -> Outcome {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let made = make(fixture).await;
    // By hand and not by `beat`, whose effect is another case.
    drop(heartbeats.beat(&made, Beat::success()).await);
    if !fixture.advance(Duration::from_secs(10 * 3_600)).await {
        return Outcome::NotOffered("the fixture does not advance the vendor's clock");
    }
    assert_eq!(state(heartbeats, &made).await, HeartbeatState::Down);
    Outcome::Passed
}

pub(super) async fn m_049_beating_a_deleted_heartbeat_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let made = make(fixture).await;
    done(heartbeats.delete_heartbeat(&made.id).await);
    missing(heartbeats.beat(&made, Beat::success()).await);
}

pub(super) async fn m_050_a_deleted_heartbeat_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let made = make(fixture).await;
    done(heartbeats.delete_heartbeat(&made.id).await);
    assert!(heartbeats.heartbeat(&made.id).await.is_err());
}

pub(super) async fn m_051_deleting_a_heartbeat_twice_is_success(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let made = make(fixture).await;
    let first = done(heartbeats.delete_heartbeat(&made.id).await);
    assert_ne!(first, DeleteOutcome::AlreadyGone);
    let again = done(heartbeats.delete_heartbeat(&made.id).await);
    assert_ne!(again, DeleteOutcome::Deleted);
}

pub(super) async fn m_052_a_missing_heartbeat_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    missing(heartbeats.heartbeat(&fixture.missing_heartbeat()).await);
}

pub(super) async fn m_053_a_heartbeat_is_listed_once_with_its_key(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let key = fixture.unique("beat");
    done(heartbeats.ensure_heartbeat(fixture.heartbeat(&key)).await);
    let listed = drain(heartbeats.list_heartbeats()).await.into_iter();
    let same = listed.filter(|each| each.key.as_ref() == Some(&key));
    assert_eq!(same.count(), 1);
}

pub(super) async fn m_054_a_period_of_nothing_is_refused(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let mut spec = fixture.heartbeat(&fixture.unique("beat"));
    spec.period = Duration::ZERO;
    refused(
        monitor
            .as_heartbeats()
            .unwrap()
            .ensure_heartbeat(spec)
            .await,
        &[ErrorKind::InvalidInput],
    );
}

pub(super) async fn m_055_the_address_is_never_printed(fixture: &dyn MonitorFixture) -> Outcome {
    let monitor = fixture.monitor();
    let made = make(fixture).await;
    let Some(url) = &made.url else {
        return Outcome::NotOffered("the vendor gives no addresses");
    };
    let text = format!("{monitor:?} {made:?}");
    assert!(!text.contains(url.expose()), "the address is printed");
    Outcome::Passed
}
