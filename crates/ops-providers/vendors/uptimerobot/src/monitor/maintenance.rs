//! Maintenance windows.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use ops_core::id::{IdempotencyKey, MaintenanceId, MonitorId};
use ops_core::monitor::{CreateMaintenanceRequest, MaintenanceWindow, MaintenanceWindows};
use ops_core::{DeleteOutcome, ItemStream, Result};

use crate::model::maintenance::{Offset, Window, WindowBody};
use crate::{PROVIDER, UptimeRobot, api};

#[async_trait]
impl MaintenanceWindows for UptimeRobot {
    /// UptimeRobot has no idempotency keys: the key stands behind the title in the name of
    /// the window, and a window with it is looked for first. Two calls at the same time may
    /// still make two windows.
    async fn create_maintenance(
        &self,
        request: CreateMaintenanceRequest,
    ) -> Result<MaintenanceWindow> {
        let now = self.inner.clock.now();
        let ids = request.monitors.iter();
        let ids: Vec<u64> = ids
            .map(|id| super::known(id.as_str()))
            .collect::<Result<_>>()?;
        let body = WindowBody::new(&request, ids, self.offset(), now)?;
        if let Some(key) = &request.idempotency_key
            && let Some(made) = self.made_before(key).await?
        {
            return self.told(made);
        }
        self.all_there(&request.monitors).await?;
        let made = self.inner.api.execute(api::create_window(&body)).await?;
        self.told(made)
    }

    /// Of a window that recurs, which the dashboard can make, the present or next turn is
    /// told.
    fn list_maintenance(&self) -> ItemStream<MaintenanceWindow> {
        let listed = self.inner.api.pages(api::windows());
        let here = self.clone();
        listed.map(move |window| here.told(window?)).boxed()
    }

    async fn delete_maintenance(&self, maintenance: &MaintenanceId) -> Result<DeleteOutcome> {
        let Some(id) = super::number(maintenance.as_str()) else {
            return Ok(DeleteOutcome::AlreadyGone);
        };
        let call = api::delete_window(id);
        Ok(super::deleted(self.inner.api.execute(call).await?))
    }
}

impl UptimeRobot {
    fn offset(&self) -> Offset {
        Offset(self.inner.settings.utc_offset_minutes)
    }

    fn told(&self, window: Window) -> Result<MaintenanceWindow> {
        let seen = window.seen(self.offset(), self.inner.clock.now());
        seen.map_err(|err| err.with_provider(PROVIDER))
    }

    async fn made_before(&self, key: &IdempotencyKey) -> Result<Option<Window>> {
        let mut listed = self.inner.api.pages(api::windows());
        while let Some(window) = listed.try_next().await? {
            if window.has_key(key) {
                return Ok(Some(window));
            }
        }
        Ok(None)
    }

    /// What UptimeRobot does with an id of nobody is not described, so it is looked first.
    async fn all_there(&self, monitors: &[MonitorId]) -> Result<()> {
        let mut missing: BTreeSet<&str> = monitors.iter().map(MonitorId::as_str).collect();
        let mut listed = self.inner.api.pages(api::monitors(None));
        while !missing.is_empty() {
            let Some(monitor) = listed.try_next().await? else {
                break;
            };
            missing.remove(monitor.id.to_string().as_str());
        }
        missing.first().map_or(Ok(()), |id| Err(super::missing(id)))
    }
}
