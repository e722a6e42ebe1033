//! Reading settings, with all problems at the end.

use std::collections::BTreeSet;
use std::fmt;

use ops_core::{Error, ErrorKind, Result, Secret, SecretRef};
use serde::Deserialize as _;
use serde_json::Value as Json;

use super::{Secrets, Settings, Value, value};

/// The settings of the provider that is being opened, read one by one.
///
/// What is wrong with one is noted, and reading goes on: [`finish`](Self::finish) tells all
/// problems together, with those of the provider's builder and with every key that nobody
/// asked for.
///
/// ```
/// use std::sync::Arc;
///
/// use ops_core::Database;
/// use ops_core::memory::MemoryDatabase;
/// use ops_providers::registry::{Registry, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> ops_core::Result<()> {
/// let registry = Registry::from_env().with_database("ours", |mut fields| {
///     Box::pin(async move {
///         let _region = fields.optional::<String>("region");
///         let opened = fields.finish(Ok(MemoryDatabase::new()))?;
///         Ok(Arc::new(opened) as Arc<dyn Database>)
///     })
/// });
/// registry.open_database("ours", &Settings::default()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Fields<'a> {
    settings: &'a Settings,
    secrets: &'a Secrets,
    known: BTreeSet<&'static str>,
    problems: Vec<String>,
    /// Why a store did not give a secret, where that is no mistake in the settings.
    unavailable: Option<Error>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(settings: &'a Settings, secrets: &'a Secrets) -> Self {
        Self {
            settings,
            secrets,
            known: BTreeSet::new(),
            problems: Vec::new(),
            unavailable: None,
        }
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Json> {
        self.known.insert(key);
        self.settings.0.get(key)
    }

    /// Notes a problem.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// A setting that may be missing.
    pub fn optional<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let read = value::read(self.get(key)?);
        read.map_err(|problem| self.problem(format!("{key} {problem}")))
            .ok()
    }

    /// A setting that must be there. Where it is not, the stand-in is given, so that the
    /// provider's builder can say what else is wrong; nothing is opened then.
    pub fn required<T: Value>(&mut self, key: &'static str, stand_in: T) -> T {
        if self.get(key).is_none() {
            self.problem(format!("{key} is missing"));
        }
        self.optional(key).unwrap_or(stand_in)
    }

    /// Hands a setting to a builder, where it is there.
    pub fn set<B, T: Value>(
        &mut self,
        builder: B,
        key: &'static str,
        set: impl FnOnce(B, T) -> B,
    ) -> B {
        match self.optional(key) {
            Some(value) => set(builder, value),
            None => builder,
        }
    }

    /// A setting that is one of these words and may be missing.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.get(key)?.as_str();
        let found = words.iter().find(|(word, _)| Some(*word) == text);
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.problem(format!("{key} is none of {}", words.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A secret that must be there. Where it is not, the stand-in is given, as by
    /// [`required`](Self::required).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn secret(&mut self, key: &'static str, stand_in: &str) -> Secret {
        if self.get(key).is_none() {
            self.problem(format!("{key} is missing"));
        }
        let secret = self.secret_opt(key).await;
        secret.unwrap_or_else(|| Secret::from(stand_in))
    }

    /// A secret that may be missing. Where its reference leads nowhere, that is a problem.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn secret_opt(&mut self, key: &'static str) -> Option<Secret> {
        let reference = match SecretRef::deserialize(self.get(key)?) {
            Ok(reference) => reference,
            Err(err) => {
                self.problem(format!("{key}: {err}"));
                return None;
            }
        };
        match self.secrets.read(&reference).await {
            Ok(secret) => Some(secret),
            Err(err) => {
                self.problem(format!("{key}: {}", err.message()));
                if err.kind() != ErrorKind::InvalidConfig {
                    self.unavailable.get_or_insert(err);
                }
                None
            }
        }
    }

    /// Whether something is wrong so far. All settings must have been read before.
    #[must_use]
    pub fn has_problems(&self) -> bool {
        !self.problems.is_empty() || self.unknown().next().is_some()
    }

    /// Fails where something is wrong. For a provider that does something while it is opened:
    /// all settings must have been read before.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems; what a store of secrets said, where that is the only
    /// one.
    pub fn check(&mut self) -> Result<()> {
        self.note_unknown();
        match self.error() {
            Some(err) => Err(err),
            None => Ok(()),
        }
    }

    /// What was built, unless there is a problem. All settings must have been read before.
    ///
    /// # Errors
    /// As [`check`](Self::check), with the problems of the builder behind the others.
    pub fn finish<P>(mut self, built: Result<P>) -> Result<P> {
        self.note_unknown();
        if self.problems.is_empty() {
            return built;
        }
        if let Err(err) = &built
            && err.kind() == ErrorKind::InvalidConfig
        {
            self.problem(err.message().to_owned());
        }
        self.error().map_or(built, Err)
    }

    /// Keys that nobody asked for.
    fn unknown(&self) -> impl Iterator<Item = &'a String> {
        let keys = self.settings.0.keys();
        keys.filter(|key| !self.known.contains(key.as_str()))
    }

    fn note_unknown(&mut self) {
        let known: Vec<&str> = self.known.iter().copied().collect();
        let there_are = match known.as_slice() {
            [] => "there are none".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        let unknown = self.unknown();
        let noted: Vec<String> = unknown
            .map(|key| format!("{key:?} is no setting; {there_are}"))
            .collect();
        self.problems.extend(noted);
    }

    fn error(&mut self) -> Option<Error> {
        let problems = std::mem::take(&mut self.problems);
        match (problems.len(), self.unavailable.take()) {
            (0, _) => None,
            (1, Some(err)) => {
                let message = problems.concat();
                let outer = Error::new(err.kind(), message).with_retry(err.retry());
                Some(outer.with_source(err))
            }
            _ => Some(Error::invalid_config(problems)),
        }
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fields")
            .field("settings", self.settings)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}
