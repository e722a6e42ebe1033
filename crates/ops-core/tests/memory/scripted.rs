//! Deployments whose every step is scripted: how they are waited for, gated and dropped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ops_core::hosting::{
    App, DeployRequest, DeploySource, Deployment, DeploymentState, Hosting, HostingLimits,
    Rollback, RollbackRequest,
};
use ops_core::id::{AppId, DeploymentId};
use ops_core::memory::MemoryHosting;
use ops_core::{
    DeleteOutcome, DeployOutcome, Error, ErrorKind, Gate, GateOutcome, HostingExt, ItemStream,
    ProviderId, Result, Retry, WaitOptions, async_trait,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::support::release;

/// What a look at a deployment finds.
enum Look {
    /// A state that goes on.
    State(DeploymentState),
    /// An error.
    Fails(Error),
    /// No answer at all.
    Hangs,
}

/// A hosting in memory of which so many looks are scripted; behind the script a deployment
/// advances with each look.
#[derive(Default)]
struct Scripted {
    inner: MemoryHosting,
    script: Mutex<VecDeque<Look>>,
    looks: AtomicUsize,
    hanging: Notify,
    is_one_way: bool,
    refuses_rollback: bool,
    /// What rollbacks go through once they have been asked for.
    rollback: Mutex<VecDeque<Look>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

impl Scripted {
    /// An app whose old version serves, and the looks at its next deployment.
    async fn with(script: Vec<Look>) -> (Self, AppId, Deployment) {
        let inner = MemoryHosting::new();
        let app = inner.seed_app("shop").unwrap();
        let old = release(&inner, &app, "old").await;
        let scripted = Self {
            inner,
            script: Mutex::new(script.into()),
            ..Self::default()
        };
        (scripted, app, old)
    }

    fn next(&self) -> Option<Look> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.pop_front()
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }

    /// What serves now.
    async fn serving(&self, app: &AppId) -> DeploySource {
        let current = self.inner.app(app).await.unwrap().current_deployment;
        let current = self.inner.deployment(app, &current.unwrap()).await;
        current.unwrap().source.unwrap()
    }

    /// Lets a deployment that nobody waits for come to its end.
    async fn goes_on(&self, app: &AppId, deployment: &DeploymentId) -> DeploymentState {
        for _ in 0..10 {
            self.inner.deployment(app, deployment).await.unwrap();
        }
        let ended = self.inner.deployment(app, deployment).await;
        ended.unwrap().state
    }
}

#[async_trait]
impl Hosting for Scripted {
    fn provider(&self) -> ProviderId {
        "scripted".into()
    }

    fn limits(&self) -> HostingLimits {
        self.inner.limits()
    }

    fn list_apps(&self) -> ItemStream<App> {
        self.inner.list_apps()
    }

    async fn app(&self, app: &AppId) -> Result<App> {
        self.inner.app(app).await
    }

    async fn deploy(&self, app: &AppId, request: DeployRequest) -> Result<Deployment> {
        self.inner.deploy(app, request).await
    }

    async fn deployment(&self, app: &AppId, deployment: &DeploymentId) -> Result<Deployment> {
        match self.next() {
            None => self.inner.deployment(app, deployment).await,
            Some(Look::Fails(err)) => Err(err),
            Some(Look::Hangs) => {
                self.hanging.notify_one();
                std::future::pending().await
            }
            Some(Look::State(state)) => Ok(Deployment::new(deployment.clone(), app.clone(), state)),
        }
    }

    fn list_deployments(&self, app: &AppId) -> ItemStream<Deployment> {
        self.inner.list_deployments(app)
    }

    async fn delete_app(&self, app: &AppId) -> Result<DeleteOutcome> {
        self.inner.delete_app(app).await
    }

    fn as_rollback(&self) -> Option<&dyn Rollback> {
        (!self.is_one_way).then_some(self)
    }
}

#[async_trait]
impl Rollback for Scripted {
    async fn roll_back(&self, app: &AppId, request: RollbackRequest) -> Result<Deployment> {
        if self.refuses_rollback {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                "not with this token",
            ));
        }
        let rollback = self.inner.require_rollback()?;
        let started = rollback.roll_back(app, request).await?;
        let mut rollback = self.rollback.lock().unwrap_or_else(PoisonError::into_inner);
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.extend(rollback.drain(..));
        Ok(started)
    }
}

fn states(state: DeploymentState, times: usize) -> impl Iterator<Item = Look> {
    std::iter::repeat_n(state, times).map(Look::State)
}

/// A vendor that takes its time: 60 looks until it serves, and those of the account.
fn slow() -> Vec<Look> {
    let queued = states(DeploymentState::Queued, 10);
    let building = states(DeploymentState::Building, 40);
    let odd = states(DeploymentState::Other("warming".to_owned()), 10);
    queued.chain(building).chain(odd).collect()
}

fn request() -> DeployRequest {
    DeployRequest::new(DeploySource::image("shop:new"))
}

fn lost(what: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, what)
}

async fn waited(hosting: &Scripted, app: &AppId) -> Result<DeployOutcome> {
    let options = WaitOptions::default();
    hosting
        .deploy_and_wait(app, request(), options, sleep)
        .await
}

async fn fails() -> Result<()> {
    Err(lost("503"))
}

#[tokio::test(start_paused = true)]
async fn a_slow_deployment_is_looked_at_until_it_serves() {
    let (hosting, app, _) = Scripted::with(slow()).await;
    let start = Instant::now();
    let outcome = waited(&hosting, &app).await.unwrap();
    assert!(matches!(outcome, DeployOutcome::Live(_)), "{outcome:?}");
    assert_eq!(hosting.looks(), 62);
    assert_eq!(start.elapsed(), Duration::from_secs(61 * 2));
    assert_eq!(hosting.serving(&app).await, request().source);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_ends_otherwise_is_an_answer_and_the_old_one_serves() {
    for end in [
        DeploymentState::Failed,
        DeploymentState::Canceled,
        DeploymentState::Superseded,
    ] {
        let mut script = slow();
        script.push(Look::State(end.clone()));
        let (hosting, app, old) = Scripted::with(script).await;
        let DeployOutcome::NotLive(ended) = waited(&hosting, &app).await.unwrap() else {
            panic!("{end:?} must not be live")
        };
        assert_eq!(ended.state, end);
        assert_eq!(Some(hosting.serving(&app).await), old.source);
    }
}

#[tokio::test(start_paused = true)]
async fn looks_that_fail_for_a_moment_do_not_end_a_deployment() {
    let later = Error::new(ErrorKind::RateLimited, "slow down")
        .with_retry(Retry::After(Duration::from_secs(40)));
    let script = vec![Look::Fails(later), Look::Fails(lost("no route"))];
    let (hosting, app, _) = Scripted::with(script).await;
    let start = Instant::now();
    let outcome = waited(&hosting, &app).await.unwrap();
    assert!(matches!(outcome, DeployOutcome::Live(_)), "{outcome:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(40 + 2 + 2));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_nobody_tells_about_is_given_up_in_time_and_goes_on() {
    let (hosting, app, _) = Scripted::with(vec![Look::Hangs]).await;
    let start = Instant::now();
    let err = waited(&hosting, &app).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Timeout);
    assert_eq!(start.elapsed(), WaitOptions::default().timeout);
    let id = DeploymentId::new(err.resource().unwrap()).unwrap();
    assert_eq!(hosting.goes_on(&app, &id).await, DeploymentState::Live);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_probed_before_a_slow_deployment_serves() {
    let (hosting, app, _) = Scripted::with(slow()).await;
    let probe = || async {
        assert_eq!(hosting.serving(&app).await, request().source);
        Ok(())
    };
    let report = hosting.deploy_gated(&app, request(), Gate::default(), probe, sleep);
    let report = report.await.unwrap();
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.probes_passed, 5);
    assert_eq!(hosting.looks(), 62);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_seen_to_serve_in_time_is_rolled_back_without_a_probe() {
    let (hosting, app, old) = Scripted::with(vec![Look::Hangs]).await;
    let probe = || async { panic!("nothing serves that could be probed") };
    let report = hosting.deploy_gated(&app, request(), Gate::default(), probe, sleep);
    let report = report.await.unwrap();
    assert_eq!(report.outcome, GateOutcome::RolledBack);
    assert_eq!(report.failure.unwrap().kind(), ErrorKind::Timeout);
    assert_eq!(Some(hosting.serving(&app).await), old.source);
}

#[tokio::test(start_paused = true)]
async fn a_slow_rollback_is_waited_for() {
    let (mut hosting, app, old) = Scripted::with(Vec::new()).await;
    hosting.rollback = Mutex::new(slow().into());
    let report = hosting.deploy_gated(&app, request(), Gate::default(), fails, sleep);
    let report = report.await.unwrap();
    assert_eq!(report.outcome, GateOutcome::RolledBack);
    assert_eq!(report.restored.unwrap().source, old.source);
    assert_eq!(hosting.looks(), 2 + 62);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_refused_fails_or_hangs_is_told_beside_the_probe() {
    for (script, refuses, text) in [
        (Vec::new(), true, "not with this token"),
        (
            vec![Look::State(DeploymentState::Failed)],
            false,
            "the rollback ended failed",
        ),
        (vec![Look::Hangs], false, "could not be seen within 600 s"),
        (
            vec![Look::Fails(Error::not_found("deployment-9"))],
            false,
            "deployment-9",
        ),
    ] {
        let (mut hosting, app, _) = Scripted::with(Vec::new()).await;
        hosting.refuses_rollback = refuses;
        hosting.rollback = Mutex::new(script.into());
        let report = hosting.deploy_gated(&app, request(), Gate::default(), fails, sleep);
        let report = report.await.unwrap();
        assert_eq!(report.outcome, GateOutcome::RollbackFailed);
        assert_eq!(report.failure.unwrap().to_string(), "503");
        let told = report.rollback_failure.unwrap().to_string();
        assert!(told.contains(text), "{told}");
        assert!(report.restored.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_way_back_nothing_is_deployed_and_waiting_works() {
    let (mut hosting, app, old) = Scripted::with(Vec::new()).await;
    hosting.is_one_way = true;
    let probe = || async { Ok(()) };
    let report = hosting.deploy_gated(&app, request(), Gate::default(), probe, sleep);
    let err = report.await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unsupported);
    assert!(err.message().contains("rollback"), "{err}");
    let known = crate::support::all(hosting.list_deployments(&app)).await;
    assert_eq!(known.len(), 1);
    assert_eq!(Some(hosting.serving(&app).await), old.source);
    let outcome = waited(&hosting, &app).await.unwrap();
    assert!(matches!(outcome, DeployOutcome::Live(_)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_wait_leaves_the_deployment_to_go_on() {
    let (hosting, app, old) = Scripted::with(vec![Look::Hangs]).await;
    tokio::select! {
        outcome = waited(&hosting, &app) => panic!("{outcome:?} without a look"),
        () = hosting.hanging.notified() => {}
    }
    assert_eq!(Some(hosting.serving(&app).await), old.source);
    let known = crate::support::all(hosting.list_deployments(&app)).await;
    let ended = hosting.goes_on(&app, &known[0].id).await;
    assert_eq!(ended, DeploymentState::Live);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_gate_leaves_what_serves_then() {
    // While it is waited for, the old one; while it is probed, the new one.
    let (hosting, app, old) = Scripted::with(vec![Look::Hangs]).await;
    let gated = hosting.deploy_gated(&app, request(), Gate::default(), fails, sleep);
    tokio::select! {
        report = gated => panic!("{report:?} without a look"),
        () = hosting.hanging.notified() => {}
    }
    assert_eq!(Some(hosting.serving(&app).await), old.source);

    let (hosting, app, _) = Scripted::with(Vec::new()).await;
    let probing = Notify::new();
    let probe = || {
        probing.notify_one();
        std::future::pending::<Result<()>>()
    };
    let gated = hosting.deploy_gated(&app, request(), Gate::default(), probe, sleep);
    tokio::select! {
        report = gated => panic!("{report:?} without a probe"),
        () = probing.notified() => {}
    }
    assert_eq!(hosting.serving(&app).await, request().source);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_gate_that_goes_back_leaves_the_rollback_to_go_on() {
    let (mut hosting, app, old) = Scripted::with(Vec::new()).await;
    hosting.rollback = Mutex::new(VecDeque::from([Look::Hangs]));
    let gated = hosting.deploy_gated(&app, request(), Gate::default(), fails, sleep);
    tokio::select! {
        report = gated => panic!("{report:?} without a look"),
        () = hosting.hanging.notified() => {}
    }
    assert_eq!(hosting.serving(&app).await, request().source);
    let known = crate::support::all(hosting.list_deployments(&app)).await;
    let ended = hosting.goes_on(&app, &known[0].id).await;
    assert_eq!(ended, DeploymentState::Live);
    assert_eq!(Some(hosting.serving(&app).await), old.source);
}
