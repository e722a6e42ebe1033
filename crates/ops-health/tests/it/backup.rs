//! The freshness check on a real catalogue.

use std::sync::Arc;

use ops_backup::{Backup, DrillOptions, Encryption};
use ops_health::checks::{BackupFreshness, BackupSource};
use ops_health::{Check, CheckCtx, Code, Status};
use ops_local::{Durability, Local};
use ops_pg::binaries::Finder;
use ops_postgres::Postgres;
use ops_testkit::Pg;

use crate::support::seconds;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_counts_when_it_is_committed_and_is_proved_when_it_is_drilled() {
    let Some(pg) = Pg::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = Local::builder(folder.path())
        .durability(Durability::None)
        .build()
        .unwrap();
    let database = Postgres::builder(pg.connect_info("postgres"))
        .build()
        .unwrap();
    let backup = Backup::builder(Arc::new(database), Arc::new(store))
        .encryption(Encryption::none())
        .finder(Finder::from_env())
        .build()
        .unwrap();
    let check = BackupFreshness::new(Arc::new(backup.clone()));
    let run = async || {
        let outcome = Check::run(&check, &CheckCtx::new(seconds(10))).await;
        (outcome.status(), outcome.code())
    };
    assert_eq!(run().await, (Status::Unhealthy, Code::NeverRan));

    let id = backup.dump().finish().await.unwrap().id;
    assert_eq!(
        run().await,
        (Status::Degraded, Code::NeverRan),
        "no drill yet"
    );

    let drill = backup
        .drill(&id, DrillOptions::new())
        .finish()
        .await
        .unwrap();
    assert!(drill.passed, "{drill:?}");
    assert_eq!(run().await, (Status::Healthy, Code::Ok));
    let facts = BackupSource::latest(&backup).await.unwrap().unwrap();
    assert_eq!(facts.verified_at, Some(drill.completed_at));
}
