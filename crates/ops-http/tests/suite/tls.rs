//! Servers whose TLS is not good enough.

use std::sync::Arc;

use bytes::BytesMut;
use ops_core::{ErrorKind, Report, Result, Retry};
use ops_http::{ApiClient, HttpClient, HttpClientBuilder, TlsVersion};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

use crate::support::{POST, builder, call};

/// A server's root certificate and where it listens.
struct Server {
    root: String,
    base_url: String,
}

/// What is unusual about a server.
struct Setup {
    name: &'static str,
    expired: bool,
    versions: &'static [&'static SupportedProtocolVersion],
}

static ONLY_1_2: &[&SupportedProtocolVersion] = &[&TLS12];
static ONLY_1_3: &[&SupportedProtocolVersion] = &[&TLS13];

static GOOD: Setup = Setup {
    name: "localhost",
    expired: false,
    versions: ONLY_1_3,
};

async fn serve(setup: &Setup) -> Server {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = format!("the root of {}", setup.name);
    params.distinguished_name.push(DnType::CommonName, name);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![setup.name.to_owned()]).unwrap();
    if setup.expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = ring::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(setup.versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                // What the request says does not matter, only that it has come.
                let mut request = BytesMut::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    stream
                        .read_buf(&mut request)
                        .await
                        .ok()
                        .filter(|read| *read > 0)?;
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 6\r\n\r\n\"done\"";
                stream.write_all(answer).await.ok()
            });
        }
    });
    Server {
        root: issuer.pem(),
        base_url,
    }
}

async fn ask(server: &Server, http: HttpClientBuilder) -> Result<String> {
    let http = http.build()?;
    let client: ApiClient = builder(server.base_url.as_str())
        .http_client(http)
        .build()?;
    client.execute(call(&POST)).await
}

fn trusting(server: &Server) -> HttpClientBuilder {
    HttpClient::builder().root_certificates_pem(server.root.as_str())
}

#[tokio::test]
async fn a_server_with_tls_1_3_and_a_trusted_certificate_is_fine() {
    let server = serve(&GOOD).await;
    assert_eq!(ask(&server, trusting(&server)).await.unwrap(), "done");
}

#[track_caller]
fn assert_refused(outcome: Result<String>, message: &str) {
    let err = outcome.unwrap_err();
    assert_eq!(err.message(), message, "{}", Report(&err));
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::Never)
    );
    assert_eq!(err.attempts(), 1, "a handshake that fails will fail again");
}

#[tokio::test]
async fn tls_1_2_is_refused_until_it_is_opened() {
    let server = serve(&Setup {
        versions: ONLY_1_2,
        ..GOOD
    })
    .await;
    assert_refused(
        ask(&server, trusting(&server)).await,
        "the server speaks no TLS that is accepted; min_tls opens TLS 1.2",
    );
    let opened = trusting(&server).min_tls(TlsVersion::V1_2);
    assert_eq!(ask(&server, opened).await.unwrap(), "done");
}

#[tokio::test]
async fn certificates_that_are_not_good_say_why() {
    let expired = serve(&Setup {
        expired: true,
        ..GOOD
    })
    .await;
    assert_refused(
        ask(&expired, trusting(&expired)).await,
        "the server's certificate has expired",
    );
    let other = serve(&Setup {
        name: "other.example",
        ..GOOD
    })
    .await;
    assert_refused(
        ask(&other, trusting(&other)).await,
        "the server's certificate is for another name",
    );
    let unknown = serve(&GOOD).await;
    assert_refused(
        ask(&unknown, trusting(&other)).await,
        "the server's certificate is from an authority that is not trusted",
    );
}

#[test]
fn settings_that_make_no_sense_are_told_together() {
    let err = HttpClient::builder()
        .root_certificates_pem("no PEM")
        .proxy("user:hunter2@")
        .connect_timeout(std::time::Duration::ZERO)
        .build()
        .unwrap_err();
    assert_eq!(
        err.message(),
        "the root certificates are not PEM; the proxy is not a URL; the time to connect is zero"
    );
}
