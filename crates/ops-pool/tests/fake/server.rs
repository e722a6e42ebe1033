//! A server that speaks the protocol over a pipe in memory, and misbehaves on request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::{Error, ErrorKind, Result, async_trait};
use ops_pool::{Connect, Connected, Tap};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio_postgres::{CancelToken, Config, NoTls};

/// How logging in goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Login {
    Works,
    Takes(Duration),
    Fails(ErrorKind),
    Starting,
    Hangs,
}

/// How the reset goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reset {
    Works,
    Takes(Duration),
    Fails,
    Hangs,
}

/// The server, and the way to connect to it.
#[derive(Debug)]
pub(crate) struct Fake {
    login: Mutex<Login>,
    reset: Mutex<Reset>,
    /// Attempts to connect.
    pub(crate) attempts: AtomicUsize,
    /// Requests to cancel.
    pub(crate) cancels: AtomicUsize,
    standing: AtomicUsize,
    most: AtomicUsize,
    /// Connections before this one are dead.
    dead_before: watch::Sender<usize>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            login: Mutex::new(Login::Works),
            reset: Mutex::new(Reset::Works),
            attempts: AtomicUsize::new(0),
            cancels: AtomicUsize::new(0),
            standing: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            dead_before: watch::channel(0).0,
        })
    }

    pub(crate) fn set_login(&self, login: Login) {
        *self.login.lock().unwrap() = login;
    }

    pub(crate) fn set_reset(&self, reset: Reset) {
        *self.reset.lock().unwrap() = reset;
    }

    /// Breaks every connection that stands.
    pub(crate) fn kill(&self) {
        self.dead_before.send_replace(self.attempts());
    }

    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }

    /// Connections that stand.
    pub(crate) fn standing(&self) -> usize {
        self.standing.load(Ordering::SeqCst)
    }

    /// The most connections that ever stood at the same time.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// [`Fake`] is shared with the test, so the way to connect is a handle to it.
#[derive(Clone, Debug)]
pub(crate) struct ToFake(pub(crate) Arc<Fake>);

#[async_trait]
impl Connect for ToFake {
    async fn connect(&self) -> Result<Connected> {
        let number = self.0.attempts.fetch_add(1, Ordering::SeqCst);
        let login = *self.0.login.lock().unwrap();
        match login {
            Login::Works => {}
            Login::Takes(time) => tokio::time::sleep(time).await,
            Login::Fails(kind) => return Err(Error::new(kind, "the fake server fails")),
            Login::Starting => {
                let err = Error::new(ErrorKind::Unavailable, "the fake server is starting");
                return Err(err.with_code("57P03"));
            }
            Login::Hangs => std::future::pending().await,
        }
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(serve(Arc::clone(&self.0), far, number));
        let (tap, wire) = Tap::new(near);
        let mut config = Config::new();
        config
            .user("fake")
            .ssl_mode(tokio_postgres::config::SslMode::Disable);
        let (client, connection) = config
            .connect_raw(tap, NoTls)
            .await
            .map_err(|err| Error::new(ErrorKind::Unavailable, "logging in").with_source(err))?;
        Ok(Connected::new(client, connection, wire))
    }

    async fn cancel(&self, _: &CancelToken) -> Result<()> {
        self.0.cancels.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Counts a connection while it stands.
struct Standing(Arc<Fake>);

impl Standing {
    fn new(fake: Arc<Fake>) -> Self {
        let now = fake.standing.fetch_add(1, Ordering::SeqCst) + 1;
        fake.most.fetch_max(now, Ordering::SeqCst);
        Self(fake)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.standing.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(fake: Arc<Fake>, stream: DuplexStream, number: usize) {
    let standing = Standing::new(Arc::clone(&fake));
    let mut dead_before = fake.dead_before.subscribe();
    tokio::select! {
        _ = talk(&fake, stream) => {}
        _ = dead_before.wait_for(|first| number < *first) => {}
    }
    drop(standing);
}

async fn talk(fake: &Fake, mut stream: DuplexStream) -> std::io::Result<()> {
    let length = stream.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    stream.read_exact(&mut startup).await?;
    stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 0]).await?;
    let mut status = b'I';
    ready(&mut stream, status).await?;
    loop {
        let kind = stream.read_u8().await?;
        let length = stream.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        stream.read_exact(&mut body).await?;
        if kind == b'X' {
            return Ok(());
        }
        assert_eq!(kind, b'Q', "the fake server knows simple queries alone");
        let query = String::from_utf8_lossy(&body)
            .trim_end_matches('\0')
            .to_owned();
        let reset = *fake.reset.lock().unwrap();
        let fails = match (query.as_str(), reset) {
            ("HANG", _) | ("DISCARD ALL", Reset::Hangs) => {
                // Until the client has gone.
                stream.read_u8().await?;
                true
            }
            ("DISCARD ALL", Reset::Fails) | ("FAIL", _) => true,
            ("DISCARD ALL", Reset::Takes(time)) => {
                tokio::time::sleep(time).await;
                false
            }
            ("BEGIN", _) => {
                status = b'T';
                false
            }
            ("COMMIT" | "ROLLBACK", _) => {
                status = b'I';
                false
            }
            _ => false,
        };
        if fails {
            message(&mut stream, b'E', b"SERROR\0C42601\0Mno\0\0").await?;
            status = if status == b'I' { b'I' } else { b'E' };
        } else {
            message(&mut stream, b'C', b"OK\0").await?;
        }
        ready(&mut stream, status).await?;
    }
}

async fn ready(stream: &mut DuplexStream, status: u8) -> std::io::Result<()> {
    message(stream, b'Z', &[status]).await
}

async fn message(stream: &mut DuplexStream, kind: u8, body: &[u8]) -> std::io::Result<()> {
    let mut bytes = vec![kind];
    bytes.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
    bytes.extend(body);
    stream.write_all(&bytes).await
}
