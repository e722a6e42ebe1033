//! Looking settings up, while problems and what is ignored are collected.

use std::collections::BTreeMap;
use std::fmt;

use crate::settings::pgbouncer::Ignored;
use crate::settings::pgbouncer::ini::{Entry, Lines, Place, Problems, Section};
use crate::settings::pgbouncer::known::{Fate, fate, nearest};
use crate::settings::pgbouncer::pairs::pairs;
use crate::settings::pgbouncer::values::Wanted;

const UNDONE: &str = "a later [pgbouncer] begins again from the defaults";

/// Settings by their names, each with its place. They may hold a password.
#[derive(Default)]
pub(super) struct Values(BTreeMap<String, (String, Place)>);

impl Values {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.as_str())
    }

    pub(super) fn place(&self, name: &str) -> Option<&Place> {
        self.0.get(name).map(|(_, place)| place)
    }
}

pub(super) struct Reading {
    entries: Vec<Entry>,
    problems: Problems,
    ignored: Vec<(usize, Ignored)>,
}

impl Reading {
    /// Checks every name of every line, as PgBouncer does before it starts.
    pub(super) fn new(lines: Lines) -> Self {
        let mut reading = Self {
            entries: lines.entries,
            problems: lines.problems,
            ignored: Vec::new(),
        };
        for entry in &lines.undone {
            reading.ignore_at(&entry.place, &entry.key, UNDONE);
        }
        let entries = std::mem::take(&mut reading.entries);
        for entry in lines.undone.iter().chain(&entries) {
            reading.check(entry);
        }
        reading.entries = entries;
        reading
    }

    fn check(&mut self, entry: &Entry) {
        let (section, place) = (entry.section, &entry.place);
        if section == Section::PgBouncer {
            if fate(section, &entry.key).is_none() {
                self.unknown(section, &entry.key, place);
            }
            return;
        }
        if section == Section::Databases && entry.key == "pgbouncer" {
            self.problem_at(place, "pgbouncer is the name of PgBouncer's own console");
        }
        match pairs(&entry.value) {
            Err(malformed) => self.problem_at(place, malformed.0),
            Ok(pairs) => {
                let mut after_password = false;
                for (key, value) in pairs {
                    if fate(section, key).is_none() && after_password {
                        // It may be a part of the password.
                        let problem = "what follows the password has an unknown key; put a \
                                       password with blanks into single quotes";
                        self.problem_at(place, problem);
                    } else if fate(section, key).is_none() {
                        self.unknown(section, key, place);
                    }
                    // After an empty value the word is itself taken for a value.
                    after_password |= key == "password" || value.contains("password");
                }
            }
        }
    }

    fn unknown(&mut self, section: Section, name: &str, place: &Place) {
        let printable = name.len() <= 63 && name.bytes().all(|byte| byte.is_ascii_graphic());
        let mut problem = if printable && !name.is_empty() {
            format!("{name} is no setting of PgBouncer's")
        } else {
            "a setting has a name that none has".to_owned()
        };
        if let Some(known) = nearest(section, name) {
            problem = format!("{problem}; the nearest is {known}");
        }
        self.problem_at(place, problem);
    }

    /// What `[pgbouncer]` says.
    pub(super) fn main(&mut self) -> Values {
        let mut values = Values::default();
        for entry in &self.entries {
            if entry.section == Section::PgBouncer {
                let value = (entry.value.clone(), entry.place.clone());
                values.0.insert(entry.key.clone(), value);
            }
        }
        self.note_ignored(Section::PgBouncer, &values);
        values
    }

    /// The line of a database, or of `*`, and the database that the server is to be asked
    /// for where the line does not say.
    pub(super) fn database(&mut self, name: &str) -> (Values, Option<String>) {
        if let Some(values) = self.line(Section::Databases, name) {
            return (values, Some(name.to_owned()));
        }
        if let Some(values) = self.line(Section::Databases, "*") {
            return (values, Some(name.to_owned()));
        }
        self.problem(format_args!("[databases] has neither {name} nor *"));
        (Values::default(), None)
    }

    /// The last line of that name, which is the one that counts.
    pub(super) fn line(&mut self, section: Section, name: &str) -> Option<Values> {
        let named = |entry: &&Entry| entry.section == section && entry.key == name;
        let entry = self.entries.iter().rfind(named)?;
        // A malformed line has been told of.
        let pairs = pairs(&entry.value).unwrap_or_default();
        let values = pairs.into_iter().map(|(key, value)| {
            let value = (value, entry.place.clone());
            (key.to_owned(), value)
        });
        let values = Values(values.collect());
        self.note_ignored(section, &values);
        Some(values)
    }

    fn note_ignored(&mut self, section: Section, values: &Values) {
        for name in values.0.keys() {
            if let Some(Fate::Ignored(reason)) = fate(section, name) {
                self.ignore(values, name, reason);
            }
        }
    }

    /// A setting of `[pgbouncer]`.
    pub(super) fn value<T>(
        &mut self,
        values: &Values,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Wanted>,
    ) -> Option<T> {
        self.line_value(values, name, |value| parse(value).map(Some))
    }

    /// A setting of a line, which may say that it is not set.
    pub(super) fn line_value<T>(
        &mut self,
        values: &Values,
        name: &str,
        parse: impl FnOnce(&str) -> Result<Option<T>, Wanted>,
    ) -> Option<T> {
        let (value, place) = values.0.get(name)?;
        parse(value).unwrap_or_else(|wanted| {
            self.problem_at(place, format_args!("{name} {wanted}"));
            None
        })
    }

    pub(super) fn ignore(&mut self, values: &Values, name: &str, reason: &'static str) {
        if let Some(place) = values.place(name) {
            self.ignore_at(place, name, reason);
        }
    }

    fn ignore_at(&mut self, place: &Place, name: &str, reason: &'static str) {
        let ignored = Ignored {
            name: name.to_owned(),
            place: place.to_string(),
            reason,
        };
        self.ignored.push((place.order, ignored));
    }

    pub(super) fn ignore_everywhere<const N: usize, const M: usize>(
        &mut self,
        levels: [&Values; N],
        names: [&'static str; M],
        reason: &'static str,
    ) {
        for level in levels {
            for name in names {
                self.ignore(level, name, reason);
            }
        }
    }

    pub(super) fn problem_at(&mut self, place: &Place, problem: impl fmt::Display) {
        self.problems.add(place, problem);
    }

    pub(super) fn problem(&mut self, problem: impl fmt::Display) {
        self.problems.add_general(problem);
    }

    /// What has no effect, in the order of the lines; else everything that is wrong.
    pub(super) fn finish(mut self) -> Result<Vec<Ignored>, Vec<String>> {
        let problems = self.problems.into_texts();
        if !problems.is_empty() {
            return Err(problems);
        }
        self.ignored.sort_by_key(|(order, _)| *order);
        Ok(self.ignored.into_iter().map(|(_, it)| it).collect())
    }
}
