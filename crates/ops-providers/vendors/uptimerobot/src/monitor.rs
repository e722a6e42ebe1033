//! [`Monitor`] for an account at UptimeRobot.
//!
//! UptimeRobot's API v3 (<https://uptimerobot.com/api/v3/>, as described in July 2026). Checks
//! and heartbeats are both *monitors* there, told apart by their type. Our own key of each is
//! kept in a tag of it, so that its name can be anything.
//!
//! UptimeRobot answers reads from copies that lag behind writes: what was just made or
//! deleted may be missing or still there for some seconds.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use ops_core::id::ProviderId;
use ops_core::monitor::{
    Beat, HeartbeatSpec, HeartbeatState, Heartbeats, MaintenanceWindows, Monitor,
    MonitorDescription, MonitorLimits, SelfTest, SelfTestOutcome, StatusPages, UptimeMonitors,
    UptimeReport,
};
use ops_core::{DeleteOutcome, EnsureOutcome, Ensured, Error, ErrorKind, Result};

use crate::config::UptimeRobot;
use crate::error::refused;
use crate::model::body::MonitorBody;
use crate::model::text::tag_of_key;
use crate::{PROVIDER, api, model};

mod heartbeats;
mod maintenance;
mod status_pages;
mod uptime;
mod uptime_report;

/// The heartbeat that a self-test makes and deletes.
const SELF_TEST: &str = "ops-self-test";
const SELF_TEST_PERIOD: std::time::Duration = std::time::Duration::from_secs(3_600);

#[async_trait]
impl Monitor for UptimeRobot {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> MonitorLimits {
        MonitorLimits::default().with_min_interval(self.inner.settings.min_interval)
    }

    async fn describe(&self) -> Result<MonitorDescription> {
        let account = self.inner.api.execute(api::account()).await?;
        Ok(account.into())
    }

    /// Makes a heartbeat that tells nobody, beats, looks whether it is up, and deletes it.
    /// That the beat is not seen yet counts as accepted: reads lag behind.
    async fn self_test(&self) -> Result<SelfTest> {
        let start = self.inner.clock.now();
        let spec = HeartbeatSpec::new(SELF_TEST, SELF_TEST_PERIOD);
        let body = MonitorBody::heartbeat(&spec)?.without_alerts();
        let seen = self.ours(Some(SELF_TEST), true).await?.remove(SELF_TEST);
        let made = self.settle(&body, seen).await?.resource;
        let id = made.id;
        let beaten = self.beat_and_look(made).await;
        let deleted = self.inner.api.execute(api::delete_monitor(id)).await;
        let outcome = match (beaten, deleted) {
            (Ok(outcome), Ok(_)) => outcome,
            (Err(err), Ok(_)) => SelfTestOutcome::Failed(err.to_string()),
            (_, Err(err)) => {
                SelfTestOutcome::Failed(format!("the heartbeat {id} is left behind: {err}"))
            }
        };
        let took = self.inner.clock.now().saturating_since(start);
        Ok(SelfTest::new(vec![("heartbeat".to_owned(), outcome)], took))
    }

    fn as_uptime_monitors(&self) -> Option<&dyn UptimeMonitors> {
        Some(self)
    }

    fn as_heartbeats(&self) -> Option<&dyn Heartbeats> {
        Some(self)
    }

    fn as_status_pages(&self) -> Option<&dyn StatusPages> {
        Some(self)
    }

    fn as_maintenance_windows(&self) -> Option<&dyn MaintenanceWindows> {
        Some(self)
    }

    fn as_uptime_report(&self) -> Option<&dyn UptimeReport> {
        Some(self)
    }
}

impl UptimeRobot {
    async fn beat_and_look(&self, made: model::Monitor) -> Result<SelfTestOutcome> {
        let heartbeat = made.into_heartbeat(&self.inner.heartbeat_url)?;
        self.beat(&heartbeat, Beat::success()).await?;
        let seen = self.heartbeat(&heartbeat.id).await?;
        Ok(if seen.state == HeartbeatState::Up {
            SelfTestOutcome::Arrived
        } else {
            SelfTestOutcome::Accepted
        })
    }

    /// The checks or heartbeats that have a key, by it; of two with one key the older one.
    async fn ours(
        &self,
        key: Option<&str>,
        are_heartbeats: bool,
    ) -> Result<BTreeMap<String, model::Monitor>> {
        let tag = key.map(tag_of_key);
        let mut listed = self.inner.api.pages(api::monitors(tag.as_deref()));
        let mut ours = BTreeMap::<String, model::Monitor>::new();
        while let Some(monitor) = listed.try_next().await? {
            let Some(key) = monitor.key() else { continue };
            let is_older = ours.get(&key).is_none_or(|other| monitor.id < other.id);
            if monitor.is_heartbeat() == are_heartbeats && is_older {
                ours.insert(key, monitor);
            }
        }
        Ok(ours)
    }

    /// Makes what is missing, and changes what differs.
    async fn settle(
        &self,
        wanted: &MonitorBody,
        seen: Option<model::Monitor>,
    ) -> Result<Ensured<model::Monitor>> {
        let api = &self.inner.api;
        let Some(seen) = seen else {
            let made = api.execute(api::create_monitor(wanted)).await?;
            return Ok(Ensured::new(made, EnsureOutcome::Created));
        };
        let (is, should) = (seen.r#type.as_str(), wanted.type_name());
        if is != should {
            let message = format!("it is of type {is} and cannot become {should}: delete it first");
            return Err(refused(ErrorKind::Conflict, message).with_resource(seen.id.to_string()));
        }
        if wanted.is(&seen) {
            return Ok(Ensured::new(seen, EnsureOutcome::Unchanged));
        }
        let change = api::update_monitor(seen.id, &wanted.as_change());
        let changed = api.execute(change).await?;
        Ok(Ensured::new(changed, EnsureOutcome::Updated))
    }

    async fn delete(&self, id: &str) -> Result<DeleteOutcome> {
        let Some(id) = number(id) else {
            return Ok(DeleteOutcome::AlreadyGone);
        };
        let call = api::delete_monitor(id);
        Ok(deleted(self.inner.api.execute(call).await?))
    }
}

/// UptimeRobot's ids are numbers: another text is nobody's, and is not sent.
fn number(id: &str) -> Option<u64> {
    let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| is_number)
}

/// The number of something that must be there.
fn known(id: &str) -> Result<u64> {
    number(id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Error {
    Error::not_found(id).with_provider(PROVIDER)
}

fn deleted(existed: bool) -> DeleteOutcome {
    if existed {
        DeleteOutcome::Deleted
    } else {
        DeleteOutcome::AlreadyGone
    }
}
