//! How much of the time something was up.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::MonitorId;
use crate::macros::setters;
use crate::usage::Period;

/// How much of a period something was up.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UptimeSummary {
    /// The part of the watched time in which it was up, between 0 and 1. Pauses and
    /// maintenance are not watched. `None` where nothing was watched.
    pub ratio: Option<f64>,
    /// The span of time that the vendor answered for.
    pub period: Period,
    /// How long it was down.
    pub downtime: Option<Duration>,
    /// How often it went down.
    pub outages: Option<u32>,
    /// How long an answer took on average.
    pub mean_response: Option<Duration>,
}

impl UptimeSummary {
    /// A ratio without details.
    #[must_use]
    pub fn new(period: Period, ratio: Option<f64>) -> Self {
        Self {
            ratio,
            period,
            downtime: None,
            outages: None,
            mean_response: None,
        }
    }

    /// Whether it reached an objective such as 0.995; `None` where nothing was watched.
    #[must_use]
    pub fn meets(&self, objective: f64) -> Option<bool> {
        self.ratio.map(|ratio| ratio >= objective)
    }
}

setters! { UptimeSummary {
    opt { with_downtime(downtime: Duration), with_outages(outages: u32), with_mean_response(mean_response: Duration) }
} }

/// How much of the time something was up. An ability of [`Monitor`](super::Monitor).
#[async_trait]
pub trait UptimeReport: fmt::Debug + Send + Sync + 'static {
    /// How much of a period a monitor found its target up.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a period that the vendor does not keep.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn uptime(&self, monitor: &MonitorId, period: Period) -> Result<UptimeSummary>;
}

const _: fn(&dyn UptimeReport) = |_| {};
