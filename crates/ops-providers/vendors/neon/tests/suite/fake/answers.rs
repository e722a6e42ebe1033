//! What the fake answers, in Neon's form.

use serde_json::{Map, Value, json};

use super::state::{Branch, Endpoint, Operation, Project, Snapshot, Work};
use super::{DATABASE, PASSWORD, ROLE};

pub(super) fn failure(code: &str, message: &str) -> Value {
    json!({ "request_id": "r-0001", "code": code, "message": message })
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

/// What a listing tells.
pub(super) fn listed_project(project: &Project) -> Value {
    json!({
        "id": project.id,
        "platform_id": "aws",
        "region_id": project.region,
        "name": project.name,
        "provisioner": "k8s-neonvm",
        "pg_version": project.pg_version,
        "proxy_host": "us-east-2.aws.neon.tech",
        "branch_logical_size_limit": 0,
        "branch_logical_size_limit_bytes": 10_800,
        "store_passwords": true,
        "cpu_used_sec": 10,
        "creation_source": "console",
        "history_retention_seconds": 86_400,
        "created_at": project.created_at.to_string(),
        "updated_at": project.created_at.to_string(),
        "owner_id": "629982cc-de05-43db-ae16-28f2399c4910",
        "active_time": 100,
    })
}

pub(super) fn project(project: &Project) -> Value {
    let mut told = merged(
        listed_project(project),
        json!({
            "data_storage_bytes_hour": 1_040,
            "data_transfer_bytes": 1_000_000,
            "written_data_bytes": 100_800,
            "compute_time_seconds": 100,
            "active_time_seconds": 100,
            "consumption_period_start": "2026-11-01T00:00:00Z",
            "consumption_period_end": "2026-12-01T00:00:00Z",
        }),
    );
    if let Value::Object(told) = &mut told {
        told.remove("active_time");
    }
    told
}

pub(super) fn branch(project: &Project, branch: &Branch) -> Value {
    let state = if project.is_at_work(&branch.id, Work::Create) {
        "init"
    } else if project.is_at_work(&branch.id, Work::Restore) {
        "resetting"
    } else {
        "ready"
    };
    let size: usize = branch.log.iter().map(|(_, text)| text.len()).sum();
    let mut told = json!({
        "id": branch.id,
        "project_id": project.id,
        "name": branch.name,
        "current_state": state,
        "state_changed_at": branch.created_at.to_string(),
        "logical_size": size,
        "creation_source": "console",
        "default": branch.is_default,
        "protected": false,
        "cpu_used_sec": 0,
        "compute_time_seconds": 0,
        "active_time_seconds": 0,
        "written_data_bytes": 0,
        "data_transfer_bytes": 0,
        "created_at": branch.created_at.to_string(),
        "updated_at": branch.created_at.to_string(),
        "init_source": "parent-data",
    });
    let optional = [
        ("parent_id", &branch.parent),
        ("expires_at", &branch.expires_at),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            told[name] = json!(value);
        }
    }
    told
}

pub(super) fn annotation(branch: &Branch) -> Value {
    json!({
        "object": { "type": "console/branch", "id": branch.id },
        "value": branch.annotation,
        "created_at": branch.created_at.to_string(),
        "updated_at": branch.created_at.to_string(),
    })
}

pub(super) fn endpoint(project: &Project, branch: &Branch, endpoint: &Endpoint) -> Value {
    let mut told = json!({
        "host": format!("{}.us-east-2.aws.neon.tech", endpoint.id),
        "id": endpoint.id,
        "project_id": project.id,
        "branch_id": branch.id,
        "autoscaling_limit_min_cu": endpoint.min_cu,
        "autoscaling_limit_max_cu": endpoint.max_cu,
        "region_id": project.region,
        "type": "read_write",
        "current_state": "active",
        "settings": { "pg_settings": {} },
        "pooler_enabled": false,
        "pooler_mode": "transaction",
        "disabled": false,
        "passwordless_access": true,
        "creation_source": "console",
        "created_at": branch.created_at.to_string(),
        "updated_at": branch.created_at.to_string(),
        "proxy_host": "us-east-2.aws.neon.tech",
        "suspend_timeout_seconds": 0,
        "provisioner": "k8s-neonvm",
    });
    if project.is_at_work(&branch.id, Work::Create) {
        told["current_state"] = json!("init");
    }
    let is_changing = [Work::Create, Work::Resize].map(|work| project.is_at_work(&branch.id, work));
    if is_changing.contains(&true) {
        told["pending_state"] = json!("active");
    }
    told
}

pub(super) fn endpoints(project: &Project, branch: &Branch) -> Value {
    let endpoints = branch.endpoint.iter();
    endpoints.map(|it| endpoint(project, branch, it)).collect()
}

pub(super) fn databases(branch: &Branch) -> Value {
    let at = branch.created_at.to_string();
    let database = |id: u32, name: &str, at: &str| {
        json!({
            "id": id, "branch_id": branch.id, "name": name, "owner_name": ROLE,
            "created_at": at, "updated_at": at,
        })
    };
    // The newer one first: the order says nothing.
    json!([
        database(2, "later", "2027-01-01T00:00:00Z"),
        database(1, DATABASE, &at),
    ])
}

pub(super) fn roles(branch: &Branch) -> Value {
    let at = branch.created_at.to_string();
    json!([{
        "branch_id": branch.id, "name": ROLE, "password": PASSWORD, "protected": false,
        "created_at": at, "updated_at": at,
    }])
}

pub(super) fn connection_uris(uri: &str, host: &str) -> Value {
    json!([{
        "connection_uri": uri,
        "connection_parameters": {
            "database": DATABASE, "password": PASSWORD, "role": ROLE,
            "host": host, "pooler_host": host,
        },
    }])
}

pub(super) fn snapshot(snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id,
        "name": snapshot.name,
        "source_branch_id": snapshot.source,
        "created_at": snapshot.created_at.to_string(),
        "manual": true,
    })
}

fn operation(project: &Project, operation: &Operation) -> Value {
    let status = if operation.looks > 0 {
        "running"
    } else {
        "finished"
    };
    json!({
        "id": operation.id,
        "project_id": project.id,
        "branch_id": operation.branch,
        "action": "apply_config",
        "status": status,
        "failures_count": 0,
        "created_at": project.created_at.to_string(),
        "updated_at": project.created_at.to_string(),
        "total_duration_ms": 100,
    })
}

/// The newest first.
pub(super) fn operations(project: &Project) -> Value {
    let operations = project.operations.iter().rev();
    operations.map(|it| operation(project, it)).collect()
}

pub(super) fn consumption(id: &str, from: &str, to: &str) -> Value {
    json!({ "projects": [{ "project_id": id, "periods": [{
        "period_id": "79ec829f-1828-4006-ac82-9f1828a0067d",
        "period_plan": "scale",
        "period_start": from,
        "consumption": [{
            "timeframe_start": from,
            "timeframe_end": to,
            "active_time_seconds": 27_853,
            "compute_time_seconds": 18_346,
            "written_data_bytes": 1_073_741_824,
            "synthetic_storage_size_bytes": 5_368_709_120_u64,
        }],
    }] }] })
}

/// A page of a listing under a name, and where the next one is.
pub(super) fn page(name: &str, items: Vec<Value>, pagination: Option<Value>) -> Value {
    let mut page = Map::new();
    page.insert(name.to_owned(), items.into());
    if let Some(pagination) = pagination {
        page.insert("pagination".to_owned(), pagination);
    }
    page.into()
}
