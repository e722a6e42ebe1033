//! Servers with TLS, and what every failure must keep to itself.

use ops_core::database::{ConnectInfo, Host, TlsMode, TlsSettings};
use ops_core::{Error, Report};
use ops_pg::connect::{ConnectOptions, connect};
use ops_testkit::{Pg, PgBuilder};

use crate::certificates::Identity;

pub(crate) const PASSWORD: &str = "canary-p@ss/w%rd";

/// A server that takes TLS alone over TCP, and asks for the superuser's password.
pub(crate) fn with_tls(identity: &Identity) -> PgBuilder {
    with_tls_and_hba(identity, "hostssl all all 127.0.0.1/32 scram-sha-256")
}

pub(crate) fn with_tls_and_hba(identity: &Identity, hba: &'static str) -> PgBuilder {
    let (certificate, key) = (identity.certificate.clone(), identity.key.clone());
    Pg::builder()
        .tcp(true)
        .setting("ssl", "on")
        .setting("ssl_cert_file", "server.crt")
        .setting("ssl_key_file", "server.key")
        .with(move |server| {
            server
                .password(PASSWORD)
                .data_file("server.crt", certificate)
                .data_file("server.key", key)
                .hba(hba)
                .hba("hostnossl all all 127.0.0.1/32 reject")
        })
}

/// How to reach the server, by the name that its certificate has.
pub(crate) fn info(pg: &Pg, tls: TlsSettings) -> ConnectInfo {
    let mut info = pg.connect_info("postgres").with_tls(tls);
    info.host = Host::Tcp("localhost".to_owned());
    info
}

pub(crate) fn plain(pg: &Pg) -> ConnectInfo {
    info(pg, TlsSettings::new(TlsMode::Disable))
}

/// The version of TLS that the server sees, where connecting works.
pub(crate) async fn tls_version(
    info: &ConnectInfo,
    options: &ConnectOptions,
) -> Result<Option<String>, Error> {
    let client = connect(info, options).await?;
    let sql = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(client.query_one(sql, &[]).await.unwrap().get(0))
}

/// The error of a connection that must fail, after a look at what it prints.
#[track_caller]
pub(crate) fn refusal<T>(outcome: Result<T, Error>) -> Error {
    let err = outcome.err().expect("connecting must fail");
    for text in [
        err.to_string(),
        format!("{err:?}"),
        format!("{err:#?}"),
        Report(&err).to_string(),
    ] {
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
    assert!(!err.to_string().contains('\n'), "{err}");
    assert_eq!(
        err.provider().map(ops_core::ProviderId::as_str),
        Some("postgres")
    );
    err
}
