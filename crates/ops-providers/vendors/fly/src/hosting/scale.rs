//! Number, size and place of machines.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ops_core::hosting::{Replicas, Scale, ScaleRequest, ScaleState};
use ops_core::id::{AppId, Region};
use ops_core::{ErrorKind, Result};

use crate::Fly;
use crate::api;
use crate::error::refuse;
use crate::model::body::CreateMachine;
use crate::model::{Config, Machine, REPLACES};
use crate::rollout::lease::Lease;
use crate::rollout::plan::{Place, census, target};
use crate::rollout::site::Site;
use crate::settings::{Changes, Guest, Shape, sleep_of};

#[async_trait]
impl Scale for Fly {
    async fn scale_state(&self, app: &AppId) -> Result<ScaleState> {
        Ok(scaled(&self.serving(app).await?))
    }

    /// Machines are changed in their place, one after another, then added, then taken away:
    /// where it breaks off, some of the machines are changed. New ones are waited for where
    /// others go.
    async fn set_scale(&self, app: &AppId, request: ScaleRequest) -> Result<ScaleState> {
        let ScaleRequest {
            replicas,
            size,
            regions,
            ..
        } = request;
        let shape = Shape::of(replicas.as_ref(), regions.as_deref())?;
        let changes = Changes::of_scale(size.as_ref(), &shape)?;
        let machines = self.machines(app).await?;
        if !machines.iter().any(Machine::serves) {
            let text = "nothing is deployed that could be scaled: give settings to a deployment";
            return Err(refuse(ErrorKind::Conflict, text).with_resource(app.as_str()));
        }
        let mut lease = Lease::take(self, app, &machines).await?;
        let history = self.recent_releases(app).await?;
        let site = Site::of(self.machines(app).await?, &history);
        site.check_shape(&shape)?;
        let refs: Vec<&Machine> = site.live.iter().collect();
        let mut wanted = census(&refs);
        if shape.moves_machines() {
            wanted = target(wanted, &shape)?;
        }
        let live = self.change_all(&mut lease, site.live, &changes).await?;
        self.move_machines(&mut lease, app, live, wanted).await?;
        lease.release().await;
        self.scale_state(app).await
    }
}

impl Fly {
    /// Changes each machine in its place, where that changes anything.
    async fn change_all(
        &self,
        lease: &mut Lease,
        machines: Vec<Machine>,
        changes: &Changes,
    ) -> Result<Vec<Machine>> {
        let mut all = Vec::new();
        for machine in machines {
            let mut config = machine.config.clone();
            changes.write(&mut config, self.inner.settings.port)?;
            if config == machine.config {
                all.push(machine);
                continue;
            }
            let updated = self.change(lease, &machine, &config).await?;
            // What Fly answers of a configuration that it was just given is of no interest.
            all.push(Machine {
                config,
                state: machine.state,
                ..updated
            });
        }
        Ok(all)
    }

    /// Makes what is missing, and takes away what is too much.
    async fn move_machines(
        &self,
        lease: &mut Lease,
        app: &AppId,
        mut machines: Vec<Machine>,
        target: BTreeMap<Place, u32>,
    ) -> Result<()> {
        let Some(pattern) = machines.first().map(|it| pattern(&it.config)) else {
            return Ok(());
        };
        let mut missing = Vec::new();
        for (place, count) in target {
            for _ in 0..count {
                match machines.iter().position(|it| it.region == place) {
                    Some(kept) => drop(machines.swap_remove(kept)),
                    None => missing.push(place.clone()),
                }
            }
        }
        let mut made = Vec::new();
        for place in missing {
            let body = CreateMachine {
                config: &pattern,
                region: place.as_deref(),
                skip_service_registration: false,
                lease_ttl: None,
            };
            let call = api::create_machine(app, &body);
            made.push(self.inner.machines.execute(call).await?);
        }
        // What is left in the list has no place any more.
        if !machines.is_empty() {
            for machine in &made {
                self.wait_healthy(lease, machine).await?;
            }
        }
        for machine in &machines {
            self.retire(lease, machine).await?;
        }
        Ok(())
    }
}

/// The configuration of a further machine: it takes nobody's place.
fn pattern(config: &Config) -> Config {
    let mut config = config.clone();
    config.set_metadata(REPLACES, None);
    config
}

fn scaled(machines: &[Machine]) -> ScaleState {
    let count = u32::try_from(machines.len()).unwrap_or(u32::MAX);
    let first = machines.first();
    let asleep = first.and_then(|it| it.config.service()).and_then(sleep_of);
    let replicas = match asleep {
        Some(min) => Replicas::Auto { min, max: count },
        None => Replicas::Total(count),
    };
    let running = machines.iter().filter(|it| it.state == "started").count();
    let mut regions: Vec<Region> = machines
        .iter()
        .filter_map(|it| Region::new(it.region.as_deref()?).ok())
        .collect();
    regions.sort();
    regions.dedup();
    let mut state = ScaleState::new(replicas)
        .with_running(u32::try_from(running).unwrap_or(u32::MAX))
        .with_regions(regions);
    state.size = first.map(|it| Guest::of(&it.config).size());
    state
}
