//! How the provider is made.

use std::num::NonZeroU32;
use std::time::Duration;

use ops_core::dns::DnsName;
use ops_core::id::ZoneId;
use ops_core::{Error, Result, Secret};
use ops_http::{ApiClient, Auth, HttpClient, Limits, RetryPolicy};

use crate::cdn::CloudflareCdn;
use crate::{PROVIDER, error};

/// Where the vendor's API is.
pub(crate) const BASE_URL: &str = "https://api.cloudflare.com/client/v4";

/// 1200 requests in 5 minutes for each token.
const LIMITS: Limits = Limits::new(NonZeroU32::new(1200).unwrap(), Duration::from_secs(300));

/// The zones of a Cloudflare account, as far as a token reaches.
///
/// Clones are the same account and share connections and limits.
#[derive(Clone, Debug)]
pub struct Cloudflare {
    pub(crate) api: ApiClient,
}

/// Builds [`Cloudflare`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CloudflareBuilder {
    token: Secret,
    base_url: String,
    allow_http: bool,
    retry: RetryPolicy,
    limits: Limits,
    attempt_timeout: Duration,
    http_client: Option<HttpClient>,
}

impl Cloudflare {
    /// Begins with an API token.
    ///
    /// It needs the permissions `Zone Read` and `DNS Write` for [`Dns`](ops_core::Dns), `Zone
    /// Settings Write` for its [`ZoneTls`](ops_core::dns::ZoneTls), and `Cache Purge` for
    /// [`Cdn`](ops_core::Cdn).
    pub fn builder(token: impl Into<Secret>) -> CloudflareBuilder {
        CloudflareBuilder {
            token: token.into(),
            base_url: BASE_URL.to_owned(),
            allow_http: false,
            retry: RetryPolicy::default(),
            limits: LIMITS,
            attempt_timeout: Duration::from_secs(30),
            http_client: None,
        }
    }

    /// Builds from the environment.
    ///
    /// | variable | what |
    /// | --- | --- |
    /// | `CLOUDFLARE_API_TOKEN` | the token; required |
    ///
    /// # Errors
    /// `InvalidConfig` where the variable is missing or does not hold what it should.
    pub fn from_env() -> Result<Self> {
        Self::builder(variable("CLOUDFLARE_API_TOKEN")?).build()
    }

    /// The cache in front of one zone, by the zone's id and its name, such as
    /// `shop.example`.
    ///
    /// Nothing is sent. The name is what URLs are held against, so that a token that may
    /// purge, and nothing else, is enough.
    #[must_use]
    pub fn cdn(&self, zone: ZoneId, name: DnsName) -> CloudflareCdn {
        CloudflareCdn::new(self.api.clone(), zone, name)
    }
}

impl CloudflareBuilder {
    /// Sets where the API is. Defaults to `https://api.cloudflare.com/client/v4`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Allows a base URL with `http`, for tests. Defaults to no.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Sets when requests are sent again. Defaults to three attempts.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how much is sent. Defaults to what Cloudflare allows a token: 1200 requests in 5
    /// minutes. Where several clients share a token, each has a part of it.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the time that one attempt may take. Defaults to 30 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Shares connections with other providers. Defaults to connections of its own.
    pub fn http_client(mut self, http: HttpClient) -> Self {
        self.http_client = Some(http);
        self
    }

    /// Checks everything and builds.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems.
    pub fn build(self) -> Result<Cloudflare> {
        let Self {
            token,
            base_url,
            allow_http,
            retry,
            limits,
            attempt_timeout,
            http_client,
        } = self;
        let mut api = ApiClient::builder(PROVIDER, base_url)
            .auth(Auth::bearer(token))
            .errors(error::RULES)
            .retry(retry)
            .limits(limits)
            .attempt_timeout(attempt_timeout)
            .allow_http(allow_http);
        if let Some(http) = http_client {
            api = api.http_client(http);
        }
        Ok(Cloudflare { api: api.build()? })
    }
}

/// Reads a variable that must be set.
pub(crate) fn variable(name: &str) -> Result<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    let value = std::env::var(name);
    value.map_err(|_| Error::invalid_config([format!("{name} is not set")]).with_provider(PROVIDER))
}
