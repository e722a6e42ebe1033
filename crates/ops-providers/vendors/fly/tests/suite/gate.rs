//! Deployments that are waited for and gated: how they end, and what Fly saw of it.

use std::time::Duration;

use ops_core::hosting::{
    App, DeployRequest, DeploySource, Deployment, DeploymentState, Hosting, HostingLimits,
};
use ops_core::id::{AppId, DeploymentId};
use ops_core::{
    DeleteOutcome, DeployOutcome, Error, ErrorKind, Gate, GateOutcome, GateReport, HostingExt,
    ItemStream, ProviderId, Result, WaitOptions, async_trait,
};
use ops_fly::Fly;
use tokio::time::sleep;

use crate::fake::Fake;

const OLD: &str = "shop:old";
const NEW: &str = "shop:new";

fn request() -> DeployRequest {
    DeployRequest::new(DeploySource::image(NEW))
}

fn options() -> WaitOptions {
    WaitOptions::default().with_interval(Duration::from_millis(1))
}

fn gate() -> Gate {
    Gate::default()
        .with_interval(Duration::from_millis(1))
        .with_wait(options())
}

fn down() -> Result<()> {
    Err(Error::new(ErrorKind::Unavailable, "503"))
}

async fn gated(fly: &Fly, app: &AppId, failing: bool) -> GateReport {
    let probe = || async move { if failing { down() } else { Ok(()) } };
    fly.deploy_gated(app, request(), gate(), probe, sleep)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_slow_deployment_is_waited_for_while_the_old_one_serves() {
    let fake = Fake::start();
    let app = fake.app_with(OLD).await;
    {
        let mut state = fake.state();
        state.app("shop").slowness = 40;
        state.app("shop").sickness = 15;
    }
    let earlier = fake.requests().len();
    let fly = fake.fly();
    let outcome = fly.deploy_and_wait(&app, request(), options(), sleep);
    let outcome = outcome.await.unwrap();
    assert!(matches!(outcome, DeployOutcome::Live(_)), "{outcome:?}");
    let seen = fake.requests_since(earlier);
    let waits = seen.iter().filter(|it| it.ends_with("/wait")).count();
    assert!(
        waits > 15,
        "{waits} waits are not the waiting of one that is slow"
    );
    let at = |part: &str| seen.iter().position(|it| it.contains(part)).unwrap();
    assert!(at("/uncordon") < at("updateRelease complete"));
    assert!(
        at("updateRelease complete") < at("/stop"),
        "the old one went too early"
    );
    assert_eq!(fake.state().app("shop").images(), [NEW]);
}

#[tokio::test]
async fn a_deployment_that_fails_is_told_and_nothing_of_it_is_left() {
    let fake = Fake::start();
    let app = fake.app_with(OLD).await;
    fake.state().app("shop").doomed = 1;
    let fly = fake.fly();
    let outcome = fly.deploy_and_wait(&app, request(), options(), sleep);
    let DeployOutcome::NotLive(failed) = outcome.await.unwrap() else {
        panic!("it must not be live")
    };
    assert_eq!(failed.state, DeploymentState::Failed);
    let mut state = fake.state();
    let shop = state.app("shop");
    assert_eq!(shop.images(), [OLD]);
    assert_eq!(shop.present().len(), 1);
    assert_eq!(shop.statuses(), ["complete", "failed"]);
}

#[tokio::test]
async fn what_is_too_slow_has_failed_and_says_what_it_was_doing() {
    let fake = Fake::start();
    let app = fake.app_with(OLD).await;
    let fly = fake.builder().start_timeout(Duration::from_millis(30));
    let fly = fly.build().unwrap();
    for (slowness, sickness, text) in [
        (u32::MAX, 0, "was still starting after 0 s"),
        (0, u32::MAX, "check servicecheck-00-http of machine"),
    ] {
        {
            let mut state = fake.state();
            state.app("shop").slowness = slowness;
            state.app("shop").sickness = sickness;
        }
        let failed = fly.deploy(&app, request()).await.unwrap();
        assert_eq!(failed.state, DeploymentState::Failed);
        let message = failed.message.unwrap();
        assert!(message.contains(text), "{message}");
        assert_eq!(fake.state().app("shop").images(), [OLD]);
    }
}

#[tokio::test]
async fn a_deployment_that_passes_its_gate_stays() {
    let fake = Fake::start();
    let app = fake.app_with(OLD).await;
    let report = gated(&fake.fly(), &app, false).await;
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.probes_passed, 5);
    assert_eq!(fake.state().app("shop").images(), [NEW]);
}

#[tokio::test]
async fn a_gate_that_fails_brings_the_old_image_back() {
    let fake = Fake::start();
    let app = fake.app_with(OLD).await;
    let report = gated(&fake.fly(), &app, true).await;
    assert_eq!(report.outcome, GateOutcome::RolledBack);
    assert_eq!(report.failure.unwrap().to_string(), "503");
    let restored = report.restored.unwrap();
    assert_eq!(restored.source, Some(DeploySource::image(OLD)));
    let mut state = fake.state();
    let shop = state.app("shop");
    assert_eq!(shop.images(), [OLD]);
    assert_eq!(shop.present().len(), 1);
    assert_eq!(shop.statuses(), ["complete"; 3]);
}

#[tokio::test]
async fn a_deployment_that_never_served_is_not_rolled_back() {
    let fake = Fake::start();
    let app = fake.app_with(OLD).await;
    fake.state().app("shop").doomed = 1;
    let report = gated(&fake.fly(), &app, true).await;
    assert_eq!(report.outcome, GateOutcome::NeverServed);
    assert!(report.deployment.message.unwrap().contains("is failed"));
    assert_eq!(report.probes_failed, 0);
    assert_eq!(fake.state().app("shop").images(), [OLD]);
}

#[tokio::test]
async fn a_rollback_that_fails_is_in_the_report_and_the_new_one_serves_on() {
    let fake = Fake::start();
    let app = fake.app_with(OLD).await;
    let probe = || {
        fake.state().app("shop").doomed = 1;
        async { down() }
    };
    let fly = fake.fly();
    let report = fly.deploy_gated(&app, request(), gate(), probe, sleep);
    let report = report.await.unwrap();
    assert_eq!(report.outcome, GateOutcome::RollbackFailed);
    let failure = report.rollback_failure.unwrap();
    assert_eq!(failure.to_string(), "the rollback ended failed");
    let mut state = fake.state();
    let shop = state.app("shop");
    assert_eq!(shop.images(), [NEW]);
    assert_eq!(shop.statuses(), ["complete", "complete", "failed"]);
}

#[tokio::test]
async fn a_first_deployment_has_nothing_to_go_back_to() {
    let fake = Fake::start();
    fake.state().add_app("shop", crate::fake::ORGANIZATION);
    let app = AppId::new("shop").unwrap();
    let report = gated(&fake.fly(), &app, true).await;
    assert_eq!(report.outcome, GateOutcome::RollbackFailed);
    assert!(report.rollback_failure.unwrap().is_not_found());
    assert_eq!(fake.state().app("shop").images(), [NEW]);
}

/// Fly as it would be without a way back.
#[derive(Debug)]
struct OneWay(Fly);

#[async_trait]
impl Hosting for OneWay {
    fn provider(&self) -> ProviderId {
        self.0.provider()
    }

    fn limits(&self) -> HostingLimits {
        self.0.limits()
    }

    fn list_apps(&self) -> ItemStream<App> {
        self.0.list_apps()
    }

    async fn app(&self, app: &AppId) -> Result<App> {
        self.0.app(app).await
    }

    async fn deploy(&self, app: &AppId, request: DeployRequest) -> Result<Deployment> {
        self.0.deploy(app, request).await
    }

    async fn deployment(&self, app: &AppId, deployment: &DeploymentId) -> Result<Deployment> {
        self.0.deployment(app, deployment).await
    }

    fn list_deployments(&self, app: &AppId) -> ItemStream<Deployment> {
        self.0.list_deployments(app)
    }

    async fn delete_app(&self, app: &AppId) -> Result<DeleteOutcome> {
        self.0.delete_app(app).await
    }
}

#[tokio::test]
async fn without_a_way_back_a_gate_is_refused_before_anything_is_sent() {
    let fake = Fake::start();
    let app = fake.app_with(OLD).await;
    let one_way = OneWay(fake.fly());
    let earlier = fake.requests().len();
    let probe = || async { Ok(()) };
    let report = one_way.deploy_gated(&app, request(), gate(), probe, sleep);
    assert_eq!(report.await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(fake.requests_since(earlier), [""; 0]);
    // Waiting alone needs none.
    let outcome = one_way.deploy_and_wait(&app, request(), options(), sleep);
    assert!(matches!(outcome.await.unwrap(), DeployOutcome::Live(_)));
}
