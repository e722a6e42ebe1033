//! Record sets.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::DnsName;
use crate::error::{Error, ErrorKind, Result};
use crate::macros::setters;

/// The type of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(into = "String"))]
#[non_exhaustive]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name of this name.
    Cname,
    /// A mail server.
    Mx,
    /// A text.
    Txt,
    /// A name server.
    Ns,
    /// A service.
    Srv,
    /// A certificate authority that may issue.
    Caa,
    /// Anything else, in capitals, such as `HTTPS`.
    Other(String),
}

impl RecordType {
    /// The type by its name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "A" => Self::A,
            "AAAA" => Self::Aaaa,
            "CNAME" => Self::Cname,
            "MX" => Self::Mx,
            "TXT" => Self::Txt,
            "NS" => Self::Ns,
            "SRV" => Self::Srv,
            "CAA" => Self::Caa,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name of the type, in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Ns => "NS",
            Self::Srv => "SRV",
            Self::Caa => "CAA",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<RecordType> for String {
    fn from(kind: RecordType) -> Self {
        kind.as_str().to_owned()
    }
}

/// What one record says.
///
/// [`RecordData::parse`] reads, and `Display` prints, the form of zone files (RFC 1035,
/// section 5.1) without its quotes and escapes: `10 mail.shop.example` for a mail server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name of this name.
    Cname(DnsName),
    /// A mail server.
    Mx {
        /// The lowest is asked first.
        preference: u16,
        /// The server.
        exchange: DnsName,
    },
    /// A text of any length; vendors cut it into pieces of 255 bytes where they must.
    Txt(String),
    /// A name server.
    Ns(DnsName),
    /// A service.
    Srv {
        /// The lowest is asked first.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The server.
        target: DnsName,
    },
    /// A certificate authority that may issue.
    Caa {
        /// 128 where an authority must not ignore a tag that it does not know.
        flags: u8,
        /// `issue`, `issuewild` or `iodef`.
        tag: String,
        /// The authority, or where to report.
        value: String,
    },
    /// Anything else, as zone files write it.
    Other {
        /// The type, in capitals.
        kind: String,
        /// What it says.
        text: String,
    },
}

impl RecordData {
    /// The type.
    #[must_use]
    pub fn kind(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::Aaaa,
            Self::Cname(_) => RecordType::Cname,
            Self::Mx { .. } => RecordType::Mx,
            Self::Txt(_) => RecordType::Txt,
            Self::Ns(_) => RecordType::Ns,
            Self::Srv { .. } => RecordType::Srv,
            Self::Caa { .. } => RecordType::Caa,
            Self::Other { kind, .. } => RecordType::from_name(kind),
        }
    }
}

/// All records of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RecordSet {
    /// The full name.
    pub name: DnsName,
    /// The type, which is that of every record.
    pub kind: RecordType,
    /// The records.
    pub records: Vec<RecordData>,
    /// How long resolvers may keep it; `None` is the vendor's own choice.
    pub ttl: Option<Duration>,
    /// Whether the vendor's edge answers in the place of what the records name. Only
    /// vendors that have an edge can be asked for `Some(true)`.
    pub proxied: Option<bool>,
    /// What of the set cannot be said here, such as `alias` or `weighted`, where there is
    /// something. Such a set is listed, and refused where it is put.
    pub foreign: Option<String>,
}

impl RecordSet {
    /// A set with the vendor's own time to live.
    ///
    /// Records that are there twice are kept once.
    ///
    /// # Errors
    /// `InvalidInput` without records, with records of several types, and for several
    /// `CNAME` records.
    pub fn new(name: DnsName, mut records: Vec<RecordData>) -> Result<Self> {
        records.sort();
        records.dedup();
        let Some(kind) = records.first().map(RecordData::kind) else {
            return Err(refused(&name, "a set without records says nothing"));
        };
        if records.iter().any(|record| record.kind() != kind) {
            return Err(refused(&name, "a set has records of one type"));
        }
        if kind == RecordType::Cname && records.len() > 1 {
            return Err(refused(&name, "a name has one CNAME"));
        }
        Ok(Self {
            name,
            kind,
            records,
            ttl: None,
            proxied: None,
            foreign: None,
        })
    }

    /// A set of which something cannot be said here, as a vendor lists it; its records
    /// may be none.
    pub fn foreign(
        name: DnsName,
        kind: RecordType,
        records: Vec<RecordData>,
        foreign: impl Into<String>,
    ) -> Self {
        Self {
            name,
            kind,
            records,
            ttl: None,
            proxied: None,
            foreign: Some(foreign.into()),
        }
    }

    /// Whether this set is what `wanted` asks for: the same records in any order, and the
    /// time to live and the proxying where `wanted` names them.
    #[must_use]
    pub fn satisfies(&self, wanted: &Self) -> bool {
        let sorted = |set: &Self| {
            let mut records = set.records.clone();
            records.sort();
            records
        };
        self.name == wanted.name
            && self.kind == wanted.kind
            && sorted(self) == sorted(wanted)
            && wanted.ttl.is_none_or(|ttl| self.ttl == Some(ttl))
            && wanted
                .proxied
                .is_none_or(|proxied| self.proxied.unwrap_or_default() == proxied)
    }
}

setters! { RecordSet {
    opt { with_ttl(ttl: Duration), with_proxied(proxied: bool) }
} }

#[cold]
fn refused(name: &DnsName, problem: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, problem).with_resource(name.as_str())
}

/// Which record sets to list. Defaults to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordQuery {
    /// Only sets of this name.
    pub name: Option<DnsName>,
    /// Only sets of this type.
    pub kind: Option<RecordType>,
}

impl RecordQuery {
    /// Whether a set is asked for.
    #[must_use]
    pub fn matches(&self, set: &RecordSet) -> bool {
        self.name.as_ref().is_none_or(|name| *name == set.name)
            && self.kind.as_ref().is_none_or(|kind| *kind == set.kind)
    }
}

setters! { RecordQuery {
    opt { with_name(name: DnsName), with_kind(kind: RecordType) }
} }

#[cfg(test)]
mod tests {
    use super::*;

    fn a(last: u8) -> RecordData {
        RecordData::A(Ipv4Addr::new(192, 0, 2, last))
    }

    fn set(records: Vec<RecordData>) -> Result<RecordSet> {
        RecordSet::new(DnsName::new("shop.example").unwrap(), records)
    }

    #[test]
    fn a_set_has_one_type_and_at_least_one_record() {
        let cname = |name| RecordData::Cname(DnsName::new(name).unwrap());
        let txt = RecordData::Txt("x".to_owned());
        for records in [vec![], vec![a(1), txt], vec![cname("a"), cname("b")]] {
            let err = set(records).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput);
            assert_eq!(err.resource(), Some("shop.example"));
        }
        assert_eq!(set(vec![a(1), a(2), a(1)]).unwrap().records, [a(1), a(2)]);
    }

    #[test]
    fn a_set_satisfies_what_names_no_more_than_it_has() {
        let wanted = set(vec![a(2), a(1)]).unwrap();
        let mut there = set(vec![a(1), a(2)]).unwrap();
        there.ttl = Some(Duration::from_secs(300));
        there.records.reverse();
        assert!(there.satisfies(&wanted));
        assert!(there.satisfies(&wanted.clone().with_proxied(false)));
        assert!(!there.satisfies(&wanted.clone().with_proxied(true)));
        assert!(!there.satisfies(&wanted.with_ttl(Duration::from_secs(60))));
        assert!(!there.satisfies(&set(vec![a(1)]).unwrap()));
    }
}
