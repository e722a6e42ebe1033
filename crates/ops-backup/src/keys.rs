//! Who can read a backup.
//!
//! Every backup has an age identity of its own, made for it alone. All its objects are
//! encrypted to that identity, and the identity itself is stored once, in a small object
//! that is encrypted to the recipients or to the passphrase. Several recipients cost
//! nothing more than a few bytes there, and changing them rewrites only that object.

use std::io::Read;
use std::str::FromStr;

use age::secrecy::{ExposeSecret, SecretString};
use age::x25519;
use ops_core::Secret;

use crate::error::{Error, ErrorKind, Result};

/// How backups are encrypted.
#[derive(Clone, Debug)]
pub struct Encryption(Scheme);

#[derive(Clone, Debug)]
enum Scheme {
    Recipients(Vec<Recipient>),
    Passphrase(Secret),
    None,
}

/// A public key, `age1...`.
#[derive(Clone)]
struct Recipient(x25519::Recipient);

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Encryption {
    /// Encrypts to X25519 recipients, `age1...`; each of their identities opens the backup.
    ///
    /// # Errors
    /// `InvalidConfig` where there is none, or one is not a recipient.
    pub fn recipients<I>(recipients: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let invalid = |message: String| Error::new(ErrorKind::InvalidConfig, "build", message);
        let parsed: Vec<_> = recipients
            .into_iter()
            .enumerate()
            .map(|(index, text)| {
                let text = text.as_ref();
                x25519::Recipient::from_str(text)
                    .map(Recipient)
                    .map_err(|reason| invalid(not_a_recipient(index, text, reason)))
            })
            .collect::<Result<_>>()?;
        if parsed.is_empty() {
            return Err(invalid(
                "encryption needs at least one recipient".to_owned(),
            ));
        }
        Ok(Self(Scheme::Recipients(parsed)))
    }

    /// Encrypts to a passphrase (scrypt).
    ///
    /// # Errors
    /// `InvalidConfig` for an empty passphrase.
    pub fn passphrase(passphrase: impl Into<Secret>) -> Result<Self> {
        let passphrase = passphrase.into();
        if passphrase.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "build",
                "the passphrase is empty",
            ));
        }
        Ok(Self(Scheme::Passphrase(passphrase)))
    }

    /// Stores backups in plain text. Whoever can read the store can read the database:
    /// every job warns about it.
    #[must_use]
    pub fn none() -> Self {
        Self(Scheme::None)
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self.0, Scheme::None)
    }

    /// What the manifest says about it.
    pub(crate) fn describe(&self) -> EncryptionInfo {
        match &self.0 {
            Scheme::Recipients(recipients) => EncryptionInfo::AgeRecipients {
                recipients: recipients
                    .iter()
                    .map(|recipient| recipient.0.to_string())
                    .collect(),
            },
            Scheme::Passphrase(_) => EncryptionInfo::AgePassphrase,
            Scheme::None => EncryptionInfo::None,
        }
    }

    /// The identity object: the backup's identity for the recipients' eyes.
    pub(crate) fn wrap(&self, identity: &BackupIdentity) -> Result<Option<Vec<u8>>> {
        let encryptor = match &self.0 {
            Scheme::None => return Ok(None),
            Scheme::Passphrase(passphrase) => {
                age::Encryptor::with_user_passphrase(SecretString::from(passphrase.expose()))
            }
            Scheme::Recipients(recipients) => {
                let all = recipients
                    .iter()
                    .map(|recipient| &recipient.0 as &dyn age::Recipient);
                age::Encryptor::with_recipients(all).map_err(internal)?
            }
        };
        let mut wrapped = Vec::new();
        let mut writer = encryptor.wrap_output(&mut wrapped).map_err(internal)?;
        let line = identity.0.to_string();
        std::io::Write::write_all(&mut writer, line.expose_secret().as_bytes())
            .and_then(|()| std::io::Write::write_all(&mut writer, b"\n"))
            .and_then(|()| writer.finish())
            .map_err(internal)?;
        Ok(Some(wrapped))
    }
}

/// What is wrong with a text that should be a recipient. A private key or a passphrase that
/// was pasted in its place must not be printed.
#[cold]
fn not_a_recipient(index: usize, text: &str, reason: &str) -> String {
    let number = index + 1;
    if text.to_ascii_uppercase().contains("AGE-SECRET-KEY-") {
        format!("recipient {number} is an identity, which is secret")
    } else if text.starts_with("age1") && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        format!("{text:?} is not an age recipient: {reason}")
    } else {
        format!("recipient {number} is not an age recipient: {reason}")
    }
}

#[cold]
fn internal(source: impl Into<ops_core::BoxError>) -> Error {
    Error::new(
        ErrorKind::Internal,
        "dump",
        "the backup's identity cannot be encrypted",
    )
    .with_source(source)
}

/// What a manifest says about encryption.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EncryptionInfo {
    /// age, to X25519 recipients.
    AgeRecipients {
        /// The public keys.
        recipients: Vec<String>,
    },
    /// age, to a passphrase.
    AgePassphrase,
    /// Plain text.
    None,
}

/// A key that opens backups.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Unlock {
    /// An X25519 identity, `AGE-SECRET-KEY-1...`.
    Identity(Secret),
    /// A passphrase.
    Passphrase(Secret),
}

impl Unlock {
    /// An X25519 identity, `AGE-SECRET-KEY-1...`; text around the line with the key, as in
    /// a key file of `age-keygen`, is ignored.
    pub fn identity(identity: impl Into<Secret>) -> Self {
        Self::Identity(identity.into())
    }

    /// A passphrase.
    pub fn passphrase(passphrase: impl Into<Secret>) -> Self {
        Self::Passphrase(passphrase.into())
    }
}

/// The identity that one backup is encrypted to.
#[derive(Clone)]
pub(crate) struct BackupIdentity(x25519::Identity);

impl std::fmt::Debug for BackupIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BackupIdentity([redacted])")
    }
}

impl BackupIdentity {
    pub(crate) fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// Public, random, different for each backup: the random part of its id.
    pub(crate) fn public_text(&self) -> String {
        self.0.to_public().to_string()
    }

    /// The identity itself.
    #[cfg(test)]
    pub(crate) fn secret_text(&self) -> String {
        self.0.to_string().expose_secret().to_owned()
    }

    /// The key by which the manifest is sealed.
    pub(crate) fn seal_key(&self) -> [u8; 32] {
        let line = self.0.to_string();
        blake3::derive_key(
            "ops-backup manifest seal v1",
            line.expose_secret().as_bytes(),
        )
    }

    pub(crate) fn encrypt<W: std::io::Write>(
        &self,
        output: W,
    ) -> std::io::Result<age::stream::StreamWriter<W>> {
        let recipient = self.0.to_public();
        age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .map_err(std::io::Error::other)?
            .wrap_output(output)
    }

    /// Opens an object of this backup.
    pub(crate) fn decrypt<R: Read>(
        &self,
        input: R,
    ) -> Result<age::stream::StreamReader<R>, age::DecryptError> {
        age::Decryptor::new(input)?.decrypt(std::iter::once(&self.0 as &dyn age::Identity))
    }

    /// Opens the identity object with whichever of the keys fits.
    pub(crate) fn unwrap(operation: &'static str, wrapped: &[u8], keys: &[Unlock]) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::new(
                ErrorKind::WrongKey,
                operation,
                "the backup is encrypted and no key was given",
            ));
        }
        let damaged = |source: ops_core::BoxError| {
            Error::new(
                ErrorKind::Integrity,
                operation,
                "the backup's identity object is damaged",
            )
            .with_source(source)
        };
        for key in keys {
            let decryptor = age::Decryptor::new(wrapped).map_err(|err| damaged(err.into()))?;
            let opened = match key {
                Unlock::Identity(text) => {
                    let identity = parse_identity(operation, text)?;
                    decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
                }
                Unlock::Passphrase(text) => {
                    let identity = age::scrypt::Identity::new(SecretString::from(text.expose()));
                    decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
                }
            };
            let mut reader = match opened {
                Ok(reader) => reader,
                Err(
                    age::DecryptError::NoMatchingKeys
                    | age::DecryptError::KeyDecryptionFailed
                    | age::DecryptError::DecryptionFailed
                    | age::DecryptError::ExcessiveWork { .. },
                ) => continue,
                Err(err) => return Err(damaged(err.into())),
            };
            let mut line = String::new();
            reader
                .read_to_string(&mut line)
                .map_err(|err| damaged(err.into()))?;
            return x25519::Identity::from_str(line.trim_end())
                .map(Self)
                .map_err(|reason| damaged(reason.into()));
        }
        Err(Error::new(
            ErrorKind::WrongKey,
            operation,
            "none of the given keys opens the backup",
        ))
    }
}

fn parse_identity(operation: &'static str, text: &Secret) -> Result<x25519::Identity> {
    text.expose()
        .lines()
        .map(str::trim)
        .find(|line| line.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-1"))
        .and_then(|line| x25519::Identity::from_str(line).ok())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                operation,
                "the given identity is not an age X25519 identity",
            )
        })
}
