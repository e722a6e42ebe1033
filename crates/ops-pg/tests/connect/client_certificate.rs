//! Identifying ourselves by a certificate.

use ops_core::ErrorKind;
use ops_core::database::{ClientCertificate, TlsMode, TlsRoots, TlsSettings};
use ops_pg::connect::{ConnectOptions, connect};
use ops_testkit::Pg;

use crate::certificates::{Authority, Files};
use crate::server::{info, refusal, with_tls_and_hba};

async fn server(root: &Authority) -> Option<Pg> {
    let root_pem = root.certificate();
    with_tls_and_hba(
        &root.server(&["localhost"]),
        "hostssl all all 127.0.0.1/32 cert",
    )
    .setting("ssl_ca_file", "root.crt")
    .with(move |server| server.data_file("root.crt", root_pem))
    .start()
    .await
}

fn tls(root: &Authority, files: &Files, client: ClientCertificate) -> TlsSettings {
    let roots = TlsRoots::File(files.write("root.crt", &root.certificate()));
    TlsSettings::new(TlsMode::VerifyFull)
        .with_roots(roots)
        .with_client(client)
}

#[tokio::test]
async fn the_certificate_logs_in_the_user_that_it_names() {
    let root = Authority::new();
    let Some(pg) = server(&root).await else {
        return;
    };
    let files = Files::new();
    let client = files.client(&root.client("postgres"));
    let mut info = info(&pg, tls(&root, &files, client));
    info.password = None;
    let client = connect(&info, &ConnectOptions::default()).await.unwrap();
    let sql = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let dn: String = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(dn.contains("postgres"), "{dn}");
}

#[tokio::test]
async fn a_certificate_of_another_user_is_refused() {
    let root = Authority::new();
    let Some(pg) = server(&root).await else {
        return;
    };
    let files = Files::new();
    let client = files.client(&root.client("somebody"));
    let info = info(&pg, tls(&root, &files, client));
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::Unauthenticated, Some("28000")),
        "{err:?}"
    );
}

#[tokio::test]
async fn no_certificate_is_refused() {
    let root = Authority::new();
    let Some(pg) = server(&root).await else {
        return;
    };
    let info = info(&pg, TlsSettings::new(TlsMode::Require));
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::Unauthenticated, Some("28000")),
        "{err:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_the_server_does_not_trust_is_refused() {
    let root = Authority::new();
    let Some(pg) = server(&root).await else {
        return;
    };
    let files = Files::new();
    let client = files.client(&Authority::new().client("postgres"));
    let info = info(&pg, tls(&root, &files, client));
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(err.kind(), ErrorKind::Unauthenticated, "{err:?}");
    assert!(
        err.to_string().contains("refused our client certificate"),
        "{err}"
    );
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused() {
    let root = Authority::new();
    let Some(pg) = server(&root).await else {
        return;
    };
    let files = Files::new();
    let identity = root.client("postgres");
    let client = ClientCertificate {
        certificate: files.write("client.crt", &identity.certificate),
        key: files.write_private("client.key", &identity.key, 0o644),
    };
    let err = refusal(
        connect(
            &info(&pg, tls(&root, &files, client)),
            &ConnectOptions::default(),
        )
        .await,
    );
    assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err:?}");
    assert!(err.to_string().contains("0600"), "{err}");
}

#[tokio::test]
async fn a_key_that_does_not_fit_or_is_none_is_a_configuration_error() {
    let root = Authority::new();
    let Some(pg) = server(&root).await else {
        return;
    };
    let files = Files::new();
    let certificate = files.write("client.crt", &root.client("postgres").certificate);
    let other = root.client("postgres").key;
    for (name, pem) in [("other.key", other.as_str()), ("none.key", "canary")] {
        let key = files.write_private(name, pem, 0o600);
        let client = ClientCertificate {
            certificate: certificate.clone(),
            key,
        };
        let info = info(&pg, tls(&root, &files, client));
        let err = refusal(connect(&info, &ConnectOptions::default()).await);
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err:?}");
    }
}
