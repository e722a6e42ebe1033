//! The base methods.

use super::MonitorFixture;
use crate::support::{done, drain};

pub(super) async fn m_001_the_abilities_are_those_that_are_declared(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let offered = [
        ("as_uptime_monitors", monitor.as_uptime_monitors().is_some()),
        ("as_heartbeats", monitor.as_heartbeats().is_some()),
        ("as_error_sink", monitor.as_error_sink().is_some()),
        ("as_log_sink", monitor.as_log_sink().is_some()),
        ("as_metric_sink", monitor.as_metric_sink().is_some()),
        ("as_incidents", monitor.as_incidents().is_some()),
        ("as_status_pages", monitor.as_status_pages().is_some()),
        (
            "as_maintenance_windows",
            monitor.as_maintenance_windows().is_some(),
        ),
        ("as_deploy_markers", monitor.as_deploy_markers().is_some()),
        ("as_uptime_report", monitor.as_uptime_report().is_some()),
    ];
    crate::support::assert_abilities(&offered, fixture.abilities());
}

pub(super) async fn m_002_the_account_is_named(fixture: &dyn MonitorFixture) {
    assert!(!done(fixture.monitor().describe().await).account.is_empty());
}

pub(super) async fn m_003_a_signal_arrives(fixture: &dyn MonitorFixture) {
    let test = done(fixture.monitor().self_test().await);
    assert!(test.passed(), "{test:?}");
}

pub(super) async fn m_004_the_self_test_leaves_no_heartbeat(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let heartbeats = monitor.as_heartbeats().unwrap();
    let before = drain(heartbeats.list_heartbeats()).await.len();
    drop(monitor.self_test().await);
    assert_eq!(drain(heartbeats.list_heartbeats()).await.len(), before);
}
