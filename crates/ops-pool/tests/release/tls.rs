//! The same above TLS, with a login that is bound to it.

use ops_core::database::{TlsMode, TlsSettings};
use ops_pg::connect::{ChannelBinding, ConnectOptions};
use ops_pool::{OnDirty, Released, Reset};
use ops_testkit::Pg;

use crate::{CLEAN, abandon, next_after, one, pid, text};

async fn start() -> Option<Pg> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    Pg::builder()
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
        .await
}

/// `Require` fails the login unless the server offers `SCRAM-SHA-256-PLUS`, and that is
/// what is used then.
#[tokio::test]
async fn a_login_bound_to_its_channel_passes_through_the_tap_in_every_mode() {
    let Some(pg) = start().await else { return };
    let tls = TlsSettings::new(TlsMode::Require);
    let info = pg.connect_info("postgres").with_tls(tls);
    let options = ConnectOptions::default();
    let observer = ops_pg::connect::connect(&info, &options).await.unwrap();
    for reset in CLEAN.into_iter().chain([Reset::None]) {
        let bound = ConnectOptions::default().with_channel_binding(ChannelBinding::Require);
        let builder = ops_pool::SessionPool::builder(info.clone()).pool_size(1);
        let builder = builder.connect_options(bound).reset(reset.clone());
        let pool = builder.on_dirty(OnDirty::Rollback).build().unwrap();

        let session = pool.acquire().await.unwrap();
        let backend = pid(&session).await;
        let version = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert_eq!(text(&session, version).await, "TLSv1.3");
        session.batch_execute("BEGIN").await.unwrap();
        // The request to cancel goes over TLS, too.
        abandon(&observer, &session, "SELECT pg_sleep(60)").await;
        assert_eq!(session.release().await, Released::RolledBack, "{reset:?}");

        let session = pool.acquire().await.unwrap();
        session
            .batch_execute("SET work_mem = '123MB'")
            .await
            .unwrap();
        let next = next_after(&pool, session).await;
        let left = reset == Reset::None;
        let expected = if left { "123MB" } else { "4MB" };
        assert_eq!(text(&next, "SHOW work_mem").await, expected, "{reset:?}");
        assert_eq!(pid(&next).await, backend);
    }
}

#[tokio::test]
async fn a_server_without_tls_cannot_be_bound_to() {
    let started = Pg::builder().tcp(true);
    let started = started.with(|server| server.password("secret")).start();
    let Some(pg) = started.await else { return };
    let bound = ConnectOptions::default().with_channel_binding(ChannelBinding::Require);
    let pool = one(&pg).connect_options(bound).build().unwrap();
    assert!(pool.acquire().await.is_err());
}
