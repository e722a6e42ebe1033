//! The service asks itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

const CLIENTS: usize = 32;
const EACH: usize = 10;

/// Asks for `/hits` from many clients at once, and tells how long they waited.
pub(crate) async fn flood(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    let clients = (0..CLIENTS).map(|_| tokio::spawn(client(address)));
    let clients: Vec<_> = clients.collect();
    let mut took = Vec::new();
    let mut refused = 0;
    for client in clients {
        for (code, time) in client.await?? {
            if code == 200 {
                took.push(time);
            } else {
                refused += 1;
            }
        }
    }
    took.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1));
    println!(
        "{} requests served in {:?}, {refused} refused; p50 {:?}, p99 {:?}",
        took.len(),
        begun.elapsed(),
        at(50).copied().unwrap_or_default(),
        at(99).copied().unwrap_or_default(),
    );
    let (_, body) = get(address, "/pool").await?;
    println!("{body}");
    let (code, _) = get(address, "/health/ready").await?;
    println!("ready: {code}");
    Ok(())
}

async fn client(address: SocketAddr) -> Result<Vec<(u16, Duration)>> {
    let mut answers = Vec::new();
    for _ in 0..EACH {
        let begun = Instant::now();
        let (code, _) = get(address, "/hits").await?;
        answers.push((code, begun.elapsed()));
    }
    Ok(answers)
}

/// One plain HTTP/1.1 request.
async fn get(address: SocketAddr, route: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {route} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no HTTP")?;
    let code = head.split(' ').nth(1).ok_or("no status code")?;
    Ok((code.parse()?, body.to_owned()))
}
