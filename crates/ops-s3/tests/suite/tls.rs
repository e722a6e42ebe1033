//! Whom a store speaks to.

use std::sync::Arc;

use ops_core::database::TlsVersion;
use ops_core::{ErrorKind, ObjectStore};
use ops_s3::{S3Credentials, S3Store, S3StoreBuilder, StoreProfile};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, crypto};

use crate::support::key;

/// A server that has nothing, by TLS of one version. Gives its port and its certificate.
async fn serve(version: &'static SupportedProtocolVersion) -> (u16, String) {
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let private = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else {
                continue;
            };
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let answer =
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = socket.write_all(answer).await;
            let _ = socket.shutdown().await;
        }
    });
    (port, cert.pem())
}

fn at(port: u16) -> S3StoreBuilder {
    S3Store::builder("bucket")
        .endpoint(format!("https://localhost:{port}"))
        .credentials(S3Credentials::new("AKIDCANARY", "x"))
        .max_attempts(1)
        .profile(StoreProfile::aws())
}

async fn kind_of_head(builder: S3StoreBuilder) -> ErrorKind {
    let store = builder.open().await.unwrap();
    store.head(&key("a")).await.unwrap_err().kind()
}

#[tokio::test]
async fn tls_1_2_is_spoken_only_where_it_is_allowed() {
    let (port, pem) = serve(&TLS12).await;
    let trusting = at(port).root_certificates(pem);
    assert_eq!(kind_of_head(trusting.clone()).await, ErrorKind::Unavailable);
    let lenient = trusting.min_tls(TlsVersion::V1_2);
    assert_eq!(kind_of_head(lenient).await, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_spoken_to() {
    let (port, pem) = serve(&TLS13).await;
    assert_eq!(kind_of_head(at(port)).await, ErrorKind::Unavailable);
    let trusting = at(port).root_certificates(pem);
    assert_eq!(kind_of_head(trusting).await, ErrorKind::NotFound);
    let (_, other) = serve(&TLS13).await;
    let deceived = at(port).root_certificates(other);
    assert_eq!(kind_of_head(deceived).await, ErrorKind::Unavailable);
    let err = at(port)
        .root_certificates("no PEM")
        .open()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
}
