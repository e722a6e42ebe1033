//! Fly's answers as Fly names them, and what they mean.

use ops_core::{ErrorKind, Result, Secret, Timestamp};
use ops_http::decode::{or_default, timestamp_opt};
use ops_http::{Next, PageOf};
use serde::Deserialize;

use crate::error::refuse;

pub(crate) mod body;
mod certificate;
mod log;
mod machine;
mod release;

pub(crate) use certificate::{Certificate, Certificates};
pub(crate) use log::{LogPage, provider_of};
pub(crate) use machine::{
    Config, DEPLOY_KEY, DEPLOY_REQUEST, DESCRIPTION, Machine, PLATFORM, PROCESS_GROUP, RELEASE_ID,
    RELEASE_VERSION, REPLACES, ROLLOUT,
};
pub(crate) use release::{CreatedRelease, Release, Standing, UpdatedRelease};

/// `ListAppsResponse`.
#[derive(Debug, Deserialize)]
pub(crate) struct Apps {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) apps: Vec<App>,
}

/// `App` of the Machines API.
#[derive(Debug, Deserialize)]
pub(crate) struct App {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) machine_count: u64,
    pub(crate) organization: Option<Organization>,
}

/// `AppOrganizationInfo`.
#[derive(Debug, Deserialize)]
pub(crate) struct Organization {
    pub(crate) slug: Option<String>,
}

/// What the query for an app answers.
#[derive(Debug, Deserialize)]
pub(crate) struct AppAnswer {
    pub(crate) app: Option<AppNode>,
}

/// `App` of the GraphQL API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppNode {
    pub(crate) hostname: Option<String>,
    #[serde(default, deserialize_with = "timestamp_opt")]
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) releases: Releases,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Releases {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) nodes: Vec<Option<Release>>,
    pub(crate) page_info: PageInfo,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageInfo {
    pub(crate) end_cursor: Option<String>,
    pub(crate) has_next_page: bool,
}

impl AppAnswer {
    /// The app, which Fly answers as `null` where there is none.
    pub(crate) fn found(self) -> Result<AppNode> {
        self.app
            .ok_or_else(|| refuse(ErrorKind::NotFound, "there is no such app"))
    }
}

impl TryFrom<AppAnswer> for PageOf<Release> {
    type Error = ops_core::Error;

    fn try_from(answer: AppAnswer) -> Result<Self> {
        let Releases { nodes, page_info } = answer.found()?.releases;
        let next = match page_info.end_cursor {
            _ if !page_info.has_next_page => Next::End,
            Some(cursor) => Next::Cursor(cursor),
            // "More" without a way to get it ends the listing with an error.
            None => Next::More,
        };
        let items = nodes.into_iter().flatten().collect();
        Ok(Self { items, next })
    }
}

/// `Lease`, which the documentation shows inside of `data` and the description as it is.
#[derive(Debug, Deserialize)]
pub(crate) struct LeaseAnswer {
    nonce: Option<Secret>,
    data: Option<Lease>,
}

#[derive(Debug, Deserialize)]
struct Lease {
    nonce: Option<Secret>,
}

impl LeaseAnswer {
    pub(crate) fn nonce(self) -> Result<Secret> {
        let inner = self.data.and_then(|lease| lease.nonce);
        self.nonce.or(inner).ok_or_else(|| {
            let message = "the field nonce is missing from a lease";
            refuse(ErrorKind::Decode, message)
        })
    }
}

/// `listIPAssignmentsResponse`.
#[derive(Debug, Deserialize)]
pub(crate) struct Addresses {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) ips: Vec<serde::de::IgnoredAny>,
}

/// `AppSecrets`, without values.
#[derive(Debug, Deserialize)]
pub(crate) struct Secrets {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) secrets: Vec<NamedSecret>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NamedSecret {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "timestamp_opt")]
    pub(crate) updated_at: Option<Timestamp>,
}

/// `AppSecret`, with its value.
#[derive(Debug, Deserialize)]
pub(crate) struct SecretValue {
    pub(crate) value: Option<Secret>,
}
