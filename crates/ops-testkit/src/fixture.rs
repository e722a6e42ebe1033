//! What fixtures have in common: their variables, and how a test is skipped.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

/// How much memory must be free for fixtures to be kept in it.
const ROOM: u64 = 4 << 30;

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

/// Skips a test for want of a server: prints `SKIPPED:` and why, past the test harness,
/// which hides what a test that passes has printed. The test then returns.
///
/// # Panics
/// Where [`require`] says so.
#[track_caller]
pub fn skip(why: impl fmt::Display) {
    assert!(!require(), "{why} (and OPS_TESTKIT_REQUIRE is set)");
    inapplicable(why);
}

/// Skips a test that means nothing here, such as one of what only root can do. As
/// [`skip`], but never a failure: nothing could be installed to change it.
pub fn inapplicable(why: impl fmt::Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
}

/// The folder below which fixtures keep what they make: `OPS_TESTKIT_DIR`, else one for
/// this user in `/dev/shm` where that has 4 GiB free, else one in the folder for temporary
/// files. A data folder has a thousand files, which memory makes and removes many times
/// faster than a disk that others use, too.
#[must_use]
pub fn folder() -> PathBuf {
    let base = || {
        let memory = Path::new("/dev/shm");
        let user = rustix::process::geteuid().as_raw();
        let base = if has_room(memory) {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        base.join(format!("ops-testkit-{user}"))
    };
    variable("OPS_TESTKIT_DIR").map_or_else(base, PathBuf::from)
}

fn has_room(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|fs| fs.f_bavail.saturating_mul(fs.f_frsize) >= ROOM)
}

/// The system user that servers run as when the tests run as root.
#[must_use]
pub fn run_as() -> Option<String> {
    variable("OPS_TESTKIT_RUN_AS")
}

/// The URL of a LocalStack that runs already: `OPS_S3_LOCALSTACK_URL`.
#[cfg(feature = "s3")]
pub(crate) fn localstack_url() -> Option<String> {
    variable("OPS_S3_LOCALSTACK_URL")
}

/// The virtual environment of Python in which LocalStack is: `OPS_S3_LOCALSTACK`.
#[cfg(feature = "s3")]
pub(crate) fn localstack() -> Option<PathBuf> {
    variable("OPS_S3_LOCALSTACK").map(PathBuf::from)
}

/// The program of the server `s3s-fs`: `OPS_S3_S3S_FS`.
#[cfg(feature = "s3")]
pub(crate) fn s3s_fs() -> Option<PathBuf> {
    variable("OPS_S3_S3S_FS").map(PathBuf::from)
}

/// The PostgreSQL major that tests get when they do not ask for one.
#[must_use]
pub fn pg_major() -> Option<u32> {
    variable("OPS_TESTKIT_PG_MAJOR")?.parse().ok()
}
