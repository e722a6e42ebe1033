//! Who signs the requests.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use ops_core::{Result, Secret, Timestamp, async_trait};

/// A key pair, and the session token that belongs to a temporary one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct S3Credentials {
    /// The access key id.
    pub access_key_id: Secret,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// When they stop to work. Only those of a provider are asked for again.
    pub expires_at: Option<Timestamp>,
}

impl S3Credentials {
    /// A key pair that does not expire.
    pub fn new(access_key_id: impl Into<Secret>, secret_access_key: impl Into<Secret>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            expires_at: None,
        }
    }

    /// Sets the session token.
    #[must_use]
    pub fn with_session_token(mut self, session_token: impl Into<Secret>) -> Self {
        self.session_token = Some(session_token.into());
        self
    }

    /// Sets when they stop to work.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }
}

/// Gives out credentials that change, such as temporary ones.
///
/// It is asked before the first request, and again shortly before what it gave expires.
#[async_trait]
pub trait CredentialsProvider: fmt::Debug + Send + Sync + 'static {
    /// The credentials to use from now on.
    ///
    /// # Errors
    /// Whatever kept it from having any; the request fails with `Unauthenticated`.
    ///
    /// # Cancel safety
    /// Must be safe to drop.
    async fn credentials(&self) -> Result<S3Credentials>;
}

/// Credentials that never change.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) S3Credentials);

#[async_trait]
impl CredentialsProvider for Fixed {
    async fn credentials(&self) -> Result<S3Credentials> {
        Ok(self.0.clone())
    }
}

/// Hands credentials to the SDK, and remembers them to cut them out of what servers say.
#[derive(Clone, Debug)]
pub(crate) struct Adapter {
    provider: Arc<dyn CredentialsProvider>,
    last: Arc<Mutex<Option<S3Credentials>>>,
}

impl Adapter {
    pub(crate) fn new(provider: Arc<dyn CredentialsProvider>) -> Self {
        Self {
            provider,
            last: Arc::default(),
        }
    }

    /// Replaces whatever is part of the credentials.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = last.as_ref() else {
            return text.to_owned();
        };
        let secrets = [
            Some(&known.secret_access_key),
            known.session_token.as_ref(),
            Some(&known.access_key_id),
        ];
        secrets
            .into_iter()
            .flatten()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| {
                text.replace(secret.expose(), "[redacted]")
            })
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let credentials = self
            .provider
            .credentials()
            .await
            .map_err(CredentialsError::provider_error)?;
        let given = Credentials::new(
            credentials.access_key_id.expose(),
            credentials.secret_access_key.expose(),
            credentials
                .session_token
                .as_ref()
                .map(|token| token.expose().to_owned()),
            credentials.expires_at.map(Into::into),
            "ops-s3",
        );
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
        Ok(given)
    }
}

impl ProvideCredentials for Adapter {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
