//! Number, size and place of instances.

use std::fmt;

use async_trait::async_trait;

use super::{MachineSize, Replicas};
use crate::error::Result;
use crate::id::{AppId, Region};
use crate::macros::setters;

/// What to change. What is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScaleRequest {
    /// How many instances.
    pub replicas: Option<Replicas>,
    /// How large each is.
    pub size: Option<MachineSize>,
    /// Where they run. With [`Replicas::PerRegion`] the regions are there already, and
    /// both together are `InvalidInput`.
    pub regions: Option<Vec<Region>>,
}

setters! { ScaleRequest {
    opt { with_replicas(replicas: Replicas), with_size(size: MachineSize), with_regions(regions: Vec<Region>) }
} }

/// How an app is scaled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ScaleState {
    /// How many instances are asked for.
    pub replicas: Replicas,
    /// How many run now, where the vendor tells.
    pub running: Option<u32>,
    /// How large each is, where the vendor tells.
    pub size: Option<MachineSize>,
    /// Where they run; empty where the vendor does not tell.
    pub regions: Vec<Region>,
}

impl ScaleState {
    /// What is known of every app.
    #[must_use]
    pub fn new(replicas: Replicas) -> Self {
        Self {
            replicas,
            running: None,
            size: None,
            regions: Vec::new(),
        }
    }
}

setters! { ScaleState {
    opt { with_running(running: u32), with_size(size: MachineSize) }
    val { with_regions(regions: Vec<Region>) }
} }

/// Number, size and place of instances. An ability of [`Hosting`](super::Hosting).
#[async_trait]
pub trait Scale: fmt::Debug + Send + Sync + 'static {
    /// How the app is scaled.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn scale_state(&self, app: &AppId) -> Result<ScaleState>;

    /// Changes how the app is scaled.
    ///
    /// # Behavior
    /// 1. All of the request is applied, or none of it where the vendor's calls allow that.
    /// 2. Returns when the vendor has accepted it; `running` follows.
    ///
    /// # Errors
    /// `InvalidInput` where the minimum is above the maximum or a size is unknown;
    /// `QuotaExceeded` above the plan; `Unsupported` for what the vendor cannot change.
    /// Repeating is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some or all of the change applied;
    /// [`scale_state`](Self::scale_state) tells.
    async fn set_scale(&self, app: &AppId, request: ScaleRequest) -> Result<ScaleState>;
}

const _: fn(&dyn Scale) = |_| {};
