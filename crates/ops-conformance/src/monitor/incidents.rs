//! `Incidents`.

use std::time::Duration;

use ops_core::ErrorKind;
use ops_core::monitor::{
    Incident, IncidentQuery, IncidentSeverity, IncidentState, OpenIncidentRequest,
};

use super::MonitorFixture;
use crate::support::{done, drain, missing, refused};

fn request(key: &str) -> OpenIncidentRequest {
    OpenIncidentRequest::new(key, "The shop is down", IncidentSeverity::P0)
}

async fn open(fixture: &dyn MonitorFixture, key: &str) -> Incident {
    let monitor = fixture.monitor();
    done(
        monitor
            .as_incidents()
            .unwrap()
            .open_incident(request(key))
            .await,
    )
}

pub(super) async fn m_080_an_incident_is_opened(fixture: &dyn MonitorFixture) {
    let opened = open(fixture, &fixture.unique("down")).await;
    assert_eq!(opened.state, IncidentState::Open);
    assert_eq!(opened.title, "The shop is down");
}

pub(super) async fn m_081_one_key_opens_one_incident(fixture: &dyn MonitorFixture) {
    let key = fixture.unique("down");
    let opened = open(fixture, &key).await;
    assert_eq!(open(fixture, &key).await.id, opened.id);
}

pub(super) async fn m_082_an_incident_is_acknowledged_twice(fixture: &dyn MonitorFixture) {
    let opened = open(fixture, &fixture.unique("down")).await;
    let monitor = fixture.monitor();
    let incidents = monitor.as_incidents().unwrap();
    for _ in 0..2 {
        let taken = done(incidents.acknowledge_incident(&opened.id).await);
        assert_eq!(taken.state, IncidentState::Acknowledged);
    }
}

pub(super) async fn m_083_an_incident_is_resolved(fixture: &dyn MonitorFixture) {
    let opened = open(fixture, &fixture.unique("down")).await;
    let monitor = fixture.monitor();
    let incidents = monitor.as_incidents().unwrap();
    done(incidents.resolve_incident(&opened.id).await);
    let seen = done(incidents.incident(&opened.id).await);
    assert_eq!(seen.state, IncidentState::Resolved);
}

pub(super) async fn m_084_resolving_an_incident_twice_is_success(fixture: &dyn MonitorFixture) {
    let opened = open(fixture, &fixture.unique("down")).await;
    let monitor = fixture.monitor();
    let incidents = monitor.as_incidents().unwrap();
    done(incidents.resolve_incident(&opened.id).await);
    done(incidents.resolve_incident(&opened.id).await);
}

pub(super) async fn m_085_a_resolved_incident_is_not_acknowledged(fixture: &dyn MonitorFixture) {
    let opened = open(fixture, &fixture.unique("down")).await;
    let monitor = fixture.monitor();
    let incidents = monitor.as_incidents().unwrap();
    done(incidents.resolve_incident(&opened.id).await);
    refused(
        incidents.acknowledge_incident(&opened.id).await,
        &[ErrorKind::Conflict],
    );
}

pub(super) async fn m_086_a_resolved_key_opens_another_incident(fixture: &dyn MonitorFixture) {
    let key = fixture.unique("down");
    let opened = open(fixture, &key).await;
    let monitor = fixture.monitor();
    done(
        monitor
            .as_incidents()
            .unwrap()
            .resolve_incident(&opened.id)
            .await,
    );
    assert_ne!(open(fixture, &key).await.id, opened.id);
}

pub(super) async fn m_087_a_missing_incident_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let incidents = monitor.as_incidents().unwrap();
    missing(incidents.incident(&fixture.missing_incident()).await);
}

pub(super) async fn m_088_resolving_a_missing_incident_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let incidents = monitor.as_incidents().unwrap();
    missing(
        incidents
            .resolve_incident(&fixture.missing_incident())
            .await,
    );
}

pub(super) async fn m_089_incidents_are_listed_by_state(fixture: &dyn MonitorFixture) {
    let (one, other) = (
        open(fixture, &fixture.unique("down")).await,
        open(fixture, &fixture.unique("slow")).await,
    );
    let monitor = fixture.monitor();
    let incidents = monitor.as_incidents().unwrap();
    done(incidents.acknowledge_incident(&one.id).await);
    let query = IncidentQuery::default().with_state(IncidentState::Open);
    let listed = drain(incidents.list_incidents(query)).await.into_iter();
    let mut ids: Vec<_> = listed.map(|each| each.id).collect();
    ids.retain(|id| [&one.id, &other.id].contains(&id));
    assert_eq!(ids, [other.id]);
}

pub(super) async fn m_090_incidents_are_listed_newest_first(fixture: &dyn MonitorFixture) {
    let first = open(fixture, &fixture.unique("down")).await;
    fixture.advance(Duration::from_secs(60)).await;
    let second = open(fixture, &fixture.unique("slow")).await;
    let monitor = fixture.monitor();
    let listed = monitor
        .as_incidents()
        .unwrap()
        .list_incidents(IncidentQuery::default());
    let mut ids: Vec<_> = drain(listed)
        .await
        .into_iter()
        .map(|each| each.id)
        .collect();
    ids.retain(|id| [&first.id, &second.id].contains(&id));
    assert_eq!(ids, [second.id, first.id]);
}
