//! Checks of one Rust file.

use super::Finding;
use super::source::{Source, is_word, line_at};

/// Lines before the unit tests of a file: where to think of a split, and where to stop.
const WARN_LINES: usize = 450;
const MAX_LINES: usize = 600;

const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

pub(super) fn check(source: &Source, findings: &mut Vec<Finding>) {
    length(source, findings);
    module_file(source, findings);
    unfinished(source, findings);
    ignored_tests(source, findings);
    ignored_doctests(source, findings);
    banners(source, findings);
}

fn length(source: &Source, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = source.code.lines().collect();
    let starts_tests = |pair: &[&str]| match pair {
        [attribute, module] => *attribute == "#[cfg(test)]" && module.starts_with("mod "),
        _ => false,
    };
    let count = lines
        .windows(2)
        .position(starts_tests)
        .unwrap_or(lines.len());
    if count > MAX_LINES {
        let message = format!("{count} lines before the tests; more than {MAX_LINES} are too many");
        findings.push(Finding::error(&source.path, 0, message));
    } else if count > WARN_LINES {
        let message =
            format!("{count} lines before the tests; beyond {WARN_LINES} think of a split");
        findings.push(Finding::warning(&source.path, 0, message));
    }
}

fn module_file(source: &Source, findings: &mut Vec<Finding>) {
    if source.path.rsplit('/').next() == Some("mod.rs") {
        let message = "a module is a file `name.rs` beside its folder `name/`, not `mod.rs`";
        findings.push(Finding::error(&source.path, 0, message));
    }
}

fn unfinished(source: &Source, findings: &mut Vec<Finding>) {
    for name in UNFINISHED {
        let call = format!("{name}!");
        for (at, _) in source.code.match_indices(&call) {
            let before = source
                .code
                .get(..at)
                .and_then(|code| code.chars().next_back());
            if !before.is_some_and(is_word) {
                let line = line_at(&source.code, at);
                findings.push(Finding::error(
                    &source.path,
                    line,
                    format!("`{call}` is unfinished work"),
                ));
            }
        }
    }
}

fn ignored_tests(source: &Source, findings: &mut Vec<Finding>) {
    for (line, code) in source.code_lines() {
        let code: String = code.split_whitespace().collect();
        if ["#[ignore]", ",ignore)]", "ignore=\"\""]
            .iter()
            .any(|bad| code.contains(bad))
        {
            let message = "an ignored test says why: #[ignore = \"needs ...\"]";
            findings.push(Finding::error(&source.path, line, message));
        }
    }
}

fn ignored_doctests(source: &Source, findings: &mut Vec<Finding>) {
    for (line, comment) in source.comment_lines() {
        let comment = comment.trim();
        let text = comment
            .strip_prefix("///")
            .or_else(|| comment.strip_prefix("//!"));
        if text.is_some_and(is_ignored_fence) {
            findings.push(Finding::error(&source.path, line, IGNORED_DOCTEST));
        }
    }
}

pub(super) const IGNORED_DOCTEST: &str =
    "documentation shows what has been run: use `no_run` or `compile_fail`, or make it run";

/// Whether this line opens a code block that rustdoc skips.
pub(super) fn is_ignored_fence(line: &str) -> bool {
    let Some(info) = line.trim_start().strip_prefix("```") else {
        return false;
    };
    let mut words = info.split(|c: char| c == ',' || c.is_whitespace());
    words.any(|word| matches!(word, "ignore" | "no_compile"))
}

fn banners(source: &Source, findings: &mut Vec<Finding>) {
    for (line, comment) in source.comment_lines() {
        if is_banner(comment.trim()) {
            let message = "a section banner; a file with sections wants to be several";
            findings.push(Finding::error(&source.path, line, message));
        }
    }
}

fn is_banner(comment: &str) -> bool {
    let is_rule = |text: &str| {
        let mut chars = text.chars();
        let first = chars.next();
        text.len() >= 4
            && first.is_some_and(|first| "-=*#~/+_─═".contains(first))
            && chars.all(|c| Some(c) == first)
    };
    let is_doc =
        comment.starts_with("//!") || (comment.starts_with("///") && !comment.starts_with("////"));
    let is_comment = comment.starts_with("//") || comment.starts_with("/*");
    if is_doc || !is_comment {
        return false;
    }
    is_rule(comment) || comment.split_whitespace().any(is_rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines and messages that a text is reproached with.
    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let mut findings = Vec::new();
        check(&Source::new(path, text), &mut findings);
        findings
            .into_iter()
            .map(|finding| (finding.line, finding.message))
            .collect()
    }

    #[track_caller]
    fn assert_found(text: &str, line: usize, part: &str) {
        let found = found("crates/a/src/lib.rs", text);
        let [(at, message)] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(*at == line && message.contains(part), "{found:?}");
    }

    #[track_caller]
    fn assert_clean(text: &str) {
        assert_eq!(found("crates/a/src/lib.rs", text), []);
    }

    #[test]
    fn a_long_file_is_reported_by_degree() {
        assert_clean(&"a();\n".repeat(450));
        assert_found(&"a();\n".repeat(451), 0, "451 lines");
        assert_found(&"a();\n".repeat(601), 0, "more than 600");
    }

    #[test]
    fn unit_tests_do_not_make_a_file_long() {
        let text = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "a();\n".repeat(440),
            "b();\n".repeat(400)
        );
        assert_clean(&text);
    }

    #[test]
    fn a_mod_file_is_found() {
        assert_eq!(found("crates/a/src/b/mod.rs", "").len(), 1);
        assert_eq!(found("crates/a/src/b.rs", ""), []);
    }

    #[test]
    fn unfinished_work_is_found_in_code_alone() {
        assert_found("fn f() {\n    todo!()\n}", 2, "`todo!`");
        assert_found("let x = dbg!(y);", 1, "`dbg!`");
        assert_found("unimplemented!(\"later\")", 1, "`unimplemented!`");
        assert_clean("// todo!() is refused\nlet s = \"dbg!(x)\"; my_todo!();");
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        assert_found("#[test]\n#[ignore]\nfn f() {}", 2, "says why");
        assert_found("#[ignore = \"\"]", 1, "says why");
        assert_found("#[cfg_attr(windows, ignore)]", 1, "says why");
        assert_clean("#[ignore = \"needs a token\"]\nfn f() {}");
    }

    #[test]
    fn a_doctest_that_never_runs_is_found() {
        assert_found(
            "/// Text.\n///\n/// ```ignore\n/// f();\n/// ```\nfn f() {}",
            3,
            "has been run",
        );
        assert_found("//! ```rust,ignore\n//! ```", 1, "has been run");
        assert_clean("/// ```no_run\n/// f();\n/// ```\nlet s = \"```ignore\";");
    }

    #[test]
    fn a_banner_is_found_but_not_a_table() {
        assert_found("// ---- Helpers ----", 1, "banner");
        assert_found("fn f() {}\n//////////////\n", 2, "banner");
        assert_found("/* ===== */", 1, "banner");
        assert_clean("//! | a | b |\n//! | ---- | ---- |\n// A dash - and -- two.\nlet x = 1;");
    }
}
