//! Plain variables and secrets of an app, which are never mixed.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{AppId, DeploymentId};
use crate::redact;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The name of an environment variable: a letter or `_`, then letters, digits and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct EnvKey(String);

impl EnvKey {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// `InvalidInput` where a POSIX shell would not accept the name, or it is longer than
    /// 256 bytes.
    pub fn new(key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        let mut bytes = key.bytes();
        let head = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if head && key.len() <= 256 && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Ok(Self(key));
        }
        // The text is not repeated: it may be a secret that was passed in the wrong place.
        Err(Error::new(
            ErrorKind::InvalidInput,
            "the name of a variable is a letter or _, then letters, digits and _",
        ))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether [`redact::key_looks_secret`] says so.
    #[must_use]
    pub fn looks_secret(&self) -> bool {
        redact::key_looks_secret(&self.0)
    }
}

impl fmt::Display for EnvKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for EnvKey {
    type Err = Error;

    fn from_str(key: &str) -> Result<Self> {
        Self::new(key)
    }
}

impl TryFrom<String> for EnvKey {
    type Error = Error;

    fn try_from(key: String) -> Result<Self> {
        Self::new(key)
    }
}

impl From<EnvKey> for String {
    fn from(key: EnvKey) -> Self {
        key.0
    }
}

/// Plain variables: none of them looks secret.
///
/// This is the only thing that [`EnvVars`] takes, so that no provider can forget the
/// check: [`PlainEnv::new`] refuses a key of which [`redact::key_looks_secret`] says that
/// it is a secret, and a value of which [`redact::value_looks_secret`] does.
///
/// ```
/// use ops_core::hosting::PlainEnv;
///
/// let env = PlainEnv::new([("NODE_ENV", "production"), ("PORT", "8080")])?;
/// assert_eq!(env.get("PORT"), Some("8080"));
///
/// let err = PlainEnv::new([("DATABASE_URL", "postgres://app:hunter2@db/shop")]).unwrap_err();
/// assert_eq!(
///     err.to_string(),
///     "DATABASE_URL looks secret: set it through AppSecrets",
/// );
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainEnv(BTreeMap<EnvKey, String>);

impl PlainEnv {
    /// Checks variables. Of two with one name the later one counts.
    ///
    /// # Errors
    /// `InvalidInput` that names every key that looks secret, holds a credential, or is
    /// no name of a variable. No value is in the text.
    pub fn new<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut plain = BTreeMap::new();
        let mut problems = Vec::new();
        for (key, value) in variables {
            match check(key.into(), value.into()) {
                Ok((key, value)) => _ = plain.insert(key, value),
                Err(err) => problems.push(err.message().to_owned()),
            }
        }
        if problems.is_empty() {
            return Ok(Self(plain));
        }
        Err(Error::new(ErrorKind::InvalidInput, problems.join("; ")))
    }

    /// Keeps what is plain of what a vendor answered, and leaves out what looks secret.
    ///
    /// Vendors with one list for both, and people who set a secret in a web form, make
    /// such answers. [`AppSecrets::list_secrets`] names what is left out here.
    pub fn keep_plain<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let checked = variables
            .into_iter()
            .filter_map(|(key, value)| check(key.into(), value.into()).ok());
        Self(checked.collect())
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(name, _)| name.as_str() == key)
            .map(|(_, value)| value)
    }

    /// The variables by name.
    pub fn iter(&self) -> impl Iterator<Item = (&EnvKey, &str)> {
        self.0.iter().map(|(key, value)| (key, value.as_str()))
    }

    /// How many variables there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variables as a map.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<EnvKey, String> {
        self.0
    }
}

fn check(key: String, value: String) -> Result<(EnvKey, String)> {
    let key = EnvKey::new(key)?;
    if key.looks_secret() || redact::value_looks_secret(&value) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{key} looks secret: set it through AppSecrets"),
        ));
    }
    Ok((key, value))
}

/// When a change of variables takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum EnvChange {
    /// Nothing differed, so nothing was changed.
    Unchanged,
    /// The running instances have it.
    Applied,
    /// It waits for the next deployment or restart.
    Staged,
    /// The vendor has started a deployment for it.
    Deploying(DeploymentId),
}

/// Plain environment variables. An ability of [`Hosting`](super::Hosting).
///
/// A variable that looks secret never gets in or out here: it cannot be part of a
/// [`PlainEnv`].
#[async_trait]
pub trait EnvVars: fmt::Debug + Send + Sync + 'static {
    /// The app's plain variables. Those that look secret are left out.
    ///
    /// # Errors
    /// `NotFound` for the app.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn env(&self, app: &AppId) -> Result<PlainEnv>;

    /// Sets variables and leaves all others as they are.
    ///
    /// # Behavior
    /// 1. A key that is a secret of the app is refused, and nothing is changed.
    /// 2. Answers when the change takes effect.
    ///
    /// # Errors
    /// `NotFound` for the app; `Conflict` for a key that is a secret; `InvalidInput` for
    /// a value that the vendor refuses. Repeating is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the variables set.
    async fn set_env(&self, app: &AppId, variables: PlainEnv) -> Result<EnvChange>;

    /// Removes variables. Those that are not there are fine.
    ///
    /// # Behavior
    /// A key that is a secret of the app is left alone.
    ///
    /// # Errors
    /// `NotFound` for the app.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the variables removed.
    async fn remove_env(&self, app: &AppId, keys: Vec<EnvKey>) -> Result<EnvChange>;
}

/// What can be told of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SecretInfo {
    /// Its name.
    pub key: EnvKey,
    /// When it was set, where the vendor tells.
    pub updated_at: Option<Timestamp>,
}

impl SecretInfo {
    /// A secret of that name.
    #[must_use]
    pub fn new(key: EnvKey) -> Self {
        Self {
            key,
            updated_at: None,
        }
    }

    /// Sets when it was set.
    #[must_use]
    pub fn with_updated_at(mut self, updated_at: Timestamp) -> Self {
        self.updated_at = Some(updated_at);
        self
    }
}

/// Secret environment variables. An ability of [`Hosting`](super::Hosting).
///
/// Values go in and never come out: a secret that must be read again belongs into a
/// secret store.
#[async_trait]
pub trait AppSecrets: fmt::Debug + Send + Sync + 'static {
    /// The names of the app's secrets, by name.
    ///
    /// # Errors
    /// `NotFound` for the app.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn list_secrets(&self, app: &AppId) -> Result<Vec<SecretInfo>>;

    /// Sets secrets and leaves all others as they are.
    ///
    /// # Behavior
    /// 1. The values are stored as secrets at the vendor: encrypted, and not shown again
    ///    where the vendor can do so.
    /// 2. A key that is a plain variable of the app is refused, and nothing is changed:
    ///    remove the variable first.
    /// 3. Answers when the change takes effect.
    ///
    /// # Errors
    /// `NotFound` for the app; `Conflict` for a key that is a plain variable;
    /// `InvalidInput` for a value that the vendor refuses. Repeating is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the secrets set.
    async fn set_secrets(
        &self,
        app: &AppId,
        secrets: BTreeMap<EnvKey, Secret>,
    ) -> Result<EnvChange>;

    /// Removes secrets. Those that are not there are fine.
    ///
    /// # Errors
    /// `NotFound` for the app.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the secrets removed.
    async fn remove_secrets(&self, app: &AppId, keys: Vec<EnvKey>) -> Result<EnvChange>;
}

const _: fn(&dyn EnvVars) = |_| {};
const _: fn(&dyn AppSecrets) = |_| {};
