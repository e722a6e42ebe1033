//! A database that is down, in every way that databases are down. Ours alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ops_core::database::{ConnectInfo, Engine, Host, TlsMode, TlsSettings};
use ops_pool::{Acquire, AcquireError, SessionPool};
use ops_testkit::RefusedPort;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::Result;
use crate::measure::{median, millis};
use crate::options::Options;
use crate::report::{Gate, Table};
use crate::wire::skip;

pub(crate) const NAME: &str = "outage";

const DEADLINE: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_millis(50);
/// How many callers come at once.
const CALLERS: usize = 20;
/// What a server says that is not ready yet.
const STARTING: &[u8] =
    b"E\0\0\0\x3eSFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
const LOGGED_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

#[derive(Clone, Copy)]
enum Down {
    Refused,
    BlackHole,
    Silent,
    KillsAfterLogin,
    Starting,
}

const WAYS: [(Down, &str); 5] = [
    (Down::Refused, "connection refused"),
    (Down::BlackHole, "black hole: no answer to SYN"),
    (Down::Silent, "accepts, then silent"),
    (Down::KillsAfterLogin, "closes after login"),
    (Down::Starting, "starting up (57P03)"),
];

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let mut table = Table::new(
        format!(
            "database down: {CALLERS} callers at a time with {} ms, {} times",
            DEADLINE.as_millis(),
            options.rounds
        ),
        &[
            ("median", "ms"),
            ("latest", "ms"),
            ("refused", ""),
            ("timed out", ""),
            ("served", ""),
        ],
    );
    for (down, name) in WAYS {
        let figures = suffer(down, options.rounds).await?;
        if let Some(latest) = figures.get(1) {
            let limit = millis(DEADLINE + LATE);
            let what = format!("latest answer, {name}, ms");
            table.gates.push(Gate::at_most(what, *latest, limit));
        }
        table.row(name, figures);
    }
    Ok(vec![table])
}

async fn suffer(down: Down, rounds: usize) -> Result<Vec<f64>> {
    let server = Server::start(down).await?;
    let pool = SessionPool::builder(server.connect_info()).build()?;
    let mut took = Vec::new();
    let (mut refused, mut timed_out, mut granted) = (0.0, 0.0, 0.0);
    for _ in 0..rounds {
        let callers = (0..CALLERS).map(|_| async {
            let begun = Instant::now();
            let outcome = pool.acquire_with(Acquire::new().timeout(DEADLINE)).await;
            (begun.elapsed(), outcome)
        });
        for (elapsed, outcome) in join_all(callers).await {
            took.push(millis(elapsed));
            match outcome {
                Ok(_) => granted += 1.0,
                Err(AcquireError::Timeout(_)) => timed_out += 1.0,
                Err(_) => refused += 1.0,
            }
        }
    }
    let latest = took.iter().copied().fold(0.0, f64::max);
    Ok(vec![median(&took), latest, refused, timed_out, granted])
}

/// A server that is down, for as long as this lives.
struct Server {
    addr: SocketAddr,
    _held: Held,
}

/// What keeps it down.
enum Held {
    Refused {
        _port: RefusedPort,
    },
    Full {
        _queue: (TcpListener, Vec<TcpStream>),
    },
    Task(tokio::task::JoinHandle<()>),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

impl Server {
    async fn start(down: Down) -> Result<Self> {
        if let Down::Refused = down {
            let port = RefusedPort::take();
            return Ok(Self {
                addr: port.addr(),
                _held: Held::Refused { _port: port },
            });
        }
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let backlog = if let Down::BlackHole = down { 0 } else { 128 };
        let listener = socket.listen(backlog)?;
        let addr = listener.local_addr()?;
        let held = if let Down::BlackHole = down {
            Held::Full {
                _queue: fill(listener, addr).await,
            }
        } else {
            Held::Task(tokio::spawn(accept(listener, down)))
        };
        Ok(Self { addr, _held: held })
    }

    fn connect_info(&self) -> ConnectInfo {
        let host = Host::Tcp(self.addr.ip().to_string());
        ConnectInfo::new(Engine::Postgres, host, self.addr.port())
            .with_user("bench")
            .with_tls(TlsSettings::new(TlsMode::Disable))
    }
}

/// Fills the queue of a listener that accepts nobody, so that it answers nobody else.
async fn fill(listener: TcpListener, addr: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let mut queued = Vec::new();
    let patience = Duration::from_millis(100);
    while let Ok(Ok(stream)) = timeout(patience, TcpStream::connect(addr)).await {
        queued.push(stream);
    }
    (listener, queued)
}

async fn accept(listener: TcpListener, down: Down) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(mistreat(stream, down));
    }
}

async fn mistreat(mut stream: TcpStream, down: Down) -> std::io::Result<()> {
    skip(&mut stream).await?;
    match down {
        Down::KillsAfterLogin => stream.write_all(LOGGED_IN).await,
        Down::Starting => stream.write_all(STARTING).await,
        Down::Refused | Down::BlackHole | Down::Silent => {
            skip(&mut stream).await?;
            Ok(())
        }
    }
}
