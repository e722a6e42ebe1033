//! Listening in above TLS.

use ops_core::database::{TlsMode, TlsSettings};
use ops_pg::connect::{ChannelBinding, ConnectOptions};
use ops_pool::{CloseReason, Released, SessionPool, TransactionStatus};
use ops_testkit::Pg;

use crate::{pid, text};

#[tokio::test]
async fn the_tap_sees_through_tls_and_the_login_stays_bound_to_it() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let started = Pg::builder()
        .tcp(true)
        .setting("ssl", "on")
        .setting("ssl_cert_file", "server.crt")
        .setting("ssl_key_file", "server.key")
        .with(move |server| {
            server
                .password("secret")
                .data_file("server.crt", certificate)
                .data_file("server.key", key)
                .hba("hostssl all all 127.0.0.1/32 scram-sha-256")
        })
        .start()
        .await;
    let Some(pg) = started else { return };
    let info = pg
        .connect_info("postgres")
        .with_tls(TlsSettings::new(TlsMode::Require));
    let bound = ConnectOptions::default().with_channel_binding(ChannelBinding::Require);
    let pool = SessionPool::builder(info)
        .pool_size(1)
        .connect_options(bound)
        .build()
        .unwrap();

    let session = pool.acquire().await.unwrap();
    let version = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(text(&session, version).await, "TLSv1.3");
    let backend = pid(&session).await;
    assert_eq!(session.release().await, Released::Clean);

    let session = pool.acquire().await.unwrap();
    assert_eq!(pid(&session).await, backend);
    session.batch_execute("BEGIN").await.unwrap();
    assert_eq!(
        session.transaction_status(),
        TransactionStatus::InTransaction
    );
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::InTransaction)
    );
}
