//! What the account holds.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use super::super::{Idempotency, Sequence, error, missing};
use crate::error::{ErrorKind, Result};
use crate::hosting::{
    App, AppSettings, AppState, CreateAppRequest, DeployRequest, DeploySource, Deployment, Domain,
    EnvKey, LogLine, LogSource, Replicas, RollbackRequest, RollbackTarget,
};
use crate::id::{AppId, DeploymentId, DomainId};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::usage::UsageItem;

/// What the account holds.
#[derive(Default)]
pub(super) struct State {
    pub(super) apps: BTreeMap<AppId, AppRecord>,
    pub(super) created: Idempotency,
    pub(super) deployed: Idempotency,
    pub(super) rolled_back: Idempotency,
    pub(super) sequence: Sequence,
    pub(super) usage: Vec<UsageItem>,
}

/// What is kept of an app.
pub(super) struct AppRecord {
    pub(super) id: AppId,
    pub(super) name: String,
    pub(super) created_at: Timestamp,
    pub(super) settings: AppSettings,
    /// Oldest first.
    pub(super) deployments: Vec<DeploymentRecord>,
    pub(super) fail_next: Option<String>,
    pub(super) env: BTreeMap<EnvKey, String>,
    pub(super) secrets: BTreeMap<EnvKey, (Secret, Timestamp)>,
    pub(super) instance_env: BTreeMap<EnvKey, Secret>,
    pub(super) domains: BTreeMap<DomainId, Domain>,
    pub(super) restarts: u64,
    /// The newest [`MAX_LOG_LINES`]; the first one has the number `first_line`.
    pub(super) log: VecDeque<(LogLine, Option<DeploymentId>)>,
    pub(super) first_line: u64,
    pub(super) readers: Vec<Waker>,
}

const MAX_LOG_LINES: usize = 10_000;

/// What is kept of a deployment.
pub(super) struct DeploymentRecord {
    pub(super) deployment: Deployment,
    /// What changes about the app when it is live.
    pub(super) settings: AppSettings,
    pub(super) will_fail: Option<String>,
    pub(super) has_served: bool,
}

impl State {
    pub(super) fn create_app(&mut self, request: &CreateAppRequest, now: Timestamp) -> Result<App> {
        let operation = "hosting.create_app";
        let key = request.idempotency_key.as_ref();
        if let Some(id) = self.created.find(operation, key, request)? {
            let id = AppId::new(id)?;
            let record = self.apps.get(&id).ok_or_else(|| missing(operation, &id))?;
            return Ok(record.describe());
        }
        check_name(operation, &request.name)?;
        let settings = &request.settings;
        check_replicas(operation, settings.replicas.as_ref())?;
        if let Some(record) = self
            .apps
            .values()
            .find(|record| record.name == request.name)
        {
            let message = format!("an app named {} exists already", request.name);
            return Err(error(ErrorKind::AlreadyExists, operation, message)
                .with_resource(record.id.as_str()));
        }
        let id = AppId::new(format!("app-{}", self.sequence.next()))?;
        let mut record = AppRecord::new(id.clone(), request, now);
        if let Some(source) = &request.source {
            let source = record.resolve(operation, source)?;
            let deployment = DeploymentId::new(format!("deployment-{}", self.sequence.next()))?;
            let first = DeployRequest::new(source.clone());
            record.start(deployment, id.clone(), source, first, now);
        }
        let app = record.describe();
        self.apps.insert(id.clone(), record);
        self.created
            .remember(request.idempotency_key.clone(), &request, id.as_str());
        Ok(app)
    }

    pub(super) fn deploy(
        &mut self,
        app: &AppId,
        request: DeployRequest,
        now: Timestamp,
    ) -> Result<Deployment> {
        let operation = "hosting.deploy";
        let Self {
            apps,
            deployed,
            sequence,
            ..
        } = self;
        let record = apps.get_mut(app).ok_or_else(|| missing(operation, app))?;
        let key = request.idempotency_key.clone();
        let asked = (app, request);
        if let Some(id) = deployed.find(operation, key.as_ref(), &asked)? {
            return record.found(operation, &DeploymentId::new(id)?);
        }
        let source = record.resolve(operation, &asked.1.source)?;
        check_replicas(operation, asked.1.settings.replicas.as_ref())?;
        let id = DeploymentId::new(format!("deployment-{}", sequence.next()))?;
        deployed.remember(key, &asked, id.as_str());
        Ok(record.start(id, app.clone(), source, asked.1, now))
    }

    pub(super) fn roll_back(
        &mut self,
        app: &AppId,
        request: RollbackRequest,
        now: Timestamp,
    ) -> Result<Deployment> {
        let operation = "hosting.roll_back";
        let Self {
            apps,
            rolled_back,
            sequence,
            ..
        } = self;
        let record = apps.get_mut(app).ok_or_else(|| missing(operation, app))?;
        let key = request.idempotency_key.clone();
        let asked = (app, request);
        if let Some(id) = rolled_back.find(operation, key.as_ref(), &asked)? {
            return record.found(operation, &DeploymentId::new(id)?);
        }
        let target = match &asked.1.target {
            RollbackTarget::Previous => record.served_before(operation)?,
            RollbackTarget::Deployment(id) => record.has_served(operation, id)?,
        };
        let source = record.resolve(operation, &DeploySource::Previous(target))?;
        let id = DeploymentId::new(format!("deployment-{}", sequence.next()))?;
        rolled_back.remember(key, &asked, id.as_str());
        let again = DeployRequest::new(source.clone());
        Ok(record.start(id, app.clone(), source, again, now))
    }
}

fn check_name(operation: &'static str, name: &str) -> Result<()> {
    let fits = (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits {
        return Ok(());
    }
    let message = "the name of an app is at most 63 of a-z, 0-9 and -, with no - at an end";
    Err(super::bad_input(operation, message))
}

pub(super) fn check_replicas(operation: &'static str, replicas: Option<&Replicas>) -> Result<()> {
    match replicas {
        Some(Replicas::Auto { min, max }) if min > max => Err(super::bad_input(
            operation,
            "the minimum of replicas is above the maximum",
        )),
        Some(Replicas::Auto { max: 0, .. }) => {
            Err(super::bad_input(operation, "the maximum of replicas is 0"))
        }
        _ => Ok(()),
    }
}

impl AppRecord {
    fn new(id: AppId, request: &CreateAppRequest, now: Timestamp) -> Self {
        Self {
            id,
            name: request.name.clone(),
            created_at: now,
            settings: request.settings.clone(),
            deployments: Vec::new(),
            fail_next: None,
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            instance_env: BTreeMap::new(),
            domains: BTreeMap::new(),
            restarts: 0,
            log: VecDeque::new(),
            first_line: 0,
            readers: Vec::new(),
        }
    }

    pub(super) fn replicas(&self) -> Replicas {
        self.settings.replicas.clone().unwrap_or(Replicas::Total(1))
    }

    /// How many instances are asked for at least.
    pub(super) fn wanted(&self) -> u32 {
        match self.replicas() {
            Replicas::Total(total) => total,
            Replicas::PerRegion(regions) => regions.values().sum(),
            Replicas::Auto { min, .. } => min,
        }
    }

    pub(super) fn live(&self) -> Option<&DeploymentRecord> {
        self.deployments
            .iter()
            .rev()
            .find(|record| record.deployment.state.is_live())
    }

    fn state(&self) -> AppState {
        let Some(last) = self.deployments.last() else {
            return AppState::Empty;
        };
        if self.live().is_some() {
            return if self.wanted() == 0 {
                AppState::Suspended
            } else {
                AppState::Running
            };
        }
        if last.deployment.state.is_terminal() {
            AppState::Failed
        } else {
            AppState::Starting
        }
    }

    pub(super) fn describe(&self) -> App {
        let mut app = App::new(self.id.clone(), self.name.clone(), self.state())
            .with_created_at(self.created_at)
            .with_url(format!("https://{}.memory.invalid", self.name))
            .with_regions(self.settings.regions.clone());
        app.current_deployment = self.live().map(|record| record.deployment.id.clone());
        app
    }

    pub(super) fn print(&mut self, line: LogLine) {
        let deployment = self.live().map(|record| record.deployment.id.clone());
        self.print_for(line, deployment);
    }

    pub(super) fn note(&mut self, now: Timestamp, deployment: DeploymentId, message: String) {
        self.print_for(
            LogLine::new(now, LogSource::System, message),
            Some(deployment),
        );
    }

    fn print_for(&mut self, line: LogLine, deployment: Option<DeploymentId>) {
        if self.log.len() == MAX_LOG_LINES {
            self.log.pop_front();
            self.first_line += 1;
        }
        self.log.push_back((line, deployment));
        self.wake();
    }

    /// Wakes those that follow the log.
    pub(super) fn wake(&mut self) {
        self.readers.drain(..).for_each(Waker::wake);
    }
}
