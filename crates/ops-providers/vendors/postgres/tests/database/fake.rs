//! Servers that no real one would be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ops_core::database::{ConnectInfo, Engine, Host};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A server on a loopback port. It is gone when this is dropped.
pub(crate) struct Fake {
    port: u16,
    accepted: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Fake {
    /// Accepts connections and never says a word.
    pub(crate) async fn silent() -> Self {
        Self::start(|mut stream| async move {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        })
        .await
    }

    /// Lets everybody in, and answers every query with one row.
    pub(crate) async fn answering(row: &'static [&'static str]) -> Self {
        Self::slow_to_let_in(Duration::ZERO, row).await
    }

    /// Lets everybody in after a while, and answers every query with one row.
    pub(crate) async fn slow_to_let_in(login: Duration, row: &'static [&'static str]) -> Self {
        Self::start(move |mut stream| async move {
            let _ = serve(&mut stream, login, row).await;
        })
        .await
    }

    async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream));
            }
        });
        Self {
            port,
            accepted,
            task: task.abort_handle(),
        }
    }

    pub(crate) fn info(&self) -> ConnectInfo {
        ConnectInfo::new(
            Engine::Postgres,
            Host::Tcp("127.0.0.1".to_owned()),
            self.port,
        )
        .with_user("app")
    }

    /// How many connections there have been.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: &mut TcpStream, login: Duration, row: &[&str]) -> std::io::Result<()> {
    let length = stream.read_u32().await?;
    read(stream, length).await?;
    tokio::time::sleep(login).await;
    stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await?;
    while stream.read_u8().await? == b'Q' {
        let length = stream.read_u32().await?;
        read(stream, length).await?;
        let count = u16::try_from(row.len()).unwrap().to_be_bytes();
        let mut columns = count.to_vec();
        let mut cells = count.to_vec();
        for cell in row {
            columns.extend(b"column\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
            cells.extend(u32::try_from(cell.len()).unwrap().to_be_bytes());
            cells.extend(cell.as_bytes());
        }
        let mut answer = message(b'T', &columns);
        answer.extend(message(b'D', &cells));
        answer.extend(message(b'C', b"SELECT 1\0"));
        answer.extend(message(b'Z', b"I"));
        stream.write_all(&answer).await?;
    }
    Ok(())
}

async fn read(stream: &mut TcpStream, length: u32) -> std::io::Result<()> {
    let mut body = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut body).await.map(|_| ())
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], length.as_slice(), body].concat()
}
