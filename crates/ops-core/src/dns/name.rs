//! Names in the domain name system.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// A full name in the domain name system, such as `www.shop.example`.
///
/// Kept in lower case and without the final dot, so that two spellings of one name are
/// equal. Labels have letters, digits, `-`, `_` and `/` (RFC 2317); the first may be
/// `*`. Other scripts are written as `xn--` labels.
///
/// ```
/// use ops_core::dns::DnsName;
///
/// let name = DnsName::new("WWW.Shop.Example.")?;
/// assert_eq!(name.as_str(), "www.shop.example");
/// assert_eq!(name.label_in(&DnsName::new("shop.example")?), Some("www"));
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct DnsName(String);

impl DnsName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// `InvalidInput` where it is empty, longer than 253 bytes, or has a label that is
    /// empty, longer than 63 bytes, begins or ends with `-`, or has another character.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let mut name = name.into();
        name.make_ascii_lowercase();
        if name.ends_with('.') {
            name.pop();
        }
        let (first, rest) = name.split_once('.').unwrap_or((&name, ""));
        let first_fits = first == "*" || is_label(first);
        let rest_fits = rest.is_empty() && !name.ends_with('.') || rest.split('.').all(is_label);
        if first_fits && rest_fits && name.len() <= 253 {
            return Ok(Self(name));
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            "a DNS name has labels of 1 to 63 of a-z, 0-9, -, _ and /, and 253 bytes in all",
        ))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `zone` or below it.
    #[must_use]
    pub fn is_within(&self, zone: &Self) -> bool {
        self.label_in(zone).is_some()
    }

    /// The part of the name before the zone, `@` for the zone itself; `None` for a name
    /// outside it.
    #[must_use]
    pub fn label_in(&self, zone: &Self) -> Option<&str> {
        match self.0.strip_suffix(zone.as_str())? {
            "" => Some("@"),
            before => before.strip_suffix('.'),
        }
    }

    /// The name that a label has in a zone: `@` and the empty text are the zone itself.
    ///
    /// # Errors
    /// As [`DnsName::new`].
    pub fn within(label: &str, zone: &Self) -> Result<Self> {
        match label {
            "" | "@" => Ok(zone.clone()),
            label => Self::new(format!("{label}.{zone}")),
        }
    }
}

fn is_label(label: &str) -> bool {
    let fits =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'/');
    (1..=63).contains(&label.len())
        && label.bytes().all(fits)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for DnsName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<String> for DnsName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::new(text).unwrap()
    }

    #[test]
    fn spellings_of_one_name_are_equal() {
        assert_eq!(
            name("_Acme-Challenge.Shop.example."),
            name("_acme-challenge.shop.example")
        );
        assert_eq!(name("*.shop.example").as_str(), "*.shop.example");
        assert_eq!(name("localhost.").as_str(), "localhost");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long = vec!["a".repeat(63); 4].join(".");
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "-a.b",
            "a-.b",
            "a b",
            "a.*.b",
            "über.example",
            "a\nb",
            "@",
            &long_label,
            &long,
        ] {
            let err = DnsName::new(text).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput, "{text:?}");
        }
    }

    #[test]
    fn a_name_knows_its_place_in_a_zone() {
        let zone = name("shop.example");
        assert_eq!(name("a.b.shop.example").label_in(&zone), Some("a.b"));
        assert_eq!(zone.label_in(&zone), Some("@"));
        assert_eq!(name("workshop.example").label_in(&zone), None);
        assert!(!name("example").is_within(&zone));
        for label in ["@", "a.b", "*"] {
            let full = DnsName::within(label, &zone).unwrap();
            assert_eq!(full.label_in(&zone), Some(label));
        }
        assert_eq!(DnsName::within("", &zone).unwrap(), zone);
    }
}
