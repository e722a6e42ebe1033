//! One connection through the proxy.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::pump::pump;
use super::{Backend, Close, Direction, Shared};

/// Forwards a connection until both ways have ended or it is broken.
pub(super) async fn run(id: u64, client: TcpStream, shared: Arc<Shared>) {
    let open = Open {
        id,
        shared: Arc::clone(&shared),
    };
    let mut client = Stream::Tcp(client);
    let mut kill = shared.kill.subscribe();
    let killed = async {
        kill.wait_for(|kill| id < kill.before)
            .await
            .map_or(Close::Reset, |kill| kill.close)
    };
    let mut backend = None;
    let forwarded = async {
        let Ok(stream) = dial(&shared).await else {
            shared.unreachable.fetch_add(1, Ordering::Relaxed);
            return Close::Reset;
        };
        relay(&mut client, backend.insert(stream), &shared).await
    };
    let close = tokio::select! {
        biased;
        close = killed => close,
        close = forwarded => close,
    };
    if close == Close::Reset {
        client.reset_on_drop();
        backend.iter().for_each(Stream::reset_on_drop);
    }
    // The connection is closed before it counts as closed.
    drop((client, backend));
    drop(open);
}

/// Reaches for the backend, as soon as no fault is against it.
async fn dial(shared: &Shared) -> io::Result<Stream> {
    let mut faults = shared.faults.subscribe();
    let _ = faults
        .wait_for(|faults| !faults.hold_new && !faults.frozen)
        .await;
    let backend = shared.backend.borrow().clone();
    match backend {
        Backend::Tcp(addr) => TcpStream::connect(addr).await.map(Stream::Tcp),
        Backend::Unix(socket) => UnixStream::connect(socket).await.map(Stream::Unix),
    }
}

async fn relay(client: &mut Stream, backend: &mut Stream, shared: &Shared) -> Close {
    let (from_client, to_client) = client.split();
    let (from_backend, to_backend) = backend.split();
    let up = pump(Direction::Up, from_client, to_backend, shared);
    let down = pump(Direction::Down, from_backend, to_client, shared);
    match tokio::try_join!(up, down) {
        Ok(_) => Close::End,
        Err(close) => close,
    }
}

/// An entry among the open connections.
struct Open {
    id: u64,
    shared: Arc<Shared>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.open.send_modify(|open| {
            open.remove(&self.id);
        });
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub(super) type Reader<'a> = Box<dyn AsyncRead + Send + Unpin + 'a>;
pub(super) type Writer<'a> = Box<dyn AsyncWrite + Send + Unpin + 'a>;

impl Stream {
    fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Tcp(stream) => {
                // Latency is what the test asks for, and nothing besides.
                let _ = stream.set_nodelay(true);
                let (reader, writer) = stream.split();
                (Box::new(reader), Box::new(writer))
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.split();
                (Box::new(reader), Box::new(writer))
            }
        }
    }

    /// Unix-domain sockets know no reset: their peer sees an end.
    fn reset_on_drop(&self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_zero_linger();
        }
    }
}
