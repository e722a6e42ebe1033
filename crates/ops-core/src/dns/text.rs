//! Records as text.

use std::fmt;
use std::str::FromStr;

use super::{DnsName, RecordData, RecordType};
use crate::error::{Error, ErrorKind, Result};

impl RecordData {
    /// Reads what a record of a type says, in the form of zone files without quotes and
    /// escapes: a text is taken as it is.
    ///
    /// ```
    /// use ops_core::dns::{RecordData, RecordType};
    ///
    /// let mail = RecordData::parse(&RecordType::Mx, "10 mail.shop.example.")?;
    /// assert_eq!(mail.to_string(), "10 mail.shop.example");
    /// # Ok::<(), ops_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` where the text is no such record.
    pub fn parse(kind: &RecordType, text: &str) -> Result<Self> {
        let mut fields = Fields { kind, text };
        let data = match kind {
            RecordType::Txt => return Ok(Self::Txt(text.to_owned())),
            RecordType::Other(kind) => {
                return Ok(Self::Other {
                    kind: kind.clone(),
                    text: text.to_owned(),
                });
            }
            RecordType::A => Self::A(fields.last()?),
            RecordType::Aaaa => Self::Aaaa(fields.last()?),
            RecordType::Cname => Self::Cname(fields.last()?),
            RecordType::Ns => Self::Ns(fields.last()?),
            RecordType::Mx => Self::Mx {
                preference: fields.next()?,
                exchange: fields.last()?,
            },
            RecordType::Srv => Self::Srv {
                priority: fields.next()?,
                weight: fields.next()?,
                port: fields.next()?,
                target: fields.last()?,
            },
            RecordType::Caa => Self::Caa {
                flags: fields.next()?,
                tag: fields.next()?,
                value: fields.last::<String>()?.trim_matches('"').to_owned(),
            },
        };
        Ok(data)
    }
}

/// Fields with spaces between them.
struct Fields<'a> {
    kind: &'a RecordType,
    text: &'a str,
}

impl Fields<'_> {
    fn next<T: FromStr>(&mut self) -> Result<T> {
        let text = self.text.trim_start();
        let (field, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        self.text = rest;
        self.read(field)
    }

    /// The rest of the text.
    fn last<T: FromStr>(&mut self) -> Result<T> {
        let field = std::mem::take(&mut self.text).trim();
        self.read(field)
    }

    fn read<T: FromStr>(&self, field: &str) -> Result<T> {
        let read = (!field.is_empty()).then(|| field.parse().ok()).flatten();
        read.ok_or_else(|| {
            let message = format!("not what a record of type {} says", self.kind);
            Error::new(ErrorKind::InvalidInput, message)
        })
    }
}

impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(f, "{address}"),
            Self::Aaaa(address) => write!(f, "{address}"),
            Self::Cname(name) | Self::Ns(name) => write!(f, "{name}"),
            Self::Mx {
                preference,
                exchange,
            } => write!(f, "{preference} {exchange}"),
            Self::Txt(text) | Self::Other { text, .. } => f.write_str(text),
            Self::Srv {
                priority,
                weight,
                port,
                target,
            } => write!(f, "{priority} {weight} {port} {target}"),
            Self::Caa { flags, tag, value } => write!(f, "{flags} {tag} {value}"),
        }
    }
}

impl TryFrom<&crate::hosting::DnsRecord> for super::RecordSet {
    type Error = Error;

    /// The record that a hosting vendor wants to see for a domain, as a set of its own.
    fn try_from(wanted: &crate::hosting::DnsRecord) -> Result<Self> {
        let kind = RecordType::from_name(&wanted.kind);
        let data = RecordData::parse(&kind, &wanted.value)?;
        Self::new(DnsName::new(wanted.name.as_str())?, vec![data])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        for (kind, text) in [
            ("A", "192.0.2.7"),
            ("AAAA", "2001:db8::7"),
            ("CNAME", "shop.fly.example"),
            ("MX", "10 mail.shop.example"),
            ("TXT", "v=spf1  include:\"x\" -all "),
            ("NS", "ns1.shop.example"),
            ("SRV", "1 2 443 _sip.shop.example"),
            ("CAA", "0 issue authority.example; validationmethods=dns-01"),
            ("HTTPS", "1 . alpn=h3"),
        ] {
            let kind = RecordType::from_name(&kind.to_lowercase());
            let data = RecordData::parse(&kind, text).unwrap();
            assert_eq!(data.kind(), kind);
            assert_eq!(data.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_such_record_is_refused() {
        for (kind, text) in [
            ("A", "2001:db8::7"),
            ("A", ""),
            ("AAAA", "192.0.2.7"),
            ("CNAME", "a b"),
            ("MX", "mail.shop.example"),
            ("MX", "10"),
            ("SRV", "1 2 99999 x"),
            ("CAA", "0 issue"),
        ] {
            let err = RecordData::parse(&RecordType::from_name(kind), text).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput, "{kind} {text}");
        }
    }

    #[test]
    fn what_a_hosting_vendor_wants_is_a_set() {
        let wanted = crate::hosting::DnsRecord::new("cname", "WWW.shop.example", "x.fly.example.");
        let set = super::super::RecordSet::try_from(&wanted).unwrap();
        assert_eq!(set.name.as_str(), "www.shop.example");
        assert_eq!(set.records.first().unwrap().to_string(), "x.fly.example");
    }
}
