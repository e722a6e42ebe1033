//! Servers that cannot be reached, and peers that are not what they should be.

use std::io::ErrorKind as IoErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ops_core::database::{ConnectInfo, Engine, Host, TlsMode, TlsSettings};
use ops_core::{Error, ErrorKind, Retry};
use ops_pg::connect::{ConnectOptions, connect};
use ops_testkit::{Pg, RefusedPort};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::certificates::Authority;
use crate::server::{PASSWORD, info, plain, refusal, with_tls};

fn at(host: &str, port: u16, mode: TlsMode) -> ConnectInfo {
    ConnectInfo::new(Engine::Postgres, Host::Tcp(host.to_owned()), port)
        .with_user("app")
        .with_password(PASSWORD)
        .with_tls(TlsSettings::new(mode))
}

/// Connects to a peer that answers the first message with some bytes and then hangs up.
async fn against(answer: &'static [u8], mode: TlsMode) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut message = [0; 256];
        let length = stream.read(&mut message).await.unwrap();
        stream.write_all(answer).await.unwrap();
        // Whatever comes next is read, so that hanging up is no reset.
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        if let Err(err) = stream.read_to_end(&mut rest).await {
            assert_eq!(err.kind(), IoErrorKind::ConnectionReset);
        }
        (message.into_iter().take(length).collect::<Vec<_>>(), rest)
    });
    let err = refusal(connect(&at("127.0.0.1", port, mode), &ConnectOptions::default()).await);
    let (first, rest) = peer.await.unwrap();
    if mode != TlsMode::Disable {
        assert_eq!(
            first,
            [0, 0, 0, 8, 4, 210, 22, 47],
            "the first message asks for TLS"
        );
        assert!(
            !rest.windows(3).any(|window| window == b"app"),
            "the user was sent in plain text"
        );
    }
    err
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_refuses() {
    let refused = RefusedPort::take();
    let err = refusal(
        connect(
            &at("127.0.0.1", refused.port(), TlsMode::Disable),
            &ConnectOptions::default(),
        )
        .await,
    );
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
    assert!(
        err.to_string()
            .contains(&format!("{} refused", refused.addr())),
        "{err}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_said() {
    let info = at("db.ops-test.invalid", 5432, TlsMode::VerifyFull);
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
    assert!(
        err.to_string()
            .contains("db.ops-test.invalid does not resolve"),
        "{err}"
    );
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut info = at("x", 5432, TlsMode::Disable);
    info.host = Host::Unix(PathBuf::from(folder.path()));
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(err.to_string().contains(".s.PGSQL.5432"), "{err}");
}

#[tokio::test]
async fn another_engine_is_a_configuration_error() {
    let info = ConnectInfo::new(Engine::Redis, Host::Tcp("127.0.0.1".into()), 6379);
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn a_peer_that_never_answers_costs_no_more_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = ConnectOptions::default().with_connect_timeout(Duration::from_millis(300));
    for (mode, step) in [
        (TlsMode::Disable, "logging in"),
        (TlsMode::Require, "asking for TLS"),
    ] {
        let begun = Instant::now();
        let err = refusal(connect(&at("127.0.0.1", port, mode), &options).await);
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!((err.kind(), err.retry()), (ErrorKind::Timeout, Retry::Safe));
        assert!(err.to_string().contains(step), "{err}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_never_spoken_to_in_plain_text() {
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let info = info(&pg, TlsSettings::new(mode));
        let err = refusal(connect(&info, &ConnectOptions::default()).await);
        assert_eq!(
            (err.kind(), err.retry()),
            (ErrorKind::Unavailable, Retry::Never)
        );
        assert!(err.to_string().contains("does not offer TLS"), "{err}");
    }
    connect(&plain(&pg), &ConnectOptions::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_peer_that_talks_past_tls_is_refused() {
    let refused = against(b"N", TlsMode::Require).await;
    assert!(
        refused.to_string().contains("does not offer TLS"),
        "{refused}"
    );

    // AuthenticationOk and ReadyForQuery behind the refusal, or without any answer to it.
    let skipped = against(b"NR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", TlsMode::Require).await;
    assert!(
        skipped.to_string().contains("does not offer TLS"),
        "{skipped}"
    );
    let skipped = against(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", TlsMode::Require).await;
    assert_eq!(skipped.kind(), ErrorKind::Decode, "{skipped:?}");

    // Plain text behind the consent, which must not be taken for what comes over TLS.
    let injected = against(b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", TlsMode::Require).await;
    assert_eq!(injected.kind(), ErrorKind::Decode, "{injected:?}");

    // The text of an error that nobody vouches for is not repeated.
    let error = against(b"E\0\0\0\x10Mcanary!!!\0\0", TlsMode::Require).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");

    let hung_up = against(b"", TlsMode::Require).await;
    assert_eq!(
        (hung_up.kind(), hung_up.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
    let hung_up = against(b"S", TlsMode::Require).await;
    assert_eq!(
        (hung_up.kind(), hung_up.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
}

#[tokio::test]
async fn a_peer_that_speaks_another_protocol_is_not_understood() {
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    assert_eq!(
        against(http, TlsMode::Require).await.kind(),
        ErrorKind::Decode
    );
    let err = against(http, TlsMode::Disable).await;
    assert!(
        matches!(err.kind(), ErrorKind::Decode | ErrorKind::Unavailable),
        "{err:?}"
    );
    let err = against(b"", TlsMode::Disable).await;
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
}

#[tokio::test]
async fn a_server_that_was_stopped_refuses() {
    let identity = Authority::new().server(&["localhost"]);
    let Some(mut pg) = with_tls(&identity).start().await else {
        return;
    };
    let info = info(&pg, TlsSettings::new(TlsMode::Require));
    connect(&info, &ConnectOptions::default()).await.unwrap();
    pg.stop(ops_pg::server::Shutdown::Fast).await;
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
}
