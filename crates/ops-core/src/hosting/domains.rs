//! Custom domains and their certificates.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::{AppId, DomainId};
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::outcome::DeleteOutcome;
use crate::time::Timestamp;

/// How far a domain has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DomainState {
    /// Waits for the DNS records that [`Domain::records`] lists.
    Pending,
    /// The vendor has seen that it is ours.
    Verified,
    /// The vendor has given up, or the records have gone.
    Failed,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// How far a domain's certificate has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CertificateState {
    /// The vendor serves none, or does not tell.
    Unknown,
    /// It waits for the domain to be verified, or for the authority.
    Issuing,
    /// It is served.
    Valid {
        /// When it ends, where the vendor tells.
        expires_at: Option<Timestamp>,
    },
    /// It could not be had; the vendor's reason.
    Failed(String),
}

/// A DNS record that the vendor wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DnsRecord {
    /// The record's type, such as `CNAME`.
    pub kind: String,
    /// Its full name.
    pub name: String,
    /// What it must say.
    pub value: String,
}

impl DnsRecord {
    /// A record.
    pub fn new(kind: impl Into<String>, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
            value: value.into(),
        }
    }
}

/// A custom domain of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Domain {
    /// The vendor's id; with some vendors the name.
    pub id: DomainId,
    /// The host name, such as `shop.example`.
    pub name: String,
    /// How far it has come.
    pub state: DomainState,
    /// How far its certificate has come.
    pub certificate: CertificateState,
    /// The DNS records that the vendor wants to see.
    pub records: Vec<DnsRecord>,
}

impl Domain {
    /// What is known of every domain.
    #[must_use]
    pub fn new(id: DomainId, name: impl Into<String>, state: DomainState) -> Self {
        Self {
            id,
            name: name.into(),
            state,
            certificate: CertificateState::Unknown,
            records: Vec::new(),
        }
    }
}

setters! { Domain {
    val { with_certificate(certificate: CertificateState), with_records(records: Vec<DnsRecord>) }
} }

/// Custom domains and their certificates. An ability of [`Hosting`](super::Hosting).
#[async_trait]
pub trait Domains: fmt::Debug + Send + Sync + 'static {
    /// Adds a host name to an app and asks for its certificate.
    ///
    /// # Behavior
    /// 1. The answer lists the DNS records that must be made for it.
    /// 2. Adding a name that the app has already answers that domain.
    ///
    /// # Errors
    /// `NotFound` for the app; `AlreadyExists` where another app has the name;
    /// `InvalidInput` for what is no host name. Repeating is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the domain added.
    async fn add_domain(&self, app: &AppId, name: &str) -> Result<Domain>;

    /// What is known of a domain.
    ///
    /// # Errors
    /// `NotFound` for the app or the domain.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn domain(&self, app: &AppId, domain: &DomainId) -> Result<Domain>;

    /// Lists an app's domains, page by page as the stream is polled.
    ///
    /// The first item is `NotFound` where there is no such app.
    fn list_domains(&self, app: &AppId) -> ItemStream<Domain>;

    /// Asks the vendor to look at the DNS records again, and answers what it found.
    ///
    /// # Errors
    /// `NotFound` for the app or the domain; `RateLimited` where the vendor looked just now.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the check started.
    async fn check_domain(&self, app: &AppId, domain: &DomainId) -> Result<Domain>;

    /// Removes a domain and its certificate from an app. One that is not there is fine.
    ///
    /// # Errors
    /// `NotFound` for the app.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the domain removed.
    async fn remove_domain(&self, app: &AppId, domain: &DomainId) -> Result<DeleteOutcome>;
}

const _: fn(&dyn Domains) = |_| {};
