//! Names and connections, for checks.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::check::CheckCtx;
use crate::outcome::Outcome;
use crate::status::Code;

/// How long one address has before the next is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// The most addresses that are tried.
const MAX_ADDRESSES: usize = 8;

/// The addresses of a host. The system's resolver blocks its thread; where it hangs, the
/// check is stuck, and no second thread is spent on it.
pub(crate) async fn resolve(
    ctx: &CheckCtx,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, Outcome> {
    if let Ok(address) = bare(host).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = host.to_owned();
    let found = ctx
        .blocking(move || {
            (name.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
        })
        .await;
    match found {
        Ok(addresses) if addresses.is_empty() => {
            Err(Outcome::unhealthy(Code::NotFound).with_detail(format!("{host} has no address")))
        }
        Ok(addresses) => Ok(addresses),
        Err(err) => Err(unresolved(host, &err)),
    }
}

/// An IPv6 address without the brackets that a URL puts around it.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// A name that is not there, or a resolver that did not answer: the system tells by text.
fn unresolved(host: &str, err: &io::Error) -> Outcome {
    let text = err.to_string();
    let code = if text.contains("Temporary failure") || text.contains("try again") {
        Code::Unreachable
    } else {
        Code::NotFound
    };
    Outcome::unhealthy(code).with_detail(format!("{host}: {text}"))
}

/// A connection to the first address that accepts one. An address that swallows everything
/// holds up the others for a moment only. The error is that of the first address.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut first_error: Option<(usize, io::Error)> = None;
    let mut rest = addresses.iter().copied().take(MAX_ADDRESSES).enumerate();
    let mut more = true;
    loop {
        if more {
            match rest.next() {
                Some((nth, address)) => {
                    attempts.spawn(async move { (nth, TcpStream::connect(address).await) });
                }
                None => more = false,
            }
        }
        let ended = tokio::select! {
            ended = attempts.join_next() => ended,
            () = sleep(STAGGER), if more => continue,
        };
        match ended {
            Some(Ok((_, Ok(stream)))) => {
                // Probes are small: nothing is to be collected.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Some(Ok((nth, Err(err)))) => {
                if first_error.as_ref().is_none_or(|(first, _)| nth < *first) {
                    first_error = Some((nth, err));
                }
            }
            Some(Err(_)) => {}
            None if more => {}
            None => break,
        }
    }
    Err(first_error.map_or_else(
        || io::Error::new(io::ErrorKind::NotFound, "there is no address"),
        |(_, err)| err,
    ))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn ctx() -> CheckCtx {
        CheckCtx::new(Duration::from_secs(5))
    }

    #[tokio::test]
    async fn an_address_is_no_name() {
        let found = resolve(&ctx(), "[::1]", 80).await.unwrap();
        assert_eq!(found, ["[::1]:80".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_refusing_address_does_not_hide_one_that_accepts() {
        let refusing = ops_testkit::RefusedPort::take();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accepting = listener.local_addr().unwrap();
        let stream = connect(&[refusing.addr(), accepting]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), accepting);
        let err = connect(&[refusing.addr()]).await.unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect(&[]).await.is_err());
    }
}
