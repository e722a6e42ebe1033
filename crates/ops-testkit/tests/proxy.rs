//! The faults of the proxy, seen from both of its sides.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ops_testkit::proxy::{Backend, Close, Cut, Direction};
use ops_testkit::{FaultProxy, Pg, RefusedPort, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(10);

/// A server that sends back what it gets, for ever.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    addr
}

async fn echoes(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    let read = tokio::time::timeout(SOON, stream.read_exact(&mut back)).await;
    read.expect("no echo").unwrap();
    assert!(back == bytes, "the echo differs");
}

/// Whether nothing arrives for a while.
async fn is_silent(stream: &TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(100), stream.peek(&mut [0]))
        .await
        .is_err()
}

/// What is read until the end, and how it ended.
async fn drain(stream: &mut TcpStream) -> (usize, Option<ErrorKind>) {
    let mut buffer = [0; 4096];
    let mut total = 0;
    loop {
        let read = tokio::time::timeout(SOON, stream.read(&mut buffer)).await;
        match read.expect("the stream did not end") {
            Ok(0) => return (total, None),
            Ok(read) => total += read,
            Err(err) => return (total, Some(err.kind())),
        }
    }
}

#[tokio::test]
async fn bytes_pass_unchanged_and_are_counted() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut reader, mut writer) = stream.split();
    let mut back = vec![0; bytes.len()];
    let (sent, received) = tokio::join!(writer.write_all(&bytes), reader.read_exact(&mut back));
    sent.unwrap();
    received.unwrap();
    assert!(back == bytes);

    let stats = proxy.stats();
    assert_eq!((stats.bytes_up, stats.bytes_down), (300_000, 300_000));
    assert_eq!((stats.accepted, stats.open), (1, 1));
    drop(stream);
    wait_until("the connection to close", SOON, async || {
        proxy.stats().open == 0
    })
    .await;
}

#[tokio::test]
async fn an_end_of_one_way_is_passed_on_while_the_other_goes_on() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    stream.write_all(b"last words").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(drain(&mut stream).await, (10, None));
}

#[tokio::test]
async fn latency_delays_each_way_and_does_not_limit_the_rate() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut stream, b"warm").await;
    proxy.set_latency(Duration::from_millis(60));

    let begun = Instant::now();
    echoes(&mut stream, b"x").await;
    assert!(
        begun.elapsed() >= Duration::from_millis(120),
        "{:?}",
        begun.elapsed()
    );

    // Twenty chunks that each waited for the one before would take 2.4 s.
    let begun = Instant::now();
    echoes(&mut stream, &vec![7; 20 * 16 * 1024]).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(120),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        begun.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn latency_that_is_switched_off_lets_go_what_it_held() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.set_latency(Duration::from_hours(1));
    stream.write_all(b"held").await.unwrap();
    assert!(
        is_silent(&stream).await,
        "bytes passed in spite of the latency"
    );

    proxy.heal().await;
    let mut back = [0; 4];
    tokio::time::timeout(SOON, stream.read_exact(&mut back))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&back, b"held");
}

#[tokio::test]
async fn a_throttle_sets_the_rate() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.set_throttle(Some(40_000));
    let begun = Instant::now();
    echoes(&mut stream, &vec![1; 20_000]).await;
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(450),
        "20 kB at 40 kB/s took {took:?}"
    );
    assert!(
        took < Duration::from_secs(5),
        "20 kB at 40 kB/s took {took:?}"
    );
}

#[tokio::test]
async fn present_connections_are_reset_and_later_ones_are_not() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut first = TcpStream::connect(proxy.addr()).await.unwrap();
    let mut second = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut first, b"a").await;
    echoes(&mut second, b"b").await;

    assert_eq!(proxy.reset_connections().await, 2);
    assert_eq!(proxy.stats().open, 0);
    assert_eq!(
        drain(&mut first).await,
        (0, Some(ErrorKind::ConnectionReset))
    );
    assert_eq!(
        drain(&mut second).await,
        (0, Some(ErrorKind::ConnectionReset))
    );

    let mut third = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut third, b"c").await;
}

#[tokio::test]
async fn an_orderly_end_is_no_error_to_the_peer() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut stream, b"a").await;
    assert_eq!(proxy.end_connections().await, 1);
    assert_eq!(drain(&mut stream).await, (0, None));
}

#[tokio::test]
async fn a_frozen_connection_stays_open_and_silent_until_it_thaws() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut present = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut present, b"a").await;
    proxy.set_frozen(true);

    let mut later = TcpStream::connect(proxy.addr()).await.unwrap();
    for stream in [&mut present, &mut later] {
        stream.write_all(b"anybody?").await.unwrap();
        assert!(is_silent(stream).await, "a frozen connection answered");
    }
    assert_eq!(proxy.stats().bytes_up, 1);

    proxy.set_frozen(false);
    for stream in [&mut present, &mut later] {
        let mut back = [0; 8];
        tokio::time::timeout(SOON, stream.read_exact(&mut back))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&back, b"anybody?");
    }
}

#[tokio::test]
async fn new_connections_can_be_held_while_present_ones_go_on() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut present = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut present, b"a").await;
    proxy.set_hold_new(true);

    let mut later = TcpStream::connect(proxy.addr()).await.unwrap();
    later.write_all(b"b").await.unwrap();
    echoes(&mut present, b"c").await;
    assert!(is_silent(&later).await, "a held connection answered");
}

#[tokio::test]
async fn a_port_that_refuses_can_be_opened_again_as_the_same_one() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut present = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut present, b"a").await;
    for _ in 0..5 {
        proxy.set_refuse(true).await;
        let err = TcpStream::connect(proxy.addr()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
        echoes(&mut present, b"still here").await;

        proxy.set_refuse(false).await;
        let mut later = TcpStream::connect(proxy.addr()).await.unwrap();
        echoes(&mut later, b"b").await;
    }
}

#[tokio::test]
async fn a_stream_is_cut_at_the_very_byte() {
    for (close, ends) in [
        (Close::End, None),
        (Close::Reset, Some(ErrorKind::ConnectionReset)),
    ] {
        let proxy = FaultProxy::start(echo().await).await;
        proxy.set_cut(Some(Cut {
            direction: Direction::Down,
            after: 1000,
            close,
        }));
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        echoes(&mut stream, &[1; 999]).await;
        stream.write_all(&[2; 999]).await.unwrap();
        let (read, error) = drain(&mut stream).await;
        assert_eq!((proxy.stats().bytes_down, error), (1000, ends), "{close:?}");
        // A reset may overtake the last byte, an end may not.
        assert!(read == 1 || close == Close::Reset, "{close:?}: {read}");
    }
}

#[tokio::test]
async fn a_cut_of_one_way_does_not_count_the_other() {
    let proxy = FaultProxy::start(echo().await).await;
    proxy.set_cut(Some(Cut {
        direction: Direction::Up,
        after: 10,
        close: Close::Reset,
    }));
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut stream, &[1; 9]).await;
    stream.write_all(&[1; 9]).await.unwrap();
    assert_eq!(drain(&mut stream).await.1, Some(ErrorKind::ConnectionReset));
    assert_eq!(proxy.stats().bytes_up, 10);
}

#[tokio::test]
async fn a_backend_that_is_down_resets_the_client_and_is_counted() {
    let gone = RefusedPort::take();
    let proxy = FaultProxy::start(gone.addr()).await;
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(
        drain(&mut stream).await,
        (0, Some(ErrorKind::ConnectionReset))
    );
    assert_eq!(proxy.stats().unreachable, 1);

    proxy.set_backend(echo().await);
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echoes(&mut stream, b"back").await;
}

#[tokio::test]
async fn a_dropped_proxy_closes_what_went_through_it() {
    let proxy = FaultProxy::start(echo().await).await;
    let addr = proxy.addr();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    echoes(&mut stream, b"a").await;
    drop(proxy);
    drain(&mut stream).await;
    wait_until("the port to close", SOON, async || {
        TcpStream::connect(addr).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_proxy_in_front_of_a_socket_outlives_a_restart_of_its_server() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let proxy = FaultProxy::start(Backend::of(&pg.connect_info("postgres")).await).await;
    let info = proxy.connect_info(&pg.connect_info("postgres"));
    let options = ops_pg::connect::ConnectOptions::default();
    let client = ops_pg::connect::connect(&info, &options).await.unwrap();
    client.simple_query("SELECT 1").await.unwrap();

    pg.kill9().await;
    assert!(client.simple_query("SELECT 1").await.is_err());
    assert!(ops_pg::connect::connect(&info, &options).await.is_err());

    pg.start_again().await;
    let client = ops_pg::connect::connect(&info, &options).await.unwrap();
    client.simple_query("SELECT 1").await.unwrap();
}
