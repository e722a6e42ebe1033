//! Versions of TLS.

use ops_core::database::{TlsMode, TlsRoots, TlsSettings, TlsVersion};
use ops_core::{ErrorKind, Retry};
use ops_pg::connect::ConnectOptions;

use crate::certificates::{Authority, Files};
use crate::server::{info, refusal, tls_version, with_tls};

#[tokio::test]
async fn a_server_with_tls_1_2_alone_is_refused_unless_it_is_allowed() {
    let root = Authority::new();
    let server = with_tls(&root.server(&["localhost"]))
        .setting("ssl_min_protocol_version", "TLSv1.2")
        .setting("ssl_max_protocol_version", "TLSv1.2");
    let Some(pg) = server.start().await else {
        return;
    };
    let files = Files::new();
    let roots = TlsRoots::File(files.write("root.crt", &root.certificate()));
    for mode in [TlsMode::Require, TlsMode::VerifyFull] {
        let tls = TlsSettings::new(mode).with_roots(roots.clone());

        let err = refusal(tls_version(&info(&pg, tls.clone()), &ConnectOptions::default()).await);
        assert_eq!(
            (err.kind(), err.retry()),
            (ErrorKind::Unavailable, Retry::Never),
            "{err:?}"
        );
        assert!(
            err.to_string().contains("ssl_min_protocol_version=TLSv1.2"),
            "{err}"
        );

        let allowed = info(&pg, tls.with_min_version(TlsVersion::V1_2));
        let version = tls_version(&allowed, &ConnectOptions::default())
            .await
            .unwrap();
        assert_eq!(version.as_deref(), Some("TLSv1.2"));
    }
}

#[tokio::test]
async fn allowing_tls_1_2_still_prefers_1_3() {
    let root = Authority::new();
    let Some(pg) = with_tls(&root.server(&["localhost"])).start().await else {
        return;
    };
    let tls = TlsSettings::new(TlsMode::Require).with_min_version(TlsVersion::V1_2);
    let version = tls_version(&info(&pg, tls), &ConnectOptions::default())
        .await
        .unwrap();
    assert_eq!(version.as_deref(), Some("TLSv1.3"));
}
