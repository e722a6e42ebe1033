//! Connections: TLS by rustls with ring, no redirects, no settings from the environment.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::database::TlsVersion;
use ops_core::{Error, ErrorKind, Result, Retry, Secret};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

/// A pool of connections, which several clients may share. Clones share the pool.
#[derive(Clone)]
pub struct HttpClient {
    pub(crate) reqwest: reqwest::Client,
    min_tls: TlsVersion,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("min_tls", &self.min_tls)
            .finish_non_exhaustive()
    }
}

/// Builds an [`HttpClient`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpClientBuilder {
    min_tls: TlsVersion,
    roots: Option<Vec<u8>>,
    proxy: Option<Secret>,
    connect_timeout: Duration,
}

impl HttpClient {
    /// Begins a client: TLS 1.3 alone, the platform's root certificates, no proxy, no
    /// redirects.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder {
            min_tls: TlsVersion::V1_3,
            roots: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

impl HttpClientBuilder {
    /// Sets the oldest version of TLS that is accepted. Defaults to TLS 1.3.
    pub fn min_tls(mut self, version: TlsVersion) -> Self {
        self.min_tls = version;
        self
    }

    /// Trusts these root certificates (PEM) instead of the platform's.
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Sends everything through a proxy (`http://` or `https://`). The environment is never
    /// asked. The URL may hold credentials, which are never printed.
    pub fn proxy(mut self, url: impl Into<Secret>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Sets the time to connect, TLS included. Defaults to 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Checks everything and builds. Reads the platform's root certificates.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems.
    pub fn build(self) -> Result<HttpClient> {
        let Self {
            min_tls,
            roots,
            proxy,
            connect_timeout,
        } = self;
        let mut problems = Vec::new();
        let tls = tls_config(min_tls, roots.as_deref());
        if let Err(problem) = &tls {
            problems.push(problem.message().to_owned());
        }
        // What is wrong is not said in detail: the URL may hold a password.
        let proxy = proxy.map(|url| reqwest::Proxy::all(url.expose()));
        if matches!(proxy, Some(Err(_))) {
            problems.push("the proxy is not a URL".to_owned());
        }
        if connect_timeout.is_zero() {
            problems.push("the time to connect is zero".to_owned());
        }
        let (Ok(tls), true) = (tls, problems.is_empty()) else {
            return Err(Error::invalid_config(problems));
        };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(connect_timeout)
            .user_agent(concat!("ops-http/", env!("CARGO_PKG_VERSION")));
        if let Some(Ok(proxy)) = proxy {
            builder = builder.proxy(proxy);
        }
        let reqwest = builder.build().map_err(|err| {
            Error::new(ErrorKind::InvalidConfig, "the HTTP client cannot be built")
                .with_source(err.without_url())
        })?;
        Ok(HttpClient { reqwest, min_tls })
    }
}

fn tls_config(min: TlsVersion, roots: Option<&[u8]>) -> Result<ClientConfig> {
    let versions: &[_] = match min {
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
        _ => &[&TLS13],
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|source| {
            Error::new(ErrorKind::Internal, "ring offers no such TLS").with_source(source)
        })?;
    Ok(config
        .with_root_certificates(root_store(roots)?)
        .with_no_client_auth())
}

fn root_store(pem: Option<&[u8]>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let Some(pem) = pem else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    let unusable = || {
        Error::new(
            ErrorKind::InvalidConfig,
            "the root certificates are not PEM",
        )
    };
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| unusable())?;
        store.add(certificate).map_err(|_| unusable())?;
    }
    if store.is_empty() {
        return Err(unusable());
    }
    Ok(store)
}

/// Why there was no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request did not leave: sending it again is harmless.
    NotSent(Error),
    /// The request may have been executed.
    Lost(Error),
    /// The stream that was to be sent failed: a part of the request left.
    BodyFailed(Error),
}

/// Tells what a failed attempt means. The URL is taken out first: it may hold a secret.
pub(crate) fn failure(err: reqwest::Error) -> Failure {
    let err = err.without_url();
    if let Some(body) = cause::<Error>(&err) {
        let message = "the body of the request could not be read to its end";
        let error = Error::new(body.kind(), message).with_retry(body.retry());
        return Failure::BodyFailed(error.with_source(err));
    }
    if let Some(tls) = cause(&err) {
        return Failure::NotSent(refused_tls(tls));
    }
    if err.is_builder() {
        let err =
            Error::new(ErrorKind::InvalidInput, "the request cannot be built").with_source(err);
        return Failure::NotSent(err);
    }
    if err.is_connect() {
        let message = if err.is_timeout() {
            "the server did not accept a connection in time"
        } else if err.is_dns() {
            "the server's name cannot be resolved"
        } else {
            "the server cannot be reached"
        };
        return Failure::NotSent(Error::new(ErrorKind::Unavailable, message).with_source(err));
    }
    let (kind, message) = if err.is_timeout() {
        (ErrorKind::Timeout, "the server did not answer in time")
    } else {
        (
            ErrorKind::Unavailable,
            "the connection broke before the whole answer came",
        )
    };
    Failure::Lost(Error::new(kind, message).with_source(err))
}

/// The error of this type among the causes.
fn cause<'a, E: StdError + 'static>(err: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut cause = Some(err);
    while let Some(err) = cause {
        if let Some(found) = err.downcast_ref::<E>() {
            return Some(found);
        }
        // An I/O error leaves out of `source` what it was made of.
        let inner = err
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => err.source(),
        };
    }
    None
}

/// A handshake that failed will fail again: nothing is retried.
fn refused_tls(err: &rustls::Error) -> Error {
    use rustls::{AlertDescription, CertificateError, Error as Tls};
    let message = match err {
        Tls::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the server's certificate has expired",
        Tls::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is from an authority that is not trusted"
        }
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name",
        Tls::InvalidCertificate(_) => "the server's certificate is not valid",
        Tls::PeerIncompatible(_) | Tls::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks no TLS that is accepted; min_tls opens TLS 1.2"
        }
        _ => "the TLS handshake failed",
    };
    Error::new(ErrorKind::Unavailable, message)
        .with_retry(Retry::Never)
        .with_source(err.clone())
}
