//! Neon's answers, named as Neon names them, and what they mean here.
//!
//! Essential is what names a thing. Everything else is optional or null, and a word that
//! Neon's description does not list is kept.

use std::collections::HashMap;

use ops_core::database::{
    Branch as CoreBranch, DatabaseDescription, DatabaseInstance, DatabaseState, Engine,
    NativeBackup, NativeBackupState,
};
use ops_core::id::{BranchId, DatabaseId, NativeBackupId, Region};
use ops_core::{Secret, Timestamp};
use ops_http::decode::or_default;
use ops_http::{Next, PageOf};
use serde::Deserialize;

pub(crate) mod body;
mod usage;

pub(crate) use usage::{Consumption, History};

/// What a listing, a creation and `getProject` tell of a project. The counters are those of
/// the present billing period; a listing has none.
#[derive(Debug, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: DatabaseId,
    pub(crate) name: String,
    pub(crate) pg_version: u32,
    pub(crate) region_id: Option<Region>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) history_retention_seconds: Option<i64>,
    #[serde(flatten)]
    pub(crate) used: usage::Counters,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ProjectAnswer {
    pub(crate) project: Project,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Projects {
    #[serde(deserialize_with = "or_default")]
    projects: Vec<Project>,
    pagination: Option<Pagination>,
}

#[derive(Debug, Deserialize)]
struct Pagination {
    cursor: Option<String>,
}

impl From<Projects> for PageOf<Project> {
    fn from(page: Projects) -> Self {
        let cursor = page.pagination.and_then(|it| it.cursor);
        // Neon hands out a cursor with the last page, too; what follows it is empty.
        let next = match cursor {
            Some(cursor) if !page.projects.is_empty() => Next::Cursor(cursor),
            _ => Next::End,
        };
        Self {
            items: page.projects,
            next,
        }
    }
}

/// A project that was made, and how to reach it.
#[derive(Debug, Deserialize)]
pub(crate) struct CreatedProject {
    pub(crate) project: Project,
    pub(crate) branch: Branch,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) endpoints: Vec<Endpoint>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) connection_uris: Vec<ConnectionDetails>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConnectionDetails {
    pub(crate) connection_uri: Secret,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConnectionUri {
    pub(crate) uri: Secret,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Branch {
    pub(crate) id: BranchId,
    pub(crate) name: String,
    current_state: Option<String>,
    pending_state: Option<String>,
    parent_id: Option<BranchId>,
    default: Option<bool>,
    logical_size: Option<i64>,
    pub(crate) created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BranchAnswer {
    pub(crate) branch: Branch,
    annotation: Option<Annotation>,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    value: Option<HashMap<String, Option<String>>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Branches {
    #[serde(deserialize_with = "or_default")]
    branches: Vec<Branch>,
    pagination: Option<CursorPagination>,
}

#[derive(Debug, Deserialize)]
struct CursorPagination {
    next: Option<String>,
}

impl From<Branches> for PageOf<Branch> {
    fn from(page: Branches) -> Self {
        let next = page.pagination.and_then(|it| it.next);
        let next = next.filter(|cursor| !cursor.is_empty());
        Self {
            items: page.branches,
            next: next.map_or(Next::End, Next::Cursor),
        }
    }
}

impl Branch {
    pub(crate) fn is_default(&self) -> bool {
        self.default == Some(true)
    }

    fn state(&self) -> DatabaseState {
        match (self.current_state.as_deref(), &self.pending_state) {
            (Some("init"), _) => DatabaseState::Starting,
            (Some("resetting"), _) | (Some("ready"), Some(_)) => DatabaseState::Updating,
            (Some("ready"), None) => DatabaseState::Available,
            // Its data lies in cheaper storage until somebody connects.
            (Some("archived"), _) => DatabaseState::Suspended,
            (other, _) => unknown(other),
        }
    }
}

impl BranchAnswer {
    /// The key that the branch was made with, where it was made with one.
    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        let value = self.annotation.as_ref()?.value.as_ref()?;
        value.get(body::KEY_ANNOTATION)?.as_deref()
    }
}

impl From<Branch> for CoreBranch {
    fn from(branch: Branch) -> Self {
        let state = branch.state();
        let mut seen = Self::new(branch.id, branch.name, state);
        seen.is_default = branch.default == Some(true);
        seen.parent = branch.parent_id;
        seen.created_at = branch.created_at;
        seen.expires_at = branch.expires_at;
        seen
    }
}

/// A compute of a branch.
#[derive(Debug, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    r#type: Option<String>,
    current_state: Option<String>,
    pending_state: Option<String>,
    disabled: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Endpoints {
    #[serde(deserialize_with = "or_default")]
    pub(crate) endpoints: Vec<Endpoint>,
}

impl Endpoint {
    /// A branch has one compute that writes at most, and any number that only read.
    pub(crate) fn is_read_write(&self) -> bool {
        self.r#type.as_deref() == Some("read_write")
    }

    fn state(&self) -> DatabaseState {
        match (self.current_state.as_deref(), &self.pending_state) {
            _ if self.disabled == Some(true) => DatabaseState::Stopped,
            (Some("init"), _) => DatabaseState::Starting,
            (Some("active" | "idle"), Some(_)) => DatabaseState::Updating,
            (Some("active"), None) => DatabaseState::Available,
            (Some("idle"), None) => DatabaseState::Suspended,
            (other, _) => unknown(other),
        }
    }
}

/// A state in Neon's own word.
fn unknown(state: Option<&str>) -> DatabaseState {
    DatabaseState::Other(state.unwrap_or("unknown").to_owned())
}

/// A project together with the branch and the compute that tell what it is doing.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) project: Project,
    pub(crate) branch: Branch,
    /// The compute that writes; a branch may have none.
    pub(crate) endpoint: Option<Endpoint>,
}

impl Instance {
    pub(crate) fn state(&self) -> DatabaseState {
        match (self.branch.state(), &self.endpoint) {
            (DatabaseState::Available, Some(endpoint)) => endpoint.state(),
            (DatabaseState::Available, None) => DatabaseState::Stopped,
            (state, _) => state,
        }
    }
}

impl From<Instance> for DatabaseDescription {
    fn from(instance: Instance) -> Self {
        let state = instance.state();
        let mut seen = describe(&instance.project, state);
        seen.size_bytes = instance
            .branch
            .logical_size
            .and_then(|it| it.try_into().ok());
        seen
    }
}

impl From<Instance> for DatabaseInstance {
    fn from(instance: Instance) -> Self {
        let (id, name) = (instance.project.id.clone(), instance.project.name.clone());
        let created_at = instance.project.created_at;
        let mut seen = Self::new(id, name, instance.into());
        seen.created_at = created_at;
        seen
    }
}

/// A project out of a listing, which does not tell what it is doing.
impl From<Project> for DatabaseInstance {
    fn from(project: Project) -> Self {
        let description = describe(&project, unknown(None));
        let mut seen = Self::new(project.id, project.name, description);
        seen.created_at = project.created_at;
        seen
    }
}

fn describe(project: &Project, state: DatabaseState) -> DatabaseDescription {
    let version = project.pg_version.to_string();
    let mut seen = DatabaseDescription::new(Engine::Postgres, version, state);
    seen.region.clone_from(&project.region_id);
    seen
}

/// A database inside of a branch.
#[derive(Debug, Deserialize)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) owner_name: String,
    pub(crate) created_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Databases {
    #[serde(deserialize_with = "or_default")]
    pub(crate) databases: Vec<Database>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: NativeBackupId,
    name: Option<String>,
    pub(crate) source_branch_id: Option<BranchId>,
    /// The instant that it holds, where it is not that of its making.
    timestamp: Option<Timestamp>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    full_size: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Snapshots {
    #[serde(deserialize_with = "or_default")]
    pub(crate) snapshots: Vec<Snapshot>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CreatedSnapshot {
    pub(crate) snapshot: Snapshot,
    #[serde(flatten)]
    pub(crate) work: Operations,
}

impl Snapshot {
    /// Neon tells no state of a snapshot: it can be restored once nothing runs on its branch.
    pub(crate) fn into_backup(self, is_running: bool) -> NativeBackup {
        let state = if is_running {
            NativeBackupState::Running
        } else {
            NativeBackupState::Complete
        };
        let held = self.timestamp.unwrap_or(self.created_at);
        let mut backup = NativeBackup::new(self.id, state, held);
        backup.name = self.name.filter(|name| !name.is_empty());
        backup.expires_at = self.expires_at;
        backup.size_bytes = self.full_size.and_then(|it| it.try_into().ok());
        backup
    }
}

/// What Neon does after it has answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    branch_id: Option<BranchId>,
    status: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Operations {
    #[serde(default, deserialize_with = "or_default")]
    operations: Vec<Operation>,
}

impl Operation {
    fn is_running(&self) -> bool {
        matches!(
            self.status.as_deref(),
            Some("scheduling" | "running" | "cancelling")
        )
    }
}

impl Operations {
    pub(crate) fn are_running(&self) -> bool {
        self.operations.iter().any(Operation::is_running)
    }

    /// Whether anything runs on a branch.
    pub(crate) fn run_on(&self, branch: &BranchId) -> bool {
        let mut running = self.operations.iter().filter(|it| it.is_running());
        running.any(|it| it.branch_id.as_ref() == Some(branch))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn branch(told: &Value) -> Branch {
        let mut branch = json!({ "id": "br-1", "name": "main" });
        branch
            .as_object_mut()
            .unwrap()
            .extend(told.as_object().unwrap().clone());
        from_value(branch).unwrap()
    }

    fn state(branch_told: &Value, endpoint: Option<Value>) -> DatabaseState {
        let project = json!({ "id": "p-1", "name": "shop", "pg_version": 17 });
        let endpoint = endpoint.map(|mut told| {
            told["id"] = json!("ep-1");
            from_value(told).unwrap()
        });
        let instance = Instance {
            project: from_value(project).unwrap(),
            branch: branch(branch_told),
            endpoint,
        };
        instance.state()
    }

    #[test]
    fn branch_and_compute_together_tell_the_state() {
        let ready = json!({ "current_state": "ready" });
        let compute = |told: Value| state(&ready, Some(told));
        assert_eq!(
            compute(json!({ "current_state": "active" })),
            DatabaseState::Available
        );
        assert_eq!(
            compute(json!({ "current_state": "idle" })),
            DatabaseState::Suspended
        );
        assert_eq!(
            compute(json!({ "current_state": "init" })),
            DatabaseState::Starting
        );
        let changing = json!({ "current_state": "idle", "pending_state": "active" });
        assert_eq!(compute(changing), DatabaseState::Updating);
        let disabled = json!({ "current_state": "idle", "disabled": true });
        assert_eq!(compute(disabled), DatabaseState::Stopped);
        let new = DatabaseState::Other("dreaming".to_owned());
        assert_eq!(compute(json!({ "current_state": "dreaming" })), new);
        assert_eq!(state(&ready, None), DatabaseState::Stopped);
        let active = || Some(json!({ "current_state": "active" }));
        let told = |word: &str| state(&json!({ "current_state": word }), active());
        assert_eq!(told("init"), DatabaseState::Starting);
        assert_eq!(told("resetting"), DatabaseState::Updating);
        assert_eq!(told("archived"), DatabaseState::Suspended);
    }

    #[test]
    fn the_last_page_is_told_from_the_others() {
        let page = |told: Value| PageOf::from(from_value::<Branches>(told).unwrap()).next;
        assert_eq!(page(json!({ "branches": [] })), Next::End);
        assert_eq!(
            page(json!({ "branches": null, "pagination": { "next": "" } })),
            Next::End
        );
        let next = json!({ "branches": [], "pagination": { "next": "c" } });
        assert_eq!(page(next), Next::Cursor("c".to_owned()));
        let page = |told: Value| PageOf::from(from_value::<Projects>(told).unwrap()).next;
        let last = json!({ "projects": [], "pagination": { "cursor": "c" } });
        assert_eq!(page(last), Next::End);
    }

    #[test]
    fn a_password_is_a_secret_from_the_first_byte() {
        let told = json!({ "uri": "postgres://casey:hunter2@h/d" });
        let answer: ConnectionUri = from_value(told).unwrap();
        assert!(!format!("{answer:?}").contains("hunter2"));
    }
}
