//! One machine after another: waiting for it, changing it, taking it away.

use std::time::Duration;

use ops_core::id::AppId;
use ops_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

use super::lease::Lease;
use crate::api;
use crate::config::Fly;
use crate::error::refuse;
use crate::model::body::UpdateMachine;
use crate::model::{Config, Machine};

/// How long one request waits at the vendor.
const ROUND: Duration = Duration::from_secs(15);

/// How long a machine may take to end its work before it is removed.
const STOP: Duration = Duration::from_secs(30);

impl Fly {
    /// The machines of an app.
    pub(crate) async fn machines(&self, app: &AppId) -> Result<Vec<Machine>> {
        let call = api::list_machines(app, false);
        self.inner.machines.execute(call).await
    }

    /// The machines that serve an app: those for one task are left out.
    pub(crate) async fn serving(&self, app: &AppId) -> Result<Vec<Machine>> {
        let machines = self.machines(app).await?;
        Ok(machines.into_iter().filter(Machine::serves).collect())
    }

    /// Waits until a machine runs and passes its checks.
    ///
    /// # Errors
    /// `Conflict` with the reason where it will not come up, `Timeout` where it takes too
    /// long, and whatever ends the looking.
    pub(crate) async fn wait_healthy(&self, lease: &mut Lease, machine: &Machine) -> Result<()> {
        let settings = &self.inner.settings;
        let deadline = Instant::now() + settings.start_timeout;
        let late = |what: String| {
            let text = format!("{what} after {} s", settings.start_timeout.as_secs());
            Err(refuse(ErrorKind::Timeout, text))
        };
        let version = machine.instance_id.as_deref();
        loop {
            lease.keep().await?;
            let left = deadline.saturating_duration_since(Instant::now());
            let call = api::wait(lease.at(&machine.id), version, "started", left.min(ROUND));
            match self.inner.machines.execute(call).await {
                Ok(()) => break,
                Err(err) if may_get_better(&err) => {}
                Err(err) => return Err(err),
            }
            let seen = self.look(lease, machine).await?;
            if Instant::now() >= deadline {
                return late(format!("machine {} was still {}", seen.id, seen.state));
            }
        }
        loop {
            let seen = self.look(lease, machine).await?;
            let Some(check) = seen.failing_check() else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                let text = format!("check {} of machine {} did not pass", check.name, seen.id);
                return late(text);
            }
            lease.keep().await?;
            sleep(settings.interval).await;
        }
    }

    /// A machine as it is now, where it may still come up.
    async fn look(&self, lease: &Lease, machine: &Machine) -> Result<Machine> {
        let call = api::show_machine(lease.at(&machine.id));
        let seen = self.inner.machines.execute(call).await?;
        match seen.failure() {
            Some(failure) => Err(refuse(ErrorKind::Conflict, failure)),
            None => Ok(seen),
        }
    }

    /// Replaces the configuration of a machine in its place; one that sleeps goes on sleeping.
    pub(crate) async fn update(
        &self,
        lease: &Lease,
        machine: &Machine,
        config: &Config,
    ) -> Result<Machine> {
        let body = UpdateMachine {
            config,
            current_version: machine.instance_id.as_deref(),
            skip_launch: !machine.is_awake(),
        };
        let call = api::update_machine(lease.at(&machine.id), &body);
        self.inner.machines.execute(call).await
    }

    /// Replaces the configuration of a machine, and waits where it runs.
    pub(crate) async fn change(
        &self,
        lease: &mut Lease,
        machine: &Machine,
        config: &Config,
    ) -> Result<Machine> {
        let updated = self.update(lease, machine, config).await?;
        if machine.is_awake() {
            self.wait_healthy(lease, &updated).await?;
        }
        Ok(updated)
    }

    /// Takes a machine away that serves: new requests go elsewhere, and it may end what it
    /// has begun. Whatever goes wrong meanwhile, it is removed.
    pub(crate) async fn retire(&self, lease: &Lease, machine: &Machine) -> Result<()> {
        let (api, at) = (&self.inner.machines, lease.at(&machine.id));
        let version = machine.instance_id.as_deref();
        if machine.is_awake() && api.execute(api::cordon(at)).await.is_ok() {
            let stopped = api.execute(api::stop(at)).await;
            if stopped.is_ok() {
                let _ = api.execute(api::wait(at, version, "stopped", STOP)).await;
            }
        }
        self.remove(lease, machine).await
    }

    /// Removes a machine at once. One that is gone already is fine.
    pub(crate) async fn remove(&self, lease: &Lease, machine: &Machine) -> Result<()> {
        let call = api::delete_machine(lease.at(&machine.id));
        self.inner.machines.execute(call).await.map(drop)
    }
}

/// A wait that is over, or a request that may work the next time.
fn may_get_better(err: &Error) -> bool {
    err.is_retryable() || err.kind() == ErrorKind::Timeout
}
