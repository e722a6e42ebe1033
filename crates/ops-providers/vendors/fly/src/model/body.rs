//! What is sent.

use serde::Serialize;
use serde_json::Value;

use super::Config;

/// `CreateAppRequest`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CreateApp<'a> {
    pub(crate) name: &'a str,
    pub(crate) org_slug: &'a str,
}

/// `CreateMachineRequest`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CreateMachine<'a> {
    pub(crate) config: &'a Config,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<&'a str>,
    /// Requests are kept away from it until it is uncordoned.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) skip_service_registration: bool,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease_ttl: Option<u64>,
}

/// `UpdateMachineRequest`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct UpdateMachine<'a> {
    pub(crate) config: &'a Config,
    /// The update is refused where the machine has another version by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_version: Option<&'a str>,
    /// A machine that sleeps goes on sleeping.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) skip_launch: bool,
}

/// `CreateReleaseInput`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateRelease<'a> {
    pub(crate) app_id: &'a str,
    pub(crate) image: &'a str,
    pub(crate) platform_version: &'static str,
    pub(crate) strategy: &'static str,
    pub(crate) definition: Value,
}
