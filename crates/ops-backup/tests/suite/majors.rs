//! Every PostgreSQL major that is installed.

use ops_backup::{CheckOutcome, SourceCheck};
use ops_pg::binaries::Finder;
use ops_testkit::{Pg, data, fixture};

use crate::support::{self, Bench};

#[tokio::test(flavor = "multi_thread")]
async fn each_installed_major_is_backed_up_and_drilled() {
    let majors = Pg::available_majors().await;
    if majors.is_empty() {
        fixture::skip("no server of PostgreSQL is installed");
        return;
    }
    for major in majors {
        // A server alone cannot be dumped; a newer client can dump it.
        if Finder::from_env().at_least(major).await.is_err() {
            fixture::inapplicable(format_args!("no client programs for PostgreSQL {major}"));
            continue;
        }
        let started = Pg::builder().major(major.0).start().await;
        let pg = started.expect("it is installed");
        pg.create_database("shop").await;
        let info = pg.connect_info("shop");
        data::install_schema(&info).await.unwrap();
        let bench = Bench::new();
        let backup = bench
            .builder(info)
            .source_check(SourceCheck::Full)
            .build()
            .unwrap();
        let report = backup.dump().finish().await;
        let report = report.unwrap_or_else(|err| panic!("PostgreSQL {major}: {err:?}"));
        assert_eq!(report.source.server_major, major.0);
        if !pg.binaries().has("pg_dump") {
            // What a newer pg_dump writes the server need not understand.
            let version = &report.source.client_version;
            fixture::inapplicable(format_args!(
                "no client programs of PostgreSQL {major}: dumped by {version}, not drilled"
            ));
            continue;
        }
        let drill = backup
            .drill(&report.id, support::drill_options())
            .finish()
            .await;
        let drill = drill.unwrap_or_else(|err| panic!("PostgreSQL {major}: {err:?}"));
        let failed: Vec<_> = drill
            .checks
            .iter()
            .filter(|check| check.outcome != CheckOutcome::Passed)
            .collect();
        assert!(drill.passed, "PostgreSQL {major}: {failed:#?}");
        println!(
            "PostgreSQL {} by pg_dump {}: {} tables, {} rows, equal",
            report.source.server_version, report.source.client_version, report.tables, report.rows
        );
    }
}
