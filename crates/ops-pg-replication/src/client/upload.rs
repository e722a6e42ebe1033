//! Sending the manifest of a previous backup.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;
use ops_core::{Error, Result};
use postgres_protocol::message::frontend;

use crate::connection::Connection;
use crate::error::{nothing_applied, protocol};
use crate::failure::Failure;
use crate::wire::Message;

const STEP: &str = "uploading a manifest";

/// How much goes into one message.
const CHUNK: usize = 128 << 10;

pub(super) async fn upload<S>(connection: &mut Connection, manifest: S) -> Result<()>
where
    S: Stream<Item = Result<Bytes>> + Send,
{
    connection.command("UPLOAD_MANIFEST", STEP).await?;
    let limit = connection.command_timeout;
    match connection.message(limit, STEP).await? {
        Message::CopyIn => {}
        Message::Error(notice) => return Err(connection.fail(notice, STEP).await),
        other => return Err(other.unexpected(STEP)),
    }
    let mut buffer = BytesMut::new();
    if let Err(err) = send(connection, manifest, &mut buffer).await? {
        buffer.clear();
        frontend::copy_fail("the client could not read the manifest", &mut buffer)
            .map_err(|_| protocol("a text holds a zero byte"))?;
        connection.send(&buffer, STEP).await?;
        // The server answers with an error of its own, which says nothing new.
        finish(connection).await.ok();
        return Err(err);
    }
    buffer.clear();
    frontend::copy_done(&mut buffer);
    connection.send(&buffer, STEP).await?;
    finish(connection).await
}

/// Sends all of a stream. The inner error is the stream's own.
async fn send<S>(
    connection: &mut Connection,
    manifest: S,
    buffer: &mut BytesMut,
) -> Result<Result<(), Error>>
where
    S: Stream<Item = Result<Bytes>> + Send,
{
    let mut manifest = pin!(manifest);
    while let Some(bytes) = manifest.next().await {
        let mut bytes = match bytes {
            Ok(bytes) => bytes,
            Err(err) => return Ok(Err(err)),
        };
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK));
            buffer.clear();
            frontend::CopyData::new(&chunk[..])
                .map_err(|_| protocol("a chunk is too long"))?
                .write(buffer);
            connection.send(buffer, STEP).await?;
        }
    }
    Ok(Ok(()))
}

/// Reads the answer, in which the server says what it thinks of the manifest.
async fn finish(connection: &mut Connection) -> Result<()> {
    let limit = connection.command_timeout;
    loop {
        match connection.message(limit, STEP).await? {
            Message::CommandComplete => {}
            Message::Ready => return Ok(()),
            Message::Error(mut notice) => {
                // Whatever is wrong with the manifest, no backup can build on it.
                let refused = notice.failure.is_none() && !notice.is_fatal();
                if refused {
                    notice.failure = Some(Failure::NoIncremental);
                }
                return Err(nothing_applied(connection.fail(notice, STEP).await));
            }
            other => return Err(other.unexpected(STEP)),
        }
    }
}
