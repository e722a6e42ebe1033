//! Repository checks that neither the compiler nor clippy makes.
//!
//! Every check is a function from a [`Tree`], the text files of the repository, to
//! findings. None runs a program or needs a build, so all of them take less than a second.

use std::fmt;
use std::fs;

use crate::failure::{Failure, Result};
use crate::workspace;

mod crates;
mod decisions;
mod prose;
mod rust;
mod secret_fields;
mod source;
mod tree;

use tree::Tree;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Warning,
    Error,
}

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    severity: Severity,
    path: String,
    /// Counted from 1; 0 where the whole file is meant.
    line: usize,
    message: String,
}

impl Finding {
    fn error(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }

    fn warning(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(path, line, message)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, ": {word}: {}", self.message)
    }
}

/// `cargo xtask tidy`.
pub(crate) fn command(args: &[String]) -> Result {
    match args {
        [] => check(false),
        [flag] if flag == "--fix" => check(true),
        _ => Err(Failure::usage("tidy takes nothing but --fix")),
    }
}

/// Runs every check; with `fix` rewrites the generated tables first.
pub(crate) fn check(fix: bool) -> Result {
    let root = workspace::root();
    let mut tree = Tree::read(&root)?;
    if fix {
        for (path, text) in crates::regenerated(&tree) {
            println!("tidy: rewriting {path}");
            fs::write(root.join(&path), &text)
                .map_err(|err| Failure::new(format!("{path}: {err}")))?;
            tree.insert(path, text);
        }
    }
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    let warnings = findings.len() - errors;
    println!(
        "tidy: {} files, {errors} errors, {warnings} warnings",
        tree.len()
    );
    if errors == 0 {
        Ok(())
    } else {
        Err(Failure::new(format!("tidy found {errors} errors")))
    }
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        prose::machine_paths(path, text, &mut findings);
        if let Some(source) = tree.rust(path) {
            rust::check(&source, &mut findings);
        }
        if is_markdown(path) {
            prose::check(tree, path, text, &mut findings);
        }
    }
    secret_fields::check(tree, &mut findings);
    crates::check(tree, &mut findings);
    decisions::check(tree, &mut findings);
    findings
}

fn is_markdown(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|end| end == "md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_printed_so_that_editors_can_jump() {
        let finding = Finding::error("crates/a/src/lib.rs", 7, "too long");
        assert_eq!(
            finding.to_string(),
            "crates/a/src/lib.rs:7: error: too long"
        );
        let finding = Finding::warning("Cargo.toml", 0, "odd");
        assert_eq!(finding.to_string(), "Cargo.toml: warning: odd");
    }
}
