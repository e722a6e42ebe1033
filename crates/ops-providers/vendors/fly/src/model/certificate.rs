//! Host names and their certificates.

use ops_core::Timestamp;
use ops_core::hosting::{CertificateState, DnsRecord, Domain, DomainState};
use ops_core::id::DomainId;
use ops_http::decode::{or_default, timestamp_opt};
use ops_http::{Next, PageOf};
use serde::Deserialize;

/// `listCertificatesResponse`.
#[derive(Debug, Deserialize)]
pub(crate) struct Certificates {
    #[serde(default, deserialize_with = "or_default")]
    certificates: Vec<Certificate>,
    next_cursor: Option<String>,
}

impl From<Certificates> for PageOf<Certificate> {
    fn from(page: Certificates) -> Self {
        let cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
        Self {
            items: page.certificates,
            next: cursor.map_or(Next::End, Next::Cursor),
        }
    }
}

/// `CertificateSummary`, `CertificateDetail` and `CertificateCheckResponse`.
#[derive(Debug, Deserialize)]
pub(crate) struct Certificate {
    hostname: DomainId,
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    configured: bool,
    #[serde(default, deserialize_with = "or_default")]
    certificates: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    dns_requirements: Requirements,
    #[serde(default, deserialize_with = "or_default")]
    validation_errors: Vec<ValidationError>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "timestamp_opt")]
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct ValidationError {
    #[serde(default, deserialize_with = "or_default")]
    message: String,
}

/// `DNSRequirements`.
#[derive(Debug, Default, Deserialize)]
struct Requirements {
    #[serde(default, deserialize_with = "or_default")]
    a: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    aaaa: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    cname: String,
    #[serde(default, deserialize_with = "or_default")]
    acme_challenge: Challenge,
    #[serde(default, deserialize_with = "or_default")]
    ownership: Ownership,
}

#[derive(Debug, Default, Deserialize)]
struct Challenge {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    target: String,
}

#[derive(Debug, Default, Deserialize)]
struct Ownership {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    app_value: String,
}

impl Requirements {
    /// The records for a host: by its addresses, or by an alias where it has none.
    fn records(self, host: &str) -> Vec<DnsRecord> {
        let has_address = !(self.a.is_empty() && self.aaaa.is_empty());
        let a = self.a.into_iter().map(|it| ("A", host, it));
        let aaaa = self.aaaa.into_iter().map(|it| ("AAAA", host, it));
        let alias = (!has_address).then_some(("CNAME", host, self.cname));
        let challenge = (
            "CNAME",
            self.acme_challenge.name.as_str(),
            self.acme_challenge.target,
        );
        let ownership = (
            "TXT",
            self.ownership.name.as_str(),
            self.ownership.app_value,
        );
        let records = a.chain(aaaa).chain(alias).chain([challenge, ownership]);
        records
            .filter(|(_, name, value)| !name.is_empty() && !value.is_empty())
            .map(|(kind, name, value)| DnsRecord::new(kind, name, value))
            .collect()
    }
}

impl Certificate {
    fn state(&self) -> DomainState {
        match self.status.as_str() {
            _ if self.configured => DomainState::Verified,
            "active" => DomainState::Verified,
            "" | "pending_validation" | "pending_ownership" => DomainState::Pending,
            other => DomainState::Other(other.to_owned()),
        }
    }

    fn certificate(&self) -> CertificateState {
        let active = |entry: &&Entry| entry.status == "active";
        if let Some(served) = self.certificates.iter().find(active) {
            return CertificateState::Valid {
                expires_at: served.expires_at,
            };
        }
        if self.status == "active" {
            return CertificateState::Valid { expires_at: None };
        }
        match self
            .validation_errors
            .iter()
            .find(|it| !it.message.is_empty())
        {
            // Fly goes on trying while the records are missing.
            Some(error) if self.configured => CertificateState::Failed(error.message.clone()),
            _ => CertificateState::Issuing,
        }
    }
}

impl From<Certificate> for Domain {
    fn from(certificate: Certificate) -> Self {
        let state = certificate.state();
        let issued = certificate.certificate();
        let Certificate {
            hostname,
            dns_requirements,
            ..
        } = certificate;
        let name = hostname.as_str().to_owned();
        let records = dns_requirements.records(&name);
        Self::new(hostname, name, state)
            .with_certificate(issued)
            .with_records(records)
    }
}
