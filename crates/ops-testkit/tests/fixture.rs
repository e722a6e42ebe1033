//! Skipping and waiting, as a test's author sees them.

use std::time::{Duration, Instant};

use ops_pg::process::{Io, Program};
use ops_testkit::{Pg, fixture, wait_until};
use tokio::io::AsyncReadExt;

#[test]
#[ignore = "run by the tests below, as a process of its own"]
fn skips() {
    fixture::skip("the moon is not full");
}

#[tokio::test]
#[ignore = "run by the tests below, as a process of its own"]
async fn asks_for_a_major_that_nobody_has() {
    assert!(Pg::builder().major(9999).start().await.is_none());
}

/// Runs an ignored test of this file in a process of its own: whether it passed, and
/// all that it printed.
async fn run(test: &str, require: &str) -> (bool, String) {
    let mut child = Program::new(std::env::current_exe().expect("a test has a path"))
        .args(["--ignored", "--exact", test])
        .env("OPS_TESTKIT_REQUIRE", require)
        .stdout(Io::Piped)
        .spawn()
        .expect("a test can be run");
    let mut printed = String::new();
    let mut out = child.take_stdout().expect("it is piped");
    out.read_to_string(&mut printed).await.expect("it is text");
    let exit = child.wait().await.expect("it ends");
    printed.push_str(exit.stderr_tail());
    (exit.success(), printed)
}

#[tokio::test]
async fn a_skipped_test_passes_and_says_so_where_nobody_hides_it() {
    for (test, why) in [
        ("skips", "SKIPPED: skips: the moon is not full\n"),
        (
            "asks_for_a_major_that_nobody_has",
            "SKIPPED: asks_for_a_major_that_nobody_has: no server of PostgreSQL 9999 is installed\n",
        ),
    ] {
        let (passed, text) = run(test, "").await;
        assert!(passed && text.contains(why), "{text}");
        let (passed, text) = run(test, "0").await;
        assert!(passed && text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn a_skipped_test_fails_where_its_server_is_required() {
    for test in ["skips", "asks_for_a_major_that_nobody_has"] {
        let (passed, text) = run(test, "1").await;
        assert!(
            !passed && text.contains("OPS_TESTKIT_REQUIRE is set"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn waiting_ends_as_soon_as_the_condition_holds() {
    let begun = Instant::now();
    let mut looks = 0;
    wait_until("three looks", Duration::from_secs(30), async || {
        looks += 1;
        looks == 3
    })
    .await;
    assert_eq!(looks, 3);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn waiting_in_vain_panics_with_what_was_awaited() {
    let waiting = tokio::spawn(async {
        wait_until("the end of time", Duration::from_millis(50), async || false).await;
    });
    let panic = waiting.await.expect_err("it must not come").into_panic();
    let text = panic
        .downcast_ref::<String>()
        .expect("a panic with a message");
    assert!(text.contains("in vain for the end of time"), "{text}");
    assert!(text.contains("tests/fixture.rs"), "{text}");
}

#[tokio::test]
async fn a_condition_that_never_answers_is_given_up() {
    let waiting = tokio::spawn(async {
        let hangs = async || std::future::pending::<bool>().await;
        wait_until("an answer", Duration::from_millis(50), hangs).await;
    });
    let outcome = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(outcome.expect("waiting hangs with its condition").is_err());
}

#[tokio::test]
async fn the_majors_that_are_said_to_be_available_can_be_started() {
    for major in Pg::available_majors().await {
        let pg = Pg::builder()
            .major(major.0)
            .start()
            .await
            .expect("it is available");
        assert_eq!(pg.binaries().major(), major);
        let client = pg.client("postgres").await;
        let row = client
            .query_one("SHOW server_version", &[])
            .await
            .expect("it answers");
        assert!(row.get::<_, String>(0).starts_with(&major.to_string()));
    }
}
