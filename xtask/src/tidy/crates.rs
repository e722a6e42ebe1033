//! Checks of manifests, and of the tables that are made from them.

use super::{Finding, Tree};

const README: &str = "README.md";
const TABLE_START: &str = "<!-- crates:start -->";
const TABLE_END: &str = "<!-- crates:end -->";

/// Packages that are not libraries for others.
const PROGRAMS: [&str; 4] = ["benches/", "examples/", "tests/", "xtask/"];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in manifests(tree) {
        member(tree, path, text, findings);
    }
    if let Some(text) = tree.get("Cargo.toml") {
        workspace_dependencies(text, findings);
    }
    licenses(tree, findings);
    readme_table(tree, findings);
    code_map(tree, findings);
}

/// Manifests of members.
fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files()
        .filter(|(path, _)| path.ends_with("/Cargo.toml"))
}

/// Entries of a section of TOML that has one entry per line: line, name, value.
fn entries<'a>(text: &'a str, section: &str) -> Vec<(usize, &'a str, &'a str)> {
    let header = format!("[{section}]");
    let lines = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| line.trim() != header)
        .skip(1);
    lines
        .take_while(|(_, line)| !line.starts_with('['))
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
        .filter_map(|(at, line)| {
            let (name, value) = line.split_once('=')?;
            Some((at + 1, name.trim(), value.trim()))
        })
        .collect()
}

fn value_of<'a>(text: &'a str, section: &str, name: &str) -> Option<&'a str> {
    entries(text, section)
        .into_iter()
        .find(|entry| entry.1 == name)
        .map(|entry| entry.2)
}

fn member(tree: &Tree, path: &str, text: &str, findings: &mut Vec<Finding>) {
    let folder = path.trim_end_matches("Cargo.toml");
    let is_library = !PROGRAMS.contains(&folder);
    let mut need = |present: bool, message: &str| {
        if !present {
            findings.push(Finding::error(path, 0, message));
        }
    };
    need(
        value_of(text, "lints", "workspace") == Some("true"),
        "[lints] workspace = true is missing",
    );
    need(
        value_of(text, "package", "license.workspace") == Some("true"),
        "license.workspace = true is missing",
    );
    if is_library {
        need(
            value_of(text, "package", "description").is_some(),
            "the description is missing",
        );
        need(
            tree.contains(&format!("{folder}{README}")),
            "the crate has no README.md",
        );
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (line, name, value) in entries(text, section) {
            let inherits = name.ends_with(".workspace") || value.contains("workspace = true");
            if !inherits {
                let message = format!("`{name}`: versions stand in [workspace.dependencies] alone");
                findings.push(Finding::error(path, line, message));
            }
        }
    }
}

/// Each block between blank lines is sorted by itself.
fn workspace_dependencies(text: &str, findings: &mut Vec<Finding>) {
    let mut before: Option<(usize, &str)> = None;
    let lines: Vec<&str> = text.lines().collect();
    for (line, name, _) in entries(text, "workspace.dependencies") {
        if let Some((last_line, last)) = before {
            let between = lines.get(last_line..line).unwrap_or_default();
            let same_block = !between.iter().any(|line| line.trim().is_empty());
            if same_block && name < last {
                let message =
                    format!("`{name}` stands after `{last}`; keep the order of the alphabet");
                findings.push(Finding::error("Cargo.toml", line, message));
            }
        }
        before = Some((line, name));
    }
}

fn licenses(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
        if tree.get(file).is_none_or(|text| text.trim().is_empty()) {
            findings.push(Finding::error(file, 0, "the license text is missing"));
        }
    }
}

/// Library crates: name, folder, description.
fn libraries(tree: &Tree) -> Vec<(String, String, String)> {
    let unquote = |value: &str| value.trim_matches('"').to_owned();
    let mut libraries: Vec<_> = manifests(tree)
        .filter(|(path, _)| path.starts_with("crates/"))
        .filter_map(|(path, text)| {
            let name = unquote(value_of(text, "package", "name")?);
            let description = unquote(value_of(text, "package", "description")?);
            Some((
                name,
                path.trim_end_matches("/Cargo.toml").to_owned(),
                description,
            ))
        })
        .collect();
    // By depth first: the vendors follow the crates that they belong to.
    libraries.sort_by_key(|(name, folder, _)| (folder.contains("/vendors/"), name.clone()));
    libraries
}

fn table(tree: &Tree) -> String {
    let row = |(name, folder, description)| format!("| [`{name}`]({folder}) | {description} |\n");
    let rows: String = libraries(tree).into_iter().map(row).collect();
    format!("| crate | what it is |\n| --- | --- |\n{rows}")
}

/// The README with the table that the manifests call for, if it has a place for it.
fn with_table(tree: &Tree) -> Option<String> {
    let text = tree.get(README)?;
    let (before, rest) = text.split_once(TABLE_START)?;
    let (_, after) = rest.split_once(TABLE_END)?;
    Some(format!(
        "{before}{TABLE_START}\n{}{TABLE_END}{after}",
        table(tree)
    ))
}

/// Files whose generated parts are out of date, with their new texts.
pub(super) fn regenerated(tree: &Tree) -> Vec<(String, String)> {
    let text = with_table(tree).filter(|text| tree.get(README) != Some(text));
    text.into_iter()
        .map(|text| (README.to_owned(), text))
        .collect()
}

fn readme_table(tree: &Tree, findings: &mut Vec<Finding>) {
    match with_table(tree) {
        None => findings.push(Finding::error(
            README,
            0,
            "the table of crates has no place",
        )),
        Some(text) if tree.get(README) != Some(&text) => {
            let message = "the table of crates is out of date; run `cargo xtask tidy --fix`";
            findings.push(Finding::error(README, 0, message));
        }
        Some(_) => {}
    }
}

/// The architecture names every crate by its folder.
fn code_map(tree: &Tree, findings: &mut Vec<Finding>) {
    let map = tree.get("ARCHITECTURE.md").unwrap_or_default();
    for (path, _) in manifests(tree) {
        let folder = path.trim_end_matches("/Cargo.toml");
        if !map.contains(&format!("`{folder}`")) {
            let message = format!("the code map does not name `{folder}`");
            findings.push(Finding::error("ARCHITECTURE.md", 0, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
[package]
name = \"ops-a\"
description = \"Does a.\"
license.workspace = true

[lints]
workspace = true

[dependencies]
bytes.workspace = true
tokio = { workspace = true, features = [\"rt\"] }
";

    const TOP: &str = "# ops\n<!-- crates:start -->\n| crate | what it is |\n| --- | --- |\n\
        | [`ops-a`](crates/ops-a) | Does a. |\n<!-- crates:end -->\nEnd.\n";

    /// A repository without findings, with one file replaced or removed.
    fn found_with(path: &str, text: Option<&str>) -> Vec<String> {
        let mut files = vec![
            ("crates/ops-a/Cargo.toml", MANIFEST),
            ("crates/ops-a/README.md", "# ops-a\n"),
            ("README.md", TOP),
            ("ARCHITECTURE.md", "`crates/ops-a` is a.\n"),
            ("LICENSE-MIT", "text"),
            ("LICENSE-APACHE", "text"),
        ];
        files.retain(|file| file.0 != path);
        files.extend(text.map(|text| (path, text)));
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path.to_owned(), text.to_owned());
        }
        let mut findings = Vec::new();
        check(&tree, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn assert_found(found: &[String], part: &str) {
        assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
    }

    #[test]
    fn a_whole_crate_is_fine() {
        assert_eq!(found_with("x", None), Vec::<String>::new());
    }

    #[test]
    fn a_crate_without_lints_license_or_readme_is_found() {
        let path = "crates/ops-a/Cargo.toml";
        let without = |part: &str| found_with(path, Some(&MANIFEST.replace(part, "")));
        assert_found(&without("[lints]\nworkspace = true\n"), "[lints]");
        assert_found(&without("license.workspace = true\n"), "license.workspace");
        assert_found(&found_with("crates/ops-a/README.md", None), "no README.md");
    }

    #[test]
    fn a_version_outside_the_workspace_table_is_found() {
        let manifest = MANIFEST.replace("bytes.workspace = true", "bytes = \"1\"");
        assert_found(
            &found_with("crates/ops-a/Cargo.toml", Some(&manifest)),
            "`bytes`",
        );
    }

    #[test]
    fn a_missing_license_text_is_found() {
        assert_found(&found_with("LICENSE-MIT", None), "LICENSE-MIT");
    }

    #[test]
    fn workspace_dependencies_are_sorted_within_their_block() {
        let sorted = "[workspace.dependencies]\nops-a = 1\n\nage = 1\n# Why.\nzstd = 1\n";
        assert_eq!(found_with("Cargo.toml", Some(sorted)), Vec::<String>::new());
        let unsorted = "[workspace.dependencies]\nzstd = 1\n# Why.\nage = 1\n";
        assert_found(
            &found_with("Cargo.toml", Some(unsorted)),
            "Cargo.toml:4: error: `age`",
        );
    }

    #[test]
    fn an_old_table_of_crates_is_found_and_rewritten() {
        let old = TOP.replace("Does a.", "Does b.");
        assert_found(&found_with("README.md", Some(&old)), "out of date");
        assert_found(&found_with("README.md", Some("# ops\n")), "no place");

        let tree = Tree::from([
            ("README.md", old.as_str()),
            ("crates/ops-a/Cargo.toml", MANIFEST),
        ]);
        assert_eq!(
            regenerated(&tree),
            [("README.md".to_owned(), TOP.to_owned())]
        );
    }

    #[test]
    fn a_crate_that_the_code_map_does_not_name_is_found() {
        assert_found(
            &found_with("ARCHITECTURE.md", Some("nothing")),
            "crates/ops-a",
        );
    }
}
