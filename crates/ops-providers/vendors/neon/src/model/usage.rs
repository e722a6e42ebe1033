//! What Neon meters.

use std::time::Duration;

use ops_core::usage::{Period, UsageItem, UsageUnit};
use ops_core::{Error, ErrorKind, Result, Timestamp};
use serde::Deserialize;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// What a project used in the present billing period.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Counters {
    active_time_seconds: Option<f64>,
    compute_time_seconds: Option<f64>,
    written_data_bytes: Option<f64>,
    data_transfer_bytes: Option<f64>,
    data_storage_bytes_hour: Option<f64>,
    consumption_period_start: Option<Timestamp>,
    consumption_period_end: Option<Timestamp>,
}

impl Counters {
    /// The billing period.
    pub(crate) fn period(&self) -> Result<Period> {
        let (Some(start), Some(end)) = (self.consumption_period_start, self.consumption_period_end)
        else {
            let message = "consumption_period_start or consumption_period_end is missing";
            return Err(Error::new(ErrorKind::Decode, message));
        };
        Period::new(start, end)
            .map_err(|err| Error::new(ErrorKind::Decode, "consumption_period_end").with_source(err))
    }

    /// What was metered, the rest absent.
    pub(crate) fn items(&self) -> Vec<UsageItem> {
        let byte_seconds = self.data_storage_bytes_hour.map(in_byte_seconds);
        named([
            ("active_time", UsageUnit::Seconds, self.active_time_seconds),
            (
                "compute_time",
                UsageUnit::CpuSeconds,
                self.compute_time_seconds,
            ),
            ("written_data", UsageUnit::Bytes, self.written_data_bytes),
            ("data_transfer", UsageUnit::Bytes, self.data_transfer_bytes),
            ("data_storage", UsageUnit::ByteSeconds, byte_seconds),
        ])
    }
}

#[expect(clippy::cast_precision_loss, reason = "an hour is a small number")]
fn in_byte_seconds(byte_hours: f64) -> f64 {
    byte_hours * HOUR as f64
}

fn named<const N: usize>(metered: [(&str, UsageUnit, Option<f64>); N]) -> Vec<UsageItem> {
    metered
        .into_iter()
        .filter_map(|(name, unit, used)| Some(UsageItem::new(name, unit, used?)))
        .collect()
}

/// How finely Neon tells what was used, which it keeps the shorter the finer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Granularity {
    Hourly,
    Daily,
    Monthly,
}

impl Granularity {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Monthly => "monthly",
        }
    }

    /// The finest that is still kept.
    fn kept_since(start: Timestamp, now: Timestamp) -> Self {
        let age = now.saturating_since(start).as_secs();
        if age < 168 * HOUR {
            Self::Hourly
        } else if age < 60 * DAY {
            Self::Daily
        } else {
            Self::Monthly
        }
    }

    /// The last boundary at or before an instant.
    fn floor(self, at: Timestamp) -> Timestamp {
        let pattern = match self {
            Self::Hourly => "%Y-%m-%dT%H:00:00Z",
            Self::Daily => "%Y-%m-%dT00:00:00Z",
            Self::Monthly => "%Y-%m-01T00:00:00Z",
        };
        at.strftime_utc(pattern).parse().unwrap_or(at)
    }

    /// The first boundary at or after an instant.
    fn ceil(self, at: Timestamp) -> Timestamp {
        let floor = self.floor(at);
        if floor == at {
            return at;
        }
        // No month is longer; one day too many is cut off again.
        let step = match self {
            Self::Hourly => HOUR,
            Self::Daily => DAY,
            Self::Monthly => 31 * DAY,
        };
        self.floor(floor.saturating_add(Duration::from_secs(step)))
    }
}

/// A span of what Neon keeps, cut at the boundaries of its granularity: Neon itself would
/// round both ends down, and leave out the end of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) granularity: Granularity,
}

impl History {
    pub(crate) fn of(period: Period, now: Timestamp) -> Self {
        let granularity = Granularity::kept_since(period.start, now);
        Self {
            from: granularity.floor(period.start),
            to: granularity.ceil(period.end),
            granularity,
        }
    }
}

/// What projects used, by billing period and then by hour, day or month.
#[derive(Debug, Deserialize)]
pub(crate) struct Consumption {
    projects: Vec<ProjectConsumption>,
}

#[derive(Debug, Deserialize)]
struct ProjectConsumption {
    periods: Vec<BillingPeriod>,
}

#[derive(Debug, Deserialize)]
struct BillingPeriod {
    consumption: Vec<Timeframe>,
}

#[derive(Debug, Deserialize)]
struct Timeframe {
    active_time_seconds: Option<f64>,
    compute_time_seconds: Option<f64>,
    written_data_bytes: Option<f64>,
    synthetic_storage_size_bytes: Option<f64>,
}

impl Consumption {
    /// Sums of what flows, and the most of what is stored.
    pub(crate) fn items(&self) -> Vec<UsageItem> {
        let sum = |of: fn(&Timeframe) -> Option<f64>| {
            self.timeframes().filter_map(of).reduce(|sum, it| sum + it)
        };
        let stored = |frame: &Timeframe| frame.synthetic_storage_size_bytes;
        let most = self.timeframes().filter_map(stored).reduce(f64::max);
        named([
            (
                "active_time",
                UsageUnit::Seconds,
                sum(|it| it.active_time_seconds),
            ),
            (
                "compute_time",
                UsageUnit::CpuSeconds,
                sum(|it| it.compute_time_seconds),
            ),
            (
                "written_data",
                UsageUnit::Bytes,
                sum(|it| it.written_data_bytes),
            ),
            ("synthetic_storage_size", UsageUnit::Bytes, most),
        ])
    }

    fn timeframes(&self) -> impl Iterator<Item = &Timeframe> {
        let periods = self.projects.iter().flat_map(|project| &project.periods);
        periods.flat_map(|period| &period.consumption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn history(start: &str, end: &str) -> (String, String, &'static str) {
        let period = Period::new(at(start), at(end)).unwrap();
        let history = History::of(period, at("2026-11-21T04:05:06Z"));
        let ends = (history.from.to_string(), history.to.to_string());
        (ends.0, ends.1, history.granularity.as_str())
    }

    #[test]
    fn the_finest_that_is_kept_is_asked_for_and_nothing_is_cut_off() {
        assert_eq!(
            history("2026-11-20T04:05:06Z", "2026-11-21T04:05:06Z"),
            (
                "2026-11-20T04:00:00Z".into(),
                "2026-11-21T05:00:00Z".into(),
                "hourly"
            )
        );
        assert_eq!(
            history("2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z"),
            (
                "2026-11-01T00:00:00Z".into(),
                "2026-11-20T00:00:00Z".into(),
                "daily"
            )
        );
        assert_eq!(
            history("2026-01-31T12:00:00Z", "2026-02-01T00:00:01Z"),
            (
                "2026-01-01T00:00:00Z".into(),
                "2026-03-01T00:00:00Z".into(),
                "monthly"
            )
        );
        assert_eq!(
            history("2025-12-05T12:00:00Z", "2025-12-31T23:59:59.999Z"),
            (
                "2025-12-01T00:00:00Z".into(),
                "2026-01-01T00:00:00Z".into(),
                "monthly"
            )
        );
    }

    #[test]
    fn what_flows_is_summed_and_the_most_of_what_is_stored_is_told() {
        let consumption: Consumption = serde_json::from_str(
            r#"{"projects": [{"periods": [
                {"consumption": [{"active_time_seconds": 1, "synthetic_storage_size_bytes": 9}]},
                {"consumption": [{"active_time_seconds": 2, "synthetic_storage_size_bytes": 7,
                                  "written_data_bytes": null}]}
            ]}]}"#,
        )
        .unwrap();
        let told: Vec<_> = consumption
            .items()
            .into_iter()
            .map(|item| (item.name, item.used))
            .collect();
        assert_eq!(
            told,
            [
                ("active_time".into(), 3.0),
                ("synthetic_storage_size".into(), 9.0)
            ]
        );
    }
}
