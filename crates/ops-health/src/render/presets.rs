//! Three smaller shapes that applications already answer in.

use bytes::Bytes;
use ops_core::Timestamp;
use serde::Serialize;

use super::{FullReport, Object, PublicReport, instant, json};
use crate::status::Status;

/// Preset A and C have no word for unknown.
const fn three_words(status: Status) -> &'static str {
    match status {
        Status::Healthy => "healthy",
        Status::Degraded => "degraded",
        Status::Unknown | Status::Unhealthy => "unhealthy",
    }
}

const fn healthy_or_not(status: Status) -> &'static str {
    if status.is_up() {
        "healthy"
    } else {
        "unhealthy"
    }
}

fn states<'a>(report: &'a FullReport<'_>) -> impl Iterator<Item = (&'a str, Status)> + Clone {
    report
        .checks
        .iter()
        .map(|check| (check.name.as_str(), check.status))
}

fn shown<'a>(
    report: &'a PublicReport<'_>,
) -> Option<impl Iterator<Item = (&'a str, Status)> + Clone> {
    report.names.as_ref().map(|names| names.iter().copied())
}

fn a(
    status: Status,
    timestamp: Timestamp,
    checks: Option<impl Iterator<Item = (impl Serialize, Status)> + Clone>,
) -> Bytes {
    #[derive(Serialize)]
    struct Body<C: Serialize> {
        status: &'static str,
        timestamp: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        checks: Option<C>,
    }

    #[derive(Serialize)]
    struct Check {
        ok: bool,
    }

    let checks = checks.map(|all| Object(all.map(|(name, s)| (name, Check { ok: s.is_up() }))));
    json(&Body {
        status: three_words(status),
        timestamp: instant(timestamp),
        checks,
    })
}

pub(super) fn a_anonymous(report: &PublicReport<'_>) -> Bytes {
    a(report.verdict.status, report.timestamp, shown(report))
}

pub(super) fn a_authorized(report: &FullReport<'_>) -> Bytes {
    a(
        report.verdict.status,
        report.timestamp,
        Some(states(report)),
    )
}

fn b(
    status: Status,
    timestamp: Timestamp,
    uptime: Option<f64>,
    checks: Option<impl Iterator<Item = (impl Serialize, Status)> + Clone>,
) -> Bytes {
    #[derive(Serialize)]
    struct Body<C: Serialize> {
        status: &'static str,
        timestamp: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        uptime: Option<f64>,
        #[serde(flatten)]
        checks: Option<C>,
    }

    let connected = |s: Status| {
        if s.is_up() {
            "connected"
        } else {
            "disconnected"
        }
    };
    json(&Body {
        status: if status.is_up() { "ok" } else { "error" },
        timestamp: instant(timestamp),
        uptime,
        checks: checks.map(|all| Object(all.map(|(name, s)| (name, connected(s))))),
    })
}

pub(super) fn b_anonymous(report: &PublicReport<'_>) -> Bytes {
    b(report.verdict.status, report.timestamp, None, shown(report))
}

pub(super) fn b_authorized(report: &FullReport<'_>) -> Bytes {
    let uptime = Some(report.uptime_seconds());
    b(
        report.verdict.status,
        report.timestamp,
        uptime,
        Some(states(report)),
    )
}

fn c(
    status: Status,
    timestamp: Timestamp,
    checks: Option<impl Iterator<Item = (impl Serialize, Status)> + Clone>,
) -> Bytes {
    #[derive(Serialize)]
    struct Body<C: Serialize> {
        status: &'static str,
        timestamp: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        services: Option<C>,
    }

    let services = checks.map(|all| Object(all.map(|(name, s)| (name, healthy_or_not(s)))));
    json(&Body {
        status: healthy_or_not(status),
        timestamp: instant(timestamp),
        services,
    })
}

pub(super) fn c_anonymous(report: &PublicReport<'_>) -> Bytes {
    c(report.verdict.status, report.timestamp, shown(report))
}

pub(super) fn c_authorized(report: &FullReport<'_>) -> Bytes {
    c(
        report.verdict.status,
        report.timestamp,
        Some(states(report)),
    )
}
