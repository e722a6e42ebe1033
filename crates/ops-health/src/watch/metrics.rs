//! What is told to the `metrics` facade. Every label is a name that was given at the build.

use std::time::Duration;

use super::Inner;
use crate::metrics::set;

/// The windows of the burn rates that are told.
const WINDOWS: [(&str, Duration); 6] = [
    ("5m", Duration::from_secs(300)),
    ("30m", Duration::from_secs(1800)),
    ("1h", Duration::from_secs(3600)),
    ("6h", Duration::from_secs(6 * 3600)),
    ("3d", Duration::from_secs(72 * 3600)),
    ("30d", Duration::from_secs(720 * 3600)),
];

/// Brings every gauge and counter up to date.
pub(super) fn publish(inner: &Inner) {
    for slo in &inner.slos {
        let name = slo.name();
        let labels = [("slo", name)];
        set(
            "ops_slo_error_budget_remaining_ratio",
            &labels,
            slo.remaining(),
        );
        for (window, span) in WINDOWS {
            let labels = [("slo", name), ("window", window)];
            set("ops_slo_burn_rate", &labels, slo.burn(span));
        }
    }
    let alerts = inner.alerts.load();
    for (rule, severity) in &inner.rules {
        let firing = alerts.iter().filter(|alert| alert.rule == *rule).count();
        let firing = u32::try_from(firing).unwrap_or(u32::MAX);
        let labels = [("rule", rule.as_str()), ("severity", severity.as_str())];
        set("ops_alerts_firing", &labels, f64::from(firing));
    }
    for report in inner.dispatcher.reports() {
        for (result, count) in [
            ("delivered", report.delivered),
            ("failed", report.failed),
            ("dropped", report.dropped),
            ("over_budget", report.over_budget),
        ] {
            counted(&report.sink, result, count);
        }
    }
}

#[cfg(feature = "metrics")]
fn counted(sink: &str, result: &'static str, count: u64) {
    let sink = sink.to_owned();
    metrics::counter!("ops_alert_deliveries_total", "sink" => sink, "result" => result)
        .absolute(count);
}

#[cfg(not(feature = "metrics"))]
const fn counted(_: &str, _: &'static str, _: u64) {}
