//! Checks.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, future};
use ops_core::id::MonitorId;
use ops_core::monitor::{MonitorInfo, MonitorSpec, UptimeMonitors};
use ops_core::{DeleteOutcome, Ensured, ItemStream, Result};

use crate::error::invalid;
use crate::model::Monitor;
use crate::model::body::MonitorBody;
use crate::{UptimeRobot, api};

#[async_trait]
impl UptimeMonitors for UptimeRobot {
    fn list_monitors(&self) -> ItemStream<MonitorInfo> {
        let listed = self.inner.api.pages(api::monitors(None));
        let checks = listed.try_filter(|monitor| future::ready(!monitor.is_heartbeat()));
        checks.map(|check| check?.into_info()).boxed()
    }

    async fn monitor(&self, monitor: &MonitorId) -> Result<MonitorInfo> {
        self.check(monitor).await?.into_info()
    }

    /// One listing, and one request for each check that is missing or differs. A check
    /// cannot become one of another type, as one with a keyword is: that is `Conflict`.
    ///
    /// UptimeRobot takes no idempotency keys and its listing lags behind: a check that was
    /// made with an unknown outcome may be made twice where it is ensured again at once.
    async fn ensure_monitors(
        &self,
        specs: Vec<MonitorSpec>,
    ) -> Result<Vec<Result<Ensured<MonitorInfo>>>> {
        let mut keys = BTreeSet::new();
        if !specs.iter().all(|spec| keys.insert(spec.key.as_str())) {
            return Err(invalid("two checks have one key"));
        }
        let least = self.inner.settings.min_interval;
        let wanted = specs.iter().map(|spec| MonitorBody::check(spec, least));
        let wanted: Vec<_> = wanted.collect();
        let mut answers = Vec::with_capacity(specs.len());
        if wanted.iter().all(Result::is_err) {
            answers.extend(wanted.into_iter().filter_map(Result::err).map(Err));
            return Ok(answers);
        }
        let only = match specs.as_slice() {
            [one] => Some(one.key.as_str()),
            _ => None,
        };
        let mut there = self.ours(only, false).await?;
        for (spec, wanted) in specs.iter().zip(wanted) {
            answers.push(match wanted {
                Ok(wanted) => self.ensure(spec, &wanted, there.remove(&spec.key)).await,
                Err(err) => Err(err),
            });
        }
        Ok(answers)
    }

    async fn delete_monitor(&self, monitor: &MonitorId) -> Result<DeleteOutcome> {
        self.delete(monitor.as_str()).await
    }

    async fn pause_monitor(&self, monitor: &MonitorId) -> Result<()> {
        let id = super::known(monitor.as_str())?;
        self.inner.api.execute(api::pause_monitor(id)).await
    }

    async fn resume_monitor(&self, monitor: &MonitorId) -> Result<()> {
        let id = super::known(monitor.as_str())?;
        self.inner.api.execute(api::start_monitor(id)).await
    }
}

impl UptimeRobot {
    /// A monitor that is no heartbeat.
    pub(super) async fn check(&self, monitor: &MonitorId) -> Result<Monitor> {
        let id = super::known(monitor.as_str())?;
        let seen = self.inner.api.execute(api::monitor(id)).await?;
        if seen.is_heartbeat() {
            return Err(super::missing(monitor.as_str()));
        }
        Ok(seen)
    }

    async fn ensure(
        &self,
        spec: &MonitorSpec,
        wanted: &MonitorBody,
        seen: Option<Monitor>,
    ) -> Result<Ensured<MonitorInfo>> {
        let ensured = self.settle(wanted, seen).await?;
        let info = ensured.resource.into_info()?;
        let info = info.with_key(spec.key.as_str());
        Ok(Ensured::new(info, ensured.outcome))
    }
}
