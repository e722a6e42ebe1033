//! The contract of `Monitor`. Each case is given a provider of an empty account with every
//! ability.

use std::time::Duration;

use ops_core::id::{HeartbeatId, IncidentId, MonitorId, StatusPageId};
use ops_core::monitor::{
    Beat, HeartbeatSpec, HeartbeatState, IncidentQuery, IncidentSeverity, IncidentState, LogLevel,
    LogRecord, Metric, Monitor, MonitorSpec, MonitorState, OpenIncidentRequest, StatusUpdate,
};
use ops_core::{DeleteOutcome, EnsureOutcome, ErrorKind, MonitorExt, Timestamp};

use crate::support::all;

pub(crate) async fn the_account_is_described_and_a_signal_arrives(monitor: &dyn Monitor) {
    assert!(!monitor.describe().await.unwrap().account.is_empty());
    let test = monitor.self_test().await.unwrap();
    assert!(test.passed(), "{test:?}");
    // What the test made is gone.
    assert!(
        all(monitor.require_heartbeats().unwrap().list_heartbeats())
            .await
            .is_empty()
    );
}

pub(crate) async fn ensuring_checks_makes_changes_and_leaves(monitor: &dyn Monitor) {
    let monitors = monitor.require_uptime_monitors().unwrap();
    let specs = || {
        vec![
            MonitorSpec::http("a", "https://a.example/health"),
            MonitorSpec::http("b", "https://b.example/health"),
        ]
    };
    let outcomes = |answers: &[ops_core::Result<ops_core::Ensured<_>>]| {
        answers
            .iter()
            .map(|answer| answer.as_ref().unwrap().outcome)
            .collect::<Vec<_>>()
    };
    let made = monitors.ensure_monitors(specs()).await.unwrap();
    assert_eq!(outcomes(&made), [EnsureOutcome::Created; 2]);
    let again = monitors.ensure_monitors(specs()).await.unwrap();
    assert_eq!(outcomes(&again), [EnsureOutcome::Unchanged; 2]);
    let mut changed = specs();
    changed[1] =
        MonitorSpec::http("b", "https://b.example/health").with_interval(Duration::from_secs(600));
    let changed = monitors.ensure_monitors(changed).await.unwrap();
    assert_eq!(
        outcomes(&changed),
        [EnsureOutcome::Unchanged, EnsureOutcome::Updated]
    );
    let listed = all(monitors.list_monitors()).await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].interval, Some(Duration::from_secs(600)));
}

pub(crate) async fn one_bad_check_does_not_stop_the_others(monitor: &dyn Monitor) {
    let monitors = monitor.require_uptime_monitors().unwrap();
    let specs = vec![
        MonitorSpec::http("bad", "gopher://a.example"),
        MonitorSpec::http("good", "https://a.example"),
    ];
    let answers = monitors.ensure_monitors(specs).await.unwrap();
    assert_eq!(
        answers[0].as_ref().unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(answers[1].as_ref().unwrap().outcome, EnsureOutcome::Created);
    let twice = vec![
        MonitorSpec::http("x", "https://x"),
        MonitorSpec::http("x", "https://y"),
    ];
    let err = monitors.ensure_monitors(twice).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(all(monitors.list_monitors()).await.len(), 1);
}

pub(crate) async fn a_check_is_paused_resumed_and_deleted(monitor: &dyn Monitor) {
    let monitors = monitor.require_uptime_monitors().unwrap();
    let spec = MonitorSpec::http("a", "https://a.example");
    let id = monitor
        .ensure_monitor(spec.clone())
        .await
        .unwrap()
        .resource
        .id;
    monitors.pause_monitor(&id).await.unwrap();
    monitors.pause_monitor(&id).await.unwrap();
    let ensured = monitor.ensure_monitor(spec).await.unwrap();
    assert_eq!(ensured.resource.state, MonitorState::Paused);
    monitors.resume_monitor(&id).await.unwrap();
    assert_ne!(
        monitors.monitor(&id).await.unwrap().state,
        MonitorState::Paused
    );
    assert_ne!(
        monitors.delete_monitor(&id).await.unwrap(),
        DeleteOutcome::AlreadyGone
    );
    assert_ne!(
        monitors.delete_monitor(&id).await.unwrap(),
        DeleteOutcome::Deleted
    );
    assert!(monitors.monitor(&id).await.unwrap_err().is_not_found());
    let missing = MonitorId::new("no-such-monitor").unwrap();
    assert!(
        monitors
            .pause_monitor(&missing)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

pub(crate) async fn a_heartbeat_beats(monitor: &dyn Monitor) {
    let heartbeats = monitor.require_heartbeats().unwrap();
    let spec = HeartbeatSpec::new("backup", Duration::from_secs(3600));
    let made = heartbeats.ensure_heartbeat(spec.clone()).await.unwrap();
    assert_eq!(made.outcome, EnsureOutcome::Created);
    assert_eq!(made.resource.state, HeartbeatState::Pending);
    heartbeats
        .beat(&made.resource, Beat::success())
        .await
        .unwrap();
    let again = heartbeats.ensure_heartbeat(spec).await.unwrap();
    assert_eq!(again.outcome, EnsureOutcome::Unchanged);
    assert_eq!(again.resource.state, HeartbeatState::Up);
    assert!(again.resource.last_beat_at.is_some());
    if let (Some(before), Some(after)) = (&made.resource.url, &again.resource.url) {
        assert!(before.matches(after.expose()));
        assert!(!format!("{made:?}").contains(before.expose()));
    }
    heartbeats.beat(&made.resource, Beat::fail()).await.unwrap();
    let failed = heartbeats.heartbeat(&made.resource.id).await.unwrap();
    assert_eq!(failed.state, HeartbeatState::Down);
    heartbeats
        .delete_heartbeat(&made.resource.id)
        .await
        .unwrap();
    heartbeats
        .delete_heartbeat(&made.resource.id)
        .await
        .unwrap();
    assert!(
        heartbeats
            .beat(&made.resource, Beat::success())
            .await
            .unwrap_err()
            .is_not_found()
    );
    let missing = HeartbeatId::new("no-such-heartbeat").unwrap();
    assert!(
        heartbeats
            .heartbeat(&missing)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

pub(crate) async fn an_incident_is_opened_once_taken_and_resolved(monitor: &dyn Monitor) {
    let incidents = monitor.require_incidents().unwrap();
    let request = OpenIncidentRequest::new("shop:down", "The shop is down", IncidentSeverity::P0);
    let opened = incidents.open_incident(request.clone()).await.unwrap();
    assert_eq!(
        incidents.open_incident(request.clone()).await.unwrap().id,
        opened.id
    );
    assert_eq!(opened.state, IncidentState::Open);
    let taken = incidents.acknowledge_incident(&opened.id).await.unwrap();
    assert_eq!(taken.state, IncidentState::Acknowledged);
    let over = incidents.resolve_incident(&opened.id).await.unwrap();
    assert_eq!(over.state, IncidentState::Resolved);
    assert_eq!(incidents.resolve_incident(&opened.id).await.unwrap(), over);
    let late = incidents
        .acknowledge_incident(&opened.id)
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);

    let next = incidents.open_incident(request).await.unwrap();
    assert_ne!(next.id, opened.id);
    let query = IncidentQuery::default().with_state(IncidentState::Open);
    let open: Vec<_> = all(incidents.list_incidents(query))
        .await
        .into_iter()
        .map(|i| i.id)
        .collect();
    assert_eq!(open, [next.id]);
    let missing = IncidentId::new("no-such-incident").unwrap();
    assert!(
        incidents
            .incident(&missing)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

pub(crate) async fn logs_and_metrics_are_taken_and_what_is_wrong_is_named(monitor: &dyn Monitor) {
    let at = Timestamp::UNIX_EPOCH;
    let logs = monitor.require_log_sink().unwrap();
    let records = vec![LogRecord::new(at, LogLevel::Info, "shop", "started")];
    assert_eq!(logs.send_logs(records).await.unwrap().accepted, 1);
    assert_eq!(logs.send_logs(Vec::new()).await.unwrap().accepted, 0);
    let metrics = monitor.require_metric_sink().unwrap();
    let values = vec![
        Metric::gauge("load", at, 0.5),
        Metric::gauge("load", at, f64::NAN),
    ];
    let accepted = metrics.send_metrics(values).await.unwrap();
    assert_eq!((accepted.accepted, accepted.rejected.len()), (1, 1));
    assert_eq!(accepted.rejected[0].index, 1);
}

pub(crate) async fn a_status_page_that_is_missing_is_not_found(monitor: &dyn Monitor) {
    let pages = monitor.require_status_pages().unwrap();
    let missing = StatusPageId::new("no-such-page").unwrap();
    assert!(
        pages
            .status_page(&missing)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let update = StatusUpdate::new("Down", "We are looking into it.");
    assert!(
        pages
            .post_status_update(&missing, update)
            .await
            .unwrap_err()
            .is_not_found()
    );
}
