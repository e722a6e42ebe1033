//! Making apps.

use std::fmt;

use async_trait::async_trait;

use super::{App, AppSettings, DeploySource};
use crate::error::Result;
use crate::id::IdempotencyKey;
use crate::macros::setters;

/// A request to make an app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateAppRequest {
    /// The name, by the vendor's rules; unique in the account, with some vendors everywhere.
    pub name: String,
    /// How it should run. Defaults to what the vendor does by itself.
    pub settings: AppSettings,
    /// What to deploy first. Some vendors cannot make an app without it.
    pub source: Option<DeploySource>,
    /// The same key makes the same app. Defaults to a key of this call alone.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl CreateAppRequest {
    /// An app of that name with nothing deployed.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            settings: AppSettings::default(),
            source: None,
            idempotency_key: None,
        }
    }
}

setters! { CreateAppRequest {
    opt { with_source(source: DeploySource), with_idempotency_key(idempotency_key: IdempotencyKey) }
    val { with_settings(settings: AppSettings) }
} }

/// Making apps. An ability of [`Hosting`](super::Hosting).
#[async_trait]
pub trait CreateApps: fmt::Debug + Send + Sync + 'static {
    /// Makes an app.
    ///
    /// # Behavior
    /// 1. The app is in [`list_apps`](super::Hosting::list_apps) when the call has returned.
    /// 2. Two calls with one idempotency key make one app and both answer it.
    /// 3. A setting that the vendor does not have is `Unsupported`, and nothing is made.
    ///
    /// # Errors
    /// `AlreadyExists` for a name that is taken, with the app's id as
    /// [`resource`](crate::Error::resource) where it is ours; `InvalidInput` for a name or
    /// setting that the vendor refuses; `QuotaExceeded`. After a timeout the outcome is
    /// unknown: look for the name in [`list_apps`](super::Hosting::list_apps).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the app made.
    async fn create_app(&self, request: CreateAppRequest) -> Result<App>;
}

const _: fn(&dyn CreateApps) = |_| {};
