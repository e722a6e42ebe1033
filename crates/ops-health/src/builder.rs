//! The description of a service's health, checked as a whole.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use ops_core::{Clock, Error, Result, Secret, SystemClock};

use crate::access::{Access, Visibility};
use crate::aggregate::Rules;
use crate::check::{Check, DynCheck};
use crate::drain::DrainPlan;
use crate::health::{Extras, Gate, Health, MetricsText, Settings};
use crate::host::Host;
use crate::liveness::{LivenessSignal, NamedSignal};
use crate::policy::{Mode, Policy};
use crate::render::Shape;
use crate::snapshot::Registration;
use crate::status::Criticality;

mod extras;
mod problems;

pub(crate) use problems::{is_name, is_too_long};

/// Describes the health of a service. Made by [`Health::builder`].
///
/// Setters never fail; [`HealthBuilder::build`] reports every problem together.
#[must_use]
pub struct HealthBuilder {
    service: Option<String>,
    version: Option<String>,
    clock: Arc<dyn Clock>,
    access: Access,
    expose_names: bool,
    shape: Shape,
    aliases: bool,
    degraded_status: u16,
    ready_on_shared_failure: Option<bool>,
    ready_in_maintenance: bool,
    host: Option<Host>,
    drain: Option<DrainPlan>,
    max_concurrency: usize,
    first_run_within: Duration,
    known_secrets: Vec<Secret>,
    metrics: Option<MetricsText>,
    checks: Vec<(Arc<dyn DynCheck>, Policy)>,
    signals: Vec<NamedSignal>,
    gates: Vec<Gate>,
    misplaced: Vec<&'static str>,
    extras: Extras,
}

impl HealthBuilder {
    pub(crate) fn new() -> Self {
        Self {
            service: None,
            version: None,
            clock: Arc::new(SystemClock),
            access: Access::default(),
            expose_names: false,
            shape: Shape::default(),
            aliases: false,
            degraded_status: 200,
            ready_on_shared_failure: None,
            ready_in_maintenance: false,
            host: None,
            drain: None,
            max_concurrency: 8,
            first_run_within: Duration::from_secs(1),
            known_secrets: Vec::new(),
            metrics: None,
            checks: Vec::new(),
            signals: Vec::new(),
            gates: Vec::new(),
            misplaced: Vec::new(),
            extras: Extras::default(),
        }
    }

    /// Sets the service's name, shown to authorized callers. Defaults to none.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Sets the service's version, shown to authorized callers. Defaults to none.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets the wall clock that time stamps come from. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a check with the policy that it brings. What follows
    /// ([`HealthBuilder::critical`] and so on) changes that policy.
    pub fn check(self, check: impl Check) -> Self {
        self.dyn_check(Arc::new(check))
    }

    /// As [`HealthBuilder::check`], for a check whose type is not known.
    pub fn dyn_check(mut self, check: Arc<dyn DynCheck>) -> Self {
        let policy = check.policy();
        self.checks.push((check, policy));
        self
    }

    /// The last check's failure makes the service unhealthy.
    pub fn critical(self) -> Self {
        self.adjust("critical", |policy| {
            policy.with_criticality(Criticality::Critical)
        })
    }

    /// The last check's failure makes the service degraded.
    pub fn non_critical(self) -> Self {
        self.adjust("non_critical", |policy| {
            policy.with_criticality(Criticality::NonCritical)
        })
    }

    /// The last check's failure changes no verdict.
    pub fn informational(self) -> Self {
        self.adjust("informational", |policy| {
            policy.with_criticality(Criticality::Informational)
        })
    }

    /// Sets the last check's interval.
    pub fn interval(self, interval: Duration) -> Self {
        self.adjust("interval", |policy| policy.with_interval(interval))
    }

    /// Sets the last check's timeout.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.adjust("timeout", |policy| policy.with_timeout(timeout))
    }

    /// Runs the last check only when somebody asks and its last result is older than
    /// `ttl`. See [`Mode::OnDemand`].
    pub fn on_demand(self, ttl: Duration) -> Self {
        self.adjust("on_demand", |policy| {
            policy.with_mode(Mode::OnDemand { ttl })
        })
    }

    /// Names a check without which the last one cannot work.
    pub fn depends_on(self, check: impl Into<String>) -> Self {
        self.adjust("depends_on", |policy| policy.with_dependency(check))
    }

    /// Changes the last check's policy in any way.
    pub fn policy(self, change: impl FnOnce(Policy) -> Policy) -> Self {
        self.adjust("policy", change)
    }

    fn adjust(mut self, setter: &'static str, change: impl FnOnce(Policy) -> Policy) -> Self {
        match self.checks.last_mut() {
            Some((_, policy)) => *policy = change(std::mem::take(policy)),
            None => self.misplaced.push(setter),
        }
        self
    }

    /// Adds a signal that says whether the process is alive.
    pub fn liveness(mut self, name: impl Into<String>, signal: impl LivenessSignal) -> Self {
        self.signals.push(NamedSignal {
            name: name.into(),
            signal: Box::new(signal),
        });
        self
    }

    /// Adds something that must succeed before the service has started, such as
    /// migrations. It runs once, when the service is started; if it fails, the service
    /// never gets ready.
    pub fn startup_gate(
        mut self,
        name: impl Into<String>,
        gate: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        self.gates.push(Gate {
            name: name.into().into(),
            future: Some(Box::pin(gate)),
        });
        self
    }

    /// Sets who may see details. Defaults to [`Visibility::WhenAuthorized`].
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.access.visibility = visibility;
        self
    }

    /// Lets callers with this bearer token see details. May be called again, to rotate
    /// tokens. At least 32 characters.
    pub fn bearer_token(mut self, token: impl Into<Secret>) -> Self {
        self.access.tokens.push(token.into());
        self
    }

    /// Lets callers see details whom the closure lets through. It is asked on every
    /// request, so it must not wait.
    pub fn authorize(mut self, f: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.access.authorizers.push(Box::new(f));
        self
    }

    /// Shows everybody the names of the checks and how they are. Defaults to hiding them.
    pub fn expose_names(mut self) -> Self {
        self.expose_names = true;
        self
    }

    /// Sets the shape of bodies that no caller asked for. Defaults to [`Shape::Native`].
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// Answers `/livez`, `/readyz` and `/healthz` too. Defaults to not.
    pub fn aliases(mut self) -> Self {
        self.aliases = true;
        self
    }

    /// Sets the HTTP status of `/health` while degraded: 200, 207 or 503. Defaults to 200.
    pub fn degraded_status(mut self, status: u16) -> Self {
        self.degraded_status = status;
        self
    }

    /// Sets whether the service stays ready while a critical
    /// [`SharedDependency`](crate::Scope::SharedDependency) fails. Defaults to true, but to
    /// false on a host with a single instance.
    pub fn ready_on_shared_failure(mut self, ready: bool) -> Self {
        self.ready_on_shared_failure = Some(ready);
        self
    }

    /// Sets whether the service stays ready in maintenance. Defaults to false.
    pub fn ready_in_maintenance(mut self, ready: bool) -> Self {
        self.ready_in_maintenance = ready;
        self
    }

    /// Says where the service runs: the drain plan must end before the host kills.
    pub fn host(mut self, host: Host) -> Self {
        self.host = Some(host);
        self
    }

    /// Sets how the service leaves. Defaults to [`DrainPlan::for_host`] where there is a
    /// host, else to [`DrainPlan::default`].
    pub fn drain_plan(mut self, plan: DrainPlan) -> Self {
        self.drain = Some(plan);
        self
    }

    /// Sets how many checks run at the same time. Defaults to 8.
    pub fn max_concurrency(mut self, max: usize) -> Self {
        self.max_concurrency = max;
        self
    }

    /// Sets over how long the first runs are spread. Defaults to 1 s.
    pub fn first_run_within(mut self, span: Duration) -> Self {
        self.first_run_within = span;
        self
    }

    /// Hides a secret wherever it stands in diagnostics. May be called again.
    pub fn redact(mut self, secret: impl Into<Secret>) -> Self {
        self.known_secrets.push(secret.into());
        self
    }

    /// Makes the service's health. Nothing runs before [`Health::start`].
    ///
    /// # Errors
    /// `InvalidConfig` with every problem: invalid and duplicate names, thresholds,
    /// intervals and ages that contradict each other, a short token, a drain plan that
    /// outlasts the host, and what the checks themselves report.
    pub fn build(self) -> Result<Health> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(Error::invalid_config(problems).with_operation("health.build"));
        }
        let drain = self.plan();
        let Self {
            service,
            version,
            clock,
            access,
            expose_names,
            shape,
            aliases,
            degraded_status,
            ready_on_shared_failure,
            ready_in_maintenance,
            host,
            drain: _,
            max_concurrency,
            first_run_within,
            known_secrets,
            metrics,
            checks,
            signals,
            gates,
            misplaced: _,
            extras,
        } = self;
        let single_instance = host.is_some_and(|host| host.single_instance);
        let rules = Rules {
            ready_on_shared_failure: ready_on_shared_failure.unwrap_or(!single_instance),
            ready_in_maintenance,
        };
        let settings = Settings {
            service,
            version,
            clock,
            access,
            expose_names,
            shape,
            aliases,
            degraded_status,
            rules,
            drain,
            max_concurrency,
            first_run_within,
            known_secrets,
            metrics,
        };
        let registry = checks
            .into_iter()
            .map(|(check, policy)| Registration::new(check, policy))
            .collect();
        Ok(Health::new(settings, registry, signals, gates, extras))
    }

    fn plan(&self) -> DrainPlan {
        self.drain
            .or_else(|| self.host.as_ref().map(DrainPlan::for_host))
            .unwrap_or_default()
    }
}

impl fmt::Debug for HealthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthBuilder")
            .field("service", &self.service)
            .field(
                "checks",
                &self
                    .checks
                    .iter()
                    .map(|(check, _)| check.name())
                    .collect::<Vec<_>>(),
            )
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
