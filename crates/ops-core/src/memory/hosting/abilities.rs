//! Making, scaling, and what it costs.

use async_trait::async_trait;

use super::super::lock;
use super::state::{AppRecord, check_replicas};
use super::{MemoryHosting, bad_input};
use crate::error::Result;
use crate::hosting::{
    App, CreateAppRequest, CreateApps, Replicas, Scale, ScaleRequest, ScaleState, Usage,
};
use crate::id::AppId;
use crate::usage::{UsageQuery, UsageReport};

#[async_trait]
impl CreateApps for MemoryHosting {
    async fn create_app(&self, request: CreateAppRequest) -> Result<App> {
        let now = self.0.clock.now();
        lock(&self.0.state).create_app(&request, now)
    }
}

fn scale_state(record: &AppRecord) -> ScaleState {
    let replicas = record.replicas();
    let regions = match &replicas {
        Replicas::PerRegion(regions) => regions.keys().cloned().collect(),
        _ => record.settings.regions.clone(),
    };
    let running = if record.live().is_some() {
        record.wanted()
    } else {
        0
    };
    let mut state = ScaleState::new(replicas)
        .with_running(running)
        .with_regions(regions);
    state.size.clone_from(&record.settings.size);
    state
}

#[async_trait]
impl Scale for MemoryHosting {
    async fn scale_state(&self, app: &AppId) -> Result<ScaleState> {
        self.with_app("hosting.scale_state", app, |record| Ok(scale_state(record)))
    }

    async fn set_scale(&self, app: &AppId, request: ScaleRequest) -> Result<ScaleState> {
        let operation = "hosting.set_scale";
        let ScaleRequest {
            replicas,
            size,
            regions,
        } = request;
        check_replicas(operation, replicas.as_ref())?;
        if matches!(replicas, Some(Replicas::PerRegion(_))) && regions.is_some() {
            return Err(bad_input(operation, "regions are named twice"));
        }
        self.with_app(operation, app, |record| {
            let settings = &mut record.settings;
            settings.replicas = replicas.or(settings.replicas.take());
            settings.size = size.or(settings.size.take());
            if let Some(regions) = regions {
                settings.regions = regions;
            }
            Ok(scale_state(record))
        })
    }
}

#[async_trait]
impl Usage for MemoryHosting {
    async fn usage(&self, query: UsageQuery) -> Result<UsageReport> {
        let items = lock(&self.0.state).usage.clone();
        super::super::usage_report(&query, items, self.0.clock.now())
    }
}
