//! How a provider is made, and what it is asked for.

use std::sync::LazyLock;

use ops_core::Secret;
use ops_http::{HttpClient, Limits, RetryPolicy};

/// Connections are made once: reading the platform's certificates takes its time. Pools are
/// not shared by this, for each try has a server of its own.
static HTTP: LazyLock<HttpClient> = LazyLock::new(|| match HttpClient::builder().build() {
    Ok(http) => http,
    Err(err) => panic!("no HTTP client can be made: {err:?}"),
});

/// Where a provider finds its vendor, and how patient it is. A provider's builder takes all
/// of it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(super) base_url: String,
    pub(super) token: Secret,
    pub(super) retry: RetryPolicy,
    pub(super) limits: Limits,
}

impl Endpoint {
    /// Where the vendor is. It is `http`, which the provider must be allowed.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The credential, which must be seen nowhere: the token of the provider, or a part of
    /// it.
    #[must_use]
    pub fn token(&self) -> Secret {
        self.token.clone()
    }

    /// When to send again: three attempts, next to no waits.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        self.retry.clone()
    }

    /// How much to send: no rate limit.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Connections to use.
    #[must_use]
    pub fn http_client(&self) -> HttpClient {
        HTTP.clone()
    }
}

/// What a call asks for.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub(super) id: &'static str,
}

impl Sample {
    /// An id for what the call names, as the vendor's ids are free texts. It holds every
    /// character that does harm where it is not encoded, when that is what is looked at.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }
}
