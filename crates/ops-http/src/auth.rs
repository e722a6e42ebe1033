//! Credentials, applied to each attempt anew.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::{Result, Secret};

/// How requests prove who sends them. It is applied to every attempt, so that a token
/// that expired between two attempts is replaced.
#[derive(Clone, Debug)]
pub struct Auth(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    None,
    Header {
        name: http::HeaderName,
        prefix: &'static str,
        secret: Secret,
    },
    Basic {
        user: String,
        password: Secret,
    },
    Tokens {
        source: Arc<dyn TokenSource>,
    },
}

/// A credential that expires, and how long it is good for.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token itself, sent as `Authorization: Bearer`.
    pub secret: Secret,
    /// How long it is valid from now; `None` for ever.
    pub ttl: Option<Duration>,
}

/// Where tokens come from. Its answers are cached, refreshed before they expire, and asked
/// for by one caller at a time.
#[async_trait]
pub trait TokenSource: std::fmt::Debug + Send + Sync + 'static {
    /// Fetches a new token.
    ///
    /// # Errors
    /// Whatever stood in the way. A token that is still valid stays in use meanwhile.
    async fn fetch(&self) -> Result<Token>;
}

impl Auth {
    /// No credential.
    #[must_use]
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// `Authorization: Bearer <token>`.
    pub fn bearer(token: impl Into<Secret>) -> Self {
        Self::header(http::header::AUTHORIZATION, "Bearer ", token)
    }

    /// A header of the vendor's own, the secret behind a fixed prefix (which may be empty).
    pub fn header(
        name: http::HeaderName,
        prefix: &'static str,
        secret: impl Into<Secret>,
    ) -> Self {
        Self(Kind::Header {
            name,
            prefix,
            secret: secret.into(),
        })
    }

    /// `Authorization: Basic` of a user and a password.
    pub fn basic(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self(Kind::Basic {
            user: user.into(),
            password: password.into(),
        })
    }

    /// Bearer tokens that expire, from a source.
    pub fn tokens(source: Arc<dyn TokenSource>) -> Self {
        Self(Kind::Tokens { source })
    }
}
