//! SCRAM that is tied to the TLS connection.

use ops_core::ErrorKind;
use ops_core::database::{TlsMode, TlsSettings, TlsVersion};
use ops_pg::connect::{ChannelBinding, ConnectOptions};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm};

use crate::certificates::Authority;
use crate::server::{info, plain, refusal, tls_version, with_tls, with_tls_and_hba};

fn options(channel_binding: ChannelBinding) -> ConnectOptions {
    ConnectOptions::default().with_channel_binding(channel_binding)
}

async fn assert_bound(algorithm: &'static SignatureAlgorithm) {
    let identity = Authority::with_key(algorithm).server(&["localhost"]);
    let Some(pg) = with_tls(&identity).start().await else {
        return;
    };
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let tls = TlsSettings::new(TlsMode::Require).with_min_version(version);
        let info = info(&pg, tls);
        for binding in [
            ChannelBinding::Require,
            ChannelBinding::Prefer,
            ChannelBinding::Disable,
        ] {
            tls_version(&info, &options(binding)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_login_is_bound_to_a_certificate_that_is_signed_with_sha_256() {
    assert_bound(&PKCS_ECDSA_P256_SHA256).await;
}

#[tokio::test]
async fn a_login_is_bound_to_a_certificate_that_is_signed_with_sha_384() {
    assert_bound(&PKCS_ECDSA_P384_SHA384).await;
}

#[tokio::test]
async fn a_certificate_that_is_signed_without_a_hash_cannot_be_bound_to() {
    let identity = Authority::with_key(&PKCS_ED25519).server(&["localhost"]);
    let Some(pg) = with_tls(&identity).start().await else {
        return;
    };
    let info = info(&pg, TlsSettings::new(TlsMode::Require));
    tls_version(&info, &options(ChannelBinding::Prefer))
        .await
        .unwrap();
    let err = refusal(tls_version(&info, &options(ChannelBinding::Require)).await);
    assert_eq!(err.kind(), ErrorKind::Unauthenticated, "{err:?}");
}

#[tokio::test]
async fn a_server_that_binds_nothing_is_refused_where_binding_is_required() {
    let identity = Authority::new().server(&["localhost"]);
    let trust = with_tls_and_hba(&identity, "hostssl all all 127.0.0.1/32 trust");
    let Some(pg) = trust.start().await else {
        return;
    };
    let info = info(&pg, TlsSettings::new(TlsMode::Require));
    tls_version(&info, &options(ChannelBinding::Prefer))
        .await
        .unwrap();
    let err = refusal(tls_version(&info, &options(ChannelBinding::Require)).await);
    assert_eq!(err.kind(), ErrorKind::Unauthenticated, "{err:?}");
}

#[tokio::test]
async fn plain_text_cannot_be_bound_to() {
    let server = ops_testkit::Pg::builder()
        .tcp(true)
        .with(|server| server.password(crate::server::PASSWORD));
    let Some(pg) = server.start().await else {
        return;
    };
    tls_version(&plain(&pg), &options(ChannelBinding::Prefer))
        .await
        .unwrap();
    let err = refusal(tls_version(&plain(&pg), &options(ChannelBinding::Require)).await);
    assert_eq!(err.kind(), ErrorKind::Unauthenticated, "{err:?}");
}
