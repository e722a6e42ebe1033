//! A stream to a server, and how the driver is told that it is ready.

use std::fmt;
use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::{ChannelBinding, TlsConnect};
use tokio_rustls::client::TlsStream;

use crate::tls::server_end_point;

/// A stream to a server: TCP, a Unix-domain socket, or TLS over TCP.
pub struct Stream {
    socket: Socket,
    server_end_point: Option<Vec<u8>>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn tcp(socket: TcpStream) -> Self {
        Self {
            socket: Socket::Tcp(socket),
            server_end_point: None,
        }
    }

    pub(super) fn unix(socket: UnixStream) -> Self {
        Self {
            socket: Socket::Unix(socket),
            server_end_point: None,
        }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let server_end_point = certificate.and_then(|certificate| server_end_point(certificate));
        Self {
            socket: Socket::Tls(Box::new(stream)),
            server_end_point,
        }
    }

    /// Whether the stream is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.socket, Socket::Tls(_))
    }

    /// The channel binding `tls-server-end-point` (RFC 5929) of an encrypted stream whose
    /// server has a certificate with a hash.
    pub fn tls_server_end_point(&self) -> Option<&[u8]> {
        self.server_end_point.as_deref()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.socket {
            Socket::Tcp(_) => "tcp",
            Socket::Unix(_) => "unix",
            Socket::Tls(_) => "tls",
        };
        f.debug_tuple("Stream").field(&kind).finish()
    }
}

macro_rules! each {
    ($self:ident, $socket:ident => $call:expr) => {
        match &mut $self.get_mut().socket {
            Socket::Tcp($socket) => $call,
            Socket::Unix($socket) => $call,
            Socket::Tls($socket) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, socket => Pin::new(socket).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, socket => Pin::new(socket).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Tcp(socket) => socket.is_write_vectored(),
            Socket::Unix(socket) => socket.is_write_vectored(),
            Socket::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }
}

/// A stream that needs no TLS of the driver's any more, together with its channel binding.
#[derive(Debug)]
pub struct Established<W> {
    stream: W,
    server_end_point: Option<Vec<u8>>,
}

/// Hands an open stream to the driver in place of a TLS handshake.
pub(super) struct Login {
    server_end_point: Option<Vec<u8>>,
}

impl Established<Stream> {
    pub(super) fn login(stream: &Stream) -> Login {
        Login {
            server_end_point: stream.server_end_point.clone(),
        }
    }
}

impl<W: AsyncRead + AsyncWrite + Unpin> TlsConnect<W> for Login {
    type Stream = Established<W>;
    type Error = io::Error;
    type Future = Ready<io::Result<Established<W>>>;

    fn connect(self, stream: W) -> Self::Future {
        ready(Ok(Established {
            stream,
            server_end_point: self.server_end_point,
        }))
    }
}

impl<W: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Established<W> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.server_end_point {
            Some(hash) => ChannelBinding::tls_server_end_point(hash.clone()),
            None => ChannelBinding::none(),
        }
    }
}

impl<W: AsyncRead + Unpin> AsyncRead for Established<W> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Established<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
