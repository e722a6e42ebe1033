//! How long the files and functions of each vendor crate are.

use std::fmt::Write as _;
use std::path::Path;

use crate::failure::{Failure, Result};

/// What one crate's sources without its tests measure, in lines.
#[derive(Debug, Default)]
pub(super) struct Size {
    name: String,
    files: Vec<usize>,
    longest_function: (usize, String),
}

impl Size {
    /// Measures what is in `src`, other than tests.
    pub(super) fn of(name: &str, crate_root: &Path) -> Result<Self> {
        let mut size = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        size.folder(&crate_root.join("src"))?;
        size.files.sort_unstable();
        Ok(size)
    }

    fn folder(&mut self, folder: &Path) -> Result {
        let failed = |err: std::io::Error| Failure::new(format!("{}: {err}", folder.display()));
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let stem = path.file_stem().unwrap_or_default();
            if stem == "tests" || stem.to_string_lossy().ends_with("_tests") {
                continue;
            }
            if path.is_dir() {
                self.folder(&path)?;
            } else if path.extension().is_some_and(|it| it == "rs") {
                self.file(&std::fs::read_to_string(&path).map_err(failed)?);
            }
        }
        Ok(())
    }

    fn file(&mut self, text: &str) {
        let text = text
            .split_once("#[cfg(test)]\nmod tests {")
            .map_or(text, |(code, _)| code);
        self.files.push(text.lines().count());
        let mut open: Vec<(&str, &str, usize)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            let indent = &line[..line.len() - code.len()];
            if let Some(name) = function(code) {
                open.push((indent, name, number));
            }
            if code == "}"
                && let Some(&(started, name, at)) = open.last()
                && started == indent
            {
                open.pop();
                let length = number - at + 1;
                if length > self.longest_function.0 {
                    self.longest_function = (length, name.to_owned());
                }
            } else if line.ends_with(';') || line.ends_with("{}") {
                // A function without a body, or with an empty one.
                open.pop_if(|(started, _, at)| *started == indent && *at == number);
            }
        }
    }

    fn median(&self) -> usize {
        self.files.get(self.files.len() / 2).copied().unwrap_or(0)
    }
}

/// The name of the function that a line of formatted code begins.
fn function(code: &str) -> Option<&str> {
    let mut words = code;
    for word in ["pub ", "pub(crate) ", "pub(super) ", "const ", "async "] {
        words = words.strip_prefix(word).unwrap_or(words);
    }
    let name = words.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

pub(super) fn render(sizes: &[Size]) -> String {
    let mut table = String::from(
        "| crate, without tests | files | lines | median file | longest file | longest function |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for size in sizes {
        let (length, function) = &size.longest_function;
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} | {length}: `{function}` |",
            size.name,
            size.files.len(),
            size.files.iter().sum::<usize>(),
            size.median(),
            size.files.last().copied().unwrap_or(0),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "\
fn short() {}

impl Thing {
    pub(crate) async fn longer<T>(
        &self,
    ) -> Result {
        if self.x {
            y();
        }
    }
}

trait Other {
    fn declared(&self);
}

#[cfg(test)]
mod tests {
    fn ignored() {
        1;
        2;
        3;
        4;
        5;
        6;
        7;
        8;
    }
}
";

    #[test]
    fn the_longest_function_is_found_and_tests_do_not_count() {
        let mut size = Size::default();
        size.file(CODE);
        assert_eq!(size.longest_function, (7, "longer".to_owned()));
        assert_eq!(size.files, [16]);
    }
}
