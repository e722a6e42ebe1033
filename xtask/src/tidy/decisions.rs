//! Checks of decision records.

use std::collections::BTreeMap;

use super::{Finding, Tree};

const FOLDER: &str = "docs/decisions/";

/// The second-level headings of a record, in their order.
const HEADINGS: [&str; 3] = ["Context", "Decision", "What we gave up"];

/// A record is one page.
const MAX_LINES: usize = 80;

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut numbers: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, text) in tree.files() {
        let Some(name) = path.strip_prefix(FOLDER) else {
            continue;
        };
        let Some(number) = number_of(name) else {
            let message = "a decision record is called `0000-what-was-decided.md`";
            findings.push(Finding::error(path, 0, message));
            continue;
        };
        if let Some(other) = numbers.insert(number, path) {
            findings.push(Finding::error(
                path,
                0,
                format!("{other} has the same number"),
            ));
        }
        form(path, number, text, findings);
    }
}

fn number_of(name: &str) -> Option<&str> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_title = title
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (is_number && is_title).then_some(number)
}

fn form(path: &str, number: &str, text: &str, findings: &mut Vec<Finding>) {
    let start = format!(
        "# {}. ",
        number.trim_start_matches('0').parse().unwrap_or(0_u32)
    );
    if !text.starts_with(&start) {
        findings.push(Finding::error(
            path,
            1,
            format!("the title starts with `{start}`"),
        ));
    }
    let headings: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    if headings != HEADINGS {
        let message = format!(
            "the headings are {}, as in 0000-template.md",
            HEADINGS.join(", ")
        );
        findings.push(Finding::error(path, 0, message));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        findings.push(Finding::error(
            path,
            0,
            format!("{lines} lines; a record is one page"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str =
        "# 2. Do it\n\n## Context\n\nA.\n\n## Decision\n\nB.\n\n## What we gave up\n\nC.\n";

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut tree = Tree::default();
        for (name, text) in files {
            tree.insert(format!("{FOLDER}{name}"), (*text).to_owned());
        }
        let mut findings = Vec::new();
        check(&tree, &mut findings);
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn a_record_after_the_template_is_fine() {
        assert_eq!(found(&[("0002-do-it.md", RECORD)]), Vec::<String>::new());
    }

    #[test]
    fn a_wrong_name_title_or_heading_is_found() {
        assert!(found(&[("do-it.md", RECORD)])[0].contains("is called"));
        assert!(found(&[("0003-do-it.md", RECORD)])[0].contains("`# 3. `"));
        let without = RECORD.replace("## What we gave up", "## Consequences");
        assert!(found(&[("0002-do-it.md", &without)])[0].contains("headings"));
    }

    #[test]
    fn two_records_cannot_share_a_number() {
        let found = found(&[("0002-do-it.md", RECORD), ("0002-do-that.md", RECORD)]);
        assert_eq!(found, ["docs/decisions/0002-do-it.md has the same number"]);
    }

    #[test]
    fn a_record_longer_than_a_page_is_found() {
        let long = format!("{RECORD}{}", "more\n".repeat(80));
        assert!(found(&[("0002-do-it.md", &long)])[0].contains("one page"));
    }
}
