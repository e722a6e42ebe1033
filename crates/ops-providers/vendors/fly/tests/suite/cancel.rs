//! Deployments that are dropped in the middle, and the next ones.

use std::sync::Arc;
use std::time::Duration;

use ops_core::hosting::{DeployRequest, DeploySource, Deployment, Hosting};
use ops_core::id::AppId;
use ops_core::{ErrorKind, Gate, GateOutcome, HostingExt, Result, WaitOptions};
use ops_fly::Fly;
use ops_http::RetryPolicy;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::fake::{Fake, ORGANIZATION};

fn image(name: &str) -> DeployRequest {
    DeployRequest::new(DeploySource::image(name))
}

/// A provider that waits for the lease of one that was dropped just now.
fn patient(fake: &Fake) -> Fly {
    let policy = RetryPolicy::default()
        .with_max_attempts(8)
        .with_backoff(Duration::from_millis(40), Duration::from_millis(40));
    fake.builder().retry(policy).build().unwrap()
}

/// Deploys, and drops the deployment when Fly has carried out its request of this number and
/// has not answered it. Answers that request, or `None` for a deployment that needed fewer.
async fn dropped_at(fake: &Fake, app: &AppId, request: u32) -> Option<String> {
    fake.state().hold = Some(request);
    let holding: Arc<Notify> = Arc::clone(&fake.state().holding);
    let fly = fake.fly();
    tokio::select! {
        _ = fly.deploy(app, image("shop:new")) => {
            fake.state().hold = None;
            None
        }
        () = holding.notified() => fake.state().held.take(),
    }
}

/// Deploys, and where the one that was dropped holds a lease that nobody can give back,
/// waits until that is over.
async fn next(fake: &Fake, app: &AppId) -> (Deployment, bool) {
    let fly = patient(fake);
    match fly.deploy(app, image("shop:newer")).await {
        Ok(deployed) => (deployed, false),
        Err(err) => {
            assert_eq!(err.kind(), ErrorKind::Conflict, "{err:?}");
            fake.clock.advance(Duration::from_secs(61));
            (fly.deploy(app, image("shop:newer")).await.unwrap(), true)
        }
    }
}

/// That the last deployment serves alone, and that nothing is open.
fn assert_tidy(fake: &Fake, what: &str) {
    let mut state = fake.state();
    let shop = state.app("shop");
    assert_eq!(shop.images(), ["shop:newer"], "{what}");
    assert_eq!(shop.present().len(), 1, "{what}: machines are left");
    let open = |status: &&str| matches!(*status, "pending" | "running");
    let statuses = shop.statuses();
    assert!(!statuses.iter().any(open), "{what}: {statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_deployment_is_dropped_something_serves_and_the_next_one_goes_on() {
    let mut points = Vec::new();
    for request in 1.. {
        let fake = Fake::start();
        let app = fake.app_with("shop:old").await;
        let Some(held) = dropped_at(&fake, &app, request).await else {
            break;
        };
        let served = fake.state().app("shop").images();
        assert!(!served.is_empty(), "nothing serves after {held}");
        let (deployed, had_to_wait) = next(&fake, &app).await;
        assert!(deployed.state.is_live(), "after {held}: {deployed:?}");
        assert_tidy(&fake, &held);
        // Only a lease whose nonce never arrived has to end by itself.
        assert_eq!(
            had_to_wait,
            held.starts_with("POST") && held.ends_with("/lease"),
            "{held}"
        );
        points.push(held);
    }
    assert!(points.len() > 12, "too few points to drop at: {points:?}");
    for part in [
        "createRelease",
        "/machines",
        "/wait",
        "/uncordon",
        "complete",
        "/stop",
    ] {
        assert!(
            points.iter().any(|it| it.contains(part)),
            "never at {part}: {points:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_first_deployment_is_dropped_the_next_one_goes_on() {
    let mut points = Vec::new();
    for request in 1.. {
        let fake = Fake::start();
        fake.state().add_app("shop", ORGANIZATION);
        let app = AppId::new("shop").unwrap();
        let Some(held) = dropped_at(&fake, &app, request).await else {
            break;
        };
        let (deployed, had_to_wait) = next(&fake, &app).await;
        assert!(deployed.state.is_live(), "after {held}: {deployed:?}");
        let mut state = fake.state();
        let shop = state.app("shop");
        assert_eq!(shop.images(), ["shop:newer"], "after {held}");
        assert_eq!(shop.present().len(), 1, "after {held}: machines are left");
        // The machine was made with a lease whose nonce never arrived.
        assert_eq!(had_to_wait, held == "POST /apps/shop/machines", "{held}");
        drop(state);
        points.push(held);
    }
    assert!(points.len() > 8, "too few points to drop at: {points:?}");
}

#[tokio::test]
async fn a_deployment_that_is_dropped_gives_its_lease_back() {
    let fake = Fake::start();
    let app = fake.app_with("shop:old").await;
    let earlier = fake.requests().len();
    let held = dropped_at(&fake, &app, 7).await.unwrap();
    assert!(!held.ends_with("/lease"), "{held}");
    patient(&fake)
        .deploy(&app, image("shop:newer"))
        .await
        .unwrap();
    let seen = fake.requests_since(earlier);
    let leases = seen
        .iter()
        .filter(|it| it.starts_with("POST") && it.ends_with("/lease"));
    let returns = seen
        .iter()
        .filter(|it| it.starts_with("DELETE") && it.ends_with("/lease"));
    assert_eq!(leases.count(), 2 + refused(&seen));
    assert!(returns.count() >= 1, "{seen:?}");
}

/// How often the next deployment asked for the lease before the first had given it back.
fn refused(seen: &[String]) -> usize {
    let takes = seen
        .iter()
        .filter(|it| it.starts_with("POST") && it.ends_with("/lease"));
    takes.count() - 2
}

#[tokio::test]
async fn a_gate_that_is_dropped_leaves_what_serves_and_the_next_one_gates() {
    let fake = Fake::start();
    let app = fake.app_with("shop:old").await;
    let fly = patient(&fake);
    let options = WaitOptions::default().with_interval(Duration::from_millis(1));
    let gate = Gate::default()
        .with_interval(Duration::from_millis(1))
        .with_wait(options);
    let probing = Notify::new();
    let probe = || {
        probing.notify_one();
        std::future::pending::<Result<()>>()
    };
    tokio::select! {
        report = fly.deploy_gated(&app, image("shop:new"), gate, probe, sleep) => {
            panic!("a probe that hangs lets nothing pass: {report:?}")
        }
        () = probing.notified() => {}
    }
    assert_eq!(fake.state().app("shop").images(), ["shop:new"]);
    let fails = || async { Err(ops_core::Error::new(ErrorKind::Unavailable, "503")) };
    let report = fly.deploy_gated(&app, image("shop:newer"), gate, fails, sleep);
    let report = report.await.unwrap();
    // What served before this gate is the version that nobody gated.
    assert_eq!(report.outcome, GateOutcome::RolledBack);
    assert_eq!(fake.state().app("shop").images(), ["shop:new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_gate_is_dropped_that_goes_back_something_serves_and_the_next_one_goes_on() {
    let mut points = Vec::new();
    for request in 1.. {
        let fake = Fake::start();
        let app = fake.app_with("shop:old").await;
        let gate = Gate::default().with_interval(Duration::from_millis(1));
        let probe = || {
            fake.state().hold = Some(request);
            async { Err(ops_core::Error::new(ErrorKind::Unavailable, "503")) }
        };
        let holding: Arc<Notify> = Arc::clone(&fake.state().holding);
        let fly = fake.fly();
        let held = tokio::select! {
            report = fly.deploy_gated(&app, image("shop:new"), gate, probe, sleep) => {
                assert_eq!(report.unwrap().outcome, GateOutcome::RolledBack);
                break;
            }
            () = holding.notified() => fake.state().held.take().unwrap(),
        };
        let served = fake.state().app("shop").images();
        assert!(!served.is_empty(), "nothing serves after {held}");
        let (deployed, _) = next(&fake, &app).await;
        assert!(deployed.state.is_live(), "after {held}: {deployed:?}");
        assert_tidy(&fake, &held);
        points.push(held);
    }
    assert!(points.len() > 12, "too few points to drop at: {points:?}");
}
