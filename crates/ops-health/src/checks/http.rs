//! Whether an HTTP endpoint answers as it should.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use ops_core::Secret;
use ops_core::database::TlsVersion;
use rustls::RootCertStore;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use super::tcp::slow;
use crate::check::{Check, CheckCtx};
use crate::client_tls::roots;
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Scope};

mod answer;
mod guard;
mod send;

use answer::{Assertion, Expected};

/// Whether an HTTP endpoint answers with the status, headers and words that are expected.
///
/// Each run connects anew, because a connection that is kept hides a name that no longer
/// resolves and a certificate that has ended. Redirects are answers, not followed, unless
/// [`Http::follow_redirects`]. Of the body at most 64 KiB are read, and only where a word
/// is looked for. No proxy is used, whatever the environment says.
///
/// Where others choose the URL, [`Http::public_only`] keeps the check from addresses that
/// are not on the public Internet, at the first request and at every redirect.
///
/// Every 30 s; not critical.
///
/// ```
/// use std::time::Duration;
/// use ops_health::checks::Http;
///
/// let check = Http::get("https://api.example.com/health")
///     .named("api")
///     .expect_hsts(Duration::from_secs(31_536_000))
///     .expect_header("x-content-type-options", "nosniff")
///     .warn_after(Duration::from_millis(500));
/// ```
pub struct Http {
    name: String,
    method: Method,
    url: Result<Url, String>,
    headers: Vec<(Result<HeaderName, String>, Secret)>,
    expected: Expected,
    warn_after: Option<Duration>,
    max_redirects: u32,
    public_only: bool,
    min_tls: TlsVersion,
    roots: Option<Vec<u8>>,
    loaded: OnceCell<Arc<RootCertStore>>,
}

impl Http {
    /// Asks this URL with GET.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new(Method::GET, url)
    }

    /// Asks this URL with HEAD.
    #[must_use]
    pub fn head(url: &str) -> Self {
        Self::new(Method::HEAD, url)
    }

    fn new(method: Method, url: &str) -> Self {
        Self {
            name: "http".to_owned(),
            method,
            url: parse(url),
            headers: Vec::new(),
            expected: Expected::default(),
            warn_after: None,
            max_redirects: 0,
            public_only: false,
            min_tls: TlsVersion::V1_3,
            roots: None,
            loaded: OnceCell::new(),
        }
    }

    /// Sets the name. Defaults to `http`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sends a header. It goes to the origin of the URL alone, not where that redirects to.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Secret>) -> Self {
        let name = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header"));
        self.headers.push((name, value.into()));
        self
    }

    /// Sends a bearer token. See [`Http::header`].
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Self {
        self.header("authorization", format!("Bearer {}", token.expose()))
    }

    /// Sets which status codes are good. May be called again. Defaults to 200 to 299.
    #[must_use]
    pub fn expect_status(mut self, codes: RangeInclusive<u16>) -> Self {
        self.expected.statuses.push(codes);
        self
    }

    /// Expects a header with that value, whatever its case. Without it, degraded.
    #[must_use]
    pub fn expect_header(mut self, name: &str, value: &str) -> Self {
        self.expected.headers.push(Assertion::equals(name, value));
        self
    }

    /// Expects `Strict-Transport-Security` for at least that long. Without it, degraded.
    #[must_use]
    pub fn expect_hsts(mut self, at_least: Duration) -> Self {
        self.expected.headers.push(Assertion::Hsts(at_least));
        self
    }

    /// Expects these words in the first 64 KiB of the body. Without them, unhealthy.
    #[must_use]
    pub fn expect_body(mut self, words: impl Into<String>) -> Self {
        self.expected.words = Some(words.into());
        self
    }

    /// Sets how long the answer may take before the check is degraded. Defaults to the
    /// timeout.
    #[must_use]
    pub fn warn_after(mut self, latency: Duration) -> Self {
        self.warn_after = Some(latency);
        self
    }

    /// Follows at most so many redirects. Defaults to none. One from `https` to `http` is
    /// never followed.
    #[must_use]
    pub fn follow_redirects(mut self, max: u32) -> Self {
        self.max_redirects = max;
        self
    }

    /// Refuses addresses that are not on the public Internet ([`Code::Forbidden`]): those of
    /// this machine, of private networks and of a cloud's metadata.
    #[must_use]
    pub fn public_only(mut self) -> Self {
        self.public_only = true;
        self
    }

    /// Sets the oldest version of TLS that is accepted. Defaults to TLS 1.3.
    #[must_use]
    pub fn min_tls(mut self, version: TlsVersion) -> Self {
        self.min_tls = version;
        self
    }

    /// Trusts these root certificates (PEM) instead of the system's.
    #[must_use]
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    async fn root_store(&self, ctx: &CheckCtx) -> Result<Arc<RootCertStore>, Outcome> {
        let pem = self.roots.clone();
        self.loaded
            .get_or_try_init(async || ctx.blocking(move || roots(pem.as_deref())).await)
            .await
            .cloned()
            .map_err(|err| Outcome::unhealthy(Code::Failed).with_detail(err.message()))
    }

    async fn look(&self, ctx: &CheckCtx) -> Result<Outcome, Outcome> {
        let began = Instant::now();
        let response = self.send(ctx).await?;
        let took = began.elapsed();
        let status = response.status();
        let outcome = match self.expected.judge(response).await {
            Some(bad) => bad,
            None => slow(took, self.warn_after),
        };
        Ok(outcome
            .with_observation("latency", took.as_secs_f64(), Unit::Seconds)
            .with_observation("status", f64::from(status.as_u16()), Unit::Count))
    }
}

/// A URL that may stand in a log: what is secret belongs into a header.
fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|err| format!("the URL cannot be read: {err}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the URL is neither http:// nor https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds credentials; send them as a header".to_owned());
    }
    Ok(url)
}

impl Check for Http {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Http
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_scope(Scope::SharedDependency)
            .with_interval(Duration::from_secs(30))
            .with_timeout(Duration::from_secs(5))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.url.as_ref().err().cloned().into_iter().collect();
        for (name, value) in &self.headers {
            match name {
                Err(problem) => problems.push(problem.clone()),
                Ok(name) if HeaderValue::from_str(value.expose()).is_err() => {
                    problems.push(format!("the value of the header {name} cannot be sent"));
                }
                Ok(_) => {}
            }
        }
        if self.expected.words.is_some() && self.method == Method::HEAD {
            problems.push("an answer to HEAD has no body to look for words in".to_owned());
        }
        problems.extend(self.expected.problems());
        problems
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        self.look(ctx).await.unwrap_or_else(|outcome| outcome)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.as_ref().ok().and_then(Url::host_str);
        f.debug_struct("Http")
            .field("name", &self.name)
            .field("method", &self.method)
            .field("host", &host)
            .finish_non_exhaustive()
    }
}
