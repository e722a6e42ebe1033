//! What is sent in bodies, named as Neon names it.

use std::collections::BTreeMap;

use ops_core::database::{CreateBranchRequest, CreateDatabaseRequest, DatabaseSize, Engine};
use ops_core::{Error, ErrorKind, Result, Timestamp};
use serde::Serialize;

/// The annotation of a branch that keeps the key it was made with.
pub(crate) const KEY_ANNOTATION: &str = "ops-idempotency-key";

/// The smallest compute, in thousandths of a compute unit, which is one processor.
const MIN_CPU_MILLIS: u32 = 250;

/// A body that holds a project to make.
#[derive(Debug, Serialize)]
pub(crate) struct ProjectCreateRequest<'a> {
    project: NewProject<'a>,
}

#[derive(Debug, Serialize)]
struct NewProject<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    region_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pg_version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<&'a str>,
    #[serde(skip_serializing_if = "ComputeSize::is_empty")]
    default_endpoint_settings: ComputeSize,
}

impl<'a> ProjectCreateRequest<'a> {
    /// Refuses what Neon does not have, rather than leave it out.
    pub(crate) fn new(
        request: &'a CreateDatabaseRequest,
        organization: Option<&'a str>,
    ) -> Result<Self> {
        if request.engine != Engine::Postgres {
            return Err(Error::unsupported("an engine other than PostgreSQL"));
        }
        if request.dimensions.is_some() {
            return Err(Error::unsupported("a number of dimensions"));
        }
        if request.idempotency_key.is_some() {
            return Err(Error::unsupported("an idempotency key for a project"));
        }
        let version = request.version.as_deref();
        let pg_version = version.map(str::parse).transpose().map_err(|source| {
            let message = "the version is not a major of PostgreSQL, such as 17";
            Error::new(ErrorKind::InvalidInput, message).with_source(source)
        })?;
        Ok(Self {
            project: NewProject {
                name: &request.name,
                region_id: request.region.as_ref().map(AsRef::as_ref),
                pg_version,
                org_id: organization,
                default_endpoint_settings: ComputeSize::new(&request.size)?,
            },
        })
    }
}

/// How large a compute is, in compute units.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct ComputeSize {
    #[serde(skip_serializing_if = "Option::is_none")]
    autoscaling_limit_min_cu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    autoscaling_limit_max_cu: Option<f64>,
    /// 0 is Neon's own default, after which a compute sleeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspend_timeout_seconds: Option<u32>,
}

impl ComputeSize {
    /// Refuses what is no size of a compute.
    pub(crate) fn new(size: &DatabaseSize) -> Result<Self> {
        for (is_set, what) in [
            (size.plan.is_some(), "a plan for a compute"),
            (size.storage_bytes.is_some(), "a size of the storage"),
            (size.replicas.is_some(), "a number of replicas"),
        ] {
            if is_set {
                return Err(Error::unsupported(what));
            }
        }
        let may_sleep = size.min_cpu_millis == Some(0);
        // A compute that sleeps begins at the smallest when it wakes.
        let min = size.min_cpu_millis.filter(|_| !may_sleep);
        for given in [min, size.max_cpu_millis].into_iter().flatten() {
            if given < MIN_CPU_MILLIS {
                let message =
                    format!("{given} is less than {MIN_CPU_MILLIS}, the smallest compute");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        if let (Some(min), Some(max)) = (min, size.max_cpu_millis)
            && min > max
        {
            let message = format!("the minimum {min} is above the maximum {max}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let units = |millis: u32| f64::from(millis) / 1_000.0;
        Ok(Self {
            autoscaling_limit_min_cu: min.or(may_sleep.then_some(MIN_CPU_MILLIS)).map(units),
            autoscaling_limit_max_cu: size.max_cpu_millis.map(units),
            suspend_timeout_seconds: may_sleep.then_some(0),
        })
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A body that holds what changes about a compute.
#[derive(Debug, Serialize)]
pub(crate) struct EndpointUpdateRequest {
    pub(crate) endpoint: ComputeSize,
}

/// A body that holds a branch to make, always with a compute: without one nobody could
/// connect to it.
#[derive(Debug, Serialize)]
pub(crate) struct BranchCreateRequest<'a> {
    branch: NewBranch<'a>,
    endpoints: [NewEndpoint; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotation_value: BTreeMap<&'static str, &'a str>,
}

#[derive(Debug, Serialize)]
struct NewBranch<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct NewEndpoint {
    r#type: &'static str,
}

impl<'a> From<&'a CreateBranchRequest> for BranchCreateRequest<'a> {
    fn from(request: &'a CreateBranchRequest) -> Self {
        let key = request.idempotency_key.as_ref();
        Self {
            branch: NewBranch {
                name: &request.name,
                parent_id: request.parent.as_ref().map(AsRef::as_ref),
                parent_timestamp: request.at,
                // Neon takes no fractions of a second here.
                expires_at: request
                    .expires_at
                    .map(|end| end.strftime_utc("%Y-%m-%dT%H:%M:%SZ")),
            },
            endpoints: [NewEndpoint {
                r#type: "read_write",
            }],
            annotation_value: key
                .map(|key| (KEY_ANNOTATION, key.as_str()))
                .into_iter()
                .collect(),
        }
    }
}

/// A body that says to which instant a branch is taken back.
#[derive(Debug, Serialize)]
pub(crate) struct BranchRestoreRequest<'a> {
    pub(crate) source_branch_id: &'a str,
    pub(crate) source_timestamp: Timestamp,
    /// Required where a branch is taken back in its own history.
    pub(crate) preserve_under_name: &'a str,
}

/// A body that says whose place a snapshot takes.
#[derive(Debug, Serialize)]
pub(crate) struct RestoreSnapshotRequest<'a> {
    pub(crate) target_branch_id: &'a str,
    pub(crate) finalize_restore: bool,
}

/// A body that holds what changes about a branch.
#[derive(Debug, Serialize)]
pub(crate) struct BranchUpdateRequest<'a> {
    branch: BranchUpdate<'a>,
}

#[derive(Debug, Serialize)]
struct BranchUpdate<'a> {
    name: &'a str,
}

impl<'a> BranchUpdateRequest<'a> {
    pub(crate) fn name(name: &'a str) -> Self {
        Self {
            branch: BranchUpdate { name },
        }
    }
}
