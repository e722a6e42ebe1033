//! The main job, as a user runs it: the demo, on data of its own and on a user's database;
//! and the examples of health and of the pool.

#![cfg(test)]

mod health_examples;
mod pool_examples;

use std::path::{Path, PathBuf};
use std::process::Output;

use ops_testkit::{Pg, fixture};

/// An example, which cargo builds beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    let example = folder.join(name);
    assert!(
        example.is_file(),
        "{} is missing: build all targets",
        example.display()
    );
    example
}

async fn run(arguments: &[&str]) -> Output {
    tokio::process::Command::new(example("demo"))
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

fn report(path: &Path, output: &Output) -> serde_json::Value {
    let text = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_backs_up_restores_proves_equal_and_serves_its_health_in_bounded_memory() {
    if Pg::available_majors().await.is_empty() {
        return fixture::skip("no PostgreSQL was found");
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let output = run(&["--size", "60MB", "--json", json.to_str().unwrap()]).await;
    let report = report(&json, &output);
    assert_eq!(report["restore"]["equal"], true, "{report:#}");
    assert_eq!(
        report["restore"]["differences"].as_array().unwrap().len(),
        0
    );
    assert!(
        report["restore"]["tables"].as_u64().unwrap() > 50,
        "{report:#}"
    );
    // A nearly full disk of the machine that runs this degrades the service, as it should.
    let health: serde_json::Value =
        serde_json::from_str(report["health"]["routes"][0]["body"].as_str().unwrap()).unwrap();
    for check in ["postgres", "pool", "backup"] {
        assert_eq!(health["checks"][check]["status"], "healthy", "{report:#}");
    }
    assert!(
        report["backup"]["bytes_in"].as_u64().unwrap() > 30_000_000,
        "{report:#}"
    );
    assert!(
        report["pool"]["transactions"].as_u64().unwrap() > 0,
        "{report:#}"
    );
    if let Some(peak) = report["peak_rss_bytes"].as_u64() {
        assert!(peak < 100_000_000, "{peak} bytes at the peak");
    }
}

/// What would change if somebody wrote: objects, rows, and the last assigned transaction.
async fn written(client: &tokio_postgres::Client) -> (i64, i64, String) {
    let row = client
        .query_one(
            "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM t), \
             pg_snapshot_xmax(pg_current_snapshot())::text",
            &[],
        )
        .await
        .unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_works_on_a_users_database_without_writing_to_it() {
    let Some(pg) = Pg::builder()
        .tcp(true)
        .setting("autovacuum", "off")
        .with(|server| server.password("s3cret-canary"))
        .start()
        .await
    else {
        return;
    };
    pg.create_database("theirs").await;
    let client = pg.client("theirs").await;
    client
        .batch_execute("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 1000) i")
        .await
        .unwrap();
    let written = written(&client).await;
    let folder = tempfile::tempdir().unwrap();
    let (store, json) = (
        folder.path().join("store"),
        folder.path().join("report.json"),
    );
    let arguments = [
        "--database-url",
        &pg.url("theirs"),
        "--store",
        store.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ];
    let output = run(&arguments).await;
    let report = report(&json, &output);
    assert_eq!(report["restore"]["equal"], true, "{report:#}");
    assert_eq!(report["restore"]["rows"], 1000);
    assert_eq!(report["pool"]["transactions"], serde_json::Value::Null);
    assert_eq!(self::written(&client).await, written);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("AGE-SECRET-KEY-1"),
        "the key to the kept backup is shown once"
    );
    for text in [
        printed.as_ref(),
        &String::from_utf8_lossy(&output.stderr),
        &report.to_string(),
    ] {
        assert!(!text.contains("s3cret-canary"), "{text}");
    }
}
