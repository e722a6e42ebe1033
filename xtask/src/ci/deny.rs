//! Licenses, sources and duplicates of dependencies.

use std::path::PathBuf;

use crate::command::{self, Cmd};
use crate::failure::Result;
use crate::workspace;

/// The version whose configuration format `deny.toml` has.
const VERSION: &str = "0.20.2";

/// Runs `cargo deny` with what can be checked from the lock file.
///
/// Advisories are left out: their database is a git repository, and a build must not
/// fail because somebody published a finding today.
pub(super) fn check() -> Result {
    let deny = match find() {
        Some(deny) => deny,
        None => install()?,
    };
    Cmd::new(deny)
        .args([
            "--workspace",
            "--all-features",
            "check",
            "bans",
            "licenses",
            "sources",
        ])
        .folder(workspace::root())
        .run()
}

fn tools() -> PathBuf {
    workspace::target().join("tools")
}

/// Ours first: it has the right version.
fn find() -> Option<PathBuf> {
    command::find_in(&[tools().join("bin")], "cargo-deny").or_else(|| command::find("cargo-deny"))
}

/// Builds it once, which takes three to four minutes of CPU time, and keeps it.
fn install() -> Result<PathBuf> {
    let root = tools();
    println!(
        "cargo-deny is not here; building it below {}",
        root.display()
    );
    Cmd::cargo()
        .args([
            "install",
            "cargo-deny",
            "--locked",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(&root)
        .arg("--target-dir")
        .arg(root.join("build"))
        .folder(workspace::root())
        .run()?;
    Ok(root.join("bin/cargo-deny"))
}
