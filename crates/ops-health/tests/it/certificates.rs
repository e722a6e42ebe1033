//! Throwaway authorities, and servers that show their certificates.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A day of the year 2026.
pub(crate) type Day = (u8, u8);

/// A key with the name that its certificates carry.
pub(crate) struct Authority {
    name: &'static str,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            key: KeyPair::generate().unwrap(),
        }
    }

    fn params(&self, until: Day) -> CertificateParams {
        let mut params = CertificateParams::new([]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, self.name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2026, until.0, until.1);
        params
    }

    /// Signed by itself.
    pub(crate) fn root_pem(&self) -> String {
        let mut params = self.params((12, 31));
        params.not_after = date_time_ymd(2036, 1, 1);
        params.self_signed(&self.key).unwrap().pem()
    }

    /// Signed by another.
    pub(crate) fn signed_by(&self, other: &Self, until: Day) -> CertificateDer<'static> {
        let issuer = Issuer::new(other.params((12, 31)), &other.key);
        let params = self.params(until);
        params.signed_by(&self.key, &issuer).unwrap().der().clone()
    }

    /// A certificate for a server of that name.
    pub(crate) fn leaf(&self, name: &str, from: Day, until: Day) -> Leaf {
        let since_1970 = |day: Day| {
            (date_time_ymd(2026, day.0, day.1) - date_time_ymd(1970, 1, 1)).unsigned_abs()
        };
        self.leaf_between(name, since_1970(from), since_1970(until))
    }

    /// The same, with times since 1970.
    pub(crate) fn leaf_between(&self, name: &str, from: Duration, until: Duration) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(1970, 1, 1) + from;
        params.not_after = date_time_ymd(1970, 1, 1) + until;
        let issuer = Issuer::new(self.params((12, 31)), &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Leaf {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

pub(crate) struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Leaf {
    pub(crate) fn with(mut self, intermediate: CertificateDer<'static>) -> Self {
        self.chain.push(intermediate);
        self
    }

    fn certified(self) -> CertifiedKey {
        let provider = rustls::crypto::ring::default_provider();
        let key = provider.key_provider.load_private_key(self.key).unwrap();
        CertifiedKey::new(self.chain, key)
    }
}

/// The first certificate, unless the second is asked for by name.
#[derive(Debug)]
struct ByName {
    first: Arc<CertifiedKey>,
    named: Option<(String, Arc<CertifiedKey>)>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match &self.named {
            Some((name, key)) if hello.server_name() == Some(name) => Some(Arc::clone(key)),
            _ => Some(Arc::clone(&self.first)),
        }
    }
}

/// Serves TLS on loopback, with an HTTP answer for whoever asks; returns the port.
pub(crate) async fn serve(
    first: Leaf,
    named: Option<(&str, Leaf)>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> u16 {
    let resolver = ByName {
        first: Arc::new(first.certified()),
        named: named.map(|(name, leaf)| (name.to_owned(), Arc::new(leaf.certified()))),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that looks at the certificate alone goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = "HTTP/1.1 200 OK\r\nstrict-transport-security: max-age=100\r\n\
                              content-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}
