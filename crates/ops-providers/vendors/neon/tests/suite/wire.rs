//! Neon that refuses, breaks and talks nonsense.

use ops_conformance::wire::{Endpoint, Failure, Page, Wire};
use ops_core::Timestamp;
use ops_core::database::{Branching as _, Provision as _};
use ops_core::id::{BranchId, DatabaseId, NativeBackupId};
use ops_http::Paging;
use ops_http::test_util::{Reply, respond};
use ops_neon::Neon;
use ops_neon::api::OPERATIONS;
use serde_json::{Value, json};

use crate::contract::{DRIVES, Scene};
use crate::fake::PROJECT;

fn scene(at: &Endpoint) -> Scene {
    Scene {
        neon: Neon::builder(at.token(), PROJECT)
            .base_url(at.base_url())
            .allow_http(true)
            .http_client(at.http_client())
            .limits(at.limits())
            .retry(at.retry())
            .build()
            .unwrap(),
        now: Timestamp::from_unix_seconds(1_795_233_600).unwrap(),
        branch: BranchId::new("br-dev").unwrap(),
        snapshot: NativeBackupId::new("snap-1").unwrap(),
    }
}

/// The calls of the contract, and some that name what they are told to.
fn wire() -> Wire<Scene> {
    let mut wire = Wire::new(OPERATIONS, scene).failures(failure);
    for (id, drive) in DRIVES {
        wire = wire.call(id, answer(id), move |scene, _| async move {
            drive(&scene).await
        });
        wire = match *id {
            "deleteProject" | "deleteProjectBranch" => wire.absent_is_success().ignores_answer(),
            "updateProjectBranch" => wire.ignores_answer().second_step(),
            "updateProjectEndpoint" => wire.ignores_answer(),
            "listProjectBranches" => wire.paged(Paging::Cursor("cursor"), branches),
            "listProjects" => wire.paged(Paging::Cursor("cursor"), projects),
            _ => wire,
        };
    }
    wire.call(
        "getProject",
        answer("getProject"),
        |scene, sample| async move {
            let project = DatabaseId::new(sample.id())?;
            scene.neon.instance(&project).await
        },
    )
    .call(
        "getProjectBranch",
        answer("getProjectBranch"),
        |scene, sample| async move {
            let branch = BranchId::new(sample.id())?;
            scene.neon.branch(&branch).await
        },
    )
}

fn failure(failure: &Failure) -> Reply {
    respond(failure.status).json(&json!({
        "request_id": failure.request_id,
        "code": "",
        "message": failure.message,
    }))
}

fn project(id: &str) -> Value {
    json!({
        "id": id,
        "name": "shop",
        "pg_version": 17,
        "region_id": "aws-eu-central-1",
        "created_at": "2026-11-01T00:00:00Z",
        "history_retention_seconds": 86_400,
        "consumption_period_start": "2026-11-01T00:00:00Z",
        "consumption_period_end": "2026-12-01T00:00:00Z",
        "compute_time_seconds": 100,
    })
}

fn branch(id: &str, is_default: bool) -> Value {
    json!({
        "id": id,
        "name": id,
        "current_state": "ready",
        "default": is_default,
        "logical_size": 4_096,
        "created_at": "2026-11-01T00:00:00Z",
    })
}

fn projects(page: &Page<'_>) -> Reply {
    let projects = [project(&format!("p-{}", page.number))];
    respond(200).json(&json!({ "projects": projects, "pagination": { "cursor": page.next } }))
}

fn branches(page: &Page<'_>) -> Reply {
    let branches = [branch(&format!("br-{}", page.number), page.number == 0)];
    respond(200).json(&json!({ "branches": branches, "pagination": { "next": page.next } }))
}

/// The good answer to an operation.
fn answer(operation: &str) -> Reply {
    let endpoint = json!({ "id": "ep-1", "type": "read_write", "current_state": "active" });
    let operations = json!([{ "branch_id": "br-0", "status": "finished" }]);
    let snapshot = json!({
        "id": "snap-1",
        "name": "before",
        "source_branch_id": "br-0",
        "created_at": "2026-11-02T00:00:00Z",
        "full_size": 4_096,
    });
    let uri = "postgresql://casey:pw@ep-1.us-east-2.aws.neon.tech/neondb?sslmode=require";
    let body = match operation {
        "createProject" => json!({
            "project": project("p-1"),
            "branch": branch("br-0", true),
            "endpoints": [endpoint],
            "connection_uris": [{ "connection_uri": uri }],
        }),
        "createSnapshot" => json!({ "snapshot": snapshot, "operations": operations }),
        "getConnectionURI" => json!({ "uri": uri }),
        "getConsumptionHistoryPerProject" => json!({ "projects": [], "periods": [] }),
        "deleteProject" | "getProject" => json!({ "project": project(PROJECT) }),
        "createProjectBranch" | "deleteProjectBranch" | "getProjectBranch" => {
            json!({ "branch": branch("br-dev", false) })
        }
        "listProjectBranchDatabases" => json!({
            "databases": [{ "name": "neondb", "owner_name": "casey", "created_at": "2026-11-01T00:00:00Z" }],
        }),
        "listProjectBranchEndpoints" => json!({ "endpoints": [endpoint] }),
        "listProjectBranches" => return branches(&Page::last(0)),
        "listProjectOperations" | "restoreProjectBranch" | "restoreSnapshot" => {
            json!({ "operations": operations })
        }
        "listProjects" => return projects(&Page::last(0)),
        "listSnapshots" => json!({ "snapshots": [snapshot] }),
        _ => json!({}),
    };
    respond(200).json(&body)
}

ops_conformance::wire!(wire());
