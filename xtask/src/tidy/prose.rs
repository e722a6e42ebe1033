//! Checks of texts: paths of somebody's machine, links that lead nowhere.

use super::rust::{IGNORED_DOCTEST, is_ignored_fence};
use super::source::is_word;
use super::{Finding, Tree};

/// Where people keep their work. Split, so that this file does not find itself.
const MACHINE_PATHS: [&str; 6] = [
    concat!("/", "home/"),
    concat!("/", "Users/"),
    concat!("/", "root/"),
    concat!("/", "work/"),
    concat!("/", "tmp/wt/"),
    concat!(r"C:", r"\Users\"),
];

/// Where Homebrew lives on every Linux: a path of a package manager, not of a person.
const HOMEBREW: &str = "linuxbrew/";

/// Checks any text file.
pub(super) fn machine_paths(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (at, line) in text.lines().enumerate() {
        for pattern in MACHINE_PATHS {
            if line
                .match_indices(pattern)
                .any(|(start, _)| starts_path(line, start, pattern))
            {
                let message = format!("`{pattern}` is a path of one machine");
                findings.push(Finding::error(path, at + 1, message));
            }
        }
    }
}

/// Whether this is an absolute path, and not the middle of another one.
fn starts_path(line: &str, start: usize, pattern: &str) -> bool {
    let before = line.get(..start).and_then(|text| text.chars().next_back());
    let rest = line.get(start + pattern.len()..).unwrap_or_default();
    let after = rest.chars().next();
    let goes_on = |c: char| c.is_alphanumeric() || "/._-~}>*$".contains(c);
    !rest.starts_with(HOMEBREW)
        && !before.is_some_and(goes_on)
        && after.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '_')
}

/// Checks a file of Markdown.
pub(super) fn check(tree: &Tree, path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if is_ignored_fence(line) {
            findings.push(Finding::error(path, at + 1, IGNORED_DOCTEST));
        }
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for link in links(line) {
            if !tree.contains(&resolve(path, link)) {
                findings.push(Finding::error(
                    path,
                    at + 1,
                    format!("the link `{link}` leads nowhere"),
                ));
            }
        }
    }
}

/// Links of this line that lead to files of the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ', '#']).next());
    // A word by itself, or with colons, is an item to rustdoc; a colon also ends a scheme.
    targets.filter(|link| !link.contains(':') && !link.chars().all(is_word))
}

/// A link's path from the root.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        machine_paths("a.md", text, &mut findings);
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for pattern in MACHINE_PATHS {
            assert_eq!(
                found_in(&format!("see `{pattern}me/ops`")).len(),
                1,
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_url_a_relative_path_or_a_placeholder_is_none() {
        for text in [
            concat!("/", "home/linuxbrew/.linuxbrew/bin"),
            "a.test/home/x",
            "../work/x",
            "the folder /home/ itself",
            "$dir/work/x",
        ] {
            assert_eq!(found_in(text), Vec::<String>::new());
        }
    }

    fn links_found(text: &str) -> Vec<String> {
        let tree = Tree::from([("docs/a.md", text), ("docs/b.md", ""), ("src/lib.rs", "")]);
        let mut findings = Vec::new();
        check(&tree, "docs/a.md", text, &mut findings);
        findings
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_eq!(
            links_found("text\n[c](c.md)"),
            ["docs/a.md:2: error: the link `c.md` leads nowhere"]
        );
    }

    #[test]
    fn links_to_files_folders_sites_and_items_are_fine() {
        let text = "[b](b.md#part) [lib](../src/lib.rs) [src](../src/) [x](https://x.test/) [y](crate::Y) [w](W) [z](#z)
```text
[not a link](nowhere)
```
";
        assert_eq!(links_found(text), Vec::<String>::new());
    }

    #[test]
    fn a_skipped_example_in_a_readme_is_found() {
        assert_eq!(links_found("```rust,ignore\n```").len(), 1);
    }
}
