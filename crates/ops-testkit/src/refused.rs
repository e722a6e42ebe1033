//! A port that refuses connections for sure.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A loopback port that is taken and on which nobody listens, for as long as this lives.
///
/// A port that was merely free a moment ago may belong to another test by now; and a
/// client may even be given it as its own port, and reach itself.
#[derive(Debug)]
pub struct RefusedPort {
    socket: TcpSocket,
}

impl RefusedPort {
    /// Takes a port.
    ///
    /// # Panics
    /// Where no port is free.
    #[must_use]
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(any).expect("a port is free");
        Self { socket }
    }

    /// The address.
    ///
    /// # Panics
    /// Never in practice: a socket that is bound has an address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.socket
            .local_addr()
            .expect("a socket that is bound has an address")
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr().port()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn nobody_gets_through_to_it_not_even_itself() {
        let refused = RefusedPort::take();
        // More than there are ephemeral ports to stumble over by chance.
        for _ in 0..30_000 {
            let err = TcpStream::connect(refused.addr()).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
        }
    }
}
