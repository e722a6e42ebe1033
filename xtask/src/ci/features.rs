//! Every feature of every library, alone and not at all.
//!
//! Cargo unites the features of what it builds together, so a crate that forgets one
//! still compiles in the workspace. Only a build by itself shows it.

use crate::command::Cmd;
use crate::failure::{Failure, Result};
use crate::workspace::{self, Package};

/// Lints each library without features, and with each of its features alone.
pub(super) fn check(packages: &[Package]) -> Result {
    let mut failures = Vec::new();
    for package in packages.iter().filter(|package| package.is_library) {
        for feature in choices(package) {
            if let Err(failure) = command(&package.name, feature)
                .folder(workspace::root())
                .run()
            {
                failures.push(failure.message().to_owned());
            }
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(failures.join("\n")))
    }
}

fn choices(package: &Package) -> impl Iterator<Item = Option<&str>> {
    let named = package
        .features
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "default");
    std::iter::once(None).chain(named.map(Some))
}

/// Clippy shares its work with the lint step, and refuses what only warns.
fn command(package: &str, feature: Option<&str>) -> Cmd {
    let mut cmd = Cmd::cargo().args(["clippy", "--quiet", "-p", package, "--no-default-features"]);
    if let Some(feature) = feature {
        cmd = cmd.args(["--features", feature]);
    }
    cmd.args(["--", "-D", "warnings"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_tried_alone_and_none_at_all() {
        let package = Package {
            name: "ops-core".to_owned(),
            folder: "crates/ops-core".into(),
            is_library: true,
            features: vec![
                "default".to_owned(),
                "memory".to_owned(),
                "serde".to_owned(),
            ],
            benches: vec![],
        };
        let choices: Vec<_> = choices(&package).collect();
        assert_eq!(choices, [None, Some("memory"), Some("serde")]);
        assert!(
            command("ops-core", Some("serde"))
                .to_string()
                .ends_with("--no-default-features --features serde -- -D warnings")
        );
    }
}
