//! How much of the time something was up, and how fast it answered.

use std::time::Duration;

use ops_core::monitor::UptimeSummary;
use ops_core::usage::Period;
use ops_core::{Error, ErrorKind, Result, Timestamp};
use serde::Deserialize;

/// `MonitorUptimeStatsDto`.
#[derive(Debug, Deserialize)]
pub(crate) struct UptimeStats {
    /// In percent.
    uptime: f64,
    #[serde(default)]
    total_downtime_seconds: Option<f64>,
    #[serde(default)]
    incident_count: Option<f64>,
    from: Timestamp,
    to: Timestamp,
}

/// `MonitorResponseTimeStatsDto`.
#[derive(Debug, Deserialize)]
pub(crate) struct ResponseTimes {
    summary: Option<Summary>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    /// In milliseconds.
    avg: Option<f64>,
}

impl ResponseTimes {
    pub(crate) fn mean(&self) -> Option<Duration> {
        let avg = self.summary.as_ref()?.avg?;
        Duration::try_from_secs_f64(avg / 1_000.0).ok()
    }
}

impl UptimeStats {
    pub(crate) fn period(&self) -> Result<Period> {
        Period::new(self.from, self.to).map_err(|_| not_understood("to"))
    }
}

impl TryFrom<UptimeStats> for UptimeSummary {
    type Error = Error;

    fn try_from(told: UptimeStats) -> Result<Self> {
        if !(0.0..=100.0).contains(&told.uptime) {
            return Err(not_understood("uptime"));
        }
        let mut summary = Self::new(told.period()?, Some(told.uptime / 100.0));
        let seconds = told.total_downtime_seconds;
        summary.downtime = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
        summary.outages = told.incident_count.and_then(whole);
        Ok(summary)
    }
}

fn not_understood(field: &str) -> Error {
    let message = format!("the field {field} is not what it should be");
    Error::new(ErrorKind::Decode, message)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range has been checked"
)]
fn whole(number: f64) -> Option<u32> {
    (0.0..=f64::from(u32::MAX))
        .contains(&number)
        .then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn told(uptime: f64, to: &str) -> Value {
        json!({
            "uptime": uptime, "total_downtime_seconds": 90, "incident_count": 2, "mtbf": null,
            "from": "2026-11-20T00:00:00Z", "to": to,
        })
    }

    fn read(told: Value) -> Result<UptimeSummary> {
        from_value::<UptimeStats>(told).unwrap().try_into()
    }

    #[test]
    fn percents_become_a_ratio() {
        let summary = read(told(99.5, "2026-11-21T00:00:00Z")).unwrap();
        assert_eq!(summary.ratio, Some(0.995));
        assert_eq!(summary.downtime, Some(Duration::from_secs(90)));
        assert_eq!(summary.outages, Some(2));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (told, field) in [
            (told(101.0, "2026-11-21T00:00:00Z"), "uptime"),
            (told(-1.0, "2026-11-21T00:00:00Z"), "uptime"),
            (told(50.0, "2026-11-20T00:00:00Z"), "to"),
        ] {
            let err = read(told).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Decode);
            assert!(
                err.message().contains(&format!("the field {field} ")),
                "{err}"
            );
        }
    }

    #[test]
    fn no_measurement_is_no_mean() {
        for told in [
            json!({ "summary": { "avg": null } }),
            json!({ "summary": null }),
        ] {
            assert_eq!(from_value::<ResponseTimes>(told).unwrap().mean(), None);
        }
        let told = json!({ "summary": { "min": 1, "max": 9, "avg": 120.5 } });
        let mean = from_value::<ResponseTimes>(told).unwrap().mean();
        assert_eq!(mean, Some(Duration::from_micros(120_500)));
    }
}
