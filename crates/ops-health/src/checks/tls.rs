//! How long a certificate is still good for.

use std::sync::Arc;
use std::time::Duration;

use ops_core::Timestamp;
use ops_core::database::TlsVersion;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use crate::check::{Check, CheckCtx};
use crate::client_tls::{outcome_of, provider, roots, versions};
use crate::net::{bare, connect, resolve};
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Scope};

mod judge;
mod recorder;

use judge::judge;
use recorder::{Chain, Recorder};

/// How long the certificate of a TLS endpoint is still good for, and whether it is good at
/// all: trusted, for the name, and within its time.
///
/// Two ends are told: that of the certificate itself, and that of the best chain from it to
/// a trusted root, since an intermediate may end sooner, and a cross-signed one may not
/// matter. Degraded ([`Code::TlsExpiring`]) when less than 21 days or a quarter of its lifetime is
/// left, whichever is less; unhealthy when less than 7 days or a twelfth; unhealthy
/// ([`Code::TlsExpired`], [`Code::TlsInvalid`]) when it is not good. An endpoint that
/// agrees to nothing newer than TLS 1.2 is degraded ([`Code::TlsOutdated`]).
///
/// The endpoint must speak TLS from the first byte. Every 6 h, every minute while it is
/// bad; not critical.
///
/// ```
/// use ops_health::checks::Tls;
///
/// let check = Tls::new("api.example.com", 443).named("certificate");
/// ```
#[derive(Debug)]
pub struct Tls {
    name: String,
    host: String,
    port: u16,
    server_name: Option<String>,
    roots: Option<Vec<u8>>,
    min_version: TlsVersion,
    warn_below: TlsVersion,
    limits: Limits,
    loaded: OnceCell<Arc<RootCertStore>>,
}

/// How much time must be left: that long, or that part of the lifetime if it is less.
#[derive(Clone, Copy, Debug)]
struct Limits {
    warn: Duration,
    fail: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Tls {
    /// Looks at this port of this host, a name or an address.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            name: "tls".to_owned(),
            host: host.into(),
            port,
            server_name: None,
            roots: None,
            min_version: TlsVersion::V1_2,
            warn_below: TlsVersion::V1_3,
            limits: Limits {
                warn: 21 * DAY,
                fail: 7 * DAY,
            },
            loaded: OnceCell::new(),
        }
    }

    /// Sets the name of the check. Defaults to `tls`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the name that is asked for (SNI) and that the certificate must be for.
    /// Defaults to the host.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Trusts these root certificates (PEM) instead of the system's.
    #[must_use]
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Sets the version of TLS below which the check is unhealthy, and below which it is
    /// degraded. Defaults to 1.2 and 1.3.
    #[must_use]
    pub fn versions(mut self, min: TlsVersion, warn_below: TlsVersion) -> Self {
        self.min_version = min;
        self.warn_below = warn_below;
        self
    }

    /// Sets with how much time left the check is degraded, and with how much unhealthy,
    /// for certificates with a long lifetime. Defaults to 21 and 7 days.
    #[must_use]
    pub fn limits(mut self, warn: Duration, fail: Duration) -> Self {
        self.limits = Limits { warn, fail };
        self
    }

    fn server(&self) -> Option<ServerName<'static>> {
        let name = self.server_name.as_ref().unwrap_or(&self.host);
        ServerName::try_from(bare(name).to_owned()).ok()
    }

    async fn look(&self, ctx: &CheckCtx) -> Result<Outcome, Outcome> {
        let server = self
            .server()
            .ok_or_else(|| Outcome::unhealthy(Code::Failed).with_detail("no name of a server"))?;
        let pem = self.roots.clone();
        let roots = self
            .loaded
            .get_or_try_init(async || ctx.blocking(move || roots(pem.as_deref())).await)
            .await
            .map_err(|err| Outcome::unhealthy(Code::Failed).with_detail(err.message()))?;
        let (chain, version) = self.shake_hands(ctx, &server).await?;
        let now = ctx.clock().now();
        let outcome = judge(&chain, &server, roots, self.limits, now);
        self.publish(&outcome, now);
        let is_outdated =
            self.warn_below == TlsVersion::V1_3 && version != Some(ProtocolVersion::TLSv1_3);
        if outcome.code() == Code::Ok && is_outdated {
            return Ok(Outcome::degraded(Code::TlsOutdated)
                .with_observations_of(&outcome)
                .with_detail("nothing newer than TLS 1.2 is spoken"));
        }
        Ok(outcome)
    }

    fn publish(&self, outcome: &Outcome, now: Timestamp) {
        for o in outcome.observations() {
            let scope = if o.name == "leaf_remaining" {
                "leaf"
            } else {
                "chain"
            };
            crate::metrics::set(
                "ops_tls_not_after_timestamp_seconds",
                &[("host", &self.host), ("scope", scope)],
                judge::seconds_after(now, o.value),
            );
        }
    }

    /// The certificates that the endpoint shows, good or bad, and proves to have the key of.
    async fn shake_hands(
        &self,
        ctx: &CheckCtx,
        server: &ServerName<'static>,
    ) -> Result<(Chain, Option<ProtocolVersion>), Outcome> {
        let addresses = resolve(ctx, &self.host, self.port).await?;
        let stream = connect(&addresses).await.map_err(Outcome::from)?;
        let recorder = Arc::new(Recorder::new(provider()));
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(self.min_version))
            .map_err(|err| Outcome::unhealthy(Code::Failed).with_detail(err.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recorder) as _)
            .with_no_client_auth();
        let shaken = TlsConnector::from(Arc::new(config))
            .connect(server.clone(), stream)
            .await;
        let chain = recorder.take();
        match (shaken, chain) {
            (Ok(stream), Some(chain)) => Ok((chain, stream.get_ref().1.protocol_version())),
            (Err(err), _) => Err(outcome_of(err)),
            (Ok(_), None) => {
                Err(Outcome::unhealthy(Code::TlsInvalid).with_detail("no certificate was shown"))
            }
        }
    }
}

impl Check for Tls {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Certificate
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_scope(Scope::SharedDependency)
            .with_interval(Duration::from_secs(6 * 3600))
            .with_retry_interval(Duration::from_secs(60))
            .with_timeout(Duration::from_secs(10))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.server().is_none() {
            problems.push(format!("{:?} is no name of a server", self.host));
        }
        if self.port == 0 {
            problems.push("the port is zero".to_owned());
        }
        if self.limits.fail >= self.limits.warn {
            problems.push(format!(
                "it warns with {:?} left and fails with {:?}; the first must be longer",
                self.limits.warn, self.limits.fail
            ));
        }
        problems
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        self.look(ctx).await.unwrap_or_else(|outcome| outcome)
    }
}
