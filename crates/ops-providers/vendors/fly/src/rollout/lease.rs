//! Keeping others from changing an app meanwhile.

use std::time::Duration;

use ops_core::id::AppId;
use ops_core::{Result, Secret};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::api::{self, At};
use crate::config::Fly;
use crate::model::Machine;

/// How long a lease holds that nobody prolongs: so long is an app closed to others after
/// whoever changed it has died.
const TTL: Duration = Duration::from_secs(60);

/// A lease on one machine of an app, which stands for the app: the vendor's own client takes
/// a lease on each, and finds this one.
///
/// Where it is dropped it is given back, so that whoever comes next need not wait.
#[derive(Debug)]
pub(crate) struct Lease {
    fly: Fly,
    app: AppId,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    machine: String,
    nonce: Secret,
    since: Instant,
}

impl Lease {
    /// Takes a lease on the first machine by id. An app without machines has nothing to hold.
    ///
    /// # Errors
    /// `Conflict` where somebody else changes the app.
    pub(crate) async fn take(fly: &Fly, app: &AppId, machines: &[Machine]) -> Result<Self> {
        let mut lease = Self {
            fly: fly.clone(),
            app: app.clone(),
            held: None,
        };
        let serving = machines.iter().filter(|it| it.serves());
        if let Some(first) = serving.min_by(|one, other| one.id.cmp(&other.id)) {
            let call = api::lease(lease.at(&first.id), TTL.as_secs());
            let nonce = fly.inner.machines.execute(call).await?.nonce()?;
            lease.hold(&first.id, nonce);
        }
        Ok(lease)
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The seconds for which a machine should be leased from its making, where no other is.
    pub(crate) fn wanted(&self) -> Option<u64> {
        (!self.is_held()).then_some(TTL.as_secs())
    }

    /// Holds on to the lease that a machine was made with.
    pub(crate) fn adopt(&mut self, machine: &Machine) {
        if let (None, Some(nonce)) = (&self.held, &machine.nonce) {
            self.hold(&machine.id, nonce.clone());
        }
    }

    fn hold(&mut self, machine: &str, nonce: Secret) {
        self.held = Some(Held {
            machine: machine.to_owned(),
            nonce,
            since: Instant::now(),
        });
    }

    /// A machine of the app, with the nonce where it is the one that is leased.
    pub(crate) fn at<'a>(&'a self, machine: &'a str) -> At<'a> {
        let held = self.held.as_ref().filter(|held| held.machine == machine);
        At {
            app: &self.app,
            machine,
            nonce: held.map(|held| &held.nonce),
        }
    }

    /// Prolongs the lease where it is a third over.
    pub(crate) async fn keep(&mut self) -> Result<()> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        if held.since.elapsed() < TTL / 3 {
            return Ok(());
        }
        let machine = held.machine.clone();
        let call = api::lease(self.at(&machine), TTL.as_secs());
        let nonce = self.fly.inner.machines.execute(call).await?.nonce()?;
        self.hold(&machine, nonce);
        Ok(())
    }

    /// Gives the lease back. One that cannot be given back ends by itself.
    pub(crate) async fn release(mut self) {
        if let Some(held) = self.held.take() {
            give_back(&self.fly, &self.app, held).await;
        }
    }
}

async fn give_back(fly: &Fly, app: &AppId, held: Held) {
    let at = At {
        app,
        machine: &held.machine,
        nonce: Some(&held.nonce),
    };
    // The machine may be gone, and the lease with it.
    let _ = fly.inner.machines.execute(api::release_lease(at)).await;
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(held), Ok(runtime)) = (self.held.take(), Handle::try_current()) {
            let (fly, app) = (self.fly.clone(), self.app.clone());
            runtime.spawn(async move { give_back(&fly, &app, held).await });
        }
    }
}
