//! [`Cdn`] of a zone.
//!
//! A *cache* is the one in front of a zone. Cloudflare answers when it has accepted a purge,
//! calls its purges instant, and has no way to ask how far one has come: every purge is
//! answered as done, and there is no id.

use async_trait::async_trait;
use ops_core::cdn::{
    Cdn, CdnLimits, Purge, PurgeHosts, PurgeRequest, PurgeScope, PurgeState, PurgeTags,
};
use ops_core::dns::DnsName;
use ops_core::id::ZoneId;
use ops_core::{Error, ErrorKind, ProviderId, Result};
use ops_http::ApiClient;

use crate::{PROVIDER, api, model};

/// What one request may name: <https://developers.cloudflare.com/cache/how-to/purge-cache>.
const MAX_PER_REQUEST: u32 = 100;

/// The cache in front of one zone; made by [`Cloudflare::cdn`](crate::Cloudflare::cdn).
///
/// Clones are the same zone and share connections and limits.
#[derive(Clone, Debug)]
pub struct CloudflareCdn {
    api: ApiClient,
    zone: ZoneId,
    name: DnsName,
}

#[async_trait]
impl Cdn for CloudflareCdn {
    fn provider(&self) -> ProviderId {
        PROVIDER
    }

    fn limits(&self) -> CdnLimits {
        CdnLimits::default().with_max_per_request(MAX_PER_REQUEST)
    }

    async fn purge(&self, request: PurgeRequest) -> Result<Purge> {
        match request.scope {
            PurgeScope::Everything => self.send(model::Purge::Everything(true)).await,
            PurgeScope::Urls(urls) => {
                self.send_each("cdn.purge", urls, |url| self.url(url), model::Purge::Files)
                    .await
            }
            PurgeScope::Prefixes(prefixes) => {
                let read = |prefix: String| self.prefix(&prefix);
                self.send_each("cdn.purge", prefixes, read, model::Purge::Prefixes)
                    .await
            }
            _ => Err(Error::unsupported("a purge of this scope").with_provider(PROVIDER)),
        }
    }

    fn as_purge_tags(&self) -> Option<&dyn PurgeTags> {
        Some(self)
    }

    fn as_purge_hosts(&self) -> Option<&dyn PurgeHosts> {
        Some(self)
    }
}

#[async_trait]
impl PurgeTags for CloudflareCdn {
    async fn purge_tags(&self, tags: Vec<String>) -> Result<Purge> {
        self.send_each("cdn.purge_tags", tags, tag, model::Purge::Tags)
            .await
    }
}

#[async_trait]
impl PurgeHosts for CloudflareCdn {
    async fn purge_hosts(&self, hosts: Vec<String>) -> Result<Purge> {
        let read = |host: String| self.host(&host);
        self.send_each("cdn.purge_hosts", hosts, read, model::Purge::Hosts)
            .await
    }
}

impl CloudflareCdn {
    pub(crate) fn new(api: ApiClient, zone: ZoneId, name: DnsName) -> Self {
        Self { api, zone, name }
    }

    async fn send(&self, what: model::Purge) -> Result<Purge> {
        self.api
            .execute(api::purge_cache(&self.zone, &what))
            .await?;
        Ok(Purge::new(PurgeState::Done))
    }

    /// Reads all names before the first of them is sent, in as many requests as it takes.
    async fn send_each(
        &self,
        operation: &'static str,
        names: Vec<String>,
        read: impl Fn(String) -> Result<String> + Send,
        purge: fn(Vec<String>) -> model::Purge,
    ) -> Result<Purge> {
        let refusal = |err: Error| err.with_provider(PROVIDER).with_operation(operation);
        let names: Result<Vec<String>> = names.into_iter().map(read).collect();
        let names = names.map_err(refusal)?;
        if names.is_empty() {
            return Err(refusal(refused("nothing is named")));
        }
        for names in names.chunks(MAX_PER_REQUEST as usize) {
            self.send(purge(names.to_vec())).await?;
        }
        Ok(Purge::new(PurgeState::Done))
    }

    fn host(&self, host: &str) -> Result<String> {
        let name = DnsName::new(host)
            .ok()
            .filter(|name| name.is_within(&self.name));
        name.map(String::from)
            .ok_or_else(|| refused("not a host name of the zone"))
    }

    fn url(&self, url: String) -> Result<String> {
        self.split(&url)?;
        Ok(url)
    }

    /// The vendor takes prefixes without their scheme.
    fn prefix(&self, prefix: &str) -> Result<String> {
        match self.split(prefix)? {
            (_, path) if path.contains('?') => Err(refused("a prefix has no query")),
            (host, path) => Ok(format!("{host}{path}")),
        }
    }

    /// The host of a URL in the zone, and what is behind it.
    fn split<'a>(&self, url: &'a str) -> Result<(String, &'a str)> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| refused("not an absolute URL"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let http = ["http", "https"]
            .iter()
            .any(|it| scheme.eq_ignore_ascii_case(it));
        if !http || path.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control()) {
            return Err(refused("not a URL that can be cached"));
        }
        Ok((self.host(host)?, path))
    }
}

fn tag(tag: String) -> Result<String> {
    let fits = !tag.is_empty() && !tag.contains(|c: char| c == ',' || c.is_whitespace());
    fits.then_some(tag)
        .ok_or_else(|| refused("a tag is not empty and has no space and no comma"))
}

#[cold]
fn refused(problem: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, problem)
}
