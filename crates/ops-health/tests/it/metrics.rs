//! What a recorder of the facade is told.

use std::sync::Arc;
use std::time::Duration;

use ops_core::async_trait;
use ops_health::alert::{LogNotifier, Sink, standard_rules};
use ops_health::checks::{BackupFacts, BackupFreshness, BackupSource, Disk, Pool, PoolUsage};
use ops_health::slo::Slo;
use ops_health::{Check, CheckCtx, Code, Outcome, Watch};
use tokio::time::sleep;

use crate::recorder::Seen;
use crate::support::{Act, Scripted, get, seconds, service, settle};

#[track_caller]
fn expect(seen: &Seen, all: &[(&str, f64)]) {
    for (name, value) in all {
        let found = seen.get(name);
        assert!(
            found.is_some_and(|found| (found - value).abs() < 1e-9),
            "{name} is {found:?} and not {value}: {}",
            seen.all()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_number_of_a_service_has_its_name() {
    let seen = Seen::default();
    let _installed = metrics::set_default_local_recorder(&seen);
    let db = Scripted::healthy("db");
    let health = service()
        .check(db.clone())
        .check(Scripted::new(
            "disk",
            Outcome::degraded(Code::ThresholdWarn),
        ))
        .non_critical()
        .metrics(|| "exported".to_owned())
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    expect(
        &seen,
        &[
            ("ops_health_status{state=degraded}", 1.0),
            ("ops_health_status{state=healthy}", 0.0),
            ("ops_health_check_status{check=db,state=healthy}", 1.0),
            ("ops_health_check_status{check=disk,state=degraded}", 1.0),
            ("ops_health_check_up{check=db,critical=true}", 1.0),
            ("ops_health_check_up{check=disk,critical=false}", 1.0),
            ("ops_health_check_runs_total{check=db,result=pass}", 1.0),
            ("ops_health_check_runs_total{check=disk,result=warn}", 1.0),
            ("ops_health_check_duration_seconds{check=db}", 1.0),
            (
                "ops_health_transitions_total{check=db,from=unknown,to=healthy}",
                1.0,
            ),
            ("ops_health_lifecycle{state=serving}", 1.0),
        ],
    );
    let succeeded = seen.get("ops_health_check_last_success_timestamp_seconds{check=db}");
    assert!(succeeded.unwrap() > 1.7e9);

    db.set(Act::Panic("a check panics on purpose"));
    sleep(seconds(11)).await;
    db.set(Act::Hang);
    sleep(seconds(8)).await;
    db.returns(Outcome::unhealthy(Code::Refused));
    sleep(seconds(5)).await;
    expect(
        &seen,
        &[
            ("ops_health_check_runs_total{check=db,result=panic}", 1.0),
            ("ops_health_check_runs_total{check=db,result=timeout}", 1.0),
            ("ops_health_check_runs_total{check=db,result=fail}", 1.0),
            ("ops_health_check_consecutive_failures{check=db}", 3.0),
            ("ops_health_check_up{check=db,critical=true}", 0.0),
            ("ops_health_status{state=unhealthy}", 1.0),
            (
                "ops_health_transitions_total{check=db,from=healthy,to=unhealthy}",
                1.0,
            ),
        ],
    );
    get(&health, "/health");
    get(&health, "/health/live");
    get(&health, "/health/live");
    let reply = get(&health, "/metrics");
    assert_eq!((reply.code(), reply.body.as_str()), (200, "exported"));
    expect(
        &seen,
        &[
            ("ops_health_requests_total{route=health,code=503}", 1.0),
            ("ops_health_requests_total{route=live,code=200}", 2.0),
            ("ops_health_requests_total{route=metrics,code=200}", 1.0),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn who_reads_metrics_learns_of_a_dead_scheduler() {
    let seen = Seen::default();
    let _installed = metrics::set_default_local_recorder(&seen);
    let health = service()
        .check(Scripted::healthy("db"))
        .metrics(String::new)
        .build()
        .unwrap();
    let scheduler = health.start().unwrap();
    settle().await;
    drop(scheduler);
    sleep(Duration::from_secs(60)).await;
    expect(&seen, &[("ops_health_status{state=healthy}", 1.0)]);
    get(&health, "/metrics");
    expect(
        &seen,
        &[
            ("ops_health_status{state=healthy}", 0.0),
            ("ops_health_status{state=unhealthy}", 1.0),
            ("ops_health_check_up{check=db,critical=true}", 0.0),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn who_reads_metrics_learns_of_demand_that_nobody_answers() {
    let seen = Seen::default();
    let _installed = metrics::set_default_local_recorder(&seen);
    let health = service()
        .check(Scripted::healthy("db"))
        .on_demand(seconds(1))
        .metrics(String::new)
        .build()
        .unwrap();
    let scheduler = health.start().unwrap();
    settle().await;
    drop(scheduler);
    // An old answer is none that is overdue: nobody has asked.
    sleep(seconds(3600)).await;
    get(&health, "/metrics");
    let up = ("ops_health_check_up{check=db,critical=true}", 1.0);
    expect(&seen, &[up, ("ops_health_status{state=healthy}", 1.0)]);
    get(&health, "/health");
    sleep(seconds(6)).await;
    get(&health, "/metrics");
    expect(
        &seen,
        &[
            ("ops_health_check_up{check=db,critical=true}", 0.0),
            ("ops_health_check_status{check=db,state=unhealthy}", 1.0),
            ("ops_health_check_status{check=db,state=healthy}", 0.0),
            ("ops_health_status{state=unhealthy}", 1.0),
        ],
    );
}

#[derive(Debug)]
struct Backups(BackupFacts);

#[async_trait]
impl BackupSource for Backups {
    async fn latest(&self) -> ops_core::Result<Option<BackupFacts>> {
        Ok(Some(self.0.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn checks_have_numbers_of_their_own() {
    let seen = Seen::default();
    let _installed = metrics::set_default_local_recorder(&seen);
    let backup = BackupFacts::new("2026-03-01T00:00:00Z".parse().unwrap(), 1000);
    let health = service()
        .check(Pool::new(|| PoolUsage::new(3, 10).with_waiters(2)).named("orders"))
        .check(BackupFreshness::new(Arc::new(Backups(backup))).named("nightly"))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    expect(
        &seen,
        &[
            ("ops_pool_in_use{pool=orders}", 3.0),
            ("ops_pool_max{pool=orders}", 10.0),
            ("ops_pool_waiters{pool=orders}", 2.0),
            (
                "ops_backup_last_success_timestamp_seconds{job=nightly}",
                1_772_323_200.0,
            ),
        ],
    );
    // On a thread that may block, and with a size that nobody knows before.
    let disk = Check::run(&Disk::new("/"), &CheckCtx::new(seconds(60))).await;
    let used = disk.observations()[0].value;
    expect(&seen, &[("ops_disk_used_ratio{path=/}", used)]);
}

#[tokio::test(start_paused = true)]
async fn objectives_and_alerts_have_numbers() {
    let seen = Seen::default();
    let _installed = metrics::set_default_local_recorder(&seen);
    let db = Scripted::failing("db");
    let health = service().check(db).build().unwrap();
    let slo = Slo::builder("availability")
        .objective(0.99)
        .build()
        .unwrap();
    let watch = Watch::builder(&health)
        .slo(slo)
        .rules(standard_rules(seconds(24 * 3600)))
        .sink(Sink::new("log", Arc::new(LogNotifier)))
        .build()
        .unwrap();
    let (_scheduler, _watching) = (health.start().unwrap(), watch.start().unwrap());
    sleep(seconds(120)).await;
    expect(
        &seen,
        &[
            ("ops_alerts_firing{rule=service_down,severity=p0}", 1.0),
            ("ops_alerts_firing{rule=disk_fail,severity=p1}", 0.0),
            ("ops_alert_deliveries_total{sink=log,result=failed}", 0.0),
        ],
    );
    let told = seen.get("ops_alert_deliveries_total{sink=log,result=delivered}");
    assert!(told.is_some_and(|told| told >= 1.0), "{}", seen.all());
    // How much is left follows from the wall clock, which goes on by itself here.
    let left = seen.get("ops_slo_error_budget_remaining_ratio{slo=availability}");
    assert!(left.is_some(), "{}", seen.all());
    for window in ["5m", "30m", "1h", "6h", "3d", "30d"] {
        let name = format!("ops_slo_burn_rate{{slo=availability,window={window}}}");
        assert!(seen.get(&name).is_some(), "{name}: {}", seen.all());
    }
}

#[test]
fn without_a_renderer_there_is_no_such_route() {
    let health = service().build().unwrap();
    assert_eq!(get(&health, "/metrics").code(), 404);
}
