//! Each example of the pool, on a server of its own: what it shows is what it says.

use ops_testkit::Pg;

use crate::example;

/// What an example prints. None where there is no server.
async fn shown(name: &str, arguments: &[&str]) -> Option<String> {
    let pg = Pg::builder()
        .with(|server| server.password("s3cret-canary"))
        .tcp(true)
        .start()
        .await?;
    let output = tokio::process::Command::new(example(name))
        .args(arguments)
        .env("DATABASE_URL", pg.url("postgres"))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(!text.contains("s3cret-canary"), "{text}");
    Some(text)
}

#[track_caller]
fn assert_shows(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[tokio::test]
async fn the_basic_example_shows_clean_sessions_and_who_has_them() {
    let Some(text) = shown("pool_basic", &[]).await else {
        return;
    };
    assert_shows(
        &text,
        &[
            "an answer: 42",
            "given back with a setting and a table: Clean",
            "work_mem 4MB, no table: true",
            "given back in a transaction: Closed(InTransaction)",
            "2 of 2 in use",
            "held by nightly at ",
            "shut down, complete: true",
        ],
    );
}

#[tokio::test]
async fn the_drain_example_cuts_nobody_off_and_names_who_stays() {
    let Some(text) = shown("pool_drain", &[]).await else {
        return;
    };
    assert_shows(
        &text,
        &[
            "paused: no connection left: true",
            "resumed: the caller that came meanwhile was served",
            "draining: a new caller: the pool is shutting down",
            "drained: complete: false, after 2.0 s",
            "drained: did not come back: stuck at ",
            "at last: complete: true",
        ],
    );
}

#[tokio::test]
async fn the_web_example_serves_requests_and_jobs() {
    let Some(text) = shown("pool_axum", &["--show"]).await else {
        return;
    };
    assert_shows(&text, &["320 requests served", "0 refused", "ready: 200"]);
    let jobs = text
        .lines()
        .find_map(|line| line.strip_prefix("jobs done: "));
    assert!(jobs.unwrap().parse::<u32>().unwrap() > 10, "{text}");
}

#[tokio::test]
async fn the_settings_example_tells_what_a_pgbouncer_ini_becomes() {
    let Some(text) = shown("pool_pgbouncer_settings", &[]).await else {
        return;
    };
    assert_shows(
        &text,
        &[
            "pool_size: 10",
            "reserve_pool_size: 5",
            "query_wait_timeout: 30s",
            "no effect: pgbouncer.ini:6: listen_port: ",
            "budget: max_connections 100",
            "budget: 2 instances fit",
        ],
    );
}
