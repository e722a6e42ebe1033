//! A TCP proxy that breaks connections in the ways that networks do.
//!
//! ```
//! use std::time::Duration;
//!
//! use ops_testkit::FaultProxy;
//! use tokio::net::{TcpListener, TcpStream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
//! let proxy = FaultProxy::start(server.local_addr().unwrap()).await;
//! let client = TcpStream::connect(proxy.addr()).await.unwrap();
//!
//! proxy.set_latency(Duration::from_millis(50));
//! proxy.set_throttle(Some(64 * 1024));
//! proxy.reset_connections().await;
//! proxy.set_refuse(true).await;
//! assert!(TcpStream::connect(proxy.addr()).await.is_err());
//! proxy.heal().await;
//! # drop(client);
//! # }
//! ```
//!
//! The port stays the same for as long as the proxy lives, whatever the backend does.
//! Faults can be switched at any time, and hold for present and later connections alike.
//! Delays go by tokio's clock.

mod connection;
mod listener;
mod pump;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ops_core::database::{ConnectInfo, Host};
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use listener::Port;

/// Where a proxy forwards to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix-domain socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Backend {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl From<&Path> for Backend {
    fn from(socket: &Path) -> Self {
        Self::Unix(socket.to_owned())
    }
}

impl Backend {
    /// The server that a database is reached at; for a Unix-domain socket the
    /// `.s.PGSQL.<port>` of PostgreSQL.
    ///
    /// # Panics
    /// Where the host's name does not resolve.
    #[expect(clippy::panic, reason = "a test that names a wrong host fails")]
    pub async fn of(info: &ConnectInfo) -> Self {
        match &info.host {
            Host::Unix(folder) => Self::Unix(folder.join(format!(".s.PGSQL.{}", info.port))),
            host => {
                let resolved = lookup_host((host.to_string(), info.port)).await;
                let Some(addr) = resolved.ok().and_then(|mut addrs| addrs.next()) else {
                    panic!("{host} does not resolve");
                };
                Self::Tcp(addr)
            }
        }
    }
}

/// The way of a byte through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the backend.
    Up,
    /// From the backend to the client.
    Down,
}

/// How a connection is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// By a reset (RST): what is under way is lost, and the peer sees an error.
    Reset,
    /// By an orderly end (FIN): the peer sees the end of the stream.
    End,
}

/// Where a stream is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which way is counted.
    pub direction: Direction,
    /// How many bytes of a connection pass, counted from its start.
    pub after: u64,
    /// How the connection then ends.
    pub close: Close,
}

/// What has passed a proxy so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyStats {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections whose backend could not be reached.
    pub unreachable: u64,
    /// Connections that are open now.
    pub open: usize,
    /// Bytes forwarded from clients to the backend.
    pub bytes_up: u64,
    /// Bytes forwarded from the backend to clients.
    pub bytes_down: u64,
}

/// A TCP proxy on a loopback port. Dropping it closes its connections.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listening: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

/// The faults that are on.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    latency: Duration,
    throttle: Option<u64>,
    frozen: bool,
    hold_new: bool,
    refuse: bool,
    cut: Option<Cut>,
}

/// Tells connections that are older than it to end.
#[derive(Clone, Copy, Debug)]
struct Kill {
    before: u64,
    close: Close,
}

#[derive(Debug)]
struct Shared {
    backend: watch::Sender<Backend>,
    faults: watch::Sender<Faults>,
    kill: watch::Sender<Kill>,
    open: watch::Sender<BTreeSet<u64>>,
    accepted: AtomicU64,
    unreachable: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

impl FaultProxy {
    /// Starts a proxy without faults, on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start(backend: impl Into<Backend>) -> Self {
        let port = Port::reserve();
        let addr = port.addr();
        let shared = Arc::new(Shared {
            backend: watch::Sender::new(backend.into()),
            faults: watch::Sender::new(Faults::default()),
            kill: watch::Sender::new(Kill {
                before: 0,
                close: Close::Reset,
            }),
            open: watch::Sender::new(BTreeSet::new()),
            accepted: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
        });
        let (report, mut listening) = watch::channel(false);
        let task = tokio::spawn(listener::serve(port, Arc::clone(&shared), report));
        let _ = listening.wait_for(|&listening| listening).await;
        Self {
            addr,
            shared,
            listening,
            task,
        }
    }

    /// Where the proxy listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same database, reached through the proxy.
    #[must_use]
    pub fn connect_info(&self, direct: &ConnectInfo) -> ConnectInfo {
        let mut info = direct.clone();
        info.host = Host::Tcp(self.addr.ip().to_string());
        info.port = self.addr.port();
        info
    }

    /// Forwards later connections to another backend.
    pub fn set_backend(&self, backend: impl Into<Backend>) {
        self.shared.backend.send_replace(backend.into());
    }

    /// Delays every byte by this much on its way up and by as much on its way down.
    /// Bytes under way together are not delayed by each other.
    pub fn set_latency(&self, one_way: Duration) {
        self.shared
            .faults
            .send_modify(|faults| faults.latency = one_way);
    }

    /// Lets this many bytes a second pass, for each connection and each direction.
    pub fn set_throttle(&self, bytes_per_second: Option<u64>) {
        self.shared
            .faults
            .send_modify(|faults| faults.throttle = bytes_per_second);
    }

    /// Stops forwarding without closing anything, as a peer does that has lost its power;
    /// new connections are accepted and left alone. What has been sent meanwhile is
    /// forwarded when this is switched off.
    pub fn set_frozen(&self, frozen: bool) {
        self.shared
            .faults
            .send_modify(|faults| faults.frozen = frozen);
    }

    /// Accepts new connections without reaching for the backend, for as long as this is
    /// on. Present ones go on.
    pub fn set_hold_new(&self, hold: bool) {
        self.shared
            .faults
            .send_modify(|faults| faults.hold_new = hold);
    }

    /// Cuts every connection off where it reaches a number of bytes.
    pub fn set_cut(&self, cut: Option<Cut>) {
        self.shared.faults.send_modify(|faults| faults.cut = cut);
    }

    /// Refuses new connections, as a host does on which nothing listens. Present ones go
    /// on. Holds when this returns.
    ///
    /// # Cancel safety
    /// The switch is made; only the waiting is cancelled.
    pub async fn set_refuse(&self, refuse: bool) {
        self.shared
            .faults
            .send_modify(|faults| faults.refuse = refuse);
        let _ = self
            .listening
            .clone()
            .wait_for(|&listening| listening != refuse)
            .await;
    }

    /// Resets the present connections, and returns how many they were. They are gone from
    /// the proxy when this returns.
    ///
    /// # Cancel safety
    /// The connections are reset; only the waiting is cancelled.
    pub async fn reset_connections(&self) -> usize {
        self.shared.close_all(Close::Reset).await
    }

    /// Ends the present connections in an orderly way, and returns how many they were.
    ///
    /// # Cancel safety
    /// The connections end; only the waiting is cancelled.
    pub async fn end_connections(&self) -> usize {
        self.shared.close_all(Close::End).await
    }

    /// Switches all faults off. Connections that were broken stay so.
    ///
    /// # Cancel safety
    /// The switch is made; only the waiting is cancelled.
    pub async fn heal(&self) {
        self.shared.faults.send_replace(Faults::default());
        self.set_refuse(false).await;
    }

    /// What has passed so far.
    #[must_use]
    pub fn stats(&self) -> ProxyStats {
        let Shared {
            open,
            accepted,
            unreachable,
            bytes_up,
            bytes_down,
            ..
        } = &*self.shared;
        ProxyStats {
            accepted: accepted.load(Ordering::Relaxed),
            unreachable: unreachable.load(Ordering::Relaxed),
            open: open.borrow().len(),
            bytes_up: bytes_up.load(Ordering::Relaxed),
            bytes_down: bytes_down.load(Ordering::Relaxed),
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn close_all(&self, close: Close) -> usize {
        let mut open = self.open.subscribe();
        let before = self.accepted.load(Ordering::Acquire);
        let count = open.borrow_and_update().range(..before).count();
        self.kill.send_replace(Kill { before, close });
        let gone = |open: &BTreeSet<u64>| open.first().is_none_or(|&oldest| oldest >= before);
        let _ = open.wait_for(gone).await;
        count
    }

    fn forwarded(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::Up => &self.bytes_up,
            Direction::Down => &self.bytes_down,
        };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
