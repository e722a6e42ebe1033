//! How much of the time something was up.

use std::time::Duration;

use async_trait::async_trait;
use ops_core::Result;
use ops_core::id::MonitorId;
use ops_core::monitor::{UptimeReport, UptimeSummary};
use ops_core::usage::Period;

use crate::error::invalid;
use crate::{PROVIDER, UptimeRobot, api};

/// The longest period that UptimeRobot answers for.
const MAX_PERIOD: Duration = Duration::from_secs(90 * 86_400);

#[async_trait]
impl UptimeReport for UptimeRobot {
    /// Three requests: the check, its uptime and its response times. At most 90 days.
    /// UptimeRobot answers a number also for a check that has never looked, which is no
    /// ratio here.
    async fn uptime(&self, monitor: &MonitorId, period: Period) -> Result<UptimeSummary> {
        let check = self.check(monitor).await?;
        if period.end.saturating_since(period.start) > MAX_PERIOD {
            return Err(invalid("the period is longer than 90 days"));
        }
        let api = &self.inner.api;
        let told = api.execute(api::uptime(check.id, period)).await?;
        let named = |err: ops_core::Error| err.with_provider(PROVIDER);
        if !check.was_watching_before(period.end) {
            return Ok(UptimeSummary::new(told.period().map_err(named)?, None));
        }
        let mut summary = UptimeSummary::try_from(told).map_err(named)?;
        let times = api.execute(api::response_times(check.id, period)).await?;
        summary.mean_response = times.mean();
        Ok(summary)
    }
}
