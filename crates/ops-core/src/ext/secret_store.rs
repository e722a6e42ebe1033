//! [`SecretStoreExt`].

use super::require;
use crate::error::{Error, ErrorKind, Report, Result};
use crate::id::SecretName;
use crate::outcome::{EnsureOutcome, Ensured};
use crate::secret::Secret;
use crate::secret_store::{
    ReadSecrets, RestoreSecrets, RotateSecrets, SecretMeta, SecretStore, SecretVersions,
    SetSecretRequest, WriteSecrets,
};

/// What every [`SecretStore`] can do because it is one.
pub trait SecretStoreExt: SecretStore {
    require! {
        require_read_secrets: as_read_secrets -> ReadSecrets = "reading secrets back";
        require_write_secrets: as_write_secrets -> WriteSecrets = "setting secrets";
        require_secret_versions: as_secret_versions -> SecretVersions = "keeping versions";
        require_rotate_secrets: as_rotate_secrets -> RotateSecrets = "rotating secrets";
        require_restore_secrets: as_restore_secrets -> RestoreSecrets = "restoring secrets";
    }

    /// Reads secrets that must be strong, and no two of which may be the same: the keys
    /// that sign access and refresh tokens, for one.
    ///
    /// # Errors
    /// `InvalidConfig` that names every one that is missing, weak
    /// ([`Secret::require_strength`]) or the same as another; `Unsupported` without
    /// [`ReadSecrets`]; whatever else reading fails with.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    fn read_strong(
        &self,
        names: &[SecretName],
        min_chars: usize,
    ) -> impl Future<Output = Result<Vec<Secret>>> + Send {
        async move {
            let store = self.require_read_secrets()?;
            let answers = store.read_secrets(names.to_vec()).await?;
            let mut read: Vec<(&SecretName, Secret)> = Vec::with_capacity(names.len());
            let mut problems = Vec::new();
            for (name, answer) in names.iter().zip(answers) {
                let value = match answer {
                    Ok(answer) => answer.value,
                    Err(err) if err.is_not_found() => {
                        problems.push(format!("{name} does not exist"));
                        continue;
                    }
                    Err(err) => return Err(err),
                };
                if let Err(weak) = value.require_strength(name.as_str(), min_chars) {
                    problems.push(weak.message().to_owned());
                }
                if let Some((other, _)) = read.iter().find(|(_, v)| v.matches(value.expose())) {
                    problems.push(format!("{name} is the same as {other}"));
                }
                read.push((name, value));
            }
            if problems.is_empty() {
                return Ok(read.into_iter().map(|(_, value)| value).collect());
            }
            Err(Error::invalid_config(problems).with_provider(self.provider()))
        }
    }

    /// Sets a secret unless it has this value already.
    ///
    /// Of a store that cannot be read it is not known what it has, so that there the value
    /// is always set.
    ///
    /// # Errors
    /// `Unsupported` without [`WriteSecrets`]; as its [`set_secret`](WriteSecrets::set_secret).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the secret set.
    fn ensure_secret(
        &self,
        name: &SecretName,
        value: Secret,
    ) -> impl Future<Output = Result<Ensured<SecretMeta>>> + Send {
        async move {
            let write = self.require_write_secrets()?;
            let outcome = match present(self.secret(name).await)? {
                None => EnsureOutcome::Created,
                Some(meta) => {
                    if let Some(read) = self.as_read_secrets()
                        && let Some(known) = present(read.read_secret(name).await)?
                        && known.value.matches(value.expose())
                    {
                        return Ok(Ensured::new(meta, EnsureOutcome::Unchanged));
                    }
                    EnsureOutcome::Updated
                }
            };
            let meta = write.set_secret(name, SetSecretRequest::new(value)).await?;
            Ok(Ensured::new(meta, outcome))
        }
    }

    /// Rotates a secret to a value that the caller has made, and brings it into use.
    ///
    /// # Behavior
    /// 1. Sets the new value, then calls `apply`, which restarts what reads the secret or
    ///    changes the password where it is checked.
    /// 2. Where `apply` fails, the old value is set again, if the store can be read; the
    ///    error is that of `apply`. Where that fails too, or the store cannot be read, the
    ///    error says that the new value has stayed.
    /// 3. The value that the secret has already is no rotation: `InvalidInput`.
    ///
    /// Rotation by the vendor is another thing: [`RotateSecrets`].
    ///
    /// # Errors
    /// `NotFound` for a secret that is not there; `Unsupported` without [`WriteSecrets`];
    /// as its [`set_secret`](WriteSecrets::set_secret); what `apply` failed with.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the new value set and not in use.
    fn rotate_to<A, F>(
        &self,
        name: &SecretName,
        value: Secret,
        apply: A,
    ) -> impl Future<Output = Result<SecretMeta>> + Send
    where
        A: FnOnce() -> F + Send,
        F: Future<Output = Result<()>> + Send,
    {
        async move {
            let write = self.require_write_secrets()?;
            self.secret(name).await?;
            let old = match self.as_read_secrets() {
                Some(read) => Some(read.read_secret(name).await?.value),
                None => None,
            };
            if old.as_ref().is_some_and(|old| old.matches(value.expose())) {
                let message = format!("{name} has that value already");
                return Err(Error::new(ErrorKind::InvalidInput, message)
                    .with_provider(self.provider())
                    .with_operation("secret_store.rotate_to"));
            }
            let meta = write.set_secret(name, SetSecretRequest::new(value)).await?;
            let Err(cause) = apply().await else {
                return Ok(meta);
            };
            let stayed = match old {
                None => "the old value is not known".to_owned(),
                Some(old) => match write.set_secret(name, SetSecretRequest::new(old)).await {
                    Ok(_) => return Err(cause),
                    Err(err) => Report(&err).to_string(),
                },
            };
            let message = format!("{name} was set but not brought into use, and stays: {stayed}");
            Err(Error::new(cause.kind(), message)
                .with_retry(cause.retry())
                .with_provider(self.provider())
                .with_operation("secret_store.rotate_to")
                .with_source(cause))
        }
    }
}

impl<T: SecretStore + ?Sized> SecretStoreExt for T {}

/// What is there, or `None` where it is not.
fn present<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(err) if err.is_not_found() => Ok(None),
        Err(err) => Err(err),
    }
}
