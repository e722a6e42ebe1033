//! Clients that ask again and again, each on a connection that it keeps.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;

use crate::Result;
use crate::site::TOKEN;

/// What clients are to ask.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// With the token that shows details.
    pub(crate) authorized: bool,
    pub(crate) connections: u32,
    /// How long; none is until the end of the input.
    pub(crate) span: Option<Duration>,
    /// The time from one request of a client to its next; none is no pause.
    pub(crate) pace: Option<Duration>,
}

impl Load {
    /// The bytes of a request.
    pub(crate) fn request(path: &str, authorized: bool) -> Vec<u8> {
        let token = authorized.then(|| format!("authorization: Bearer {TOKEN}\r\n"));
        let token = token.unwrap_or_default();
        format!("GET {path} HTTP/1.1\r\nhost: bench\r\naccept: */*\r\n{token}\r\n").into_bytes()
    }
}

/// What clients saw.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Loaded {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Loaded {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, whose head ends where its body begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: usize,
    end: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends a request, and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut answer = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server ended a connection".into());
            }
            if answer.is_none() {
                answer = parse(&self.buffer)?;
            }
            if let Some(answer) = answer
                && self.buffer.len() >= answer.end
            {
                return Ok(answer);
            }
        }
    }

    /// The names and values of the last answer but for its date, sorted, and its body.
    pub(crate) fn parts(&self, answer: Answer) -> Result<(Vec<String>, String)> {
        let text = std::str::from_utf8(&self.buffer)?;
        let (head, body) = text.split_at_checked(answer.body).ok_or("no body")?;
        let fields = head.trim_end().lines().skip(1);
        let mut fields: Vec<String> = fields
            .filter(|field| !field.starts_with("date:"))
            .map(str::to_owned)
            .collect();
        fields.sort_unstable();
        Ok((fields, body.to_owned()))
    }
}

fn parse(bytes: &[u8]) -> Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body) = response.parse(bytes)? else {
        return Ok(None);
    };
    let status = response.code.ok_or("no status")?;
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .ok_or("no content-length")?;
    let length: usize = std::str::from_utf8(length.value)?.parse()?;
    Ok(Some(Answer {
        status,
        body,
        end: body + length,
    }))
}

/// Connects, says so, asks, and prints what it saw.
pub(crate) async fn child(load: Load) -> Result<()> {
    let opened = (0..load.connections).map(|_| Connection::open(load.address));
    let connections = try_join_all(opened).await?;
    println!("connected");
    let over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&over);
    if let Some(span) = load.span {
        tokio::spawn(async move {
            tokio::time::sleep(span).await;
            end.store(true, Ordering::Relaxed);
        });
    } else {
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            end.store(true, Ordering::Relaxed);
        });
    }
    let begun = Instant::now();
    let clients = connections
        .into_iter()
        .zip(0..)
        .map(|(connection, number)| {
            let (load, over) = (load.clone(), Arc::clone(&over));
            tokio::spawn(client(connection, number, load, over))
        });
    let clients = try_join_all(clients.collect::<Vec<_>>()).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let (mut waits, mut failed) = (Vec::new(), 0);
    for client in clients {
        let client = client?;
        waits.extend(client.waits);
        failed += client.failed;
    }
    waits.sort_unstable();
    let at = |percent: usize| {
        let index = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
        waits.get(index).map_or(f64::NAN, |it| f64::from(*it) / 1e3)
    };
    let loaded = Loaded {
        requests: u64::try_from(waits.len())?,
        failed,
        seconds,
        p50_us: at(50),
        p99_us: at(99),
    };
    println!("{}", serde_json::to_string(&loaded)?);
    Ok(())
}

#[derive(Debug, Default)]
struct Seen {
    /// How long each answer took, in nanoseconds.
    waits: Vec<u32>,
    /// How many answers were not 200.
    failed: u64,
}

async fn client(
    mut connection: Connection,
    number: u32,
    load: Load,
    over: Arc<AtomicBool>,
) -> Result<Seen> {
    let request = Load::request(&load.path, load.authorized);
    let mut seen = Seen::default();
    let mut pace = load.pace.map(|pace| {
        // Not all at the same moment.
        let first = tokio::time::Instant::now() + pace * number / load.connections;
        let mut pace = tokio::time::interval_at(first, pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    loop {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        if over.load(Ordering::Relaxed) {
            return Ok(seen);
        }
        let begun = Instant::now();
        let answer = connection.ask(&request).await?;
        let wait = begun.elapsed().as_nanos();
        seen.waits.push(u32::try_from(wait).unwrap_or(u32::MAX));
        seen.failed += u64::from(answer.status != 200);
    }
}
