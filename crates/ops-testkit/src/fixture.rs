//! What fixtures have in common: their variables, and how a test is skipped.

use std::io::Write;
use std::path::PathBuf;

/// A variable of the environment. This is the one place that reads them.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the variables of the testkit"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a missing server must fail the test that needs it: `OPS_TESTKIT_REQUIRE=1`.
#[must_use]
pub fn require() -> bool {
    variable("OPS_TESTKIT_REQUIRE").is_some_and(|value| value != "0")
}

/// Skips a test: prints `SKIPPED:` and why, past the test harness, which hides what a
/// test that passes has printed. The test then returns.
///
/// # Panics
/// Where [`require`] says so.
#[track_caller]
pub fn skip(why: impl std::fmt::Display) {
    assert!(!require(), "{why} (and OPS_TESTKIT_REQUIRE is set)");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
}

/// The folder below which fixtures keep what they make. By default one for this user in
/// the folder for temporary files.
#[must_use]
pub fn folder() -> PathBuf {
    variable("OPS_TESTKIT_DIR").map_or_else(
        || {
            let user = rustix::process::geteuid().as_raw();
            std::env::temp_dir().join(format!("ops-testkit-{user}"))
        },
        PathBuf::from,
    )
}

/// The system user that servers run as when the tests run as root.
#[must_use]
pub fn run_as() -> Option<String> {
    variable("OPS_TESTKIT_RUN_AS")
}

/// The PostgreSQL major that tests get when they do not ask for one.
#[must_use]
pub fn pg_major() -> Option<u32> {
    variable("OPS_TESTKIT_PG_MAJOR")?.parse().ok()
}
