//! What holds on a connection that stands.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ops_core::database::{ConnectInfo, TlsMode, TlsSettings};
use ops_core::{ErrorKind, Retry};
use ops_pg::connect::{ChannelBinding, ConnectOptions, Connector, Stream, cancel, connect};
use ops_pg::error::from_driver;
use ops_testkit::{Pg, wait_until};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;

use crate::certificates::Authority;
use crate::server::{info, plain, with_tls};

#[tokio::test]
async fn parameters_and_the_application_name_are_set_at_startup() {
    let Some(pg) = Pg::start().await else { return };
    let options = ConnectOptions::default()
        .with_application_name("shop web")
        .with_parameter("ops.note", r"a  b, back\slash 'quote'")
        .with_parameter("work_mem", "1MB");
    let client = connect(&pg.connect_info("postgres"), &options)
        .await
        .unwrap();
    let sql = "SELECT current_setting('ops.note'), current_setting('work_mem'), \
               current_setting('application_name')";
    let row = client.query_one(sql, &[]).await.unwrap();
    let shown: [&str; 3] = [row.get(0), row.get(1), row.get(2)];
    assert_eq!(shown, [r"a  b, back\slash 'quote'", "1MB", "shop web"]);
}

#[tokio::test]
async fn a_parameter_that_can_be_none_is_refused_before_anything_is_sent() {
    let Some(pg) = Pg::start().await else { return };
    for (name, value) in [("a b", "1"), ("", "1"), ("x=y", "1"), ("work_mem", "1\0")] {
        let options = ConnectOptions::default().with_parameter(name, value);
        let err = connect(&pg.connect_info("postgres"), &options)
            .await
            .err()
            .unwrap();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{name:?}: {err:?}");
    }
}

/// Counts the bytes that pass, as a pool reads the protocol.
struct Tap {
    inner: Stream,
    read: Arc<AtomicUsize>,
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut tap.inner).poll_read(cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        if tap.read.fetch_add(new.len(), Ordering::Relaxed) == 0 {
            assert!(
                new.is_empty() || new.starts_with(b"R"),
                "the first byte is no login: {new:?}"
            );
        }
        polled
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_wrapped_stream_sees_the_protocol_above_tls_and_the_login_stays_bound() {
    let identity = Authority::new().server(&["localhost"]);
    let Some(pg) = with_tls(&identity).start().await else {
        return;
    };
    let info = info(&pg, TlsSettings::new(TlsMode::Require));
    let options = ConnectOptions::default().with_channel_binding(ChannelBinding::Require);
    let connector = Connector::new(&info, &options).await.unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let (client, driver) = connector
        .connect_with(|inner| {
            assert!(inner.is_encrypted());
            assert_eq!(inner.tls_server_end_point().map(<[u8]>::len), Some(32));
            Tap {
                inner,
                read: counter,
            }
        })
        .await
        .unwrap();
    let driver = tokio::spawn(driver);
    let after_login = read.load(Ordering::Relaxed);
    client.simple_query("SELECT 1").await.unwrap();
    assert!(read.load(Ordering::Relaxed) > after_login);
    drop(client);
    driver.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_can_be_had_without_a_login() {
    let identity = Authority::new().server(&["localhost"]);
    let Some(pg) = with_tls(&identity).start().await else {
        return;
    };
    let info = info(&pg, TlsSettings::new(TlsMode::Require));
    let connector = Connector::new(&info, &ConnectOptions::default())
        .await
        .unwrap();
    let stream = connector.open().await.unwrap();
    assert!(stream.is_encrypted());
    assert_eq!(format!("{stream:?}"), r#"Stream("tls")"#);
}

async fn assert_cancels(pg: &Pg, info: &ConnectInfo) {
    let client = connect(info, &ConnectOptions::default()).await.unwrap();
    let token = client.cancel_token();
    let begun = Instant::now();
    let running = tokio::spawn(async move { client.simple_query("SELECT pg_sleep(60)").await });
    let socket = pg.socket_connect_info("postgres");
    let admin = connect(&socket, &ConnectOptions::default()).await.unwrap();
    wait_until("the query to run", Duration::from_secs(10), async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    cancel(info, &token).await.unwrap();
    let err = from_driver(running.await.unwrap().unwrap_err());
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::Timeout, Some("57014"))
    );
}

#[tokio::test]
async fn a_query_is_cancelled_over_a_socket_and_in_plain_text() {
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    assert_cancels(&pg, &pg.socket_connect_info("postgres")).await;
    assert_cancels(&pg, &plain(&pg)).await;
}

#[tokio::test]
async fn a_query_is_cancelled_over_tls() {
    let identity = Authority::new().server(&["localhost"]);
    let Some(pg) = with_tls(&identity).start().await else {
        return;
    };
    assert_cancels(&pg, &info(&pg, TlsSettings::new(TlsMode::Require))).await;
}

#[tokio::test]
async fn a_cancellation_returns_when_the_server_has_passed_it_on() {
    let Some(pg) = Pg::start().await else {
        return;
    };
    let token = pg.client("postgres").await.cancel_token();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut info = plain(&pg);
    info.port = listener.local_addr().unwrap().port();
    let passed_on = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&passed_on);
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        stream.read_to_end(&mut request).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        counter.store(request.len(), Ordering::SeqCst);
    });
    cancel(&info, &token).await.unwrap();
    assert_eq!(passed_on.load(Ordering::SeqCst), 16);
    peer.await.unwrap();
}

#[tokio::test]
async fn errors_of_statements_tell_what_to_do() {
    let Some(pg) = Pg::start().await else { return };
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY)")
        .await
        .unwrap();
    client
        .batch_execute("INSERT INTO t VALUES (4711)")
        .await
        .unwrap();
    for (sql, kind, retry) in [
        (
            "INSERT INTO t VALUES (4711)",
            ErrorKind::AlreadyExists,
            Retry::Never,
        ),
        ("SELECT * FROM nothing", ErrorKind::NotFound, Retry::Never),
        ("SELEC 1", ErrorKind::InvalidInput, Retry::Never),
        ("SELECT 1/0", ErrorKind::InvalidInput, Retry::Never),
        (
            "CREATE TABLE t (id int)",
            ErrorKind::AlreadyExists,
            Retry::Never,
        ),
        (
            "SET statement_timeout = 50; SELECT pg_sleep(9)",
            ErrorKind::Timeout,
            Retry::Safe,
        ),
        (
            "DO $$BEGIN RAISE 'no'; END$$",
            ErrorKind::Conflict,
            Retry::Never,
        ),
        (
            "DO $$BEGIN RAISE SQLSTATE '40001'; END$$",
            ErrorKind::Conflict,
            Retry::Safe,
        ),
    ] {
        let err = from_driver(client.batch_execute(sql).await.unwrap_err());
        assert_eq!((err.kind(), err.retry()), (kind, retry), "{sql}: {err:?}");
        assert!(!format!("{err:?}").contains("4711"), "{err:?}");
    }
}

#[tokio::test]
async fn misuse_of_the_driver_is_told_from_a_broken_connection() {
    let Some(pg) = Pg::start().await else { return };
    let client = pg.client("postgres").await;
    let row = client.query_one("SELECT 1", &[]).await.unwrap();
    let wrong_type = from_driver(row.try_get::<_, String>(0).unwrap_err());
    assert_eq!(wrong_type.kind(), ErrorKind::Decode);
    let no_row = from_driver(
        client
            .query_one("SELECT 1 WHERE false", &[])
            .await
            .unwrap_err(),
    );
    assert_eq!(no_row.kind(), ErrorKind::Decode);
    let count = from_driver(client.query_one("SELECT $1", &[]).await.unwrap_err());
    assert_eq!(count.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_statement_whose_connection_breaks_has_an_unknown_outcome() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let client = pg.client("postgres").await;
    let (outcome, ()) = tokio::join!(client.batch_execute("SELECT pg_sleep(60)"), async {
        let admin = pg.client("postgres").await;
        wait_until("the query to run", Duration::from_secs(10), async || {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
        pg.kill9().await;
    });
    let err = from_driver(outcome.unwrap_err());
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::OutcomeUnknown)
    );
    let err = from_driver(client.batch_execute("SELECT 1").await.unwrap_err());
    assert_eq!(err.kind(), ErrorKind::Unavailable);
}
