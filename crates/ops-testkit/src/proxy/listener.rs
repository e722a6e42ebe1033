//! Accepting connections, or refusing them, on a port that stays ours.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::net::{Shutdown, shutdown};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Shared, connection};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A port that nobody else can take: a socket that is bound, and never listens, holds it
/// while the listener is closed.
#[derive(Debug)]
pub(super) struct Port {
    addr: SocketAddr,
    _guard: TcpSocket,
}

impl Port {
    #[expect(
        clippy::expect_used,
        reason = "a test on a machine without a free port fails"
    )]
    pub(super) fn reserve() -> Self {
        let guard = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let addr = guard.local_addr().expect("a bound socket has an address");
        Self {
            addr,
            _guard: guard,
        }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    #[expect(clippy::expect_used, reason = "the port is held by the guard")]
    fn listen(&self) -> TcpListener {
        bound(self.addr)
            .listen(BACKLOG)
            .expect("the proxy cannot listen on its own port")
    }
}

#[expect(
    clippy::expect_used,
    reason = "a test on a machine without a free port fails"
)]
fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("no socket can be made");
    socket
        .set_reuseaddr(true)
        .expect("sockets can share an address");
    socket.bind(addr).expect("no loopback port is free");
    socket
}

/// Accepts connections for ever, and says whether it listens. Aborting the task closes
/// the connections with it.
pub(super) async fn serve(port: Port, shared: Arc<Shared>, listening: watch::Sender<bool>) {
    let mut faults = shared.faults.subscribe();
    let mut connections = JoinSet::new();
    loop {
        {
            let listener = port.listen();
            listening.send_replace(true);
            let mut refused = faults.clone();
            let refused = refused.wait_for(|faults| faults.refuse);
            tokio::pin!(refused);
            loop {
                tokio::select! {
                    biased;
                    _ = &mut refused => break,
                    accepted = listener.accept() => if let Ok((client, _)) = accepted {
                        accept(client, &shared, &mut connections);
                    },
                    Some(_) = connections.join_next() => {},
                }
            }
            // Closing alone is not enough: a child that is being forked by another test
            // holds a copy of the socket until it has become its program.
            let _ = shutdown(&listener, Shutdown::Both);
        }
        listening.send_replace(false);
        let _ = faults.wait_for(|faults| !faults.refuse).await;
    }
}

fn accept(client: TcpStream, shared: &Arc<Shared>, connections: &mut JoinSet<()>) {
    // The id is in the set before it is counted, so that whoever reads the count finds it.
    let id = shared.accepted.load(Ordering::Acquire);
    shared.open.send_modify(|open| {
        open.insert(id);
    });
    shared.accepted.fetch_add(1, Ordering::Release);
    connections.spawn(connection::run(id, client, Arc::clone(shared)));
}
