//! A deployment that goes back by itself.

use std::time::Duration;

use super::hosting::HostingExt;
use super::wait::{WaitOptions, before};
use crate::error::{Error, ErrorKind, Result};
use crate::hosting::{
    DeployRequest, Deployment, DeploymentState, Hosting, Rollback, RollbackRequest,
};
use crate::id::{AppId, DeploymentId};
use crate::macros::setters;

/// What a deployment must pass to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gate {
    /// How often it is probed. Defaults to 5.
    pub probes: u32,
    /// How long between two probes. Defaults to 5 seconds.
    pub interval: Duration,
    /// How long a probe may take. Defaults to 2 seconds.
    pub probe_timeout: Duration,
    /// How many probes may fail. Defaults to 0.
    pub max_failures: u32,
    /// How to wait until it serves, and after a rollback until the old one does.
    pub wait: WaitOptions,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            probes: 5,
            interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(2),
            max_failures: 0,
            wait: WaitOptions::default(),
        }
    }
}

setters! { Gate {
    val {
        with_probes(probes: u32),
        with_interval(interval: Duration),
        with_probe_timeout(probe_timeout: Duration),
        with_max_failures(max_failures: u32),
        with_wait(wait: WaitOptions),
    }
} }

/// What became of a gated deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GateOutcome {
    /// It serves and has passed.
    Passed,
    /// It ended without having served; what served before serves still.
    NeverServed,
    /// It did not pass, and what served before serves again.
    RolledBack,
    /// It did not pass, and going back failed: somebody must look now.
    RollbackFailed,
}

/// What happened to a gated deployment.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "a deployment that was rolled back is an answer, not an error"]
pub struct GateReport {
    /// What became of it.
    pub outcome: GateOutcome,
    /// The deployment as it was seen last.
    pub deployment: Deployment,
    /// How many probes passed.
    pub probes_passed: u32,
    /// How many probes failed.
    pub probes_failed: u32,
    /// Why it did not pass: the failure of the last probe, or of waiting.
    pub failure: Option<Error>,
    /// The deployment that brought the old version back.
    pub restored: Option<Deployment>,
    /// Why going back failed.
    pub rollback_failure: Option<Error>,
}

impl GateReport {
    /// Whether the new deployment serves and has passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcome == GateOutcome::Passed
    }
}

pub(super) async fn run<H, P, PF, S, F>(
    hosting: &H,
    app: &AppId,
    request: DeployRequest,
    gate: Gate,
    probe: P,
    sleep: S,
) -> Result<GateReport>
where
    H: Hosting + ?Sized,
    P: Fn() -> PF + Send + Sync,
    PF: Future<Output = Result<()>> + Send,
    S: Fn(Duration) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    let rollback = hosting.require_rollback()?;
    let before = hosting.app(app).await?.current_deployment;
    let started = hosting.deploy(app, request).await?;

    let id = started.id.clone();
    let mut report = GateReport {
        outcome: GateOutcome::Passed,
        deployment: started,
        probes_passed: 0,
        probes_failed: 0,
        failure: None,
        restored: None,
        rollback_failure: None,
    };
    let is_terminal = DeploymentState::is_terminal;
    match hosting
        .wait_until(app, &id, is_terminal, gate.wait, &sleep)
        .await
    {
        Ok(deployment) => {
            report.deployment = deployment;
            if !report.deployment.state.is_live() {
                report.outcome = GateOutcome::NeverServed;
                return Ok(report);
            }
            if passes(&gate, &probe, &sleep, &mut report).await {
                return Ok(report);
            }
        }
        Err(err) => report.failure = Some(err),
    }
    match go_back(hosting, rollback, app, before, gate.wait, &sleep).await {
        Ok(restored) => {
            report.outcome = GateOutcome::RolledBack;
            report.restored = Some(restored);
        }
        Err(err) => {
            report.outcome = GateOutcome::RollbackFailed;
            report.rollback_failure = Some(err);
        }
    }
    Ok(report)
}

/// Probes until all probes are made or too many have failed.
async fn passes<P, PF, S, F>(gate: &Gate, probe: &P, sleep: &S, report: &mut GateReport) -> bool
where
    P: Fn() -> PF + Send + Sync,
    PF: Future<Output = Result<()>> + Send,
    S: Fn(Duration) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    for index in 0..gate.probes {
        if index > 0 {
            sleep(gate.interval).await;
        }
        let answer = before(sleep(gate.probe_timeout), probe())
            .await
            .unwrap_or_else(|| {
                let millis = gate.probe_timeout.as_millis();
                Err(Error::new(
                    ErrorKind::Timeout,
                    format!("the probe took more than {millis} ms"),
                ))
            });
        match answer {
            Ok(()) => report.probes_passed += 1,
            Err(err) => {
                report.probes_failed += 1;
                report.failure = Some(err);
                if report.probes_failed > gate.max_failures {
                    return false;
                }
            }
        }
    }
    true
}

async fn go_back<H, S, F>(
    hosting: &H,
    rollback: &dyn Rollback,
    app: &AppId,
    before: Option<DeploymentId>,
    wait: WaitOptions,
    sleep: &S,
) -> Result<Deployment>
where
    H: Hosting + ?Sized,
    S: Fn(Duration) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    let request = before.map_or_else(RollbackRequest::previous, RollbackRequest::to);
    let started = rollback.roll_back(app, request).await?;
    let is_terminal = DeploymentState::is_terminal;
    let ended = hosting
        .wait_until(app, &started.id, is_terminal, wait, sleep)
        .await?;
    if ended.state.is_live() {
        return Ok(ended);
    }
    let message = format!("the rollback ended {}", ended.state.as_str());
    Err(Error::new(ErrorKind::Conflict, message).with_resource(ended.id.as_str()))
}
