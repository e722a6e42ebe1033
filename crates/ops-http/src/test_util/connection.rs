//! One connection: just enough of HTTP/1.1 to break it on purpose.

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::reply::{Fault, Reply};
use super::{Recorded, Shared};

const MAX_HEADERS: usize = 100;
const CHUNK: usize = 16 * 1024;

pub(super) async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // The client sees a connection that ended: what it makes of it is the test.
            let _ = serve(stream, &shared).await;
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        let head = request.method == Method::HEAD;
        let reply = shared.answer(request);
        // A timer has a grain of a millisecond, also for no time at all.
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        if !write_reply(&mut stream, &reply, head).await? {
            break;
        }
    }
    Ok(())
}

/// Reads a request; `None` where the client has closed.
async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
) -> io::Result<Option<Recorded>> {
    let (mut request, length) = loop {
        if let Some(found) = parse_head(buffer)? {
            break found;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    request.body = match length {
        Length::Known(length) => {
            fill(stream, buffer, length).await?;
            buffer.split_to(length).freeze()
        }
        Length::Chunked => read_chunks(stream, buffer).await?,
    };
    Ok(Some(request))
}

enum Length {
    Known(usize),
    Chunked,
}

fn parse_head(buffer: &mut BytesMut) -> io::Result<Option<(Recorded, Length)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(buffer).map_err(io::Error::other)?;
    let httparse::Status::Complete(end) = parsed else {
        return Ok(None);
    };
    let mut map = HeaderMap::new();
    for header in request.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(io::Error::other)?;
        let value = HeaderValue::from_bytes(header.value).map_err(io::Error::other)?;
        map.append(name, value);
    }
    let method = request.method.unwrap_or_default().as_bytes();
    let recorded = Recorded {
        method: Method::from_bytes(method).map_err(io::Error::other)?,
        path_and_query: request.path.unwrap_or_default().to_owned(),
        headers: map,
        body: Bytes::new(),
    };
    buffer.advance(end);
    let length = recorded.header("content-length").map(str::parse);
    let length = match length {
        Some(length) => Length::Known(length.map_err(io::Error::other)?),
        None if recorded.header("transfer-encoding") == Some("chunked") => Length::Chunked,
        None => Length::Known(0),
    };
    Ok(Some((recorded, length)))
}

async fn fill(stream: &mut TcpStream, buffer: &mut BytesMut, length: usize) -> io::Result<()> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let parsed = httparse::parse_chunk_size(buffer)
            .map_err(|_| io::Error::other("a chunk that is none"))?;
        let httparse::Status::Complete((start, size)) = parsed else {
            let wanted = buffer.len() + 1;
            fill(stream, buffer, wanted).await?;
            continue;
        };
        buffer.advance(start);
        let size = usize::try_from(size).map_err(io::Error::other)?;
        // The line end behind each chunk, and behind the trailers that nobody sends.
        fill(stream, buffer, size + 2).await?;
        body.extend_from_slice(&buffer.split_to(size));
        buffer.advance(2);
        if size == 0 {
            return Ok(body.freeze());
        }
    }
}

/// Writes an answer. `false` where the connection is to end.
async fn write_reply(stream: &mut TcpStream, reply: &Reply, head: bool) -> io::Result<bool> {
    if reply.fault == Fault::Reset {
        return reset(stream);
    }
    let mut text = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    let bodiless = matches!(reply.status, 100..=199 | 204 | 304);
    if reply.fault == Fault::Chunked {
        text.push_str("transfer-encoding: chunked\r\n");
    } else if !bodiless {
        text.extend(["content-length: ", &reply.body.len().to_string(), "\r\n"]);
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).await?;
    if head || bodiless {
        return Ok(true);
    }
    let body = &reply.body;
    match reply.fault {
        Fault::Reset | Fault::ResetAfterHeaders => return reset(stream),
        Fault::Truncated => {
            let half = body.slice(..body.len() / 2);
            stream.write_all(&half).await?;
            stream.shutdown().await?;
            return Ok(false);
        }
        Fault::Drip(pause) => {
            for byte in body {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Fault::Chunked => {
            for chunk in body.chunks(CHUNK) {
                stream
                    .write_all(format!("{:x}\r\n", chunk.len()).as_bytes())
                    .await?;
                stream.write_all(chunk).await?;
                stream.write_all(b"\r\n").await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Fault::None => stream.write_all(body).await?,
    }
    Ok(true)
}

/// Closes so that the client sees a reset and not an end.
fn reset(stream: &TcpStream) -> io::Result<bool> {
    stream.set_zero_linger()?;
    Ok(false)
}
