//! A server that speaks as much of the protocol as a pool needs, in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ops_core::{Error, ErrorKind, async_trait};
use ops_pool::{Connect, Connected, Tap};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_postgres::{CancelToken, Config, NoTls};

/// A server behind pipes in memory, and the way to connect to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How long it takes to connect, in milliseconds.
    connect_ms: AtomicU32,
    opened: AtomicU32,
    hang_resets: AtomicBool,
}

impl Memory {
    pub(crate) fn set_connect_time(&self, time: Duration) {
        let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        self.0.connect_ms.store(millis, Ordering::SeqCst);
    }

    /// Counts an attempt to connect, and takes the time that it takes.
    pub(crate) async fn take_connect_time(&self) {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        let time = Duration::from_millis(self.0.connect_ms.load(Ordering::SeqCst).into());
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }

    /// Whether `DISCARD ALL` is answered from now on.
    pub(crate) fn set_hang_resets(&self, hang: bool) {
        self.0.hang_resets.store(hang, Ordering::SeqCst);
    }

    /// How often somebody has begun to connect.
    pub(crate) fn opened(&self) -> u32 {
        self.0.opened.load(Ordering::SeqCst)
    }

    /// A connection of the driver, past the login, over a stream of the caller's choice.
    fn pipe(&self) -> tokio::io::DuplexStream {
        let (near, far) = tokio::io::duplex(4096);
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let hang = || inner.hang_resets.load(Ordering::SeqCst);
            talk(far, hang).await
        });
        near
    }
}

#[async_trait]
impl Connect for Memory {
    async fn connect(&self) -> ops_core::Result<Connected> {
        self.take_connect_time().await;
        let (tap, wire) = Tap::new(self.pipe());
        let config = login();
        let connected = config.connect_raw(tap, NoTls).await;
        let (client, connection) = connected
            .map_err(|err| Error::new(ErrorKind::Unavailable, "no login").with_source(err))?;
        Ok(Connected::new(client, connection, wire))
    }

    async fn cancel(&self, _: &CancelToken) -> ops_core::Result<()> {
        Ok(())
    }
}

fn login() -> Config {
    let mut config = Config::new();
    config.user("bench");
    config
}

/// Answers a startup message, and every simple query with success.
pub(crate) async fn talk<S>(
    mut stream: S,
    hang_resets: impl Fn() -> bool + Send,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    skip(&mut stream).await?;
    stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await?;
    loop {
        let kind = stream.read_u8().await?;
        let body = skip(&mut stream).await?;
        match kind {
            b'Q' if body.starts_with(b"DISCARD ALL") && hang_resets() => {
                std::future::pending::<()>().await;
            }
            b'Q' => stream.write_all(b"C\0\0\0\x07OK\0Z\0\0\0\x05I").await?,
            _ => return Ok(()),
        }
    }
}

/// Reads what follows a length.
pub(crate) async fn skip<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u32().await?.saturating_sub(4);
    let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(body)
}
