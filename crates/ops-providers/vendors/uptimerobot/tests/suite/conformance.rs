//! What every monitor does, against the fake.

use std::sync::Arc;
use std::time::Duration;

use ops_conformance::monitor::MonitorFixture;
use ops_conformance::{Fixture, async_trait};
use ops_core::id::{HeartbeatId, IncidentId, MonitorId, StatusPageId};
use ops_core::monitor::{Monitor, MonitorState};
use ops_core::{Clock, Timestamp};
use ops_uptimerobot::UptimeRobot;

use crate::fake::Fake;

/// An id of the form that UptimeRobot gives, which is nobody's.
const NOBODY: &str = "777";

struct UptimeRobotFixture {
    fake: Fake,
    robot: UptimeRobot,
}

impl UptimeRobotFixture {
    fn start() -> Self {
        let fake = Fake::start();
        Self {
            robot: fake.robot(),
            fake,
        }
    }
}

#[async_trait]
impl Fixture for UptimeRobotFixture {
    async fn advance(&self, by: Duration) -> bool {
        self.fake.clock.advance(by);
        true
    }
}

#[async_trait]
impl MonitorFixture for UptimeRobotFixture {
    fn monitor(&self) -> Arc<dyn Monitor> {
        Arc::new(self.robot.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &[
            "as_uptime_monitors",
            "as_heartbeats",
            "as_status_pages",
            "as_maintenance_windows",
            "as_uptime_report",
        ]
    }

    fn now(&self) -> Timestamp {
        self.fake.clock.now()
    }

    fn missing_monitor(&self) -> MonitorId {
        MonitorId::new(NOBODY).unwrap()
    }

    fn missing_heartbeat(&self) -> HeartbeatId {
        HeartbeatId::new(NOBODY).unwrap()
    }

    fn missing_incident(&self) -> IncidentId {
        IncidentId::new(NOBODY).unwrap()
    }

    fn missing_page(&self) -> StatusPageId {
        StatusPageId::new(NOBODY).unwrap()
    }

    async fn observe(&self, monitor: &MonitorId, state: MonitorState) -> bool {
        let found = match state {
            MonitorState::Up => "UP",
            MonitorState::Down => "DOWN",
            _ => return false,
        };
        let mut state = self.fake.state();
        let now = state.now();
        let monitor = state.monitor(monitor.as_str());
        monitor.is_some_and(|it| {
            it.log.push((now, found));
            true
        })
    }

    async fn new_page(&self) -> Option<StatusPageId> {
        let id = self.fake.state().seed_page("Shop & co");
        StatusPageId::new(id.to_string()).ok()
    }

    async fn received_updates(&self, page: &StatusPageId) -> Option<Vec<String>> {
        let state = self.fake.state();
        let mut pages = state.pages.iter();
        let page = pages.find(|it| it.id.to_string() == page.as_str())?;
        let titles = page.announcements.iter();
        Some(
            titles
                .map(|it| it["title"].as_str().unwrap_or_default().to_owned())
                .collect(),
        )
    }
}

ops_conformance::monitor!(UptimeRobotFixture::start());
