//! What the fake does with a request.

use ops_core::{Clock, Timestamp};
use ops_http::test_util::Recorded;
use serde_json::{Value, json};

use super::answers::{self, failure};
use super::state::{Branch, PROJECT, Project, Snapshot, State, Work};
use super::{DATABASE, PASSWORD, ROLE};

type Answer = (u16, Value);

/// How many items a page has, whatever was asked for.
const PAGE: usize = 3;

/// A branch can be taken back that long.
const RETENTION_SECONDS: u64 = 86_400;

pub(super) fn answer(state: &mut State, request: &Recorded) -> Answer {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().skip(2).map(String::as_str).collect();
    let method = request.method.as_str();
    match (method, path.as_slice()) {
        ("GET", ["projects"]) => list_projects(state, request),
        ("POST", ["projects"]) => create_project(state, &request.json()),
        ("GET", ["consumption_history", "projects"]) => {
            let query = |name| request.query(name).unwrap_or_default();
            let told = answers::consumption(&query("project_ids"), &query("from"), &query("to"));
            (200, told)
        }
        (_, ["projects", id, rest @ ..]) => {
            let Some(at) = state.projects.iter().position(|it| it.id == *id) else {
                return (404, failure("", "project not found"));
            };
            // It is taken out so that the state can hand out ids meanwhile.
            let mut project = state.projects.remove(at);
            let was_locked = project.is_locked();
            project.step();
            if was_locked && method != "GET" {
                state.projects.insert(at, project);
                let message =
                    "project already has running operations, scheduling of new ones is prohibited";
                return (423, failure("", message));
            }
            if (method, rest) == ("DELETE", &[][..]) {
                return (200, json!({ "project": answers::project(&project) }));
            }
            let answer = in_project(state, &mut project, request, rest);
            state.projects.insert(at, project);
            answer
        }
        _ => (404, failure("", "no such route")),
    }
}

fn in_project(
    state: &mut State,
    project: &mut Project,
    request: &Recorded,
    path: &[&str],
) -> Answer {
    let body = request.json();
    match (request.method.as_str(), path) {
        ("GET", []) => (200, json!({ "project": answers::project(project) })),
        ("GET", ["connection_uri"]) => connection_uri(state, project, request),
        ("GET", ["operations"]) => (200, json!({ "operations": answers::operations(project) })),
        ("GET", ["branches"]) => list_branches(project, request),
        ("POST", ["branches"]) => create_branch(state, project, &body),
        ("GET", ["snapshots"]) => {
            let snapshots: Vec<Value> = project.snapshots.iter().map(answers::snapshot).collect();
            (200, json!({ "snapshots": snapshots }))
        }
        ("POST", ["snapshots", id, "restore"]) => restore_snapshot(state, project, id, &body),
        ("PATCH", ["endpoints", id]) => update_endpoint(state, project, id, &body),
        (_, ["branches", id, rest @ ..]) => match project.branch(id).map(|it| it.clone()) {
            Some(branch) => on_branch(state, project, &branch, request, rest),
            // As it is described, and only for a deletion.
            None if request.method == "DELETE" => (204, Value::Null),
            None => (404, failure("", "branch not found")),
        },
        _ => (404, failure("", "no such route")),
    }
}

fn on_branch(
    state: &mut State,
    project: &mut Project,
    branch: &Branch,
    request: &Recorded,
    path: &[&str],
) -> Answer {
    let body = request.json();
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let told = answers::branch(project, branch);
            (
                200,
                json!({ "branch": told, "annotation": answers::annotation(branch) }),
            )
        }
        ("DELETE", []) => delete_branch(state, project, branch),
        ("PATCH", []) => {
            let name = body["branch"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let renamed = project.branch(&branch.id).unwrap();
            renamed.name = name;
            let renamed = renamed.clone();
            let told = answers::branch(project, &renamed);
            (200, json!({ "branch": told, "operations": [] }))
        }
        ("GET", ["databases"]) => (200, json!({ "databases": answers::databases(branch) })),
        ("GET", ["endpoints"]) => (
            200,
            json!({ "endpoints": answers::endpoints(project, branch) }),
        ),
        ("POST", ["restore"]) => restore_branch(state, project, branch, &body),
        ("POST", ["snapshot"]) => create_snapshot(state, project, branch, request.query("name")),
        _ => (404, failure("", "no such route")),
    }
}

/// Where a page begins; behind the end for a cursor that this fake never gave.
fn cursor(request: &Recorded) -> usize {
    let cursor = request.query("cursor");
    cursor.map_or(0, |it| it.parse().unwrap_or(usize::MAX))
}

fn list_projects(state: &State, request: &Recorded) -> Answer {
    let from = cursor(request);
    let projects = state.projects.iter().skip(from).take(PAGE);
    let items: Vec<Value> = projects.map(answers::listed_project).collect();
    // There is a cursor as long as there are items, also behind the last one.
    let cursor = (!items.is_empty())
        .then(|| json!({ "cursor": from.saturating_add(items.len()).to_string() }));
    (200, answers::page("projects", items, cursor))
}

fn list_branches(project: &Project, request: &Recorded) -> Answer {
    let from = cursor(request);
    let search = request.query("search").unwrap_or_default();
    let found = project
        .branches
        .iter()
        .filter(|it| it.name.contains(&search));
    let found: Vec<Value> = found.map(|it| answers::branch(project, it)).collect();
    let items: Vec<Value> = found.iter().skip(from).take(PAGE).cloned().collect();
    let until = from.saturating_add(items.len());
    let next = (until < found.len()).then(|| json!({ "next": until.to_string() }));
    let mut page = answers::page("branches", items, next);
    page["annotations"] = json!({});
    (200, page)
}

fn create_project(state: &mut State, body: &Value) -> Answer {
    let asked = &body["project"];
    let now = state.clock.now();
    let mut project = state.new_project(asked["name"].as_str().unwrap_or("unnamed"), now);
    if let Some(version) = asked["pg_version"].as_u64() {
        project.pg_version = version;
    }
    if let Some(region) = asked["region_id"].as_str() {
        region.clone_into(&mut project.region);
    }
    let branch = project.default_branch().clone();
    let host = host(&branch);
    let told = json!({
        "project": answers::project(&project),
        "connection_uris": answers::connection_uris(&uri(&host, DATABASE, ROLE), &host),
        "roles": answers::roles(&branch),
        "databases": answers::databases(&branch),
        "operations": answers::operations(&project),
        "branch": answers::branch(&project, &branch),
        "endpoints": answers::endpoints(&project, &branch),
    });
    state.projects.push(project);
    (201, told)
}

fn host(branch: &Branch) -> String {
    let endpoint = branch.endpoint.as_ref().map_or("none", |it| it.id.as_str());
    format!("{endpoint}.us-east-2.aws.neon.tech")
}

fn uri(host: &str, database: &str, role: &str) -> String {
    format!("postgresql://{role}:{PASSWORD}@{host}/{database}?sslmode=require")
}

fn connection_uri(state: &State, project: &mut Project, request: &Recorded) -> Answer {
    let id = request.query("branch_id");
    let branch = match &id {
        Some(id) => project.branch(id).map(|it| it.clone()),
        None => Some(project.default_branch().clone()),
    };
    let Some(branch) = branch else {
        return (404, failure("", "branch not found"));
    };
    let query = |name| request.query(name).unwrap_or_default();
    let (database, role) = (query("database_name"), query("role_name"));
    if ![DATABASE, "later"].contains(&database.as_str()) || role != ROLE {
        return (404, failure("", "database or role not found"));
    }
    let is_here = project.id == PROJECT && branch.is_default;
    let address = match state.server {
        Some(port) if is_here => format!("127.0.0.1:{port}"),
        _ => host(&branch),
    };
    (200, json!({ "uri": uri(&address, &database, &role) }))
}

fn create_branch(state: &mut State, project: &mut Project, body: &Value) -> Answer {
    let asked = &body["branch"];
    let name = asked["name"].as_str().unwrap_or("unnamed");
    if project.branches.iter().any(|it| it.name == name) {
        return (409, failure("", "branch already exists"));
    }
    let parent = match asked["parent_id"].as_str() {
        Some(id) => project.branch(id).map(|it| it.clone()),
        None => Some(project.default_branch().clone()),
    };
    let Some(parent) = parent else {
        return (404, failure("", "parent branch not found"));
    };
    let now = state.clock.now();
    let mut branch = state.new_branch(name, Some(&parent), now);
    if let Some(at) = asked["parent_timestamp"].as_str() {
        let at: Timestamp = at.parse().unwrap();
        if !is_kept(&parent, at, now) {
            return (
                400,
                failure("", "parent_timestamp lies outside the history"),
            );
        }
        branch.log = parent.until(at);
    }
    branch.expires_at = asked["expires_at"].as_str().map(str::to_owned);
    for (key, value) in body["annotation_value"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default().to_owned();
        branch.annotation.insert(key.clone(), value);
    }
    let operation = state.operation(&branch.id, Work::Create);
    project.operations.push(operation);
    project.branches.push(branch.clone());
    let host = host(&branch);
    let told = json!({
        "branch": answers::branch(project, &branch),
        "endpoints": answers::endpoints(project, &branch),
        "operations": answers::operations(project),
        "roles": answers::roles(&branch),
        "databases": answers::databases(&branch),
        "connection_uris": answers::connection_uris(&uri(&host, DATABASE, ROLE), &host),
    });
    (201, told)
}

fn is_kept(branch: &Branch, at: Timestamp, now: Timestamp) -> bool {
    let kept = now.saturating_sub(std::time::Duration::from_secs(RETENTION_SECONDS));
    at >= kept.max(branch.created_at) && at <= now
}

fn delete_branch(state: &mut State, project: &mut Project, branch: &Branch) -> Answer {
    let mut branches = project.branches.iter();
    if branches.any(|it| it.parent.as_ref() == Some(&branch.id)) {
        return (422, failure("", "cannot delete branch that has children"));
    }
    let told = answers::branch(project, branch);
    project.branches.retain(|it| it.id != branch.id);
    let operation = state.operation(&branch.id, Work::Other);
    project.operations.push(operation);
    (
        200,
        json!({ "branch": told, "operations": answers::operations(project) }),
    )
}

fn restore_branch(
    state: &mut State,
    project: &mut Project,
    branch: &Branch,
    body: &Value,
) -> Answer {
    let now = state.clock.now();
    let at: Timestamp = body["source_timestamp"].as_str().unwrap().parse().unwrap();
    let preserve = body["preserve_under_name"].as_str().unwrap_or_default();
    if preserve.is_empty() {
        return (400, failure("", "preserve_under_name is required"));
    }
    if project.branches.iter().any(|it| it.name == preserve) {
        return (409, failure("", "branch already exists"));
    }
    if !is_kept(branch, at, now) {
        return (
            400,
            failure("", "source_timestamp lies outside the history"),
        );
    }
    let kept = state.new_branch(preserve, Some(branch), now);
    project.branches.push(kept);
    let restored = project.branch(&branch.id).unwrap();
    restored.log = branch.until(at);
    let restored = restored.clone();
    let operation = state.operation(&branch.id, Work::Restore);
    project.operations.push(operation);
    let told = answers::branch(project, &restored);
    (
        200,
        json!({ "branch": told, "operations": answers::operations(project) }),
    )
}

fn create_snapshot(
    state: &mut State,
    project: &mut Project,
    branch: &Branch,
    name: Option<String>,
) -> Answer {
    let id = state.id("snap");
    let snapshot = Snapshot {
        name: name.unwrap_or_else(|| format!("{} snapshot", branch.name)),
        id,
        source: branch.id.clone(),
        created_at: state.clock.now(),
        log: branch.log.clone(),
    };
    let operation = state.operation(&branch.id, Work::Other);
    project.operations.push(operation);
    let told = answers::snapshot(&snapshot);
    project.snapshots.push(snapshot);
    (
        200,
        json!({ "snapshot": told, "operations": answers::operations(project) }),
    )
}

/// The restored branch takes name, compute and place of the one that it replaces.
fn restore_snapshot(state: &mut State, project: &mut Project, id: &str, body: &Value) -> Answer {
    let Some(snapshot) = project.snapshots.iter().find(|it| it.id == id) else {
        return (404, failure("", "snapshot not found"));
    };
    let log = snapshot.log.clone();
    let target = body["target_branch_id"].as_str().unwrap_or_default();
    let Some(target) = project.branch(target) else {
        return (404, failure("", "target branch not found"));
    };
    let mut restored = target.clone();
    restored.id = state.id("br");
    restored.created_at = state.clock.now();
    restored.log = log;
    target.name = format!("{} (old)", target.name);
    target.is_default = false;
    target.endpoint = None;
    let operation = state.operation(&restored.id, Work::Create);
    project.operations.push(operation);
    project.branches.push(restored.clone());
    let told = answers::branch(project, &restored);
    (
        200,
        json!({ "branch": told, "operations": answers::operations(project) }),
    )
}

fn update_endpoint(state: &mut State, project: &mut Project, id: &str, body: &Value) -> Answer {
    let has_it = |it: &&mut Branch| it.endpoint.as_ref().is_some_and(|it| it.id == id);
    let Some(branch) = project.branches.iter_mut().find(has_it) else {
        return (404, failure("", "endpoint not found"));
    };
    let asked = &body["endpoint"];
    if let Some(endpoint) = &mut branch.endpoint {
        let given = |name: &str, old: f64| asked[name].as_f64().unwrap_or(old);
        endpoint.min_cu = given("autoscaling_limit_min_cu", endpoint.min_cu);
        endpoint.max_cu = given("autoscaling_limit_max_cu", endpoint.max_cu);
        if endpoint.min_cu > endpoint.max_cu {
            return (400, failure("", "the minimum is above the maximum"));
        }
    }
    let branch = branch.clone();
    let operation = state.operation(&branch.id, Work::Resize);
    project.operations.push(operation);
    let endpoint = answers::endpoints(project, &branch)[0].take();
    (
        200,
        json!({ "endpoint": endpoint, "operations": answers::operations(project) }),
    )
}
