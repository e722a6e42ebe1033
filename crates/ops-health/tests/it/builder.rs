use ops_core::ErrorKind;
use ops_health::checks::{Disk, Percent};
use ops_health::{
    Criticality, DrainPlan, Groups, Health, Host, MaintenanceWindow, Mode, Policy, Watchdog,
};

use crate::support::{Scripted, seconds};

fn problems(builder: ops_health::HealthBuilder) -> String {
    let err = builder.build().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    err.message().to_owned()
}

fn with_policy(policy: Policy) -> ops_health::HealthBuilder {
    Health::builder()
        .check(Scripted::healthy("db"))
        .policy(|_| policy)
}

#[test]
fn every_problem_is_reported_in_one_error() {
    let message = problems(
        Health::builder()
            .critical()
            .check(Scripted::healthy("db"))
            .policy(|policy| policy.with_thresholds(0, 1))
            .check(Scripted::healthy("db"))
            .timeout(seconds(0))
            .check(Scripted::healthy("Main-DB"))
            .check(Disk::new("").warn_at(Percent::new(90)))
            .bearer_token("short")
            .degraded_status(404)
            .max_concurrency(0)
            .host(Host::DOCKER)
            .drain_plan(DrainPlan::default()),
    );
    for expected in [
        "`critical` is set before the first check",
        "there are two of the check `db`",
        "\"Main-DB\" is not a lowercase letter",
        "check `db`: a threshold is zero",
        "check `db`: the timeout is zero",
        "check `disk`: the path is empty",
        "check `disk`: it warns at 90 % and fails at 85 %",
        "shorter than 32 characters",
        "404 for degraded",
        "the concurrency is zero",
        "draining takes up to 30s, but docker kills after 10s",
    ] {
        assert!(
            message.contains(expected),
            "{expected:?} is missing in: {message}"
        );
    }
    assert_eq!(message.matches("; ").count(), 11, "{message}");
    assert!(
        !message.contains("short;") && !message.contains("\"short\""),
        "{message}"
    );
}

#[test]
fn names_are_metric_labels() {
    for name in [
        "", "1db", "_db", "db-1", "Db", "db.main", "dbß", "status", "uptime",
    ] {
        problems(Health::builder().check(Scripted::healthy(name)));
    }
    let longest: &'static str = "a23456789_123456789_123456789_123456789_123456789_123456789_123";
    assert_eq!(longest.len(), 63);
    Health::builder()
        .check(Scripted::healthy(longest))
        .build()
        .unwrap();
}

#[test]
fn a_stale_limit_shorter_than_one_cycle_is_refused() {
    let policy = Policy::default().with_stale_after(seconds(11));
    assert!(problems(with_policy(policy)).contains("stale_after of 11s is shorter"));
    with_policy(Policy::default().with_stale_after(seconds(12)))
        .build()
        .unwrap();
}

#[test]
fn contradicting_intervals_are_refused() {
    problems(with_policy(
        Policy::default().with_retry_interval(seconds(11)),
    ));
    problems(with_policy(
        Policy::default().with_retry_interval(seconds(0)),
    ));
    problems(with_policy(Policy::default().with_interval(seconds(0))));
    problems(with_policy(Policy::default().with_jitter(0.6)));
    problems(with_policy(Policy::default().with_jitter(f64::NAN)));
    problems(with_policy(
        Policy::default().with_interval(std::time::Duration::MAX),
    ));
}

#[test]
fn an_interval_below_its_lower_limit_is_raised_to_it() {
    let policy = Policy::default().with_min_interval(seconds(60));
    assert_eq!(policy.interval(), seconds(60));
    assert_eq!(policy.retry_interval(), seconds(60));
    assert_eq!(policy.stale_after(), seconds(182));
    with_policy(policy).build().unwrap();
}

#[test]
fn the_builder_does_not_print_its_token() {
    let builder = Health::builder().bearer_token(crate::support::TOKEN);
    assert!(!format!("{builder:?}").contains(crate::support::TOKEN));
}

#[test]
fn contradictions_of_modes_dependencies_and_limits_are_refused() {
    let on_demand = |ttl| Policy::default().with_mode(Mode::OnDemand { ttl });
    for (policy, expected) in [
        (on_demand(seconds(0)), "the ttl is zero"),
        (
            on_demand(seconds(1)).with_groups(Groups::STARTUP),
            "a check of the start cannot run on demand",
        ),
        (
            on_demand(seconds(1)).with_unrecoverable_after(seconds(60)),
            "a check that runs on demand cannot end the process",
        ),
        (
            on_demand(seconds(1)).with_stale_after(seconds(2)),
            "stale_after of 2s is shorter than ttl and timeout together, 3s",
        ),
        (
            Policy::default()
                .with_criticality(Criticality::NonCritical)
                .with_unrecoverable_after(seconds(60)),
            "only a critical check can end the process",
        ),
        (
            Policy::default().with_unrecoverable_after(seconds(21)),
            "shorter than it takes to be sure of a failure, 22s",
        ),
        (
            Policy::default().with_dependency("dbx"),
            "check `db`: it depends on `dbx`, which is no check",
        ),
        (
            Policy::default().with_dependency("db"),
            "check `db`: it depends on itself",
        ),
    ] {
        let message = problems(with_policy(policy));
        assert!(
            message.contains(expected),
            "{expected:?} is missing in: {message}"
        );
        assert_eq!(message.matches("; ").count(), 0, "{message}");
    }
    let circle = Health::builder()
        .check(Scripted::healthy("a"))
        .depends_on("b")
        .check(Scripted::healthy("b"))
        .depends_on("a")
        .check(Scripted::healthy("c"))
        .depends_on("a");
    let message = problems(circle);
    assert_eq!(
        message.matches("it depends on itself").count(),
        2,
        "{message}"
    );
    let at = |text: &str| text.parse().unwrap();
    let window = MaintenanceWindow::new(at("2026-03-01T04:00:00Z"), at("2026-03-01T03:00:00Z"));
    assert!(problems(Health::builder().maintenance_window(window)).contains("ends before"));
    let watchdog = Watchdog::new().interval(seconds(0));
    assert!(problems(Health::builder().watchdog(watchdog)).contains("interval is zero"));
}
