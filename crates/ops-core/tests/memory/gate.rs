//! A deployment that goes back by itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ops_core::hosting::{DeployRequest, DeploySource, Hosting};
use ops_core::id::AppId;
use ops_core::memory::MemoryHosting;
use ops_core::{Error, ErrorKind, Gate, GateOutcome, GateReport, HostingExt, Result};
use tokio::time::{Instant, sleep};

use crate::support::release;

fn request() -> DeployRequest {
    DeployRequest::new(DeploySource::image("shop:new"))
}

fn shop() -> (MemoryHosting, AppId) {
    let hosting = MemoryHosting::new();
    let app = hosting.seed_app("shop").unwrap();
    (hosting, app)
}

fn down() -> Result<()> {
    Err(Error::new(ErrorKind::Unavailable, "503"))
}

/// Probes of which the ones with these numbers fail.
async fn gated(hosting: &MemoryHosting, app: &AppId, gate: Gate, failing: &[u32]) -> GateReport {
    let count = AtomicU32::new(0);
    let probe = || {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let fails = failing.contains(&number);
        async move { if fails { down() } else { Ok(()) } }
    };
    hosting
        .deploy_gated(app, request(), gate, probe, sleep)
        .await
        .unwrap()
}

async fn live_image(hosting: &MemoryHosting, app: &AppId) -> DeploySource {
    let current = hosting.app(app).await.unwrap().current_deployment.unwrap();
    hosting
        .deployment(app, &current)
        .await
        .unwrap()
        .source
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_passes_stays() {
    let (hosting, app) = shop();
    release(&hosting, &app, "old").await;
    let start = Instant::now();
    let report = gated(&hosting, &app, Gate::default(), &[]).await;
    assert!(report.passed());
    assert_eq!((report.probes_passed, report.probes_failed), (5, 0));
    assert!(report.failure.is_none() && report.restored.is_none());
    assert_eq!(live_image(&hosting, &app).await, request().source);
    // Four pauses between five probes, and one look after another until it was live.
    assert_eq!(start.elapsed(), Duration::from_secs(4 * 5 + 2));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_fails_a_probe_is_rolled_back() {
    let (hosting, app) = shop();
    let old = release(&hosting, &app, "old").await;
    let report = gated(&hosting, &app, Gate::default(), &[3]).await;
    assert_eq!(report.outcome, GateOutcome::RolledBack);
    assert_eq!((report.probes_passed, report.probes_failed), (2, 1));
    assert_eq!(report.failure.unwrap().to_string(), "503");
    assert_eq!(report.restored.unwrap().source, old.source);
    assert_eq!(live_image(&hosting, &app).await, old.source.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_gate_may_forgive_some_failures() {
    let (hosting, app) = shop();
    release(&hosting, &app, "old").await;
    let gate = Gate::default().with_max_failures(2);
    let report = gated(&hosting, &app, gate, &[1, 4]).await;
    assert!(report.passed());
    assert_eq!((report.probes_passed, report.probes_failed), (3, 2));
    let report = gated(&hosting, &app, gate, &[1, 2, 3]).await;
    assert_eq!(report.outcome, GateOutcome::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_has_failed() {
    let (hosting, app) = shop();
    release(&hosting, &app, "old").await;
    let probe = std::future::pending::<Result<()>>;
    let report = hosting
        .deploy_gated(&app, request(), Gate::default(), probe, sleep)
        .await
        .unwrap();
    assert_eq!(report.outcome, GateOutcome::RolledBack);
    assert_eq!(
        report.failure.unwrap().to_string(),
        "the probe took more than 2000 ms"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_never_served_is_not_rolled_back() {
    let (hosting, app) = shop();
    let old = release(&hosting, &app, "old").await;
    hosting.fail_next_deployment(&app, "no such image").unwrap();
    let report = gated(&hosting, &app, Gate::default(), &[]).await;
    assert_eq!(report.outcome, GateOutcome::NeverServed);
    assert_eq!(report.deployment.message.as_deref(), Some("no such image"));
    assert_eq!(report.probes_passed, 0);
    assert_eq!(
        hosting.app(&app).await.unwrap().current_deployment,
        Some(old.id)
    );
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_crashes_while_it_is_probed_is_rolled_back() {
    let (hosting, app) = shop();
    let old = release(&hosting, &app, "old").await;
    let probe = || async {
        hosting.crash(&app, "panicked").unwrap();
        down()
    };
    let report = hosting
        .deploy_gated(&app, request(), Gate::default(), probe, sleep)
        .await
        .unwrap();
    assert_eq!(report.outcome, GateOutcome::RolledBack);
    assert_eq!(live_image(&hosting, &app).await, old.source.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_first_deployment_has_nothing_to_go_back_to_and_the_report_says_so() {
    let (hosting, app) = shop();
    let report = gated(&hosting, &app, Gate::default(), &[1]).await;
    assert_eq!(report.outcome, GateOutcome::RollbackFailed);
    assert!(report.rollback_failure.unwrap().is_not_found());
    assert!(report.failure.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_fails_is_in_the_report() {
    let (hosting, app) = shop();
    release(&hosting, &app, "old").await;
    let probe = || async {
        hosting.fail_next_deployment(&app, "no room").unwrap();
        down()
    };
    let report = hosting
        .deploy_gated(&app, request(), Gate::default(), probe, sleep)
        .await
        .unwrap();
    assert_eq!(report.outcome, GateOutcome::RollbackFailed);
    assert_eq!(
        report.rollback_failure.unwrap().to_string(),
        "the rollback ended failed"
    );
}
