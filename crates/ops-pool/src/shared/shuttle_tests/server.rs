//! A server that speaks the protocol over a pipe in memory, as tasks of the checker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ops_core::{Error, ErrorKind, Result, async_trait};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Config, NoTls};

use crate::{Connect, Connected, Tap};

const OK: &[u8] = &[b'C', 0, 0, 0, 7, b'O', b'K', 0, b'Z', 0, 0, 0, 5, b'I'];

#[derive(Debug)]
pub(super) struct Server {
    opened: AtomicUsize,
    standing: AtomicUsize,
    most: AtomicUsize,
    /// Connections before this one are dead.
    dead_before: watch::Sender<usize>,
}

impl Server {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: AtomicUsize::new(0),
            standing: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            dead_before: watch::channel(0).0,
        })
    }

    /// Breaks every connection that stands.
    pub(super) fn kill(&self) {
        let opened = self.opened.load(Ordering::SeqCst);
        self.dead_before.send_replace(opened);
    }

    pub(super) fn standing(&self) -> usize {
        self.standing.load(Ordering::SeqCst)
    }

    /// The most connections that ever stood at the same time.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(super) struct To(pub(super) Arc<Server>);

#[async_trait]
impl Connect for To {
    async fn connect(&self) -> Result<Connected> {
        let number = self.0.opened.fetch_add(1, Ordering::SeqCst);
        let now = self.0.standing.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(now, Ordering::SeqCst);
        let (near, far) = tokio::io::duplex(1024);
        let server = Arc::clone(&self.0);
        drop(shuttle::future::spawn(async move {
            let mut dead_before = server.dead_before.subscribe();
            tokio::select! {
                biased;
                _ = talk(far) => {}
                _ = dead_before.wait_for(|first| number < *first) => {}
            }
            server.standing.fetch_sub(1, Ordering::SeqCst);
        }));
        let (tap, wire) = Tap::new(near);
        let mut config = Config::new();
        config.user("somebody").ssl_mode(SslMode::Disable);
        let (client, connection) = config
            .connect_raw(tap, NoTls)
            .await
            .map_err(|err| Error::new(ErrorKind::Unavailable, "logging in").with_source(err))?;
        Ok(Connected::new(client, connection, wire))
    }

    async fn cancel(&self, _: &CancelToken) -> Result<()> {
        Ok(())
    }
}

async fn talk(mut stream: DuplexStream) -> std::io::Result<()> {
    let length = stream.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    stream.read_exact(&mut startup).await?;
    let welcome = [b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];
    stream.write_all(&welcome).await?;
    loop {
        let kind = stream.read_u8().await?;
        let length = stream.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        stream.read_exact(&mut body).await?;
        if kind == b'X' {
            return Ok(());
        }
        stream.write_all(OK).await?;
    }
}
