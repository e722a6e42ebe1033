//! What cargo knows of the workspace.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::Cmd;
use crate::failure::{Failure, Result};

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable for what it runs; the built-in value serves a direct start.
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}

/// The folder for what is built.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root().join(target),
        None => root().join("target"),
    }
}

/// A member of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The folder of its manifest, relative to the root.
    pub(crate) folder: PathBuf,
    pub(crate) is_library: bool,
    pub(crate) features: Vec<String>,
    pub(crate) benches: Vec<String>,
}

impl Package {
    /// Whether it belongs to one vendor.
    pub(crate) fn is_vendor(&self) -> bool {
        self.folder.starts_with("crates/ops-providers/vendors")
    }
}

/// Asks cargo for the members, in alphabetical order.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let text = Cmd::cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .folder(root())
        .output()?;
    parse(&text).ok_or_else(|| Failure::new("cargo metadata printed something unexpected"))
}

fn parse(text: &str) -> Option<Vec<Package>> {
    let metadata: Value = serde_json::from_str(text).ok()?;
    let root = Path::new(metadata.get("workspace_root")?.as_str()?);
    let mut packages = metadata
        .get("packages")?
        .as_array()?
        .iter()
        .map(|package| parse_package(package, root))
        .collect::<Option<Vec<_>>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Some(packages)
}

fn parse_package(package: &Value, root: &Path) -> Option<Package> {
    let manifest = Path::new(package.get("manifest_path")?.as_str()?);
    let targets = package.get("targets")?.as_array()?;
    let names_of = |kind: &str| -> Vec<String> {
        targets
            .iter()
            .filter(|target| {
                let kinds = target.get("kind").and_then(Value::as_array);
                kinds.is_some_and(|kinds| kinds.iter().any(|value| value == kind))
            })
            .filter_map(|target| target.get("name")?.as_str().map(str::to_owned))
            .collect()
    };
    Some(Package {
        name: package.get("name")?.as_str()?.to_owned(),
        folder: manifest.parent()?.strip_prefix(root).ok()?.to_path_buf(),
        is_library: !names_of("lib").is_empty(),
        features: package
            .get("features")?
            .as_object()?
            .keys()
            .cloned()
            .collect(),
        benches: names_of("bench"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_with_kind_features_and_benches() {
        let text = r#"{"workspace_root":"/r","packages":[
            {"name":"ops-x","manifest_path":"/r/crates/ops-providers/vendors/x/Cargo.toml",
             "features":{"default":[],"serde":["dep:serde"]},
             "targets":[{"kind":["lib"],"name":"ops_x"},{"kind":["test"],"name":"wire"}]},
            {"name":"ops-benches","manifest_path":"/r/benches/Cargo.toml","features":{},
             "targets":[{"kind":["bench"],"name":"backup"}]}]}"#;
        let packages = parse(text).unwrap();
        assert_eq!(
            packages,
            [
                Package {
                    name: "ops-benches".to_owned(),
                    folder: "benches".into(),
                    is_library: false,
                    features: vec![],
                    benches: vec!["backup".to_owned()],
                },
                Package {
                    name: "ops-x".to_owned(),
                    folder: "crates/ops-providers/vendors/x".into(),
                    is_library: true,
                    features: vec!["default".to_owned(), "serde".to_owned()],
                    benches: vec![],
                },
            ]
        );
        assert!(packages.iter().any(Package::is_vendor));
    }

    #[test]
    fn something_else_than_metadata_is_refused() {
        assert_eq!(parse("{}"), None);
        assert_eq!(parse("error: no such command"), None);
    }
}
