//! The client of one vendor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use ops_core::object_store::{ByteStream, ItemStream};
use ops_core::{Clock, Error, ErrorKind, ProviderId, Result, SystemClock};
use url::Url;

use crate::auth::Auth;
use crate::errors::{ErrorBody, ErrorRules};
use crate::limit::{Limiter, Limits, RetryBudget};
use crate::observe::RetryObserver;
use crate::page::PagedRequest;
use crate::request::ApiRequest;
use crate::retry::RetryPolicy;
use crate::transport::HttpClient;

/// The client of one vendor. Clones share connections, limits, tokens and budgets.
#[derive(Clone, Debug)]
pub struct ApiClient {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) provider: ProviderId,
    pub(crate) base: Base,
    pub(crate) http: HttpClient,
    pub(crate) auth: Auth,
    pub(crate) rules: ErrorRules,
    pub(crate) policy: RetryPolicy,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) budget: RetryBudget,
    pub(crate) headers: HeaderMap,
    pub(crate) attempt_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) jitter: Jitter,
    pub(crate) observer: Option<Arc<dyn RetryObserver>>,
}

/// Numbers from 0 up to 1.
pub(crate) type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient")
            .field("provider", &self.provider.as_str())
            .field("base", &self.base.shown())
            .field("auth", &self.auth)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Where the vendor's API is: a URL without a slash at its end.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) url: Url,
    text: String,
}

impl Base {
    fn parse(text: &str, allow_http: bool) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| "the base URL is not a URL".to_owned())?;
        let problem = match url.scheme() {
            "https" => None,
            "http" if allow_http => None,
            "http" => Some("the base URL is http, and allow_http is not set"),
            _ => Some("the base URL is neither https nor http"),
        };
        let problem = problem
            .or_else(|| {
                url.host_str()
                    .is_none()
                    .then_some("the base URL has no host")
            })
            .or_else(|| {
                let user = !url.username().is_empty() || url.password().is_some();
                user.then_some("the base URL holds a user; credentials are given apart")
            })
            .or_else(|| {
                let more = url.query().is_some() || url.fragment().is_some();
                more.then_some("the base URL has a query or a fragment")
            });
        match problem {
            Some(problem) => Err(problem.to_owned()),
            None => Ok(Self {
                text: url.as_str().trim_end_matches('/').to_owned(),
                url,
            }),
        }
    }

    /// The URL of a path, which begins with a slash.
    pub(crate) fn join(&self, path_and_query: &str) -> Result<Url> {
        Url::parse(&format!("{}{path_and_query}", self.text))
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "the request has no valid URL"))
    }

    /// Scheme, host and port: what may be shown.
    fn shown(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// Builds an [`ApiClient`].
#[derive(Clone)]
#[must_use]
pub struct ApiClientBuilder {
    provider: ProviderId,
    base_url: String,
    allow_http: bool,
    http: Option<HttpClient>,
    auth: Auth,
    rules: ErrorRules,
    policy: RetryPolicy,
    limits: Limits,
    headers: Vec<(HeaderName, String)>,
    attempt_timeout: Duration,
    clock: Arc<dyn Clock>,
    jitter: Jitter,
    observer: Option<Arc<dyn RetryObserver>>,
}

impl fmt::Debug for ApiClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClientBuilder")
            .field("provider", &self.provider.as_str())
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

impl ApiClient {
    /// Begins a client for a vendor at a base URL, with or without a slash at its end.
    pub fn builder(
        provider: impl Into<ProviderId>,
        base_url: impl Into<String>,
    ) -> ApiClientBuilder {
        ApiClientBuilder {
            provider: provider.into(),
            base_url: base_url.into(),
            allow_http: false,
            http: None,
            auth: Auth::none(),
            rules: ErrorRules::new(|_: &[u8]| None::<ErrorBody>),
            policy: RetryPolicy::default(),
            limits: Limits::default(),
            headers: Vec::new(),
            attempt_timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
            jitter: Arc::new(fastrand::f64),
            observer: None,
        }
    }

    /// The vendor.
    pub fn provider(&self) -> &ProviderId {
        &self.inner.provider
    }

    /// Sends a request, again where that is safe, and decodes the answer.
    ///
    /// # Errors
    /// The vendor's refusal by the table of statuses; `Unavailable`, `Timeout` and
    /// `RateLimited` for what kept failing; `Decode` for an answer that is not understood.
    /// [`Error::retry`] says whether the request may have been applied.
    ///
    /// # Cancel safety
    /// Dropping the future gives back its permit. The request may still be applied.
    pub async fn execute<T>(&self, request: ApiRequest<T>) -> Result<T> {
        let (value, _) = crate::execute::execute(&self.inner, request).await?;
        Ok(value)
    }

    /// Sends a request and hands over the body as it arrives. The permit is held until the
    /// stream ends or is dropped. A pause between two chunks that is longer than the
    /// attempt's timeout ends it.
    ///
    /// # Errors
    /// As [`execute`](Self::execute). A body that breaks off ends the stream with an error.
    ///
    /// # Cancel safety
    /// As [`execute`](Self::execute).
    pub async fn stream<T>(&self, request: ApiRequest<T>) -> Result<ByteStream> {
        crate::execute::stream(Arc::clone(&self.inner), request).await
    }

    /// Lists lazily, page after page, each retried alone. A cursor that repeats, "more"
    /// without a way to get it, a next page at another host and more than 10 000 pages end
    /// the listing with an error.
    pub fn pages<W, T>(&self, request: PagedRequest<W, T>) -> ItemStream<T>
    where
        W: Send + 'static,
        T: Send + 'static,
    {
        crate::page::pages(self.clone(), request)
    }
}

impl ApiClientBuilder {
    /// Sets the credential. Defaults to none.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Says what failures mean. Defaults to the table of statuses alone.
    pub fn errors(mut self, rules: ErrorRules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets when to send again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets what the vendor lets one client do. Defaults to no rate limit and 8 at a time.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a header to every request. Its value is public.
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the time that one attempt may take, its body included. Defaults to 30 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Allows a base URL with `http`, for tests and private networks. Defaults to no.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Shares connections with other clients. Defaults to connections of its own.
    pub fn http_client(mut self, http: HttpClient) -> Self {
        self.http = Some(http);
        self
    }

    /// Reads the time from this clock, for dates in headers. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Draws the jitter of waits from this generator of numbers from 0 up to 1.
    pub fn jitter(mut self, jitter: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.jitter = Arc::new(jitter);
        self
    }

    /// Tells an observer of every retry.
    pub fn retry_observer(mut self, observer: Arc<dyn RetryObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Checks everything and builds.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems.
    pub fn build(self) -> Result<ApiClient> {
        let Self {
            provider,
            base_url,
            allow_http,
            http,
            auth,
            rules,
            policy,
            limits,
            headers,
            attempt_timeout,
            clock,
            jitter,
            observer,
        } = self;
        let mut problems = Vec::new();
        let base = Base::parse(&base_url, allow_http).map_err(|problem| problems.push(problem));
        problems.extend(auth.problem().map(str::to_owned));
        problems.extend(policy.problems());
        if attempt_timeout.is_zero() {
            problems.push("the time of an attempt is zero".to_owned());
        }
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            match HeaderValue::from_str(&value) {
                Ok(value) => drop(map.insert(name, value)),
                Err(_) => problems.push(format!("the value of header {name} is not valid")),
            }
        }
        let http = http.map_or_else(|| HttpClient::builder().build(), Ok);
        let http = http.map_err(|err| problems.push(err.message().to_owned()));
        let (Ok(base), Ok(http), true) = (base, http, problems.is_empty()) else {
            return Err(Error::invalid_config(problems).with_provider(provider));
        };
        let inner = Inner {
            provider,
            base,
            http,
            auth,
            rules,
            policy,
            limiter: Arc::new(Limiter::new(&limits)),
            budget: RetryBudget::new(),
            headers: map,
            attempt_timeout,
            clock,
            jitter,
            observer,
        };
        Ok(ApiClient {
            inner: Arc::new(inner),
        })
    }
}
