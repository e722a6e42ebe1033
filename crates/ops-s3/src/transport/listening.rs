//! A stream that is read to its end although it cannot be written to anymore.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

/// A store that refuses an object, such as one that is there already, may answer and close
/// the connection before it has read the content. The answer is what counts: writes that
/// fail from then on are taken for done, and reading tells what the server said, or that it
/// said nothing.
#[derive(Debug)]
pub(super) struct Listening<T> {
    io: T,
    /// The other side does not read anymore.
    deaf: bool,
}

impl<T> Listening<T> {
    pub(super) const fn new(io: T) -> Self {
        Self { io, deaf: false }
    }

    fn unless_deaf<R>(&mut self, outcome: io::Result<R>, done: R) -> io::Result<R> {
        outcome.or_else(|err| match err.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                self.deaf = true;
                Ok(done)
            }
            _ => Err(err),
        })
    }
}

impl<T: Read + Unpin> Read for Listening<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> Write for Listening<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        Poll::Ready(self.unless_deaf(written, buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|buf| buf.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(all));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs));
        Poll::Ready(self.unless_deaf(written, all))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
        Poll::Ready(self.unless_deaf(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use hyper::client::conn::http1::handshake;
    use hyper::{Request, StatusCode};

    use super::*;

    /// Says its answer once a write to it has failed.
    #[derive(Default)]
    struct Refusing {
        answer: &'static [u8],
        failed: bool,
        reader: Option<Waker>,
    }

    impl Read for Refusing {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            mut buf: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.failed {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            buf.put_slice(std::mem::take(&mut self.answer));
            Poll::Ready(Ok(()))
        }
    }

    impl Write for Refusing {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.failed = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn sent_to(answer: &'static [u8]) -> hyper::Result<StatusCode> {
        let io = Refusing {
            answer,
            ..Refusing::default()
        };
        let (mut sender, connection) = handshake(Listening::new(io)).await?;
        let body = http_body_util::Full::new(bytes::Bytes::from(vec![7; 100_000]));
        let answer = sender.send_request(Request::put("/a").body(body).unwrap());
        let (answer, _) = tokio::join!(answer, connection);
        Ok(answer?.status())
    }

    #[tokio::test]
    async fn an_answer_to_content_that_nobody_read_is_heard() {
        let refused = b"HTTP/1.1 412 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            sent_to(refused).await.unwrap(),
            StatusCode::PRECONDITION_FAILED
        );
    }

    #[tokio::test]
    async fn a_connection_that_breaks_without_an_answer_is_broken() {
        assert!(sent_to(b"").await.unwrap_err().is_incomplete_message());
    }
}
