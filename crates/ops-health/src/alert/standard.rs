//! The rules that every service wants, with their defaults.

use std::time::Duration;

use ops_core::monitor::IncidentSeverity::{P0, P1, P2, P3};

use super::rule::{Op, Rule};
use super::signal::{Checks, Signal};
use crate::status::{Code, Kind, Status};

/// The rules that every service wants. Those whose checks, counters or objectives are not
/// there never fire.
///
/// | rule | condition | for | over | severity |
/// | --- | --- | --- | --- | --- |
/// | `service_down` | `/health` unhealthy | 1 min | healthy for 2 min | P0 |
/// | `data_loss_risk` | last backup older than 2 x RPO | | a backup | P0 |
/// | `error_rate` | > 5 % of at least 20 requests | 5 min | < 2.5 % | P1 |
/// | `latency` | p95 > 5 s of at least 20 requests | 5 min | < 4 s | P1 |
/// | `burn_fast` | burn 14.4 in 1 h and 5 min, or 6 in 6 h and 30 min | | below half | P1 |
/// | `burn_slow` | burn 1 in 3 d and 6 h | | below half | P2 |
/// | `disk_fail` | > 85 % | 5 min | < 82 % | P1 |
/// | `disk_warn` | > 80 % | 5 min | < 77 % | P2 |
/// | `backup_overdue` | last backup older than RPO | 15 min | a backup | P1 |
/// | `cert_expiring` | the limit that warns | | renewed | P3 |
/// | `cert_expiring_soon` | the limit that fails | | renewed | P1 |
/// | `cert_expired` | expired | | renewed | P0 |
/// | `pool_saturated` | >= 80 % with callers that wait | 1 min | < 60 % | P2 |
/// | `check_flapping` | > 5 changes in 30 min | | 1 h without any | P2 |
/// | `memory_high` | > 90 % of the limit | 5 min | < 80 % | P2 |
/// | `restore_drill_overdue` | the last restore drill is too old | | a drill | P3 |
/// | `sink_failing` | 3 deliveries in a row failed | | a delivery | P2 |
///
/// `rpo` is the recovery point objective of the backups. An archive that fails is a rule
/// of its own where there is one: [`archive_failing`].
#[must_use]
pub fn standard_rules(rpo: Duration) -> Vec<Rule> {
    let mut rules = traffic_rules();
    rules.extend(service_rules());
    rules.extend(machine_rules());
    rules.extend(backup_rules(rpo));
    rules.extend(certificate_rules());
    rules
}

/// Fires (`archive_failing`, P0) where archiving of the write-ahead log has failed for an
/// hour: what is written since then would be lost with the server. The closure tells for
/// how long it has been failing, `None` while it is not; it must not wait.
pub fn archive_failing(failing_for: impl Fn() -> Option<Duration> + Send + Sync + 'static) -> Rule {
    let signal = Signal::custom("archive", move || {
        Some(failing_for().unwrap_or_default().as_secs_f64())
    });
    Rule::new("archive_failing", signal, Op::AtLeast, 3600.0)
        .clear_at(1.0)
        .severity(P0)
        .group("backup")
        .summary("archiving of the write-ahead log has failed for an hour")
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// A rule about a condition: it fires at 1 and is over at 0.
fn when(id: &str, signal: Signal) -> Rule {
    Rule::new(id, signal, Op::AtLeast, 1.0)
}

fn traffic_rules() -> Vec<Rule> {
    vec![
        Rule::new("error_rate", Signal::error_rate(20), Op::Above, 0.05)
            .hold_for(minutes(5))
            .clear_at(0.025)
            .severity(P1)
            .depends_on("service_down")
            .group("availability")
            .summary("too many requests fail"),
        Rule::new("latency", Signal::latency(0.95, 20), Op::Above, 5.0)
            .hold_for(minutes(5))
            .clear_at(4.0)
            .severity(P1)
            .depends_on("service_down")
            .group("availability")
            .summary("answers take too long"),
        Rule::new("burn_fast", Signal::burn_fast(), Op::Above, 1.0)
            .clear_at(0.5)
            .severity(P1)
            .depends_on("service_down")
            .group("availability")
            .summary("the error budget is being spent fast"),
        Rule::new("burn_slow", Signal::burn_slow(), Op::Above, 1.0)
            .clear_at(0.5)
            .severity(P2)
            .depends_on("service_down")
            .depends_on("burn_fast")
            .group("availability")
            .summary("the error budget will not last"),
    ]
}

fn service_rules() -> Vec<Rule> {
    vec![
        when("service_down", Signal::unhealthy())
            .hold_for(minutes(1))
            .clear_for(minutes(2))
            .severity(P0)
            .group("availability")
            .summary("the service is down"),
        Rule::new(
            "pool_saturated",
            Signal::pool_in_use(Checks::OfKind(Kind::Pool)),
            Op::AtLeast,
            0.8,
        )
        .hold_for(minutes(1))
        .clear_at(0.6)
        .severity(P2)
        .group("pool")
        .summary("the connection pool is full and callers wait"),
        // The window of half an hour must be empty for half an hour: an hour of quiet.
        Rule::new(
            "check_flapping",
            Signal::flapping(Checks::All),
            Op::Above,
            5.0,
        )
        .clear_at(1.0)
        .clear_for(minutes(30))
        .severity(P2)
        .summary("a check comes and goes"),
        Rule::new("sink_failing", Signal::sink_failures(), Op::AtLeast, 3.0)
            .clear_at(1.0)
            .severity(P2)
            .summary("alerts do not get through"),
    ]
}

fn machine_rules() -> Vec<Rule> {
    let used = |word| Signal::observation(Checks::System(word), "utilization");
    vec![
        Rule::new("disk_fail", used("disk"), Op::Above, 0.85)
            .hold_for(minutes(5))
            .clear_at(0.82)
            .severity(P1)
            .group("machine")
            .summary("the disk is full"),
        Rule::new("disk_warn", used("disk"), Op::Above, 0.80)
            .hold_for(minutes(5))
            .clear_at(0.77)
            .severity(P2)
            .depends_on("disk_fail")
            .group("machine")
            .summary("the disk fills up"),
        Rule::new("memory_high", used("memory"), Op::Above, 0.90)
            .hold_for(minutes(5))
            .clear_at(0.80)
            .severity(P2)
            .group("machine")
            .summary("memory runs out"),
    ]
}

fn backup_rules(rpo: Duration) -> Vec<Rule> {
    let rpo = rpo.as_secs_f64();
    vec![
        Rule::new("data_loss_risk", Signal::backup_age(), Op::Above, 2.0 * rpo)
            .clear_at(rpo)
            .severity(P0)
            .group("backup")
            .summary("there is no backup of twice the time that may be lost"),
        Rule::new("backup_overdue", Signal::backup_age(), Op::Above, rpo)
            .hold_for(minutes(15))
            .severity(P1)
            .depends_on("data_loss_risk")
            .group("backup")
            .summary("the backup is late"),
        when("restore_drill_overdue", Signal::drill_overdue())
            .severity(P3)
            .group("backup")
            .summary("no backup was restored lately to test it"),
    ]
}

fn certificate_rules() -> Vec<Rule> {
    let code = |code, at_least| Signal::code(Checks::OfKind(Kind::Certificate), &[code], at_least);
    vec![
        when("cert_expired", code(Code::TlsExpired, Status::Degraded))
            .severity(P0)
            .group("certificate")
            .summary("the certificate has expired"),
        when(
            "cert_expiring_soon",
            code(Code::TlsExpiring, Status::Unhealthy),
        )
        .severity(P1)
        .depends_on("cert_expired")
        .group("certificate")
        .summary("the certificate expires very soon"),
        when("cert_expiring", code(Code::TlsExpiring, Status::Degraded))
            .severity(P3)
            .depends_on("cert_expiring_soon")
            .group("certificate")
            .summary("the certificate expires soon"),
    ]
}

/// Whether a rule of this name may look at counters that are not there.
pub(super) fn is_standard(id: &str) -> bool {
    matches!(id, "error_rate" | "latency")
}
