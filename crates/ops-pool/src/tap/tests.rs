//! Bytes through a tap.

use std::future::poll_fn;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::close::CloseReason;

const WELCOME: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];
const READY: &[u8] = &[b'Z', 0, 0, 0, 5, b'I'];
const FAILURE: &[u8] = b"E\x00\x00\x00\x0fVERROR\0C1\0\0";
const ANSWER: &[u8] = b"C\x00\x00\x00\x0aSECRE\0";

fn query(sql: &str) -> Vec<u8> {
    let length = u32::try_from(sql.len()).unwrap() + 5;
    [b"Q", &length.to_be_bytes()[..], sql.as_bytes(), &[0]].concat()
}

/// A connection that has been logged in to, and has a reset in front of a query.
async fn with_a_reset_in_front() -> (Tap<DuplexStream>, Arc<Wire>, DuplexStream) {
    let (near, mut far) = tokio::io::duplex(4096);
    let (mut tap, wire) = Tap::new(near);
    tap.write_all(&[0, 0, 0, 8, 0, 3, 0, 0]).await.unwrap();
    far.write_all(WELCOME).await.unwrap();
    let mut welcome = vec![0; WELCOME.len()];
    tap.read_exact(&mut welcome).await.unwrap();
    wire.expect_resets([Arc::from("DISCARD ALL")]);
    tap.write_all(&query("DISCARD ALL")).await.unwrap();
    tap.write_all(&query("SELECT 'secret'")).await.unwrap();
    (tap, wire, far)
}

/// What the driver can read before the connection ends.
async fn read_all(tap: &mut Tap<DuplexStream>) -> (Vec<u8>, Option<io::Error>) {
    let mut read = Vec::new();
    let err = tap.read_to_end(&mut read).await.err();
    (read, err)
}

#[tokio::test]
async fn behind_a_reset_that_works_everything_comes_through() {
    let (mut tap, wire, mut far) = with_a_reset_in_front().await;
    let all = [b"C\x00\x00\x00\x07OK\0", READY, ANSWER, READY].concat();
    far.write_all(&all).await.unwrap();
    drop(far);
    let (read, err) = read_all(&mut tap).await;
    assert_eq!((read, err.is_none(), wire.broken()), (all, true, None));
}

/// However the bytes are cut, nothing of what comes after the failure gets through.
#[tokio::test]
async fn behind_a_reset_that_fails_nothing_comes_through() {
    let all = [FAILURE, READY, ANSWER, READY].concat();
    for cut in 1..all.len() {
        let (mut tap, wire, mut far) = with_a_reset_in_front().await;
        let (first, second) = all.split_at(cut);
        far.write_all(first).await.unwrap();
        let mut read = Vec::new();
        let begun = tap.read_buf(&mut read).await;
        if begun.is_ok() {
            far.write_all(second).await.unwrap();
            let (more, err) = read_all(&mut tap).await;
            assert!(err.is_some(), "cut at {cut}");
            read.extend(more);
        }
        assert!(read.len() < FAILURE.len(), "cut at {cut}: {read:?}");
        assert_eq!(wire.broken(), Some(CloseReason::ResetFailed));
        // Nor does it later.
        let (read, err) = read_all(&mut tap).await;
        let reason = err.unwrap().to_string();
        assert_eq!((read.len(), reason.as_str()), (0, "the reset query failed"));
        assert!(tap.write_all(&query("SELECT 1")).await.is_err());
    }
}

#[tokio::test]
async fn whatever_overtakes_a_reset_ends_the_connection() {
    let (near, _far) = tokio::io::duplex(4096);
    let (mut tap, wire) = Tap::new(near);
    tap.write_all(&[0, 0, 0, 8, 0, 3, 0, 0]).await.unwrap();
    wire.expect_resets([Arc::from("DISCARD ALL")]);
    assert!(tap.write_all(&query("SELECT 1")).await.is_err());
    assert!(tap.read_u8().await.is_err());
}

#[tokio::test]
async fn a_stream_that_takes_nothing_is_told() {
    let (near, mut far) = tokio::io::duplex(16);
    let (mut tap, wire) = Tap::new(near);
    let much = [0; 64];
    let write = |tap: &mut Tap<DuplexStream>| {
        poll_fn(|cx| Pin::new(&mut *tap).poll_write(cx, &much)).now_or_never()
    };
    assert!(write(&mut tap).is_some() && !wire.is_blocked());
    assert!(write(&mut tap).is_none() && wire.is_blocked());
    far.read_exact(&mut [0; 16]).await.unwrap();
    assert!(write(&mut tap).is_some() && !wire.is_blocked());
}
