//! Our own shape.

use bytes::Bytes;
use ops_core::Timestamp;
use serde::Serialize;

use super::{FullReport, Object, PublicReport, instant, json, millis};
use crate::aggregate::Reason;
use crate::outcome::Observation;
use crate::private::Authorized;
use crate::snapshot::CheckReport;
use crate::status::{Code, Criticality, Status};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    status: &'a str,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    maintenance: bool,
}

impl Head<'_> {
    fn new(status: Status, reason: Option<Reason>, timestamp: Timestamp) -> Self {
        let maintenance = reason == Some(Reason::Maintenance);
        Self {
            status: status.as_str(),
            timestamp: instant(timestamp),
            code: reason.filter(|_| !maintenance).map(Reason::as_str),
            maintenance,
        }
    }
}

pub(super) fn anonymous(report: &PublicReport<'_>) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a, C: Serialize> {
        #[serde(flatten)]
        head: Head<'a>,
        checks: C,
    }

    #[derive(Serialize)]
    struct Check {
        ok: bool,
        status: &'static str,
    }

    let head = Head::new(
        report.verdict.status,
        report.verdict.reason,
        report.timestamp,
    );
    match &report.names {
        None => json(&head),
        Some(names) => {
            let checks = names.iter().map(|(name, status)| {
                (
                    *name,
                    Check {
                        ok: status.is_up(),
                        status: status.as_str(),
                    },
                )
            });
            json(&Body {
                head,
                checks: Object(checks),
            })
        }
    }
}

pub(super) fn authorized(report: &FullReport<'_>, proof: &Authorized) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a, C: Serialize, G: Serialize, L: Serialize> {
        #[serde(flatten)]
        head: Head<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        service: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        uptime: f64,
        lifecycle: &'static str,
        checks: C,
        #[serde(skip_serializing_if = "Option::is_none")]
        gates: Option<G>,
        #[serde(skip_serializing_if = "Option::is_none")]
        liveness: Option<L>,
    }

    json(&Body {
        head: Head::new(
            report.verdict.status,
            report.verdict.reason,
            report.timestamp,
        ),
        service: report.service,
        version: report.version,
        uptime: report.uptime_seconds(),
        lifecycle: report.lifecycle.as_str(),
        checks: Object(
            report
                .checks
                .iter()
                .map(|check| (check.name.as_str(), entry(report, check, proof))),
        ),
        gates: (!report.gates.is_empty()).then(|| {
            Object(
                report
                    .gates
                    .iter()
                    .map(|(name, status)| (*name, status.as_str())),
            )
        }),
        liveness: (!report.signals.is_empty()).then(|| Object(report.signals.iter().copied())),
    })
}

/// The body of `/health/checks/{name}`.
pub(crate) fn one_check(report: &FullReport<'_>, check: &CheckReport, proof: &Authorized) -> Bytes {
    json(&entry(report, check, proof))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a JSON object, field by field"
)]
struct Entry<'a, O: Serialize> {
    ok: bool,
    status: &'static str,
    critical: bool,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "is_zero")]
    consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recovering: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refreshing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    caused_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observations: Option<O>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Serialize)]
struct Measured {
    value: f64,
    unit: &'static str,
}

fn entry<'a>(
    report: &FullReport<'_>,
    check: &'a CheckReport,
    proof: &Authorized,
) -> impl Serialize + use<'a> {
    let measured = |o: &Observation| {
        (
            o.name,
            Measured {
                value: o.value,
                unit: o.unit.as_str(),
            },
        )
    };
    Entry {
        ok: check.status.is_up(),
        status: check.status.as_str(),
        critical: check.criticality == Criticality::Critical,
        kind: check.kind.as_str(),
        code: (check.code != Code::Ok).then(|| check.code.as_str()),
        since: instant(check.since),
        checked_at: check.checked_at.map(instant),
        latency_ms: check.latency.map(millis),
        consecutive_failures: check.consecutive_failures,
        first_failure: check.first_failure.map(instant),
        // While it works, the last success is the last run.
        last_success: check
            .last_success
            .filter(|_| check.consecutive_failures > 0)
            .map(instant),
        pending: check.pending,
        recovering: check.recovering,
        refreshing: check.refreshing,
        caused_by: check.caused_by.as_deref(),
        observations: (!check.observations.is_empty())
            .then(|| Object(check.observations.iter().map(measured))),
        detail: report.detail(check, proof),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}
