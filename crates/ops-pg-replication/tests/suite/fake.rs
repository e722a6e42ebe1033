//! A walsender that plays a script: what no installed server can be made to say.

use std::time::Duration;

use ops_core::database::{ConnectInfo, Engine, Host, TlsMode, TlsSettings};
use ops_core::{Error, Result};
use ops_pg_replication::{ReplicationClient, ReplicationOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// One step of a script.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Wait for a query that begins so.
    Query(&'static str),
    /// Send bytes.
    Send(Vec<u8>),
    /// Send the same bytes again and again.
    Repeat(Vec<u8>, usize),
    /// Challenge the client's first message of SCRAM, and hear its answer.
    Scram,
    /// Send bytes in pieces of so many, one after the other.
    Drip(Vec<u8>, usize),
}

/// What comes after the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The connection ends.
    Close,
    /// It stays open, and nothing is sent.
    Silence,
}

/// A server for one connection.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) info: ConnectInfo,
    /// What the client has sent after the script, message by message.
    pub(crate) heard: mpsc::UnboundedReceiver<(u8, Vec<u8>)>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// A server of a version that lets anybody in and then plays the script.
    pub(crate) async fn start(version: &str, steps: Vec<Step>, finish: Finish) -> Self {
        let mut script = vec![Step::Send(welcome(version))];
        script.extend(steps);
        Self::raw(script, finish).await
    }

    /// A server that plays the script from the start-up message on.
    pub(crate) async fn raw(steps: Vec<Step>, finish: Finish) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let info = ConnectInfo::new(Engine::Postgres, Host::Tcp("127.0.0.1".into()), port)
            .with_user("ops")
            .with_tls(TlsSettings::new(TlsMode::Disable));
        let (tell, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            // A client that gives up in the middle is not an error here.
            let _ = play(&mut socket, steps, finish, &tell).await;
        });
        Self { info, heard, task }
    }

    pub(crate) async fn client(&self, silence: Duration) -> Result<ReplicationClient, Error> {
        let options = ReplicationOptions::default()
            .with_command_timeout(silence)
            .with_silence_timeout(silence);
        ReplicationClient::connect(&self.info, &options).await
    }
}

async fn play(
    socket: &mut TcpStream,
    steps: Vec<Step>,
    finish: Finish,
    tell: &mpsc::UnboundedSender<(u8, Vec<u8>)>,
) -> std::io::Result<()> {
    let length = socket.read_u32().await?;
    let mut start_up = vec![0; length as usize - 4];
    socket.read_exact(&mut start_up).await?;
    for step in steps {
        match step {
            Step::Query(begin) => loop {
                let (tag, body) = message(socket).await?;
                if tag == b'Q' && body.starts_with(begin.as_bytes()) {
                    break;
                }
            },
            Step::Send(bytes) => socket.write_all(&bytes).await?,
            Step::Repeat(bytes, times) => {
                for _ in 0..times {
                    socket.write_all(&bytes).await?;
                }
            }
            Step::Scram => {
                let (_, first) = message(socket).await?;
                let first = String::from_utf8(first).unwrap();
                let (_, nonce) = first.split_once(",r=").unwrap();
                let challenge = format!("r={nonce}server,s=c2FsdA==,i=4096");
                let body = [&11_u32.to_be_bytes(), challenge.as_bytes()].concat();
                socket.write_all(&msg(b'R', &body)).await?;
                message(socket).await?;
            }
            Step::Drip(bytes, size) => {
                for piece in bytes.chunks(size) {
                    socket.write_all(piece).await?;
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    if finish == Finish::Close {
        return socket.shutdown().await;
    }
    loop {
        let _ = tell.send(message(socket).await?);
    }
}

async fn message(socket: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let tag = socket.read_u8().await?;
    let length = socket.read_u32().await?;
    let mut body = vec![0; length as usize - 4];
    socket.read_exact(&mut body).await?;
    Ok((tag, body))
}

pub(crate) fn msg(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
    out.extend(body);
    out
}

pub(crate) fn welcome(version: &str) -> Vec<u8> {
    let parameter = format!("server_version\0{version}\0");
    [
        msg(b'R', &[0; 4]),
        msg(b'S', parameter.as_bytes()),
        msg(b'K', &[0; 8]),
        ready(),
    ]
    .concat()
}

pub(crate) fn ready() -> Vec<u8> {
    msg(b'Z', b"I")
}

pub(crate) fn complete() -> Vec<u8> {
    msg(b'C', b"SELECT\0")
}

pub(crate) fn error(severity: &str, code: &str, message: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{code}\0M{message}\0\0");
    msg(
        if severity == "WARNING" { b'N' } else { b'E' },
        body.as_bytes(),
    )
}

/// The description of a table whose columns are called `a`.
pub(crate) fn columns(count: u16) -> Vec<u8> {
    let mut body = count.to_be_bytes().to_vec();
    for _ in 0..count {
        body.extend(b"a\0");
        body.extend([0; 18]);
    }
    msg(b'T', &body)
}

pub(crate) fn row(values: &[Option<&str>]) -> Vec<u8> {
    let mut body = count(values).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(value.as_bytes());
            }
        }
    }
    msg(b'D', &body)
}

fn count(values: &[Option<&str>]) -> u16 {
    u16::try_from(values.len()).unwrap()
}

/// A table of one row and its end.
pub(crate) fn table(values: &[Option<&str>]) -> Vec<u8> {
    [columns(count(values)), row(values), complete()].concat()
}

pub(crate) fn copy(data: &[u8]) -> Vec<u8> {
    msg(b'd', data)
}

pub(crate) fn copy_out() -> Vec<u8> {
    msg(b'H', &[0; 3])
}

pub(crate) fn copy_done() -> Vec<u8> {
    msg(b'c', b"")
}
