//! Every operation that this crate can send, held to Neon's own description.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use ops_conformance::contract::{Answer, Coverage, Sends, skipped};
use ops_core::database::{
    Branching, CreateBackupRequest, CreateBranchRequest, CreateDatabaseRequest, Database,
    DatabaseSize, Engine, NativeBackups, Provision, RestoreBackupRequest, RestorePoint,
    RestoreTarget, Usage,
};
use ops_core::id::{BranchId, DatabaseId, IdempotencyKey, NativeBackupId, Region};
use ops_core::usage::{Period, UsageQuery};
use ops_core::{Clock, ErrorKind, Result};
use ops_neon::Neon;
use ops_neon::api::OPERATIONS;

use crate::fake::{Fake, PROJECT, description};

/// What is there when an operation is tried.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) neon: Neon,
    pub(crate) now: ops_core::Timestamp,
    pub(crate) branch: BranchId,
    pub(crate) snapshot: NativeBackupId,
}

pub(crate) type Drive = fn(&Scene) -> BoxFuture<'_, Result<()>>;

/// A call of the provider that sends the operation.
pub(crate) const DRIVES: &[(&str, Drive)] = &[
    ("createProject", |it| {
        let size = DatabaseSize::default()
            .with_min_cpu_millis(0)
            .with_max_cpu_millis(2_000);
        let request = CreateDatabaseRequest::new("shop/2?#%é", Engine::Postgres)
            .with_version("16")
            .with_region(Region::new("aws-eu-central-1").unwrap())
            .with_size(size);
        async { it.neon.create_database(request).await.map(drop) }.boxed()
    }),
    ("createProjectBranch", |it| {
        let request = CreateBranchRequest::new("dev/7?#%é")
            .with_parent(it.branch.clone())
            .with_at(it.now)
            .with_expires_at(it.now.saturating_add(Duration::from_millis(86_400_500)))
            .with_idempotency_key(IdempotencyKey::new("k-1").unwrap());
        async { it.neon.create_branch(request).await.map(drop) }.boxed()
    }),
    ("createSnapshot", |it| {
        let request = CreateBackupRequest::default().with_name("before ä/7?");
        async { it.neon.create_backup(request).await.map(drop) }.boxed()
    }),
    ("deleteProject", |it| {
        async { it.neon.delete_database(&project()).await.map(drop) }.boxed()
    }),
    ("deleteProjectBranch", |it| {
        async { it.neon.delete_branch(&it.branch).await.map(drop) }.boxed()
    }),
    ("getConnectionURI", |it| {
        async { it.neon.connect_info().await.map(drop) }.boxed()
    }),
    ("getConsumptionHistoryPerProject", |it| {
        let month = Duration::from_secs(30 * 86_400);
        let period = Period::new(it.now.saturating_sub(month), it.now).unwrap();
        let query = UsageQuery::default().with_period(period);
        async { it.neon.usage(query).await.map(drop) }.boxed()
    }),
    ("getProject", |it| {
        async { it.neon.describe().await.map(drop) }.boxed()
    }),
    ("getProjectBranch", |it| {
        async { it.neon.branch(&it.branch).await.map(drop) }.boxed()
    }),
    ("listProjectBranchDatabases", |it| {
        async { it.neon.connect_info().await.map(drop) }.boxed()
    }),
    ("listProjectBranchEndpoints", |it| {
        async { it.neon.describe().await.map(drop) }.boxed()
    }),
    ("listProjectBranches", |it| {
        let listing = it.neon.list_branches().try_collect::<Vec<_>>();
        async { listing.await.map(drop) }.boxed()
    }),
    ("listProjectOperations", |it| {
        async { it.neon.backup(&it.snapshot).await.map(drop) }.boxed()
    }),
    ("listProjects", |it| {
        let listing = it.neon.list_databases().try_collect::<Vec<_>>();
        async { listing.await.map(drop) }.boxed()
    }),
    ("listSnapshots", |it| {
        let listing = it.neon.list_backups().try_collect::<Vec<_>>();
        async { listing.await.map(drop) }.boxed()
    }),
    ("restoreProjectBranch", |it| {
        let request = RestoreBackupRequest::in_place(RestorePoint::Time(it.now));
        async { it.neon.restore_backup(request).await.map(drop) }.boxed()
    }),
    ("restoreSnapshot", |it| {
        let point = RestorePoint::Backup(it.snapshot.clone());
        let request = RestoreBackupRequest::in_place(point);
        async { it.neon.restore_backup(request).await.map(drop) }.boxed()
    }),
    ("updateProjectBranch", |it| {
        let point = RestorePoint::Backup(it.snapshot.clone());
        let preserve_as = Some("kept".to_owned());
        let request = RestoreBackupRequest::in_place(point)
            .with_target(RestoreTarget::InPlace { preserve_as });
        async { it.neon.restore_backup(request).await.map(drop) }.boxed()
    }),
    ("updateProjectEndpoint", |it| {
        let size = DatabaseSize::default().with_max_cpu_millis(4_000);
        async { it.neon.resize_database(&project(), size).await.map(drop) }.boxed()
    }),
];

/// What the description calls a text, and is an instant or a URI.
const TEXTS: &[&str] = &[
    "created_at",
    "expires_at",
    "timestamp",
    "the field uri",
    "connection_uri",
];

fn project() -> DatabaseId {
    DatabaseId::new(PROJECT).unwrap()
}

/// A fresh project with a branch and a snapshot, and a provider whose limits are fresh, too.
fn scene(fake: &Fake) -> Scene {
    fake.reset();
    let (branch, snapshot) = fake.state().seed();
    Scene {
        neon: fake.neon(),
        now: fake.clock.now(),
        branch: BranchId::new(branch).unwrap(),
        snapshot: NativeBackupId::new(snapshot).unwrap(),
    }
}

/// An answer is understood, or refused by the name of what is not.
async fn answered(fake: &Fake, drive: Drive, id: &str, answer: Answer) {
    let scene = scene(fake);
    let (status, allowed) = (answer.status, answer.allowed);
    let what = format!(
        "{id}: {}: {}",
        answer.label,
        String::from_utf8_lossy(&answer.body)
    );
    fake.state().planned = Some((id.to_owned(), answer));
    let outcome = drive(&scene).await;
    assert!(fake.state().planned.is_none(), "{what}: never asked for");
    match outcome {
        // A failure that may be over is not seen: the request is sent again.
        Ok(()) => assert!(status < 400 || status == 429 || status >= 500, "{what}"),
        Err(err) if status >= 400 => assert_eq!(err.status(), Some(status), "{what}: {err:?}"),
        // The fake knows nothing of the databases that a generated answer names.
        Err(err) if id == "listProjectBranchDatabases" => {
            assert_eq!(err.kind(), ErrorKind::NotFound, "{what}: {err:?}");
        }
        Err(err) => {
            assert_eq!(err.kind(), ErrorKind::Decode, "{what}: {err:?}");
            assert!(err.message().contains("the field "), "{what}: {err:?}");
            let is_described = !TEXTS.iter().any(|text| err.message().contains(text));
            assert!(!(allowed && is_described), "{what}: {err:?}");
        }
    }
}

#[tokio::test]
async fn every_operation_is_sent_and_every_answer_is_understood_or_refused_by_name() {
    let Some(description) = description() else {
        skipped("there is no description of Neon");
        return;
    };
    let sends = OPERATIONS.iter().map(|it| Sends {
        operation_id: it.id(),
        method: it.method().as_str(),
        path: it.template(),
        serves: it.served(),
    });
    let coverage = Coverage::new("neon", sends);
    let fake = Fake::start();
    for (id, drive) in DRIVES {
        drive(&scene(&fake)).await.unwrap();
        for request in &std::mem::take(&mut fake.state().sent) {
            coverage.check(&description, request).unwrap();
        }
        for answer in description.answers(id) {
            answered(&fake, *drive, id, answer).await;
            coverage.answered(id).unwrap();
        }
    }
    coverage.finish().unwrap();
}
