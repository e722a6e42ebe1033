//! What the page shows, as JSON.

use std::time::Duration;

use bytes::Bytes;
use ops_core::Timestamp;
use ops_core::monitor::IncidentSeverity;
use serde::Serialize;

use super::seconds;
use crate::alert::Alert;
use crate::health::Health;
use crate::incident::Incident;
use crate::private::Authorized;
use crate::render::instant;
use crate::slo::Slo;
use crate::watch::Watch;

const HOUR: Duration = Duration::from_secs(3600);

/// How many incidents are shown.
const INCIDENTS: usize = 20;

#[derive(Serialize)]
struct Rest {
    history: Vec<super::history::Change>,
    alerts: Vec<Alert>,
    slos: Vec<Objective>,
    incidents: Vec<Shown>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Objective {
    name: String,
    target: f64,
    remaining: f64,
    burn_hour: f64,
    burn_six_hours: f64,
    exhaustion_seconds: Option<u64>,
}

impl Objective {
    fn new(slo: &Slo) -> Self {
        Self {
            name: slo.name().to_owned(),
            target: slo.objective(),
            remaining: slo.remaining(),
            burn_hour: slo.burn(HOUR),
            burn_six_hours: slo.burn(6 * HOUR),
            exhaustion_seconds: slo.time_to_exhaustion().map(seconds),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    title: String,
    severity: IncidentSeverity,
    state: &'static str,
    opened_at: Timestamp,
    recover_seconds: Option<u64>,
}

impl Shown {
    fn new(incident: &Incident) -> Self {
        Self {
            title: incident.title().to_owned(),
            severity: incident.severity(),
            state: incident.state().as_str(),
            opened_at: instant(incident.opened_at()),
            recover_seconds: incident.time_to_recover().map(seconds),
        }
    }
}

pub(super) fn body(health: &Health, watch: Option<&Watch>, proof: &Authorized) -> Bytes {
    let mut incidents = watch
        .and_then(Watch::incidents)
        .map(crate::incident::IncidentLog::list)
        .unwrap_or_default();
    incidents.sort_by_key(|incident| std::cmp::Reverse(incident.opened_at()));
    let rest = Rest {
        history: health.0.history.all(),
        alerts: watch.map(Watch::alerts).unwrap_or_default(),
        slos: watch
            .map(|watch| watch.slos().iter().map(Objective::new).collect())
            .unwrap_or_default(),
        incidents: incidents.iter().take(INCIDENTS).map(Shown::new).collect(),
    };
    // Serializing plain data to memory does not fail.
    let rest = serde_json::to_vec(&rest).unwrap_or_else(|_| b"{}".to_vec());
    let native = health.native_body(proof);
    let mut all = Vec::with_capacity(native.len() + rest.len() + 16);
    all.extend_from_slice(b"{\"health\":");
    all.extend_from_slice(&native);
    all.push(b',');
    all.extend_from_slice(rest.get(1..).unwrap_or_default());
    Bytes::from(all)
}
