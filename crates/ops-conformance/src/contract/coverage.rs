//! Which of the operations that a vendor crate can send were sent and answered in a test.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::find::variable;
use super::request::Request;
use super::violation::{Place, Rule, Violation};
use super::{Checked, Description};

/// An operation that a vendor crate can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sends {
    /// The vendor's id of the operation.
    pub operation_id: &'static str,
    /// The method. `POST` for GraphQL.
    pub method: &'static str,
    /// The path template.
    pub path: &'static str,
    /// The traits and abilities that it serves, such as `Hosting` or `Hosting/Scale`.
    pub serves: &'static [&'static str],
}

/// Counts what happens to each operation that a vendor crate can send.
///
/// It belongs to one test, which drives the whole crate: tests may run in processes of their
/// own. [`finish`](Self::finish) ends it.
#[derive(Debug)]
#[must_use = "only `finish` tells what is missing"]
pub struct Coverage {
    vendor: String,
    sends: Vec<Sends>,
    counts: Mutex<BTreeMap<&'static str, Counts>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sent: usize,
    answers: usize,
}

/// Operations that a vendor crate can send, and that its test did not try.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gaps {
    /// The vendor.
    pub vendor: String,
    /// Ids of operations that no request was sent of.
    pub not_sent: Vec<String>,
    /// Ids of operations that no answer was parsed of.
    pub not_answered: Vec<String>,
    /// Why the result could not be written, if it could not.
    pub not_written: Option<String>,
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.vendor)?;
        if !self.not_sent.is_empty() {
            write!(f, ": never sent: {}", self.not_sent.join(", "))?;
        }
        if !self.not_answered.is_empty() {
            write!(f, ": never answered: {}", self.not_answered.join(", "))?;
        }
        if let Some(why) = &self.not_written {
            write!(f, ": the result cannot be written: {why}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Gaps {}

impl Coverage {
    /// Nothing sent yet.
    pub fn new(vendor: &str, sends: impl IntoIterator<Item = Sends>) -> Self {
        let sends: Vec<Sends> = sends.into_iter().collect();
        let counts = sends.iter().map(|it| (it.operation_id, Counts::default()));
        Self {
            vendor: vendor.to_owned(),
            counts: Mutex::new(counts.collect()),
            sends,
        }
    }

    /// Checks a request against the description, and counts it as sent if it is accepted.
    ///
    /// # Errors
    /// What [`Description::check`] says, and also if the crate does not list the operation.
    pub fn check(
        &self,
        description: &Description,
        request: &Request,
    ) -> Result<Checked, Vec<Violation>> {
        let checked = description.check(request)?;
        self.count(&checked.operation_id, |counts| counts.sent += 1)?;
        Ok(checked)
    }

    /// Counts an answer that the crate has parsed, or has refused by the name of a field.
    ///
    /// # Errors
    /// If the crate does not list the operation.
    pub fn answered(&self, operation_id: &str) -> Result<(), Vec<Violation>> {
        self.count(operation_id, |counts| counts.answers += 1)
    }

    fn count(&self, id: &str, add: impl FnOnce(&mut Counts)) -> Result<(), Vec<Violation>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(counts) = counts.get_mut(id) else {
            let message = format!("{} does not list the operation {id}", self.vendor);
            let violation = Violation::new(Place::Operation, "", Rule::Undescribed, message);
            return Err(vec![violation]);
        };
        add(counts);
        Ok(())
    }

    /// Writes what was covered to `contract/<vendor>.json` in the target folder, where
    /// `cargo xtask providers` reads it, and answers its path.
    ///
    /// # Errors
    /// If an operation was not sent or never answered. It is written all the same.
    pub fn finish(self) -> Result<PathBuf, Gaps> {
        let target = variable("CARGO_TARGET_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
            PathBuf::from,
        );
        self.finish_in(&target.join("contract"))
    }

    /// [`finish`](Self::finish), into another folder.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_in(self, folder: &Path) -> Result<PathBuf, Gaps> {
        let counts = self
            .counts
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let of = |it: &Sends| counts.get(it.operation_id).copied().unwrap_or_default();
        let missing = |wanted: fn(&Counts) -> usize| {
            let missing = self.sends.iter().filter(|it| wanted(&of(it)) == 0);
            missing
                .map(|it| it.operation_id.to_owned())
                .collect::<Vec<_>>()
        };
        let operations: Vec<Value> = self
            .sends
            .iter()
            .map(|it| {
                json!({
                    "id": it.operation_id,
                    "method": it.method,
                    "path": it.path,
                    "serves": it.serves,
                    "sent": of(it).sent,
                    "answers": of(it).answers,
                })
            })
            .collect();
        let document = json!({ "vendor": self.vendor, "operations": operations });
        let path = folder.join(format!("{}.json", self.vendor));
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, format!("{document:#}\n")));
        let gaps = Gaps {
            not_sent: missing(|counts| counts.sent),
            not_answered: missing(|counts| counts.answers),
            not_written: written.err().map(|error| error.to_string()),
            vendor: self.vendor,
        };
        if gaps.not_sent.is_empty() && gaps.not_answered.is_empty() && gaps.not_written.is_none() {
            return Ok(path);
        }
        Err(gaps)
    }
}
