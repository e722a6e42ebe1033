//! Sockets to a server, up to the point where TLS or the login begins.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ops_core::{Error, ErrorKind, Result, Retry};
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::{Stream, TcpLiveness};

/// `SSLRequest`: its length and its code, 1234 and 5679 in two bytes each.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The end of the time that connecting may take.
pub(super) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(super) fn new(timeout: Duration) -> Self {
        let now = Instant::now();
        // Further than a century is as good as for ever.
        let at = now
            .checked_add(timeout)
            .unwrap_or(now + Duration::from_secs(3_000_000_000));
        Self { at, timeout }
    }

    pub(super) async fn within<F: Future>(&self, step: &str, future: F) -> Result<F::Output> {
        tokio::time::timeout_at(self.at, future)
            .await
            .map_err(|_| self.passed(step))
    }

    #[cold]
    fn passed(&self, step: &str) -> Error {
        let message = format!(
            "connecting took longer than {:?}; it was at {step}",
            self.timeout
        );
        Error::new(ErrorKind::Timeout, message).with_retry(Retry::Safe)
    }

    /// A fair share of what is left for the next of so many attempts, so that an address
    /// that swallows packets does not use up the time of those after it.
    fn share(&self, attempts: usize) -> Instant {
        let now = Instant::now();
        let left = self.at.saturating_duration_since(now);
        now + left / u32::try_from(attempts.max(1)).unwrap_or(u32::MAX)
    }
}

pub(super) async fn open_unix(folder: &Path, port: u16, deadline: &Deadline) -> Result<Stream> {
    let path = folder.join(format!(".s.PGSQL.{port}"));
    let opened = deadline
        .within("opening the socket", UnixStream::connect(&path))
        .await?;
    opened
        .map(Stream::unix)
        .map_err(|source| unreachable(path.display(), source))
}

/// Connects to the first address of a host that answers.
pub(super) async fn open_tcp(
    host: &str,
    port: u16,
    liveness: &TcpLiveness,
    deadline: &Deadline,
) -> Result<TcpStream> {
    let found = deadline.within(
        "resolving the host name",
        tokio::net::lookup_host((host, port)),
    );
    let addresses: Vec<SocketAddr> = found
        .await?
        .map_err(|source| unresolved(host).with_source(source))?
        .collect();
    let mut last = unresolved(host);
    for (tried, address) in addresses.iter().enumerate() {
        let until = deadline.share(addresses.len() - tried);
        last = match tokio::time::timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                return match set_options(&stream, liveness) {
                    Ok(()) => Ok(stream),
                    Err(source) => Err(unreachable(address, source)),
                };
            }
            Ok(Err(source)) => unreachable(address, source),
            Err(_) => deadline.passed(&format!("the TCP connection to {address}")),
        };
    }
    Err(last)
}

fn set_options(stream: &TcpStream, liveness: &TcpLiveness) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, liveness.keepalive_idle)?;
    sockopt::set_tcp_keepintvl(stream, liveness.keepalive_interval)?;
    sockopt::set_tcp_keepcnt(stream, liveness.keepalive_probes)?;
    #[cfg(target_os = "linux")]
    {
        let millis = u32::try_from(liveness.user_timeout.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(stream, millis)?;
    }
    Ok(())
}

/// Asks the server for TLS. Exactly one byte of the answer is read: what a third party
/// may have put behind it in plain text goes into the handshake, which then fails.
pub(super) async fn request_tls(socket: &mut TcpStream) -> Result<()> {
    let broken = |source| {
        Error::new(
            ErrorKind::Unavailable,
            "the server closed the connection when asked for TLS",
        )
        .with_source(source)
    };
    socket.write_all(&SSL_REQUEST).await.map_err(broken)?;
    match socket.read_u8().await.map_err(broken)? {
        b'S' => Ok(()),
        b'N' => Err(
            Error::new(ErrorKind::Unavailable, "the server does not offer TLS")
                .with_retry(Retry::Never),
        ),
        // Nobody vouches for the text of this error, so that it is not repeated.
        b'E' => Err(Error::new(
            ErrorKind::Unavailable,
            "the server answered with an error when asked for TLS",
        )),
        _ => Err(Error::new(
            ErrorKind::Decode,
            "the peer does not speak the PostgreSQL protocol",
        )),
    }
}

#[cold]
fn unresolved(host: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the host name {host} does not resolve"),
    )
}

#[cold]
fn unreachable(address: impl Display, source: io::Error) -> Error {
    let (kind, problem) = match source.kind() {
        io::ErrorKind::ConnectionRefused => (ErrorKind::Unavailable, "refused the connection"),
        io::ErrorKind::NotFound => (ErrorKind::Unavailable, "is no socket of a running server"),
        io::ErrorKind::PermissionDenied => (ErrorKind::PermissionDenied, "may not be used by us"),
        _ => (ErrorKind::Unavailable, "cannot be reached"),
    };
    Error::new(kind, format!("{address} {problem}")).with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_notices_a_dead_peer_and_sends_at_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let liveness = TcpLiveness {
            keepalive_idle: Duration::from_secs(7),
            keepalive_interval: Duration::from_secs(3),
            keepalive_probes: 2,
            user_timeout: Duration::from_millis(4_500),
        };
        set_options(&stream, &liveness).unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(
            sockopt::tcp_keepidle(&stream).unwrap(),
            liveness.keepalive_idle
        );
        assert_eq!(
            sockopt::tcp_keepintvl(&stream).unwrap(),
            liveness.keepalive_interval
        );
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 2);
        #[cfg(target_os = "linux")]
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 4_500);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_gets_a_fair_share_of_the_time_that_is_left() {
        let deadline = Deadline::new(Duration::from_secs(9));
        assert_eq!(deadline.share(3), Instant::now() + Duration::from_secs(3));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(deadline.share(1), Instant::now() + Duration::from_secs(4));
        assert_eq!(
            Deadline::new(Duration::MAX).within("", async {}).await.ok(),
            Some(())
        );
    }
}
