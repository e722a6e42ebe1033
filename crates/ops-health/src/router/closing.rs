//! The end of a listener.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A listener that closes at a signal, after it has taken in all who had connected by then:
/// the system would reset their connections, with the requests that they have sent.
pub(super) struct Closing {
    listener: Option<TcpListener>,
    address: SocketAddr,
    signal: CancellationToken,
    /// Who had connected, but was not accepted when the signal came.
    queue: VecDeque<(TcpStream, SocketAddr)>,
}

impl Closing {
    /// # Errors
    /// Where the listener does not tell its address.
    pub(super) fn new(listener: TcpListener, signal: CancellationToken) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            signal,
            queue: VecDeque::new(),
        })
    }

    fn close(&mut self) {
        let Some(Ok(listener)) = self.listener.take().map(TcpListener::into_std) else {
            return;
        };
        // It is in non-blocking mode: an error is that nobody waits, or that there is no
        // place for one more.
        while let Ok((stream, peer)) = listener.accept() {
            let taken = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream));
            self.queue.extend(taken.ok().map(|stream| (stream, peer)));
        }
    }
}

impl Listener for Closing {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        if let Some(listener) = &mut self.listener {
            tokio::select! {
                biased;
                () = self.signal.cancelled() => self.close(),
                accepted = Listener::accept(listener) => return accepted,
            }
        }
        match self.queue.pop_front() {
            Some(accepted) => accepted,
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Client;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn whoever_has_connected_by_the_signal_is_accepted_and_nobody_after() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let signal = CancellationToken::new();
        let mut closing = Closing::new(listener, signal.clone()).unwrap();
        let address = closing.local_addr().unwrap();
        let connect = || Client::connect(address);
        let first = connect().unwrap();
        assert_eq!(closing.accept().await.1, first.local_addr().unwrap());
        let clients = [(); 20].map(|()| connect().unwrap());
        signal.cancel();
        for client in &clients {
            let (_, peer) = timeout(Duration::from_secs(5), closing.accept())
                .await
                .unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        let refused = connect().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let more = timeout(Duration::from_millis(50), closing.accept()).await;
        assert!(more.is_err(), "{more:?}");
    }
}
