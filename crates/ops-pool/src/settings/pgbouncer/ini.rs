//! The lines of a `pgbouncer.ini`, read as PgBouncer reads them.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::quoted::quoted;

/// How deep files may include each other, as in PgBouncer.
const DEEPEST: usize = 10;
/// How many files may be included, so that files that include each other come to an end.
const MOST: usize = 1_000;

/// Gives the text of an included file.
pub(super) type Include<'a> = dyn Fn(&str) -> io::Result<String> + 'a;

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    file: Arc<str>,
    line: usize,
    /// Which of all lines, those of included files among them.
    pub(super) order: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Databases,
    Users,
    PgBouncer,
    Peers,
}

/// What is wrong with a file.
#[derive(Default)]
pub(super) struct Problems(Vec<(usize, String)>);

impl Problems {
    pub(super) fn add(&mut self, place: &Place, problem: impl fmt::Display) {
        self.0.push((place.order, format!("{place}: {problem}")));
    }

    /// Adds one that is of no line.
    pub(super) fn add_general(&mut self, problem: impl fmt::Display) {
        self.0.push((usize::MAX, problem.to_string()));
    }

    /// In the order of the lines.
    pub(super) fn into_texts(mut self) -> Vec<String> {
        self.0.sort_by_key(|(order, _)| *order);
        self.0.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// A line `key = value`. The value may hold a password: there is no `Debug` on purpose.
pub(super) struct Entry {
    pub(super) section: Section,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) place: Place,
}

/// What a file says, and what is wrong with it.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) entries: Vec<Entry>,
    /// Lines of a `[pgbouncer]` section that a later one has undone.
    pub(super) undone: Vec<Entry>,
    pub(super) problems: Problems,
    /// How many lines have been read.
    count: usize,
    /// How many files have been included.
    included: usize,
    current: Current,
}

/// The section that is being read. It lives on across an included file, as in PgBouncer.
#[derive(Clone, Copy, Default)]
enum Current {
    #[default]
    None,
    /// What is wrong with it has been said.
    Unknown,
    Known(Section),
}

impl Lines {
    /// Reads a file with everything that it includes.
    pub(super) fn read(text: &str, file: &str, include: Option<&Include<'_>>) -> Self {
        let mut lines = Self::default();
        lines.file(text, file, include, 0);
        lines
    }

    fn file(&mut self, text: &str, file: &str, include: Option<&Include<'_>>, depth: usize) {
        let file: Arc<str> = file.into();
        for (index, line) in text.lines().enumerate() {
            let place = Place {
                file: Arc::clone(&file),
                line: index + 1,
                order: self.count,
            };
            self.count += 1;
            match included(line.trim_start()) {
                Some(name) => self.include(name, &place, include, depth),
                None => self.line(line, place),
            }
        }
    }

    fn include(&mut self, name: &str, place: &Place, include: Option<&Include<'_>>, depth: usize) {
        let Some(load) = include else {
            let problem = "%include, and no way was given to read other files";
            return self.problem(place, problem);
        };
        if depth >= DEEPEST {
            return self.problem(place, "files include each other more than 10 deep");
        }
        self.included += 1;
        if self.included > MOST {
            // Said once: each further one would say the same.
            if self.included == MOST + 1 {
                self.problem(place, "more than 1000 files are included");
            }
            return;
        }
        match load(name) {
            Ok(text) => self.file(&text, name, include, depth + 1),
            Err(err) => self.problem(place, format_args!("cannot include {name}: {}", err.kind())),
        }
    }

    fn line(&mut self, line: &str, place: Place) {
        let line = line.trim_matches(is_space);
        if line.is_empty() || line.starts_with(['#', ';']) {
            return;
        }
        if let Some(rest) = line.strip_prefix('[') {
            // What follows the bracket on the same line counts.
            let Some((name, rest)) = rest.split_once(']') else {
                return self.problem(&place, "a section lacks its closing bracket");
            };
            self.section(name, &place);
            return self.line(rest, place);
        }
        let section = match self.current {
            Current::Known(section) => section,
            Current::Unknown => return,
            Current::None => return self.problem(&place, "a setting stands before any section"),
        };
        let Some((key, rest)) = key(line) else {
            return self.problem(&place, "the name of a setting lacks its closing quote");
        };
        let Some(value) = rest.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            return self.problem(&place, "neither a section nor a setting: there is no =");
        };
        self.entries.push(Entry {
            section,
            key,
            value: value.trim_matches(is_space).to_owned(),
            place,
        });
    }

    fn section(&mut self, name: &str, place: &Place) {
        let section = match name {
            "databases" => Section::Databases,
            "users" => Section::Users,
            "peers" => Section::Peers,
            "pgbouncer" => {
                // PgBouncer sets everything back to its default where the section begins.
                let (undone, kept) = std::mem::take(&mut self.entries)
                    .into_iter()
                    .partition(|entry| entry.section == Section::PgBouncer);
                self.entries = kept;
                self.undone.extend::<Vec<_>>(undone);
                Section::PgBouncer
            }
            _ => {
                self.current = Current::Unknown;
                let problem = "the section is none of databases, users, pgbouncer and peers";
                return self.problem(place, problem);
            }
        };
        self.current = Current::Known(section);
    }

    fn problem(&mut self, place: &Place, problem: impl fmt::Display) {
        self.problems.add(place, problem);
    }
}

/// What C calls a space.
fn is_space(char: char) -> bool {
    char.is_ascii_whitespace() || char == '\x0b'
}

fn included(line: &str) -> Option<&str> {
    let name = line.strip_prefix("%include")?;
    name.starts_with([' ', '\t']).then(|| name.trim())
}

/// The name that begins a line, and the rest. None where a quote is not closed.
fn key(line: &str) -> Option<(String, &str)> {
    if line.starts_with('"') {
        return quoted(line, '"');
    }
    let plain = |char: char| char.is_ascii_alphanumeric() || "_.-*".contains(char);
    let (key, rest) = line.split_at(line.find(|char| !plain(char)).unwrap_or(line.len()));
    Some((key.to_owned(), rest))
}
