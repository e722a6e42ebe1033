//! Each request as Neon expects it.

use ops_core::database::{CreateBranchRequest, CreateDatabaseRequest, DatabaseSize, Engine};
use ops_core::usage::Period;
use serde_json::{Value, json};

use super::*;
use crate::model::body::ComputeSize;

/// Method, path and query, and body of a request.
fn sent<T>(request: &ApiRequest<T>) -> (String, Value) {
    let method = request.operation().method();
    let line = format!("{method} {}", request.path_and_query());
    let body = request.body().unwrap_or_default();
    (line, serde_json::from_slice(body).unwrap_or_default())
}

fn project() -> DatabaseId {
    DatabaseId::new("p-1").unwrap()
}

fn branch() -> BranchId {
    BranchId::new("br/1").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn what_is_asked_for() {
    let (project, branch) = (project(), branch());
    let login = Login {
        branch: Some(&branch),
        database: "shop & co",
        role: "casey",
        is_pooled: true,
    };
    let from = at("2026-11-21T04:05:06Z");
    let period = Period::new(from, at("2026-11-21T05:00:00Z")).unwrap();
    let history = History::of(period, from);
    let table = [
        (
            sent(&connection_uri(&project, login)),
            "GET /projects/p-1/connection_uri?branch_id=br%2F1&database_name=shop%20%26%20co\
             &role_name=casey&pooled=true",
        ),
        (
            sent(&consumption(&project, Some("org-1"), history)),
            "GET /consumption_history/projects?project_ids=p-1&from=2026-11-21T04%3A00%3A00Z\
             &to=2026-11-21T05%3A00%3A00Z&granularity=hourly&org_id=org-1",
        ),
        (
            sent(&delete_branch(&project, &branch)),
            "DELETE /projects/p-1/branches/br%2F1",
        ),
        (sent(&delete_project(&project)), "DELETE /projects/p-1"),
        (
            sent(&find_branch(&project, &branch)),
            "GET /projects/p-1/branches/br%2F1",
        ),
        (
            sent(&get_branch(&project, &branch)),
            "GET /projects/p-1/branches/br%2F1",
        ),
        (sent(&get_project(&project)), "GET /projects/p-1"),
        (
            sent(&list_databases(&project, &branch)),
            "GET /projects/p-1/branches/br%2F1/databases",
        ),
        (
            sent(&list_endpoints(&project, &branch)),
            "GET /projects/p-1/branches/br%2F1/endpoints",
        ),
        (
            sent(&list_operations(&project)),
            "GET /projects/p-1/operations?limit=100",
        ),
        (
            sent(&list_snapshots(&project)),
            "GET /projects/p-1/snapshots",
        ),
    ];
    for ((line, body), expected) in table {
        assert_eq!((line.as_str(), body), (expected, Value::Null));
    }
}

#[test]
fn what_is_made() {
    let (project, branch) = (project(), branch());
    let size = DatabaseSize::default().with_min_cpu_millis(0);
    let request = CreateDatabaseRequest::new("shop", Engine::Postgres)
        .with_version("16")
        .with_size(size);
    let new_project = ProjectCreateRequest::new(&request, Some("org-1")).unwrap();
    let new_branch = CreateBranchRequest::new("dev")
        .with_parent(branch.clone())
        .with_expires_at(at("2026-11-21T04:05:06.789Z"));
    let table = [
        (
            sent(&create_project(&new_project)),
            "POST /projects",
            json!({ "project": {
                "name": "shop",
                "pg_version": 16,
                "org_id": "org-1",
                "default_endpoint_settings": {
                    "autoscaling_limit_min_cu": 0.25,
                    "suspend_timeout_seconds": 0,
                },
            } }),
        ),
        (
            sent(&create_branch(&project, &(&new_branch).into())),
            "POST /projects/p-1/branches",
            json!({
                "branch": {
                    "name": "dev",
                    "parent_id": "br/1",
                    "expires_at": "2026-11-21T04:05:06Z",
                },
                "endpoints": [{ "type": "read_write" }],
            }),
        ),
        (
            sent(&create_snapshot(&project, &branch, Some("a b"))),
            "POST /projects/p-1/branches/br%2F1/snapshot?name=a%20b",
            Value::Null,
        ),
    ];
    for ((line, body), expected, expected_body) in table {
        assert_eq!((line.as_str(), body), (expected, expected_body));
    }
}

#[test]
fn what_is_changed() {
    let (project, branch) = (project(), branch());
    let snapshot = NativeBackupId::new("s-1").unwrap();
    let size = DatabaseSize::default().with_max_cpu_millis(1_500);
    let endpoint = EndpointUpdateRequest {
        endpoint: ComputeSize::new(&size).unwrap(),
    };
    let table = [
        (
            sent(&rename_branch(&project, &branch, "kept")),
            "PATCH /projects/p-1/branches/br%2F1",
            json!({ "branch": { "name": "kept" } }),
        ),
        (
            sent(&restore_branch(
                &project,
                &branch,
                at("2026-11-21T04:05:06Z"),
                "kept",
            )),
            "POST /projects/p-1/branches/br%2F1/restore",
            json!({
                "source_branch_id": "br/1",
                "source_timestamp": "2026-11-21T04:05:06Z",
                "preserve_under_name": "kept",
            }),
        ),
        (
            sent(&restore_snapshot(&project, &snapshot, &branch)),
            "POST /projects/p-1/snapshots/s-1/restore",
            json!({ "target_branch_id": "br/1", "finalize_restore": true }),
        ),
        (
            sent(&update_endpoint(&project, "ep-1", &endpoint)),
            "PATCH /projects/p-1/endpoints/ep-1",
            json!({ "endpoint": { "autoscaling_limit_max_cu": 1.5 } }),
        ),
    ];
    for ((line, body), expected, expected_body) in table {
        assert_eq!((line.as_str(), body), (expected, expected_body));
    }
}
