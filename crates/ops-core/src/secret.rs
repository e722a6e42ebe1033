//! Values that must never be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind};

mod reference;

pub use reference::SecretRef;

/// A secret text: a password, a token, a private key.
///
/// There is no `Display`, no `Serialize` and no `PartialEq`. `Debug` prints
/// `Secret([redacted])`. The text is reached by [`Secret::expose`] alone, which makes
/// every use of it easy to find, and it is wiped from memory on drop.
///
/// ```
/// use ops_core::Secret;
///
/// let password = Secret::from("hunter2");
/// assert_eq!(format!("{password:?}"), "Secret([redacted])");
/// assert_eq!(password.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(SecretString::from(secret.into()))
    }

    /// The secret itself. Never pass it to anything that prints or stores it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether a text is this secret, in a time that depends on the lengths alone.
    ///
    /// For a token that a caller presents: an ordinary comparison ends at the first byte
    /// that differs, and its time tells how far a guess is right.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        let (secret, candidate) = (self.expose().as_bytes(), candidate.as_bytes());
        let differs = secret
            .iter()
            .zip(candidate)
            .fold(0, |differs, (a, b)| std::hint::black_box(differs | (a ^ b)));
        secret.len() == candidate.len() && differs == 0
    }

    /// Fails for a secret that is shorter than so many characters, or the same character
    /// again and again.
    ///
    /// ```
    /// use ops_core::Secret;
    ///
    /// let err = Secret::from("changeme").require_strength("JWT_SECRET", 32).unwrap_err();
    /// assert_eq!(err.to_string(), "JWT_SECRET has fewer than 32 characters");
    /// ```
    ///
    /// # Errors
    /// `InvalidConfig` that says what is wrong and nothing of the secret.
    pub fn require_strength(&self, name: &str, min_chars: usize) -> Result<(), Error> {
        let mut chars = self.expose().chars();
        let first = chars.next();
        let problem = if self.expose().chars().count() < min_chars {
            format!("{name} has fewer than {min_chars} characters")
        } else if first.is_some_and(|first| chars.all(|c| c == first)) {
            format!("{name} is one character again and again")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidConfig, problem))
    }

    /// Whether the secret is the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only as long as `Secret` cannot be serialized: if it could, the compiler
    /// would find two candidates.
    #[cfg(feature = "serde")]
    #[test]
    fn a_secret_cannot_be_serialized() {
        trait AmbiguousIfSerialize<A> {
            fn candidate() {}
        }
        impl<T: ?Sized> AmbiguousIfSerialize<()> for T {}
        struct Serializable;
        impl<T: ?Sized + serde::Serialize> AmbiguousIfSerialize<Serializable> for T {}
        <Secret as AmbiguousIfSerialize<_>>::candidate();
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_secret_can_be_read() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = Secret::from("hunter2");
        assert!(secret.matches("hunter2"));
        for guess in ["", "hunter", "hunter3", "hunter22", "Hunter2"] {
            assert!(!secret.matches(guess), "{guess}");
        }
        assert!(Secret::from("").matches(""));
    }

    #[test]
    fn a_weak_secret_is_refused_without_being_shown() {
        let repeated = "x".repeat(40);
        for weak in ["", "hunter2", repeated.as_str()] {
            let err = Secret::from(weak)
                .require_strength("JWT_SECRET", 32)
                .unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig);
            assert!(weak.is_empty() || !format!("{err} {err:?}").contains(weak));
        }
        Secret::from("correct horse battery staple now")
            .require_strength("JWT_SECRET", 32)
            .unwrap();
    }

    #[test]
    fn a_secret_inside_something_is_not_shown_either() {
        let inside = Some(vec![Secret::from("hunter2")]);
        assert_eq!(format!("{inside:?}"), "Some([Secret([redacted])])");
        assert!(!format!("{inside:#?}").contains("hunter2"));
    }
}
