//! Custom domains and their certificates.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use ops_core::hosting::{Domain, Domains};
use ops_core::id::{AppId, DomainId};
use ops_core::{DeleteOutcome, Error, ErrorKind, ItemStream, Result};

use super::deleted;
use crate::error::refuse;
use crate::{Fly, PROVIDER, api};

#[async_trait]
impl Domains for Fly {
    async fn add_domain(&self, app: &AppId, name: &str) -> Result<Domain> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if !is_host_name(&name) {
            return Err(refuse(ErrorKind::InvalidInput, "that is no host name"));
        }
        let call = api::create_certificate(app, &name);
        match self.inner.machines.execute(call).await {
            Ok(made) => Ok(made.into()),
            Err(err) if err.kind() == ErrorKind::AlreadyExists => {
                // It may be ours already.
                let id = DomainId::new(name)?;
                self.find_domain(app, &id).await?.ok_or(err)
            }
            Err(err) => Err(err),
        }
    }

    async fn domain(&self, app: &AppId, domain: &DomainId) -> Result<Domain> {
        let found = self.find_domain(app, domain).await?;
        found.ok_or_else(|| Error::not_found(domain.as_str()).with_provider(PROVIDER))
    }

    /// A listing tells no records: [`domain`](Self::domain) does.
    fn list_domains(&self, app: &AppId) -> ItemStream<Domain> {
        let domains = self.inner.machines.pages(api::list_certificates(app));
        domains.map_ok(Into::into).boxed()
    }

    async fn check_domain(&self, app: &AppId, domain: &DomainId) -> Result<Domain> {
        let call = api::check_certificate(app, domain);
        Ok(self.inner.machines.execute(call).await?.into())
    }

    async fn remove_domain(&self, app: &AppId, domain: &DomainId) -> Result<DeleteOutcome> {
        let call = api::delete_certificate(app, domain);
        if self.inner.machines.execute(call).await? {
            return Ok(deleted(true));
        }
        // Without the app nothing can be said of its domains.
        self.inner
            .machines
            .execute(api::list_addresses(app))
            .await?;
        Ok(deleted(false))
    }
}

impl Fly {
    async fn find_domain(&self, app: &AppId, domain: &DomainId) -> Result<Option<Domain>> {
        let call = api::find_certificate(app, domain);
        let found = self.inner.machines.execute(call).await?;
        Ok(found.map(Into::into))
    }
}

/// Letters, digits and hyphens in at least two labels, the first of which may be `*`.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let bare = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= 253 && bare.contains('.') && bare.split('.').all(is_label)
}
