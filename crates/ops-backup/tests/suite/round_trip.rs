//! Backups of a real server, restored into real servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{self, Bench, small_database};
use futures_util::StreamExt;
use ops_backup::{
    Assertion, CheckOutcome, ErrorKind, Event, Phase, RestoreOptions, Selection, SourceCheck,
};
use ops_core::memory::{FaultyObjectStore, Operation};
use ops_core::object_store::PutOptions;
use ops_core::{ObjectKey, ObjectStore};
use ops_pg::connect::{ConnectOptions, connect};
use ops_testkit::data;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_drilled_and_equal() {
    let Some(pg) = small_database().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench
        .builder(pg.connect_info("shop"))
        .source_check(SourceCheck::Full)
        .build()
        .unwrap();
    let mut job = backup.dump();
    let mut phases = Vec::new();
    while let Some(event) = job.next().await {
        if let Event::Phase(phase) = event {
            phases.push(phase);
        }
    }
    let report = job.finish().await.unwrap();
    assert_eq!(
        phases,
        [
            Phase::Preflight,
            Phase::Sweep,
            Phase::Dump,
            Phase::Compare,
            Phase::Globals,
            Phase::Commit
        ]
    );
    assert_eq!(
        (report.tables, report.rows, report.large_objects),
        (3, 25_001, 1)
    );
    assert!(
        report.bytes_in > 1_000_000 && report.bytes_stored < report.bytes_in,
        "{report:?}"
    );

    let entries = backup.catalogue().await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].manifest.id, report.id);

    let options = support::drill_options()
        .with_assertion(Assertion::new(
            "orders are there",
            "SELECT count(*) = 20000 FROM orders",
        ))
        .with_assertion(Assertion::new(
            "it is false",
            "SELECT count(*) = 1 FROM public.orders",
        ));
    let drill = backup.drill(&report.id, options).finish().await.unwrap();
    let failed: Vec<_> = drill
        .checks
        .iter()
        .filter(|check| check.outcome != CheckOutcome::Passed)
        .collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(!drill.passed);
    assert_eq!(failed[0].name, "assertion: it is false");
    assert_eq!(backup.drills(&report.id).await.unwrap(), [drill]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_refuses_a_database_that_holds_something() {
    let Some(pg) = small_database().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("shop"));
    let id = backup.dump().finish().await.unwrap().id;

    let err = backup
        .restore(&id, pg.connect_info("shop"), RestoreOptions::new())
        .finish()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TargetNotEmpty, "{err}");

    pg.create_database("copy").await;
    let report = backup
        .restore(&id, pg.connect_info("copy"), RestoreOptions::new())
        .finish()
        .await
        .unwrap();
    assert!(report.bytes_out > 1_000_000);
    let row = pg
        .client("copy")
        .await
        .query_one("SELECT count(*) FROM orders", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_breaks_naive_backups_comes_back_equal_under_a_running_workload() {
    let Some(pg) = ops_testkit::Pg::start().await else {
        return;
    };
    pg.create_database("shop").await;
    let info = pg.connect_info("shop");
    data::install_schema(&info).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..2)
        .map(|worker| {
            let (info, stop) = (info.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let client = connect(&info, &ConnectOptions::default()).await.unwrap();
                let mut steps = 0;
                while !stop.load(Ordering::Relaxed) {
                    data::workload_step(&client, worker, steps).await.unwrap();
                    steps += 1;
                }
                steps
            })
        })
        .collect();
    let bench = Bench::new();
    let backup = bench
        .builder(info)
        .source_check(SourceCheck::Full)
        .build()
        .unwrap();
    let report = backup.dump().finish().await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        assert!(worker.await.unwrap() > 0, "the workload must have run");
    }
    let drill = backup
        .drill(&report.id, support::drill_options())
        .finish()
        .await
        .unwrap();
    let failed: Vec<_> = drill
        .checks
        .iter()
        .filter(|check| check.outcome != CheckOutcome::Passed)
        .collect();
    assert!(drill.passed, "{failed:#?}\n{:?}", drill.warnings);

    // A copy of the data of one moment: the workload keeps sums that any mixture breaks.
    pg.create_database("copy").await;
    let target = pg.connect_info("copy");
    backup
        .restore(&report.id, target, RestoreOptions::new())
        .finish()
        .await
        .unwrap();
    data::check_consistency(&pg.client("copy").await)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_only_reads_and_has_no_time_does_not_keep_a_drill_from_loading() {
    let Some(pg) = small_database().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("shop"));
    pg.client("shop")
        .await
        .batch_execute(
            "ALTER ROLE postgres SET default_transaction_read_only = on; \
             ALTER ROLE postgres SET statement_timeout = '200ms'",
        )
        .await
        .unwrap();
    let id = backup.dump().finish().await.unwrap().id;
    let slow = Assertion::new("it may take its time", "SELECT pg_sleep(0.5) IS NOT NULL");
    let options = support::drill_options().with_assertion(slow);
    let drill = backup.drill(&id, options).finish().await.unwrap();
    assert!(drill.passed, "{drill:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_database_is_drilled_as_what_it_is() {
    let Some(pg) = small_database().await else {
        return;
    };
    pg.client("shop")
        .await
        .batch_execute("CREATE SCHEMA scratch; CREATE TABLE scratch.t AS SELECT 1 AS x")
        .await
        .unwrap();
    let mut selection = Selection::default();
    selection.exclude_schemas.push("scratch".to_owned());
    selection
        .exclude_table_data
        .push("public.orders".to_owned());
    let bench = Bench::new();
    let backup = bench
        .builder(pg.connect_info("shop"))
        .selection(selection)
        .build()
        .unwrap();
    let report = backup.dump().finish().await.unwrap();
    assert_eq!(report.rows, 5_001, "the customers alone");
    let manifest = backup.latest().await.unwrap().unwrap().manifest;
    assert_eq!(
        manifest.selection,
        [
            "--exclude-schema=scratch",
            "--exclude-table-data=public.orders"
        ]
    );
    let gone = "SELECT to_regclass('scratch.t') IS NULL AND NOT EXISTS (SELECT FROM orders)";
    let options = support::drill_options().with_assertion(Assertion::new("left out", gone));
    let drill = backup.drill(&report.id, options).finish().await.unwrap();
    assert!(drill.passed, "{drill:#?}");
    assert_eq!(drill.warnings.len(), 1, "{:?}", drill.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_fetched_once_and_again_only_where_it_was_replaced() {
    let Some(pg) = small_database().await else {
        return;
    };
    let bench = Bench::new();
    let store = Arc::new(FaultyObjectStore::new(Arc::clone(&bench.store)));
    let backup = bench
        .builder_in(Arc::clone(&store) as _, pg.connect_info("shop"))
        .build()
        .unwrap();
    let first = backup.dump().finish().await.unwrap().id;
    backup.dump().finish().await.unwrap();
    let fetched = async || {
        let before = store.calls(Operation::Get);
        let listed = backup.catalogue().await.map(|entries| entries.len());
        (listed.ok(), store.calls(Operation::Get) - before)
    };
    assert_eq!(fetched().await, (Some(2), 2));
    assert_eq!(fetched().await, (Some(2), 0));

    let key: ObjectKey = format!("manifests/{first}.json").parse().unwrap();
    let put = PutOptions::default();
    bench.store.put(&key, "{}".into(), put).await.unwrap();
    assert_eq!(
        fetched().await,
        (None, 1),
        "what replaced it is not a manifest"
    );
    bench.store.delete(&key).await.unwrap();
    assert_eq!(fetched().await.0, Some(1));
}
