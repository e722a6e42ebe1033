//! Custom domains.

use std::time::Duration;

use async_trait::async_trait;

use super::super::{error, lock, missing};
use super::{MemoryHosting, bad_input};
use crate::error::{ErrorKind, Result};
use crate::hosting::{CertificateState, DnsRecord, Domain, DomainState, Domains};
use crate::id::{AppId, DomainId};
use crate::object_store::{DeleteOutcome, ItemStream};

/// How long a certificate is good, as that of a public authority.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

#[async_trait]
impl Domains for MemoryHosting {
    async fn add_domain(&self, app: &AppId, name: &str) -> Result<Domain> {
        let operation = "hosting.add_domain";
        let name = name.to_ascii_lowercase();
        if !is_host_name(&name) {
            return Err(bad_input(operation, "that is no host name"));
        }
        let id = DomainId::new(name.as_str())?;
        let mut state = lock(&self.0.state);
        let owner = state
            .apps
            .values()
            .find(|record| record.domains.contains_key(&id));
        let owner = owner.map(|record| record.id.clone());
        let record = state
            .apps
            .get_mut(app)
            .ok_or_else(|| missing(operation, app))?;
        if owner.is_some_and(|owner| owner != *app) {
            let message = format!("{name} belongs to another app");
            return Err(error(ErrorKind::AlreadyExists, operation, message));
        }
        let wanted = DnsRecord::new(
            "CNAME",
            name.as_str(),
            format!("{}.memory.invalid", record.name),
        );
        let domain = record.domains.entry(id.clone()).or_insert_with(|| {
            Domain::new(id, name, DomainState::Pending)
                .with_certificate(CertificateState::Issuing)
                .with_records(vec![wanted])
        });
        Ok(domain.clone())
    }

    async fn domain(&self, app: &AppId, domain: &DomainId) -> Result<Domain> {
        let operation = "hosting.domain";
        self.with_app(operation, app, |record| {
            record
                .domains
                .get(domain)
                .cloned()
                .ok_or_else(|| missing(operation, domain))
        })
    }

    fn list_domains(&self, app: &AppId) -> ItemStream<Domain> {
        self.list("hosting.list_domains", app, |record| {
            record.domains.values().cloned().collect()
        })
    }

    async fn check_domain(&self, app: &AppId, domain: &DomainId) -> Result<Domain> {
        let operation = "hosting.check_domain";
        let now = self.0.clock.now();
        self.with_app(operation, app, |record| {
            let found = record.domains.get_mut(domain);
            let domain = found.ok_or_else(|| missing(operation, domain))?;
            // The records are there as soon as somebody asks; the certificate one look later.
            if domain.state == DomainState::Pending {
                domain.state = DomainState::Verified;
            } else if domain.certificate == CertificateState::Issuing {
                let expires_at = Some(now.saturating_add(CERTIFICATE_LIFETIME));
                domain.certificate = CertificateState::Valid { expires_at };
            }
            Ok(domain.clone())
        })
    }

    async fn remove_domain(&self, app: &AppId, domain: &DomainId) -> Result<DeleteOutcome> {
        self.with_app("hosting.remove_domain", app, |record| {
            Ok(match record.domains.remove(domain) {
                Some(_) => DeleteOutcome::Deleted,
                None => DeleteOutcome::AlreadyGone,
            })
        })
    }
}

fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}
