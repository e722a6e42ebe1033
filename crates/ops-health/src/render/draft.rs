//! `application/health+json`, from the Internet-Draft `draft-inadarei-api-health-check-06`.
//!
//! `output` holds our code, never text of a driver, and is absent for `pass`.

use bytes::Bytes;
use ops_core::Timestamp;
use serde::Serialize;

use super::{FullReport, Object, PublicReport, instant, json, millis};
use crate::outcome::{Observation, Unit};
use crate::snapshot::CheckReport;
use crate::status::{Code, Kind, Status};

const fn word(status: Status) -> &'static str {
    match status {
        Status::Healthy => "pass",
        Status::Degraded => "warn",
        Status::Unknown | Status::Unhealthy => "fail",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, C: Serialize> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<C>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measurement {
    #[serde(skip_serializing_if = "Option::is_none")]
    component_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'static str>,
}

pub(super) fn anonymous(report: &PublicReport<'_>) -> Bytes {
    let checks = report.names.as_ref().map(|names| {
        Object(names.iter().map(|(name, status)| {
            let bare = Measurement {
                component_type: None,
                observed_value: None,
                observed_unit: None,
                status: word(*status),
                time: None,
                output: None,
            };
            (*name, [bare])
        }))
    });
    json(&Body {
        status: word(report.verdict.status),
        version: None,
        release_id: None,
        service_id: None,
        notes: Vec::new(),
        checks,
    })
}

pub(super) fn authorized(report: &FullReport<'_>) -> Bytes {
    let lifecycle = report
        .verdict
        .reason
        .map(|reason| reason.as_str().to_owned());
    let causes = report
        .checks
        .iter()
        .filter(|check| check.code != Code::Ok)
        .map(|check| format!("{}: {}", check.name, check.code));
    json(&Body {
        status: word(report.verdict.status),
        version: report.version.and_then(|version| version.split('.').next()),
        release_id: report.version,
        service_id: report.service,
        notes: lifecycle.into_iter().chain(causes).collect(),
        checks: Some(Object(report.checks.iter().flat_map(measurements))),
    })
}

/// `name:responseTime`, and one entry for each number that the check measured.
fn measurements(
    check: &CheckReport,
) -> impl Iterator<Item = (String, [Measurement; 1])> + Clone + '_ {
    let time = (format!("{}:responseTime", check.name), None);
    std::iter::once(time)
        .chain(
            check
                .observations
                .iter()
                .map(|o| (format!("{}:{}", check.name, camel(o.name)), Some(o))),
        )
        .map(|(key, observation)| (key, [measurement(check, observation)]))
}

fn measurement(check: &CheckReport, observation: Option<&Observation>) -> Measurement {
    let (value, unit) = match observation {
        None => (check.latency.map(millis), "ms"),
        Some(o) if o.unit == Unit::Ratio => (Some((o.value * 1000.0).round() / 10.0), "percent"),
        Some(o) if o.unit == Unit::Seconds => (Some(o.value), "s"),
        Some(o) => (Some(o.value), o.unit.as_str()),
    };
    Measurement {
        component_type: Some(component(check.kind)),
        observed_value: value,
        observed_unit: value.map(|_| unit),
        status: word(check.status),
        time: check.checked_at.map(instant),
        output: (check.status != Status::Healthy).then(|| check.code.as_str()),
    }
}

/// The draft knows `component`, `datastore` and `system`.
const fn component(kind: Kind) -> &'static str {
    match kind {
        Kind::Datastore | Kind::Cache | Kind::ObjectStore => "datastore",
        Kind::System => "system",
        _ => "component",
    }
}

fn camel(snake: &str) -> String {
    let mut out = String::with_capacity(snake.len());
    let mut upper = false;
    for c in snake.chars() {
        if c == '_' {
            upper = true;
        } else if upper {
            out.push(c.to_ascii_uppercase());
            upper = false;
        } else {
            out.push(c);
        }
    }
    out
}
