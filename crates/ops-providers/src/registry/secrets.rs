//! Where references to secrets lead.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use ops_core::id::SecretName;
use ops_core::{Error, ErrorKind, Result, Secret, SecretRef, SecretStore};

/// A file that is longer than this, in bytes, holds no secret.
const MAX_FILE: u64 = 64 * 1024;

/// The value of a variable, where it is set.
type Variables = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Where [references to secrets](SecretRef) lead. Clones lead to the same places.
///
/// Files are read by their path. Variables and stores are those that are given here.
#[derive(Clone)]
pub struct Secrets {
    variable: Arc<Variables>,
    stores: BTreeMap<String, Arc<dyn SecretStore>>,
}

impl Secrets {
    /// Variables of the environment, each read when a reference names it, and no store.
    #[must_use]
    pub fn from_env() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the environment"
        )]
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// Variables from elsewhere, and no store.
    #[must_use]
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        Self {
            variable: Arc::new(variable),
            stores: BTreeMap::new(),
        }
    }

    /// Gives references a store by a name, which must be able to
    /// [read](ops_core::secret_store::ReadSecrets).
    #[must_use]
    pub fn with_store(mut self, name: impl Into<String>, store: Arc<dyn SecretStore>) -> Self {
        self.stores.insert(name.into(), store);
        self
    }

    /// The secret that a reference leads to.
    ///
    /// # Errors
    /// `InvalidConfig` where it leads nowhere, to nothing, or to what is not text; what the
    /// store says.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn read(&self, reference: &SecretRef) -> Result<Secret> {
        let found = match reference {
            SecretRef::Env(name) => self.variable(name),
            SecretRef::File(path) => file(path),
            SecretRef::Store { store, key } => self.stored(store, key).await,
            _ => Err(invalid("is of a form that is not known here")),
        };
        match found {
            Ok(secret) if secret.is_empty() => Err(describe(reference, invalid("is empty"))),
            Ok(secret) => Ok(secret),
            Err(err) => Err(describe(reference, err)),
        }
    }

    fn variable(&self, name: &str) -> Result<Secret> {
        let value = (self.variable)(name).ok_or_else(|| invalid("is not set"))?;
        // What cannot be told is not shown either.
        let value = value.into_string().map_err(|_| invalid("is not UTF-8"))?;
        Ok(Secret::new(value))
    }

    async fn stored(&self, store: &str, key: &SecretName) -> Result<Secret> {
        let Some(store) = self.stores.get(store) else {
            return Err(invalid("is not there: no store has this name"));
        };
        let Some(store) = store.as_read_secrets() else {
            return Err(invalid("cannot be had: the store gives nothing back"));
        };
        Ok(store.read_secret(key).await?.value)
    }
}

fn file(path: &Path) -> Result<Secret> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
    // Wiped when it is dropped, whatever comes.
    let text = Secret::new(text);
    read.map_err(|err| match err.kind() {
        std::io::ErrorKind::NotFound => invalid("does not exist"),
        std::io::ErrorKind::InvalidData => invalid("is not UTF-8"),
        _ => invalid("cannot be read").with_source(err),
    })?;
    if text.expose().len() as u64 > MAX_FILE {
        return Err(invalid("is too long for a secret"));
    }
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    Ok(Secret::from(line.strip_suffix('\r').unwrap_or(line)))
}

fn invalid(problem: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, problem)
}

/// What is wrong, behind where it is found.
fn describe(reference: &SecretRef, err: Error) -> Error {
    let problem = match reference {
        SecretRef::Store { .. } if err.kind() != ErrorKind::InvalidConfig => {
            format!("{reference} cannot be read: {}", err.message())
        }
        _ => format!("{reference} {}", err.message()),
    };
    Error::new(err.kind(), problem)
        .with_retry(err.retry())
        .with_source(err)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("stores", &self.stores)
            .finish_non_exhaustive()
    }
}
