//! What the README says of settings is what is read.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{open, registry};

/// The settings that the README lists for a provider.
#[expect(clippy::panic, reason = "a test that finds no row has failed")]
fn listed(trait_name: &str, name: &str) -> BTreeSet<String> {
    let start = format!("| `{name}` | `{trait_name}` |");
    let readme = include_str!("../../README.md");
    let row = readme.lines().find(|line| line.starts_with(&start));
    let row = row.unwrap_or_else(|| panic!("the README has no row for the {trait_name} {name}"));
    let cell = row.trim_end_matches('|').rsplit('|').next().unwrap();
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_readme_lists_every_setting_of_every_provider() {
    let known: Vec<_> = registry().known().collect();
    for it in known {
        let listed = listed(it.trait_name, &it.name);
        if it.missing_feature.is_some() {
            continue;
        }
        let err = open(it.trait_name, &it.name, json!({ "?": 1 }))
            .await
            .unwrap_err();
        let (_, read) = err
            .message()
            .split_once("\"?\" is no setting; there are ")
            .unwrap();
        let read = read.split(';').next().unwrap();
        let read: BTreeSet<_> = match read {
            "none" => BTreeSet::new(),
            read => read.split(", ").map(str::to_owned).collect(),
        };
        assert_eq!(listed, read, "the {} {}", it.trait_name, it.name);
    }
}
