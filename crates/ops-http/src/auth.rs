//! Credentials, applied to each attempt anew.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use ops_core::{Error, ErrorKind, Result, Secret};

use crate::token::TokenCache;

/// How requests prove who sends them. It is applied to every attempt, so that a token
/// that expired between two attempts is replaced.
#[derive(Clone, Debug)]
pub struct Auth(Kind);

#[derive(Clone, Debug)]
enum Kind {
    None,
    Header {
        name: HeaderName,
        prefix: &'static str,
        secret: Secret,
    },
    Basic {
        user: String,
        password: Secret,
    },
    Tokens(Arc<TokenCache>),
}

/// A credential that expires, and how long it is good for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Token {
    /// The token itself, sent as `Authorization: Bearer`.
    pub secret: Secret,
    /// How long it is valid from now; `None` for ever.
    pub ttl: Option<Duration>,
}

impl Token {
    /// A token that is valid for so long, or for ever.
    pub fn new(secret: impl Into<Secret>, ttl: impl Into<Option<Duration>>) -> Self {
        Self {
            secret: secret.into(),
            ttl: ttl.into(),
        }
    }
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
        Self::header(AUTHORIZATION, "Bearer ", token)
    }

    /// A header of the vendor's own, the secret behind a fixed prefix (which may be empty).
    pub fn header(name: HeaderName, prefix: &'static str, secret: impl Into<Secret>) -> Self {
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
        Self(Kind::Tokens(Arc::new(TokenCache::new(source))))
    }

    /// What is wrong with the credential, without a word of it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::None | Kind::Tokens(_) => None,
            Kind::Header { secret, .. } => {
                if secret.is_empty() {
                    Some("the token is empty")
                } else if !is_sendable(secret.expose()) {
                    Some("the token holds a character that no token has")
                } else {
                    None
                }
            }
            Kind::Basic { user, .. } => (user.contains(':') || user.chars().any(char::is_control))
                .then_some("the user's name holds a colon or a control character"),
        }
    }

    /// Puts the credential into the headers.
    pub(crate) async fn apply(&self, headers: &mut HeaderMap) -> Result<()> {
        match &self.0 {
            Kind::None => Ok(()),
            Kind::Header {
                name,
                prefix,
                secret,
            } => put(headers, name, &[prefix, secret.expose()]),
            Kind::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
                put(headers, &AUTHORIZATION, &["Basic ", &pair])
            }
            Kind::Tokens(cache) => {
                let token = cache.get().await?;
                put(headers, &AUTHORIZATION, &["Bearer ", token.expose()])
            }
        }
    }

    /// The server refused the credential: forgets a token that can be fetched anew.
    /// `false` where there is no other.
    pub(crate) async fn refused(&self) -> bool {
        match &self.0 {
            Kind::Tokens(cache) => {
                cache.forget().await;
                true
            }
            _ => false,
        }
    }

    /// Takes the credential out of a text that came back.
    pub(crate) async fn scrub(&self, text: String) -> String {
        let secret = match &self.0 {
            Kind::None => return text,
            Kind::Header { secret, .. } => secret.clone(),
            Kind::Basic { password, .. } => password.clone(),
            Kind::Tokens(cache) => match cache.present().await {
                Some(secret) => secret,
                None => return text,
            },
        };
        // A short secret would tear words apart, and no vendor gives one out.
        if secret.expose().len() < 6 {
            return text;
        }
        text.replace(secret.expose(), "[redacted]")
    }
}

/// Whether a credential arrives as it is: a header keeps no blank at its ends, and what
/// servers make of anything but ASCII differs.
fn is_sendable(secret: &str) -> bool {
    secret.bytes().all(|byte| matches!(byte, b' '..=b'~')) && secret.trim() == secret
}

/// The one place where a credential becomes a header.
fn put(headers: &mut HeaderMap, name: &HeaderName, parts: &[&str]) -> Result<()> {
    let text = parts.concat();
    let value = HeaderValue::from_str(&text).ok();
    let mut value = value.filter(|_| is_sendable(&text)).ok_or_else(|| {
        let message = "the credential holds a character that no header may have";
        Error::new(ErrorKind::InvalidConfig, message)
    })?;
    value.set_sensitive(true);
    headers.insert(name.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn scrubbed(auth: &Auth, text: &str) -> String {
        auth.scrub(text.to_owned()).await
    }

    #[tokio::test]
    async fn the_credential_is_taken_out_of_a_text_unless_it_is_too_short_to_be_one() {
        let text = "no 123456 here";
        for auth in [Auth::bearer("123456"), Auth::basic("u", "123456")] {
            assert_eq!(scrubbed(&auth, text).await, "no [redacted] here");
        }
        for auth in [Auth::bearer("12345"), Auth::none()] {
            assert_eq!(scrubbed(&auth, text).await, text);
        }
    }

    #[tokio::test]
    async fn each_credential_becomes_a_header_that_is_not_printed() {
        let name = HeaderName::from_static("x-key");
        for (auth, header, expected) in [
            (Auth::bearer("hunter2"), &AUTHORIZATION, "Bearer hunter2"),
            (
                Auth::header(name.clone(), "Key ", "hunter2"),
                &name,
                "Key hunter2",
            ),
            (
                Auth::basic("u", "hunter2"),
                &AUTHORIZATION,
                "Basic dTpodW50ZXIy",
            ),
        ] {
            assert!(!auth.refused().await, "there is no other");
            let mut headers = HeaderMap::new();
            auth.apply(&mut headers).await.unwrap();
            assert_eq!(headers[header], expected);
            assert!(!format!("{headers:?}").contains("hunter2"));
        }
    }
}
