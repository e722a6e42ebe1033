//! What is sent: every operation of Neon's API v2 that this crate uses, and each request as
//! a value. Reference: <https://api-docs.neon.tech/reference>.

use ops_core::Timestamp;
use ops_core::id::{BranchId, DatabaseId, NativeBackupId};
use ops_http::{ApiRequest, Operation, PagedRequest, Paging};

use crate::model::body::{
    BranchCreateRequest, BranchRestoreRequest, BranchUpdateRequest, EndpointUpdateRequest,
    ProjectCreateRequest, RestoreSnapshotRequest,
};
use crate::model::{self, Consumption, History};

ops_http::operations! {
    /// Makes a branch, with a compute.
    CREATE_BRANCH = Operation::post("createProjectBranch", "/projects/{project_id}/branches")
        .serves(&["Database/Branching"]);
    /// Makes a project, with a branch, a compute, a role and a database.
    CREATE_PROJECT = Operation::post("createProject", "/projects")
        .serves(&["Database/Provision"]);
    /// Takes a snapshot of a branch.
    CREATE_SNAPSHOT = Operation::post("createSnapshot", "/projects/{project_id}/branches/{branch_id}/snapshot")
        .serves(&["Database/NativeBackups"]);
    /// Deletes a branch.
    DELETE_BRANCH = Operation::delete("deleteProjectBranch", "/projects/{project_id}/branches/{branch_id}")
        .serves(&["Database/Branching"]);
    /// Deletes a project and all that is in it.
    DELETE_PROJECT = Operation::delete("deleteProject", "/projects/{project_id}")
        .serves(&["Database/Provision"]);
    /// Answers a branch with its annotations.
    GET_BRANCH = Operation::get("getProjectBranch", "/projects/{project_id}/branches/{branch_id}")
        .serves(&["Database/Branching"]);
    /// Answers a connection URI, with the password.
    GET_CONNECTION_URI = Operation::get("getConnectionURI", "/projects/{project_id}/connection_uri")
        .serves(&["Database", "Database/Branching", "Database/Provision"]);
    /// Answers what a project used, by hour, day or month.
    GET_CONSUMPTION = Operation::get("getConsumptionHistoryPerProject", "/consumption_history/projects")
        .serves(&["Database/Usage"]);
    /// Answers a project, with what it used in the billing period.
    GET_PROJECT = Operation::get("getProject", "/projects/{project_id}")
        .serves(&["Database", "Database/NativeBackups", "Database/Provision", "Database/Usage"]);
    /// Lists branches.
    LIST_BRANCHES = Operation::get("listProjectBranches", "/projects/{project_id}/branches")
        .serves(&["Database", "Database/Branching", "Database/NativeBackups", "Database/Provision"]);
    /// Lists the databases of a branch and their owners.
    LIST_DATABASES = Operation::get("listProjectBranchDatabases", "/projects/{project_id}/branches/{branch_id}/databases")
        .serves(&["Database", "Database/Branching", "Database/Provision"]);
    /// Lists the computes of a branch.
    LIST_ENDPOINTS = Operation::get("listProjectBranchEndpoints", "/projects/{project_id}/branches/{branch_id}/endpoints")
        .serves(&["Database", "Database/Provision"]);
    /// Lists what Neon does and did with a project.
    LIST_OPERATIONS = Operation::get("listProjectOperations", "/projects/{project_id}/operations")
        .serves(&["Database/NativeBackups"]);
    /// Lists projects.
    LIST_PROJECTS = Operation::get("listProjects", "/projects")
        .serves(&["Database/Provision"]);
    /// Lists the snapshots of a project.
    LIST_SNAPSHOTS = Operation::get("listSnapshots", "/projects/{project_id}/snapshots")
        .serves(&["Database/NativeBackups"]);
    /// Takes a branch back to an instant of its history.
    RESTORE_BRANCH = Operation::post("restoreProjectBranch", "/projects/{project_id}/branches/{branch_id}/restore")
        .serves(&["Database/NativeBackups"]);
    /// Makes a branch of a snapshot, in the place of another.
    RESTORE_SNAPSHOT = Operation::post("restoreSnapshot", "/projects/{project_id}/snapshots/{snapshot_id}/restore")
        .serves(&["Database/NativeBackups"]);
    /// Renames a branch: twice is the same as once.
    UPDATE_BRANCH = Operation::patch("updateProjectBranch", "/projects/{project_id}/branches/{branch_id}")
        .idempotent()
        .serves(&["Database/NativeBackups"]);
    /// Sets the size of a compute: twice is the same as once.
    UPDATE_ENDPOINT = Operation::patch("updateProjectEndpoint", "/projects/{project_id}/endpoints/{endpoint_id}")
        .idempotent()
        .serves(&["Database/Provision"]);
}

/// The most that one page of each listing may hold.
const PROJECTS_PER_PAGE: u32 = 400;
const BRANCHES_PER_PAGE: u32 = 1_000;

/// How many of the newest operations are looked at.
const RECENT_OPERATIONS: u32 = 100;

fn of_project(operation: &'static Operation, project: &DatabaseId) -> ApiRequest {
    ApiRequest::new(operation)
        .segment("project_id", project.as_str())
        .resource(project.as_str())
}

fn of_branch(operation: &'static Operation, project: &DatabaseId, branch: &BranchId) -> ApiRequest {
    of_project(operation, project)
        .segment("branch_id", branch.as_str())
        .resource(branch.as_str())
}

/// Whom and what to connect to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    /// `None` is the default branch.
    pub(crate) branch: Option<&'a BranchId>,
    pub(crate) database: &'a str,
    pub(crate) role: &'a str,
    pub(crate) is_pooled: bool,
}

/// The answer holds a password.
pub(crate) fn connection_uri(
    project: &DatabaseId,
    login: Login<'_>,
) -> ApiRequest<model::ConnectionUri> {
    of_project(&GET_CONNECTION_URI, project)
        .query_opt("branch_id", login.branch)
        .query("database_name", login.database)
        .query("role_name", login.role)
        .query("pooled", login.is_pooled)
        .json()
}

pub(crate) fn consumption(
    project: &DatabaseId,
    organization: Option<&str>,
    history: History,
) -> ApiRequest<Consumption> {
    ApiRequest::new(&GET_CONSUMPTION)
        .resource(project.as_str())
        .query("project_ids", project)
        .query("from", history.from)
        .query("to", history.to)
        .query("granularity", history.granularity.as_str())
        .query_opt("org_id", organization)
        .json()
}

pub(crate) fn create_branch(
    project: &DatabaseId,
    body: &BranchCreateRequest<'_>,
) -> ApiRequest<model::BranchAnswer> {
    of_project(&CREATE_BRANCH, project).body_json(body).json()
}

/// The answer holds passwords.
pub(crate) fn create_project(body: &ProjectCreateRequest<'_>) -> ApiRequest<model::CreatedProject> {
    ApiRequest::new(&CREATE_PROJECT).body_json(body).json()
}

pub(crate) fn create_snapshot(
    project: &DatabaseId,
    branch: &BranchId,
    name: Option<&str>,
) -> ApiRequest<model::CreatedSnapshot> {
    of_branch(&CREATE_SNAPSHOT, project, branch)
        .query_opt("name", name)
        .json()
}

/// Answers whether the branch was there: Neon says 204 for one that was not.
pub(crate) fn delete_branch(project: &DatabaseId, branch: &BranchId) -> ApiRequest<bool> {
    of_branch(&DELETE_BRANCH, project, branch)
        .existed()
        .decoded_by(|response| Ok(response.status.as_u16() == 200))
}

pub(crate) fn delete_project(project: &DatabaseId) -> ApiRequest<bool> {
    of_project(&DELETE_PROJECT, project).existed()
}

pub(crate) fn get_branch(
    project: &DatabaseId,
    branch: &BranchId,
) -> ApiRequest<model::BranchAnswer> {
    of_branch(&GET_BRANCH, project, branch).json()
}

/// As [`get_branch`], `None` for a branch that is not there.
pub(crate) fn find_branch(
    project: &DatabaseId,
    branch: &BranchId,
) -> ApiRequest<Option<model::BranchAnswer>> {
    of_branch(&GET_BRANCH, project, branch).json_or_absent()
}

pub(crate) fn get_project(project: &DatabaseId) -> ApiRequest<model::ProjectAnswer> {
    of_project(&GET_PROJECT, project).json()
}

/// The oldest first, so that the default branch, which is mostly the first, comes early.
pub(crate) fn list_branches(
    project: &DatabaseId,
    name: Option<&str>,
) -> PagedRequest<model::Branches, model::Branch> {
    of_project(&LIST_BRANCHES, project)
        .query_opt("search", name)
        .query("sort_by", "created_at")
        .query("sort_order", "asc")
        .query("limit", BRANCHES_PER_PAGE)
        .json::<model::Branches>()
        .paged(Paging::Cursor("cursor"), |page| Ok(page.into()))
}

pub(crate) fn list_databases(
    project: &DatabaseId,
    branch: &BranchId,
) -> ApiRequest<model::Databases> {
    of_branch(&LIST_DATABASES, project, branch).json()
}

pub(crate) fn list_endpoints(
    project: &DatabaseId,
    branch: &BranchId,
) -> ApiRequest<model::Endpoints> {
    of_branch(&LIST_ENDPOINTS, project, branch).json()
}

/// The newest operations.
pub(crate) fn list_operations(project: &DatabaseId) -> ApiRequest<model::Operations> {
    of_project(&LIST_OPERATIONS, project)
        .query("limit", RECENT_OPERATIONS)
        .json()
}

pub(crate) fn list_projects(
    organization: Option<&str>,
) -> PagedRequest<model::Projects, model::Project> {
    ApiRequest::new(&LIST_PROJECTS)
        .query("limit", PROJECTS_PER_PAGE)
        .query_opt("org_id", organization)
        .json::<model::Projects>()
        .paged(Paging::Cursor("cursor"), |page| Ok(page.into()))
}

pub(crate) fn list_snapshots(project: &DatabaseId) -> ApiRequest<model::Snapshots> {
    of_project(&LIST_SNAPSHOTS, project).json()
}

/// Takes a branch back to an instant of its own history.
pub(crate) fn restore_branch(
    project: &DatabaseId,
    branch: &BranchId,
    at: Timestamp,
    preserve_as: &str,
) -> ApiRequest<model::Operations> {
    let body = BranchRestoreRequest {
        source_branch_id: branch.as_str(),
        source_timestamp: at,
        preserve_under_name: preserve_as,
    };
    of_branch(&RESTORE_BRANCH, project, branch)
        .body_json(&body)
        .json()
}

/// Puts a snapshot in the place of a branch.
pub(crate) fn restore_snapshot(
    project: &DatabaseId,
    snapshot: &NativeBackupId,
    target: &BranchId,
) -> ApiRequest<model::Operations> {
    let body = RestoreSnapshotRequest {
        target_branch_id: target.as_str(),
        finalize_restore: true,
    };
    of_project(&RESTORE_SNAPSHOT, project)
        .segment("snapshot_id", snapshot.as_str())
        .resource(snapshot.as_str())
        .body_json(&body)
        .json()
}

pub(crate) fn rename_branch(project: &DatabaseId, branch: &BranchId, name: &str) -> ApiRequest {
    of_branch(&UPDATE_BRANCH, project, branch).body_json(&BranchUpdateRequest::name(name))
}

pub(crate) fn update_endpoint(
    project: &DatabaseId,
    endpoint: &str,
    body: &EndpointUpdateRequest,
) -> ApiRequest {
    of_project(&UPDATE_ENDPOINT, project)
        .segment("endpoint_id", endpoint)
        .body_json(body)
}

#[cfg(test)]
mod tests;
