//! Names of things, each a type of its own.
//!
//! An id is opaque: it is what the provider called the thing, and nothing may be read
//! out of it. Ids are percent-encoded where they become part of a URL, by whoever
//! builds the URL, never by the caller.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, ErrorKind};

/// The longest id that is accepted, in bytes.
pub const MAX_ID_BYTES: usize = 1024;

/// The name of a provider, such as `local` or `postgres`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId(Cow<'static, str>);

impl ProviderId {
    /// A name that is known when the program is compiled.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for ProviderId {
    fn from(name: &'static str) -> Self {
        Self::from_static(name)
    }
}

impl From<String> for ProviderId {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

/// The longest [`DedupKey`], in bytes: what the strictest vendor takes.
pub const MAX_DEDUP_KEY_BYTES: usize = 255;

fn check(type_name: &str, value: &str, max_bytes: usize) -> Result<(), Error> {
    let message = if value.is_empty() {
        format!("{type_name} is empty")
    } else if value.len() > max_bytes {
        format!("{type_name} is longer than {max_bytes} bytes")
    } else if value.chars().any(char::is_control) {
        format!("{type_name} contains a control character")
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, message))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        ids! { @one $(#[$doc])* $name: MAX_ID_BYTES = "1024" }
    )+};
    (@one $(#[$doc:meta])* $name:ident: $max:ident = $text:literal) => {
        $(#[$doc])*
        ///
        #[doc = concat!("Between 1 and ", $text, " bytes without control characters.")]
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps a value.
            ///
            /// # Errors
            /// `InvalidInput` where the value is empty, too long, or holds a control character.
            pub fn new(value: impl Into<String>) -> Result<Self, Error> {
                let value = value.into();
                check(stringify!($name), &value, $max)?;
                Ok(Self(value))
            }

            /// The value.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(value: &str) -> Result<Self, Error> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(value: String) -> Result<Self, Error> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

ids! {
    /// An app on a [`Hosting`](crate::Hosting) provider.
    AppId;
    /// One deployment of an app.
    DeploymentId;
    /// A database instance.
    DatabaseId;
    /// A backup that a vendor keeps by itself.
    NativeBackupId;
    /// A branch of a database.
    BranchId;
    /// A custom domain of an app.
    DomainId;
    /// An uptime monitor.
    MonitorId;
    /// A heartbeat (dead-man switch) at a monitor.
    HeartbeatId;
    /// An incident at a monitor.
    IncidentId;
    /// A status page.
    StatusPageId;
    /// A maintenance window.
    MaintenanceId;
    /// An event that an error sink accepted.
    EventId;
    /// A region, in the vendor's own spelling.
    Region;
    /// A key that makes repeated creates one: the same key, the same resource.
    IdempotencyKey;
    /// The name of a secret in a [`SecretStore`](crate::SecretStore), in the vendor's own spelling.
    SecretName;
    /// One version of a secret.
    SecretVersionId;
    /// A delivery of a notification.
    DeliveryId;
    /// A run of a CI/CD pipeline.
    RunId;
    /// A zone of a [`Dns`](crate::Dns) provider.
    ZoneId;
    /// A purge of a [`Cdn`](crate::Cdn).
    PurgeId;
}

ids! { @one
    /// What tells an alert apart, such as `shop:prod:service_down:api`: the same key, the
    /// same alert.
    DedupKey: MAX_DEDUP_KEY_BYTES = "255"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_id_is_refused_and_not_repeated() {
        let long = "x".repeat(MAX_ID_BYTES + 1);
        for (value, message) in [
            ("", "AppId is empty"),
            ("a\nb", "AppId contains a control character"),
            ("\u{7f}", "AppId contains a control character"),
            (long.as_str(), "AppId is longer than 1024 bytes"),
        ] {
            let err = AppId::new(value).unwrap_err();
            assert_eq!(
                (err.kind(), err.message()),
                (ErrorKind::InvalidInput, message)
            );
        }
        AppId::new("x".repeat(MAX_ID_BYTES)).unwrap();
        DedupKey::new("x".repeat(255)).unwrap();
        let err = DedupKey::new("x".repeat(256)).unwrap_err();
        assert_eq!(err.message(), "DedupKey is longer than 255 bytes");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn an_id_is_checked_when_it_is_read() {
        let id: Region = serde_json::from_str("\"sin\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"sin\"");
        let err = serde_json::from_str::<Region>("\"\"").unwrap_err();
        assert!(err.to_string().starts_with("Region is empty"), "{err}");
    }

    proptest! {
        #[test]
        fn a_value_without_control_characters_survives(value in "[^\\p{Cc}]{1,200}") {
            let id = DeploymentId::new(value.as_str()).unwrap();
            prop_assert_eq!(id.as_str(), value.as_str());
            prop_assert_eq!(id.to_string().parse::<DeploymentId>().unwrap(), id.clone());
            prop_assert_eq!(String::from(id), value);
        }
    }
}
