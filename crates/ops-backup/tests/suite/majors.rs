//! Every PostgreSQL major that is installed, and client programs that are newer than the server.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use ops_backup::{
    Backup, BackupReport, CheckOutcome, ErrorKind, ObjectRole, RestoreOptions, SourceCheck,
};
use ops_pg::binaries::{Binaries, Finder, Major};
use ops_testkit::{Pg, data, fixture};

use crate::stores::{Odd, Oddity};
use crate::support::{self, Bench};

/// The client programs that are taken for a server.
async fn nearest_clients(server: Major) -> Option<Major> {
    let all = Finder::from_env().all().await;
    let fits = |it: &&Binaries| it.major() >= server && it.has("pg_dump") && it.has("pg_restore");
    all.iter().filter(fits).map(Binaries::major).min()
}

async fn drill_passes(backup: &Backup, report: &BackupReport) {
    let source = &report.source;
    let job = backup.drill(&report.id, support::drill_options());
    let drill = job.finish().await;
    let drill = drill.unwrap_or_else(|err| panic!("PostgreSQL {}: {err:?}", source.server_version));
    let failed: Vec<_> = drill
        .checks
        .iter()
        .filter(|check| check.outcome != CheckOutcome::Passed)
        .collect();
    assert!(
        drill.passed,
        "PostgreSQL {}: {failed:#?}",
        source.server_version
    );
    println!(
        "PostgreSQL {} by pg_dump {}: {} tables, {} rows, equal",
        source.server_version, source.client_version, report.tables, report.rows
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_installed_major_is_backed_up_and_drilled() {
    let majors = Pg::available_majors().await;
    if majors.is_empty() {
        fixture::skip("no server of PostgreSQL is installed");
        return;
    }
    for major in majors {
        // A server alone cannot be dumped; a newer client can dump it.
        let Some(clients) = nearest_clients(major).await else {
            fixture::inapplicable(format_args!("no client programs for PostgreSQL {major}"));
            continue;
        };
        let started = Pg::builder().major(major.0).start().await;
        let pg = started.expect("it is installed");
        if major < clients && clients >= Major(18) {
            // That pg_dump writes the NOT NULL of an inherited column as 18 alone reads it.
            support::fill_small(&pg).await;
        } else {
            pg.create_database("shop").await;
            data::install_schema(&pg.connect_info("shop"))
                .await
                .unwrap();
        }
        let bench = Bench::new();
        let builder = bench.builder(pg.connect_info("shop"));
        let backup = builder.source_check(SourceCheck::Full).build().unwrap();
        let report = backup.dump().finish().await;
        let report = report.unwrap_or_else(|err| panic!("PostgreSQL {major}: {err:?}"));
        assert_eq!(report.source.server_major, major.0);
        let warned = report
            .warnings
            .iter()
            .any(|it| it.contains("need not understand"));
        assert_eq!(warned, major < clients, "{:?}", report.warnings);
        drill_passes(&backup, &report).await;
    }
}

/// A server before 17, and the client programs of 17 or newer.
struct Apart {
    pg: Pg,
    bench: Bench,
    backup: Backup,
    report: BackupReport,
}

impl Apart {
    async fn new() -> Option<Self> {
        let finder = Finder::from_env();
        let clients = finder.at_least(Major(17)).await.ok();
        let majors = Pg::available_majors().await;
        let server = majors.into_iter().rev().find(|it| *it < Major(17));
        let (Some(clients), Some(server)) = (clients, server) else {
            fixture::inapplicable("no PostgreSQL before 17 beside client programs of 17 or newer");
            return None;
        };
        let pg = Pg::builder().major(server.0).start().await?;
        support::fill_small(&pg).await;
        let bench = Bench::new();
        // The same server, without its client programs.
        let alone = bench.folder.path().join("server");
        fs::create_dir(&alone).unwrap();
        for folder in [bench.folder.path(), &alone] {
            fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
        }
        for name in ["postgres", "initdb", "pg_ctl"] {
            symlink(pg.bin(name), alone.join(name)).unwrap();
        }
        let finder = Finder::new().usual_folders(false);
        let finder = finder.folder(alone).folder(clients.folder());
        // Without checksums: damage is found while it is read.
        let store = Arc::new(Odd {
            store: Arc::clone(&bench.store),
            oddity: Oddity::Forgetful,
        });
        let builder = bench.builder_in(store, pg.connect_info("shop"));
        let backup = builder.finder(finder).build().unwrap();
        let report = backup.dump().finish().await.unwrap();
        assert_eq!(report.source.server_major, server.0);
        assert_eq!(report.source.client_version, clients.version().as_str());
        Some(Self {
            pg,
            bench,
            backup,
            report,
        })
    }

    async fn restore(&self, name: &str, options: RestoreOptions) -> Result<(), ops_backup::Error> {
        let target = self.pg.connect_info(name);
        let job = self.backup.restore(&self.report.id, target, options);
        job.finish().await.map(drop)
    }

    async fn relations(&self, database: &str) -> i64 {
        let client = self.pg.client(database).await;
        let sql = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_newer_client_programs_have_dumped_is_drilled_and_restored_on_the_older_server() {
    let Some(apart) = Apart::new().await else {
        return;
    };
    drill_passes(&apart.backup, &apart.report).await;
    let not_atomic = RestoreOptions::new().with_not_atomic(true);
    for (name, options) in [("whole", RestoreOptions::new()), ("in_parts", not_atomic)] {
        apart.pg.create_database(name).await;
        apart.restore(name, options).await.unwrap();
        let client = apart.pg.client(name).await;
        let sql = "SELECT (SELECT count(*) FROM orders), sum(octet_length(lo_get(oid)))
                   FROM pg_largeobject_metadata";
        let row = client.query_one(sql, &[]).await.unwrap();
        assert_eq!((row.get(0), row.get(1)), (20_000_i64, 300_000_i64));
        assert_eq!(apart.relations(name).await, apart.relations("shop").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_for_an_older_server_that_fails_or_is_damaged_is_rolled_back() {
    let Some(apart) = Apart::new().await else {
        return;
    };
    apart.pg.create_database("taken").await;
    let client = apart.pg.client("taken").await;
    let sql = "CREATE TABLE orders (mine int); INSERT INTO orders VALUES (1)";
    client.batch_execute(sql).await.unwrap();
    let over = RestoreOptions::new().with_allow_non_empty(true);
    let err = apart.restore("taken", over).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::RestoreFailed, "{err:?}");
    let text = err.to_string();
    assert!(
        text.contains("relation \"orders\" already exists"),
        "{text}"
    );
    assert!(
        err.hint()
            .is_some_and(|it| it.contains("need not understand")),
        "{text}"
    );
    assert_eq!(apart.relations("taken").await, 1);

    // The last byte of the last object: everything before it has been run by then.
    let entries = apart.backup.catalogue().await.unwrap();
    let object = entries[0]
        .manifest
        .objects_of(ObjectRole::Dump)
        .last()
        .unwrap();
    let path = apart
        .bench
        .folder
        .path()
        .join("store")
        .join(object.key.as_str());
    let mut content = fs::read(&path).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&path, content).unwrap();
    apart.pg.create_database("empty").await;
    let err = apart
        .restore("empty", RestoreOptions::new())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity, "{err:?}");
    assert_eq!(apart.relations("empty").await, 0);
}
