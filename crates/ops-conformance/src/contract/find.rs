//! Where the descriptions are, and what a test does that finds none.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Description, LoadError};

/// A variable of the environment. This is the one place of the module that reads them.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the variables of the contract kit"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A folder of API descriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptions {
    folder: PathBuf,
}

impl Descriptions {
    /// The folder of the descriptions: `OPS_SPECS`, else `../shared/specs` beside the
    /// workspace. `None` where there is no such folder.
    ///
    /// # Panics
    /// Where `OPS_SPECS` names a folder that does not exist and `OPS_TESTKIT_REQUIRE=1` is
    /// set: the caller has promised descriptions and has asked that nothing be skipped. With
    /// only one of the two it is never a failure to have none: a clone that was made
    /// elsewhere has no descriptions, and cannot get them.
    #[must_use]
    pub fn find() -> Option<Self> {
        let promised = variable("OPS_SPECS").map(PathBuf::from);
        let require = variable("OPS_TESTKIT_REQUIRE").is_some_and(|value| value != "0");
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs");
        let found = Self::choose(promised.as_deref(), &beside);
        assert!(
            found.is_some() || promised.is_none() || !require,
            "OPS_SPECS is not a folder (and OPS_TESTKIT_REQUIRE is set)"
        );
        found
    }

    /// [`find`](Self::find), and where that has nothing, `SKIPPED:` and why is printed past
    /// the test harness. The test then returns.
    #[must_use]
    pub fn find_or_skip() -> Option<Self> {
        let found = Self::find();
        if found.is_none() {
            skipped("there are no API descriptions in OPS_SPECS or ../shared/specs");
        }
        found
    }

    /// The descriptions in `folder`; `None` if there is no such folder.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Option<Self> {
        let folder = folder.into();
        folder.is_dir().then_some(Self { folder })
    }

    fn choose(promised: Option<&Path>, beside: &Path) -> Option<Self> {
        Self::in_folder(promised.unwrap_or(beside))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of all descriptions in the folder, sorted.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn names(&self) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if Description::knows(&name) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The description in the file `name`. It is read once per process; every caller shares
    /// it and the schemas that it has compiled.
    ///
    /// # Errors
    /// If the file cannot be read, or is no description of a kind that is known here.
    pub fn load(&self, name: &str) -> Result<Description, LoadError> {
        static LOADED: Mutex<Option<HashMap<PathBuf, Description>>> = Mutex::new(None);
        let path = self.folder.join(name);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = loaded.get_or_insert_default();
        if let Some(description) = loaded.get(&path) {
            return Ok(description.clone());
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| LoadError::new(name, error.to_string()))?;
        let description = Description::parse(name, &text)?;
        loaded.insert(path, description.clone());
        Ok(description)
    }
}

/// Prints that a test was skipped and why, past the test harness, which hides what a test
/// that passes has printed.
pub fn skipped(why: impl fmt::Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
}

/// Loads a description, or skips the test where there are none.
///
/// ```no_run
/// # fn test() {
/// let neon = ops_conformance::description_or_skip!("neon.openapi.json");
/// # let _ = neon;
/// # }
/// ```
///
/// # Panics
/// If the folder is there and the file is not, or is not valid; see also
/// [`Descriptions::find`].
#[macro_export]
macro_rules! description_or_skip {
    ($name:expr) => {{
        let Some(descriptions) = $crate::contract::Descriptions::find_or_skip() else {
            return;
        };
        match descriptions.load($name) {
            Ok(description) => description,
            Err(error) => panic!("{error}"),
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promised_folder_is_not_replaced_by_another() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(Descriptions::choose(None, here).is_some());
        assert!(Descriptions::choose(Some(Path::new("/nonexistent")), here).is_none());
        assert!(Descriptions::choose(None, Path::new("/nonexistent")).is_none());
    }
}
