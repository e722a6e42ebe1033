//! Logins, and what a server refuses before it lets anybody in.

use ops_core::database::{ConnectInfo, Host, TlsMode, TlsSettings};
use ops_core::{Error, ErrorKind, Report};
use ops_pg::connect::{ChannelBinding, ConnectOptions};
use ops_pg_replication::{Failure, ReplicationClient, ReplicationOptions};
use ops_testkit::{Pg, PgBuilder};
use rcgen::{CertificateParams, KeyPair};

use crate::support::{majors, physical, server};

const PASSWORD: &str = "canary-p@ss/w%rd";

async fn refusal(info: &ConnectInfo, options: &ReplicationOptions) -> Error {
    let err = ReplicationClient::connect(info, options).await.unwrap_err();
    let texts = [
        err.to_string(),
        format!("{err:?}"),
        Report(&err).to_string(),
    ];
    assert!(
        texts.iter().all(|text| !text.contains("canary")),
        "{texts:?}"
    );
    assert_eq!(
        err.provider().map(ops_core::ProviderId::as_str),
        Some("postgres")
    );
    err
}

fn options(channel_binding: ChannelBinding) -> ReplicationOptions {
    let connect = ConnectOptions::default().with_channel_binding(channel_binding);
    ReplicationOptions::default().with_connect(connect)
}

/// A server that asks for a password, over TCP by one method.
fn asking(major: u32, method: &'static str) -> PgBuilder {
    let encryption = if method == "md5" {
        "md5"
    } else {
        "scram-sha-256"
    };
    server(major)
        .tcp(true)
        .setting("password_encryption", encryption)
        .with(move |server| {
            server
                .password(PASSWORD)
                .hba(format!("host replication all 127.0.0.1/32 {method}"))
        })
}

/// The same with TLS; `None` where the server was built without it.
async fn asking_over_tls(major: u32, method: &'static str) -> Option<Pg> {
    let plain = server(major).start().await.unwrap();
    let admin = plain.client("postgres").await;
    let row = admin.query_one("SHOW ssl_library", &[]).await.unwrap();
    if row.get::<_, String>(0).is_empty() {
        println!("PostgreSQL {major} was built without TLS");
        return None;
    }
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    asking(major, method)
        .setting("ssl", "on")
        .setting("ssl_cert_file", "server.crt")
        .setting("ssl_key_file", "server.key")
        .with(move |server| {
            server
                .data_file("server.crt", certificate)
                .data_file("server.key", key.serialize_pem())
        })
        .start()
        .await
}

/// How to reach a server over TLS, or in the clear.
fn reached(pg: &Pg, mode: TlsMode) -> ConnectInfo {
    let mut info = pg.connect_info("postgres").with_tls(TlsSettings::new(mode));
    info.host = Host::Tcp("localhost".to_owned());
    info
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_is_bound_to_the_tls_connection_where_it_must_be() {
    for major in majors().await {
        let Some(pg) = asking_over_tls(major, "scram-sha-256").await else {
            continue;
        };
        let (over_tls, plain) = (
            reached(&pg, TlsMode::Require),
            reached(&pg, TlsMode::Disable),
        );
        for binding in [
            ChannelBinding::Require,
            ChannelBinding::Prefer,
            ChannelBinding::Disable,
        ] {
            let client = ReplicationClient::connect(&over_tls, &options(binding)).await;
            client.unwrap().identify_system().await.unwrap();
        }
        physical(&plain).await.identify_system().await.unwrap();
        let err = refusal(&plain, &options(ChannelBinding::Require)).await;
        assert_eq!(err.kind(), ErrorKind::Unauthenticated);
        assert!(err.message().contains("channel binding"), "{err}");

        let wrong = over_tls.clone().with_password("canary-wrong");
        let err = refusal(&wrong, &options(ChannelBinding::Prefer)).await;
        assert_eq!(
            (err.kind(), err.code()),
            (ErrorKind::Unauthenticated, Some("28P01"))
        );
        let mut missing = over_tls;
        missing.password = None;
        let err = refusal(&missing, &options(ChannelBinding::Prefer)).await;
        assert_eq!(err.kind(), ErrorKind::Unauthenticated);
        missing.user = None;
        let err = refusal(&missing, &options(ChannelBinding::Prefer)).await;
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_clear_text_goes_over_tls_alone() {
    for major in majors().await {
        let Some(pg) = asking_over_tls(major, "password").await else {
            continue;
        };
        physical(&reached(&pg, TlsMode::Require))
            .await
            .identify_system()
            .await
            .unwrap();
        let err = refusal(
            &reached(&pg, TlsMode::Disable),
            &ReplicationOptions::default(),
        )
        .await;
        assert_eq!(err.kind(), ErrorKind::Unauthenticated);
        assert!(err.message().contains("clear text"), "{err}");
        let bound = options(ChannelBinding::Require);
        let err = refusal(&reached(&pg, TlsMode::Require), &bound).await;
        assert!(err.message().contains("channel binding"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn md5_is_answered() {
    for major in majors().await {
        let pg = asking(major, "md5").start().await.unwrap();
        // The superuser's password was set by initdb, maybe by another method.
        let admin = pg.server_client().await;
        admin
            .batch_execute(&format!("ALTER ROLE CURRENT_USER PASSWORD '{PASSWORD}'"))
            .await
            .unwrap();
        physical(&reached(&pg, TlsMode::Disable))
            .await
            .identify_system()
            .await
            .unwrap();
        let wrong = reached(&pg, TlsMode::Disable).with_password("canary-wrong");
        let err = refusal(&wrong, &ReplicationOptions::default()).await;
        assert_eq!(
            (err.kind(), err.code()),
            (ErrorKind::Unauthenticated, Some("28P01"))
        );
    }
}

trait SocketClient {
    async fn server_client(&self) -> tokio_postgres::Client;
}

impl SocketClient for Pg {
    async fn server_client(&self) -> tokio_postgres::Client {
        let info = self.socket_connect_info("postgres");
        ops_pg::connect::connect(&info, &ConnectOptions::default())
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_replicate_is_told_why() {
    for major in majors().await {
        let hba = "host replication rejected 127.0.0.1/32 reject";
        let builder = server(major).tcp(true).with(move |server| server.hba(hba));
        let pg = builder.start().await.unwrap();
        let admin = pg.client("postgres").await;
        let roles = "CREATE ROLE plain LOGIN; CREATE ROLE rejected LOGIN REPLICATION";
        admin.batch_execute(roles).await.unwrap();
        let refused = async |user: &str| {
            let info = pg.connect_info("postgres").with_user(user);
            refusal(&info, &ReplicationOptions::default()).await
        };
        let err = refused("plain").await;
        assert_eq!(Failure::of(&err), Some(Failure::NotPermitted), "{err:?}");
        assert_eq!(err.kind(), ErrorKind::PermissionDenied);
        let err = refused("rejected").await;
        assert_eq!(Failure::of(&err), Some(Failure::RefusedByHba), "{err:?}");
        assert_eq!(err.kind(), ErrorKind::Unauthenticated);
        let err = refused("nobody").await;
        let found = (err.kind(), Failure::of(&err));
        assert_eq!(found, (ErrorKind::Unauthenticated, None), "{err:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sender_too_many_is_over_quota_and_may_go_well_later() {
    for major in majors().await {
        let builder = server(major).setting("max_wal_senders", "1");
        let pg = builder.start().await.unwrap();
        let info = pg.connect_info("postgres");
        let _one = physical(&info).await;
        let err = refusal(&info, &ReplicationOptions::default()).await;
        assert_eq!(Failure::of(&err), Some(Failure::TooManySenders), "{err:?}");
        assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
        assert!(err.is_retryable());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_minimal_wal_says_so() {
    for major in majors().await {
        let builder = server(major)
            .setting("wal_level", "minimal")
            .setting("max_wal_senders", "0");
        let pg = builder.start().await.unwrap();
        let err = refusal(&pg.connect_info("postgres"), &ReplicationOptions::default()).await;
        assert_eq!(Failure::of(&err), Some(Failure::ReplicationOff), "{err:?}");
        assert_eq!(err.kind(), ErrorKind::Unsupported);
        assert!(!err.is_retryable());
    }
}
