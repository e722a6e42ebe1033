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

/// Builds it once and keeps it. A debug build takes two minutes of CPU time instead of
/// four, and still checks in seconds.
fn install() -> Result<PathBuf> {
    let root = tools();
    let build = root.join("build");
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
            "--debug",
        ])
        .arg("--root")
        .arg(&root)
        .arg("--target-dir")
        .arg(&build)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .folder(workspace::root())
        .run()?;
    // Hundreds of megabytes that nobody needs again; a leftover does no harm.
    let _ = std::fs::remove_dir_all(&build);
    Ok(root.join("bin/cargo-deny"))
}
