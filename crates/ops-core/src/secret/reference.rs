//! Where a secret is found.

use std::fmt;
use std::path::PathBuf;

use crate::id::SecretName;

/// Where a secret is found: what a configuration holds in place of the secret itself.
///
/// With the feature `serde` it is read from `{ env = "NAME" }`, `{ file = "PATH" }` or
/// `{ store = "NAME", key = "KEY" }`. A text in its place is taken for the secret itself
/// and refused, without a word of it in the error.
///
/// ```
/// # #[cfg(feature = "serde")]
/// # fn main() -> Result<(), serde_json::Error> {
/// use ops_core::SecretRef;
///
/// let token: SecretRef = serde_json::from_str(r#"{ "env": "FLY_API_TOKEN" }"#)?;
/// assert_eq!(token.to_string(), "the variable FLY_API_TOKEN");
///
/// let literal = serde_json::from_str::<SecretRef>(r#""hunter2""#).unwrap_err();
/// assert!(!literal.to_string().contains("hunter2"));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "serde"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretRef {
    /// A variable of the environment.
    Env(String),
    /// A file that holds the secret and nothing else, such as `/run/secrets/token`. One line
    /// end behind it does not belong to it.
    File(PathBuf),
    /// A secret of a [`SecretStore`](crate::SecretStore).
    Store {
        /// The name that the application gave the store.
        store: String,
        /// The name of the secret in the store.
        key: SecretName,
    },
}

/// Says where the secret is found, for errors.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Store { store, key } => write!(f, "{key} of the secret store {store}"),
        }
    }
}

#[cfg(feature = "serde")]
mod read {
    use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

    use super::{PathBuf, SecretName, SecretRef, fmt};

    const FORMS: &str = r#"{ env = "NAME" }, { file = "PATH" } or { store = "NAME", key = "KEY" }"#;

    struct Reference;

    /// What a value of another type is answered by: the usual error would quote it.
    fn literal<T, E: Error>() -> Result<T, E> {
        Err(E::custom(format_args!(
            "a secret is not written here itself, but where it is found: {FORMS}"
        )))
    }

    impl<'de> Visitor<'de> for Reference {
        type Value = SecretRef;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(FORMS)
        }

        fn visit_str<E: Error>(self, _: &str) -> Result<SecretRef, E> {
            literal()
        }

        fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<SecretRef, E> {
            literal()
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<SecretRef, E> {
            literal()
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<SecretRef, E> {
            literal()
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<SecretRef, E> {
            literal()
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<SecretRef, E> {
            literal()
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
            let (mut env, mut file, mut store, mut key) = (None, None, None, None);
            let mut twice = false;
            while let Some(name) = map.next_key::<String>()? {
                let place: &mut Option<String> = match name.as_str() {
                    "env" => &mut env,
                    "file" => &mut file,
                    "store" => &mut store,
                    "key" => &mut key,
                    // Whoever mistakes the form may have written the secret here.
                    _ => return literal(),
                };
                let Ok(text) = map.next_value() else {
                    return literal();
                };
                twice |= place.replace(text).is_some();
            }
            let texts = [&env, &file, &store, &key];
            if twice || texts.into_iter().flatten().any(String::is_empty) {
                return literal();
            }
            match (env, file, store, key) {
                (Some(name), None, None, None) => Ok(SecretRef::Env(name)),
                (None, Some(path), None, None) => Ok(SecretRef::File(PathBuf::from(path))),
                (None, None, Some(store), Some(key)) => Ok(SecretRef::Store {
                    store,
                    key: SecretName::new(key).map_err(Error::custom)?,
                }),
                _ => literal(),
            }
        }
    }

    impl<'de> Deserialize<'de> for SecretRef {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Reference)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[track_caller]
        fn assert_read(json: &str, expected: &SecretRef, shown: &str) {
            let read: SecretRef = serde_json::from_str(json).unwrap();
            assert_eq!(&read, expected);
            assert_eq!(read.to_string(), shown);
        }

        #[test]
        fn each_form_is_read() {
            assert_read(
                r#"{"env": "FLY_API_TOKEN"}"#,
                &SecretRef::Env("FLY_API_TOKEN".into()),
                "the variable FLY_API_TOKEN",
            );
            assert_read(
                r#"{"file": "/run/secrets/token"}"#,
                &SecretRef::File("/run/secrets/token".into()),
                "the file /run/secrets/token",
            );
            assert_read(
                r#"{"key": "TOKEN", "store": "doppler"}"#,
                &SecretRef::Store {
                    store: "doppler".into(),
                    key: SecretName::new("TOKEN").unwrap(),
                },
                "TOKEN of the secret store doppler",
            );
        }

        #[test]
        fn anything_else_is_refused_and_not_quoted() {
            for json in [
                r#""4271""#,
                "4271",
                "-4271",
                "42.71",
                "true",
                "null",
                r#"["4271"]"#,
                "{}",
                r#"{"value": "4271"}"#,
                r#"{"4271": "x"}"#,
                r#"{"env": 4271}"#,
                r#"{"env": ""}"#,
                r#"{"env": "A", "env": "B"}"#,
                r#"{"env": "A", "file": "B"}"#,
                r#"{"store": "doppler"}"#,
                r#"{"key": "TOKEN"}"#,
                r#"{"env": "A", "key": "B"}"#,
            ] {
                let err = serde_json::from_str::<SecretRef>(json).unwrap_err();
                let text = err.to_string();
                assert!(text.contains(FORMS), "{json}: {text}");
                assert!(!text.contains("42"), "{json}: {text}");
            }
        }
    }
}
