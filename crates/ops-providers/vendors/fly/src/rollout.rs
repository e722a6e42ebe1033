//! How a deployment is carried out.
//!
//! New machines are made beside the ones that serve, kept from requests until all of them
//! are healthy, and then put in their place; a machine with a volume, which is bound to it, is
//! updated in its place instead. The vendor's list of releases has each deployment, as the
//! vendor's own client writes it there, and is the one memory of how it ended.
//!
//! Whatever is left of a deployment that was given up in the middle is told apart by the
//! metadata of its machines and the state of its release, and the next one tidies up.

use ops_core::hosting::{Deployment, DeploymentState};
use ops_core::id::AppId;
use ops_core::{Error, ErrorKind, Result, Retry};
use serde_json::json;

use crate::api;
use crate::config::Fly;
use crate::error::refuse;
use crate::hosting::staged;
use crate::model::body::{CreateMachine, CreateRelease};
use crate::model::{
    Config, DEPLOY_KEY, DEPLOY_REQUEST, DESCRIPTION, Machine, PLATFORM, PROCESS_GROUP, RELEASE_ID,
    RELEASE_VERSION, REPLACES, ROLLOUT, Release,
};
use crate::settings::{Changes, Shape, first_config};

pub(crate) mod lease;
mod machines;
pub(crate) mod plan;
pub(crate) mod site;

use lease::Lease;
use plan::Slot;
use site::Site;

/// What is wanted, checked as far as it can be without asking the vendor.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) image: String,
    pub(crate) shape: Shape,
    pub(crate) changes: Changes,
    pub(crate) note: Note,
}

/// What the machines remember of a deployment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    /// The idempotency key, and what was asked for with it.
    pub(crate) key: Option<(String, String)>,
    pub(crate) description: Option<String>,
}

/// What is to be done to the machines of an app.
struct Plan {
    /// Machines to be made.
    slots: Vec<Slot>,
    /// Machines that stay where they are, and their new configurations.
    in_place: Vec<(Machine, Config)>,
    /// Machines whose place is taken.
    old: Vec<Machine>,
}

/// A deployment in the middle.
struct Rollout<'a> {
    fly: &'a Fly,
    app: &'a AppId,
    lease: Lease,
    release: &'a Release,
    note: &'a Note,
    /// Machines that were made.
    made: Vec<Machine>,
    /// Machines as they were before they were changed in their place.
    changed: Vec<(Machine, Machine)>,
}

impl Fly {
    /// Carries a deployment out, and answers how it ended. `machines` were listed just now.
    pub(crate) async fn roll_out(
        &self,
        app: &AppId,
        mut machines: Vec<Machine>,
        wanted: &Wanted,
    ) -> Result<Deployment> {
        let lease = Lease::take(self, app, &machines).await?;
        if lease.is_held() {
            // They may have changed until they were ours.
            machines = self.machines(app).await?;
        }
        let history = self.recent_releases(app).await?;
        let site = Site::of(machines, &history);
        let mut staged = None;
        if site.live.is_empty() {
            staged = staged::read(self, app).await?;
        }
        let mut plan = self.plan(&site, wanted)?;
        if let Some(env) = &staged {
            for slot in &mut plan.slots {
                slot.config.set_env(env);
            }
        }
        self.tidy(&site, &lease, &history).await?;
        let release = self.open_release(app, &plan, wanted).await?;
        let rollout = Rollout {
            fly: self,
            app,
            lease,
            release: &release,
            note: &wanted.note,
            made: Vec::new(),
            changed: Vec::new(),
        };
        let ended = rollout.run(&plan).await?;
        if staged.is_some() && ended.state.is_live() {
            staged::clear(self, app).await?;
        }
        Ok(ended)
    }

    fn plan(&self, site: &Site, wanted: &Wanted) -> Result<Plan> {
        let settings = &self.inner.settings;
        let (bound, free): (Vec<&Machine>, Vec<&Machine>) =
            site.live.iter().partition(|it| it.config.has_volume());
        site.check_shape(&wanted.shape)?;
        let pattern = free.first().map_or_else(
            || first_config(&settings.guest, settings.port),
            |it| it.config.clone(),
        );
        let mut slots = Vec::new();
        if !free.is_empty() || bound.is_empty() {
            let target = plan::target(plan::census(&free), &wanted.shape)?;
            slots = plan::slots(&target, &free, &pattern);
        }
        for slot in &mut slots {
            slot.config.set("image", wanted.image.as_str());
            wanted.changes.write(&mut slot.config, settings.port)?;
            if slot.region.is_none() {
                slot.region = settings.region.as_ref().map(|it| it.as_str().to_owned());
            }
        }
        let mut in_place = Vec::new();
        for machine in bound {
            let mut config = machine.config.clone();
            config.set("image", wanted.image.as_str());
            wanted.changes.write(&mut config, settings.port)?;
            in_place.push((machine.clone(), config));
        }
        Ok(Plan {
            slots,
            in_place,
            old: free.into_iter().cloned().collect(),
        })
    }

    /// Removes what earlier deployments have left, and closes their releases.
    async fn tidy(&self, site: &Site, lease: &Lease, history: &[Release]) -> Result<()> {
        for machine in &site.leftovers {
            self.remove(lease, machine).await?;
        }
        for machine in &site.replaced {
            self.retire(lease, machine).await?;
        }
        if lease.is_held() {
            for release in history.iter().filter(|it| it.is_open()) {
                let call = api::update_release(release.id.as_str(), "interrupted");
                self.inner.platform.execute(call).await?;
            }
        }
        Ok(())
    }

    async fn open_release(&self, app: &AppId, plan: &Plan, wanted: &Wanted) -> Result<Release> {
        let body = CreateRelease {
            app_id: app.as_str(),
            image: &wanted.image,
            platform_version: "machines",
            strategy: if plan.in_place.is_empty() {
                "BLUEGREEN"
            } else {
                "ROLLING"
            },
            definition: json!({ "app": app.as_str(), "build": { "image": wanted.image } }),
        };
        let made = self
            .inner
            .platform
            .execute(api::create_release(&body))
            .await?;
        let release = made.create_release.and_then(|it| it.release);
        let release = release.ok_or_else(|| {
            let message = "the field createRelease.release is missing";
            refuse(ErrorKind::Decode, message).with_retry(Retry::OutcomeUnknown)
        })?;
        let call = api::update_release(release.id.as_str(), "running");
        self.inner.platform.execute(call).await?;
        Ok(release)
    }
}

impl Rollout<'_> {
    async fn run(mut self, plan: &Plan) -> Result<Deployment> {
        let ended = match self.bring_up(plan).await {
            Ok(()) => self.close("complete").await,
            Err(err) => Err(err),
        };
        let failure = match ended {
            Ok(()) => {
                self.hand_over(plan).await;
                None
            }
            Err(failure) => {
                if let Err(undoing) = self.undo().await {
                    return Err(stuck(failure, &undoing));
                }
                Some(failure)
            }
        };
        let Self {
            fly,
            app,
            lease,
            release,
            ..
        } = self;
        lease.release().await;
        Ok(match failure {
            None => {
                let mut served = release.clone();
                "complete".clone_into(&mut served.status);
                served.deployment(app, DeploymentState::Live)
            }
            Some(failure) => {
                fly.remember_failure(&release.id, failure.message());
                let failed = release.clone().deployment(app, DeploymentState::Failed);
                failed.with_message(failure.message())
            }
        })
    }

    /// Everything up to the moment from which the new version serves.
    async fn bring_up(&mut self, plan: &Plan) -> Result<()> {
        let is_first = plan.old.is_empty() && plan.in_place.is_empty();
        for slot in &plan.slots {
            self.make(slot, !is_first).await?;
        }
        for machine in &self.made {
            self.fly.wait_healthy(&mut self.lease, machine).await?;
        }
        for (machine, config) in &plan.in_place {
            let mut config = config.clone();
            self.mark(&mut config);
            let updated = self.fly.update(&self.lease, machine, &config).await?;
            self.changed.push((machine.clone(), updated.clone()));
            if machine.is_awake() {
                self.fly.wait_healthy(&mut self.lease, &updated).await?;
            }
        }
        if is_first {
            return self.give_addresses(plan).await;
        }
        for machine in &self.made {
            let call = api::uncordon(self.lease.at(&machine.id));
            self.fly.inner.machines.execute(call).await?;
        }
        Ok(())
    }

    async fn make(&mut self, slot: &Slot, is_cordoned: bool) -> Result<()> {
        let mut config = slot.config.clone();
        self.mark(&mut config);
        config.set_metadata(ROLLOUT, Some(self.release.id.as_str()));
        let replaces = slot.replaces.join(",");
        config.set_metadata(REPLACES, (!replaces.is_empty()).then_some(&replaces));
        let body = CreateMachine {
            config: &config,
            region: slot.region.as_deref(),
            skip_service_registration: is_cordoned,
            lease_ttl: self.lease.wanted(),
        };
        self.lease.keep().await?;
        let call = api::create_machine(self.app, &body);
        let made = self.fly.inner.machines.execute(call).await?;
        self.lease.adopt(&made);
        self.made.push(made);
        Ok(())
    }

    /// Writes into a configuration which release it belongs to.
    fn mark(&self, config: &mut Config) {
        let group = config.group().to_owned();
        let version = self.release.version.to_string();
        let key = self.note.key.as_ref().map(|(key, _)| key.as_str());
        let request = self.note.key.as_ref().map(|(_, request)| request.as_str());
        let entries = [
            (PLATFORM, Some("v2")),
            (PROCESS_GROUP, Some(group.as_str())),
            (RELEASE_ID, Some(self.release.id.as_str())),
            (RELEASE_VERSION, Some(version.as_str())),
            (DEPLOY_KEY, key),
            (DEPLOY_REQUEST, request),
            (DESCRIPTION, self.note.description.as_deref()),
        ];
        for (name, value) in entries {
            config.set_metadata(name, value);
        }
    }

    /// An app without an address is not reached. Those that cost nothing are taken.
    async fn give_addresses(&self, plan: &Plan) -> Result<()> {
        let api = &self.fly.inner.machines;
        let serves = plan
            .slots
            .iter()
            .any(|slot| slot.config.service().is_some());
        if !serves
            || !api
                .execute(api::list_addresses(self.app))
                .await?
                .ips
                .is_empty()
        {
            return Ok(());
        }
        for kind in ["shared_v4", "v6"] {
            api.execute(api::assign_address(self.app, kind)).await?;
        }
        Ok(())
    }

    async fn close(&self, status: &str) -> Result<()> {
        let call = api::update_release(self.release.id.as_str(), status);
        self.fly.inner.platform.execute(call).await.map(drop)
    }

    /// Takes the old machines away. The new version serves already, so that one which cannot
    /// be removed does not make the deployment fail: the next one removes it.
    async fn hand_over(&mut self, plan: &Plan) {
        for machine in &plan.old {
            // A lease that was lost lets the removal fail, which is as good as any failure.
            let _ = self.lease.keep().await;
            let _ = self.fly.retire(&self.lease, machine).await;
        }
    }

    /// Removes what was made and writes back what was changed.
    async fn undo(&mut self) -> Result<()> {
        for machine in &self.made {
            self.fly.remove(&self.lease, machine).await?;
        }
        for (before, now) in self.changed.iter().rev() {
            let mut current = now.clone();
            current.state.clone_from(&before.state);
            self.fly
                .update(&self.lease, &current, &before.config)
                .await?;
        }
        self.close("failed").await
    }
}

/// The failure of a deployment of which something may be left.
#[cold]
fn stuck(failure: Error, undoing: &Error) -> Error {
    let message = format!(
        "{}; and what it left could not be removed ({}): the next deployment tries again",
        failure.message(),
        undoing.message(),
    );
    refuse(failure.kind(), message)
        .with_retry(Retry::OutcomeUnknown)
        .with_source(failure)
}
