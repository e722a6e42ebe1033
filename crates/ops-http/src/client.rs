//! The client that sends requests, and what it is made of.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ops_core::object_store::{ByteStream, ItemStream};
use ops_core::{Clock, ProviderId, Result, Secret};

use crate::auth::Auth;
use crate::errors::ErrorRules;
use crate::page::PagedRequest;
use crate::request::ApiRequest;
use crate::retry::RetryPolicy;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// A pool of connections, which several clients may share. Clones share the pool.
#[derive(Clone, Debug)]
pub struct HttpClient {}

/// Builds an [`HttpClient`].
#[derive(Debug, Default)]
pub struct HttpClientBuilder {}

impl HttpClient {
    /// Begins a client: TLS 1.3 alone, the platform's root certificates, no proxy, no redirects.
    #[must_use]
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder::default()
    }
}

impl HttpClientBuilder {
    /// Sets the oldest version of TLS that is accepted. Defaults to TLS 1.3.
    #[must_use]
    pub fn min_tls(self, version: TlsVersion) -> Self {
        let _ = version;
        todo!()
    }

    /// Trusts these root certificates (PEM) instead of the platform's.
    #[must_use]
    pub fn root_certificates_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        let _ = pem.into();
        todo!()
    }

    /// Sends everything through a proxy (`http://` or `https://`). The environment is never
    /// asked. The URL may hold credentials, which are never printed.
    #[must_use]
    pub fn proxy(self, url: impl Into<Secret>) -> Self {
        let _ = url.into();
        todo!()
    }

    /// Sets the time to connect, TLS included. Defaults to 5 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        let _ = timeout;
        todo!()
    }

    /// Checks everything and builds.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems.
    pub fn build(self) -> Result<HttpClient> {
        todo!()
    }
}

/// What a vendor lets one client do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in a row that the bucket allows.
    pub burst: NonZeroU32,
    /// Requests for each `per`, at which the bucket fills.
    pub rate: NonZeroU32,
    /// The span that `rate` counts for.
    pub per: Duration,
    /// Requests at the same time.
    pub concurrency: NonZeroU32,
}

impl Limits {
    /// So many requests in each span, as many in a row, and 8 at the same time.
    #[must_use]
    pub const fn new(rate: NonZeroU32, per: Duration) -> Self {
        let _ = (rate, per);
        todo!()
    }
}

/// The client of one vendor. Clones share connections, limits, tokens and budgets.
#[derive(Clone, Debug)]
pub struct ApiClient {}

/// Builds an [`ApiClient`].
#[derive(Debug)]
pub struct ApiClientBuilder {}

impl ApiClient {
    /// Begins a client for a vendor at a base URL, with or without a slash at its end.
    pub fn builder(
        provider: impl Into<ProviderId>,
        base_url: impl Into<String>,
    ) -> ApiClientBuilder {
        let _ = (provider.into(), base_url.into());
        todo!()
    }

    /// Sends a request, again where that is safe, and decodes the answer.
    ///
    /// # Errors
    /// The vendor's refusal by the table of statuses; `Unavailable`, `Timeout` and
    /// `RateLimited` for what kept failing; `Decode` for an answer that is not understood.
    /// An error says whether its request may have been applied.
    ///
    /// # Cancel safety
    /// Dropping the future gives back its permit. The request may still have been applied.
    pub async fn execute<T>(&self, request: ApiRequest<T>) -> Result<T> {
        let _ = request;
        todo!()
    }

    /// Sends a request and hands over the body as it arrives. The permit is held until the
    /// stream ends or is dropped.
    ///
    /// # Errors
    /// As [`execute`](Self::execute). A body that breaks off ends the stream with an error.
    pub async fn stream(&self, request: ApiRequest) -> Result<ByteStream> {
        let _ = request;
        todo!()
    }

    /// Lists lazily, page after page. A cursor that repeats, "more" without a way to get it
    /// and more than 10 000 pages end the listing with an error.
    pub fn pages<W, T>(&self, request: PagedRequest<W, T>) -> ItemStream<T>
    where
        W: Send + 'static,
        T: Send + 'static,
    {
        let _ = request;
        todo!()
    }
}

impl ApiClientBuilder {
    /// Sets the credential. Defaults to none.
    #[must_use]
    pub fn auth(self, auth: Auth) -> Self {
        let _ = auth;
        todo!()
    }

    /// Says what failures mean.
    #[must_use]
    pub fn errors(self, rules: ErrorRules) -> Self {
        let _ = rules;
        todo!()
    }

    /// Sets when to send again.
    #[must_use]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        let _ = policy;
        todo!()
    }

    /// Sets what the vendor lets one client do. Defaults to no rate limit and 8 at a time.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        let _ = limits;
        todo!()
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(self, name: http::HeaderName, value: &str) -> Self {
        let _ = (name, value);
        todo!()
    }

    /// Sets the time that one attempt may take. Defaults to 30 s.
    #[must_use]
    pub fn attempt_timeout(self, timeout: Duration) -> Self {
        let _ = timeout;
        todo!()
    }

    /// Allows a base URL with `http`, for tests and private networks. Defaults to no.
    #[must_use]
    pub fn allow_http(self, allow: bool) -> Self {
        let _ = allow;
        todo!()
    }

    /// Shares connections with other clients. Defaults to connections of its own.
    #[must_use]
    pub fn http_client(self, http: HttpClient) -> Self {
        let _ = http;
        todo!()
    }

    /// Reads the time from this clock, for dates in headers.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        let _ = clock;
        todo!()
    }

    /// Checks everything and builds.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems.
    pub fn build(self) -> Result<ApiClient> {
        todo!()
    }
}
