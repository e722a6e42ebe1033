//! Stored objects in, plain bytes out.

use std::io::{self, Read};
use std::sync::Arc;

use futures_util::StreamExt;
use ops_core::ObjectStore;
use ops_core::object_store::GetOptions;
use tokio::sync::mpsc;

use super::chunks::{CHUNKS, ChunkReader};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Counters;
use crate::keys::BackupIdentity;
use crate::repository::ManifestObject;

/// An object that is being read, decrypted and decompressed. For blocking threads.
pub(crate) type Opened = Box<dyn Read + Send>;

/// Starts to read an object.
///
/// The future fetches the stored bytes and compares length and hash with the manifest: it
/// must be awaited, and only where it succeeds were the bytes what was written. The reader
/// ends with an error where they were not.
pub(crate) fn open_object(
    operation: &'static str,
    store: Arc<dyn ObjectStore>,
    object: &ManifestObject,
    identity: Option<BackupIdentity>,
    counters: Arc<Counters>,
) -> (
    impl FnOnce() -> io::Result<Opened> + Send + 'static,
    impl Future<Output = Result<()>> + Send + 'static,
) {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let object = object.clone();
    let fetch = async move {
        let unread = || Error::new(ErrorKind::Canceled, operation, "nobody reads the object");
        let mut body = store
            .get(&object.key, GetOptions::default())
            .await
            .map_err(|err| Error::store(operation, err))?
            .body;
        let mut hasher = blake3::Hasher::new();
        let mut size_bytes = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|err| Error::store(operation, err))?;
            hasher.update(&chunk);
            size_bytes += chunk.len() as u64;
            counters.add_stored(chunk.len() as u64);
            sender.send(Some(chunk)).await.map_err(|_| unread())?;
        }
        object.check(operation, size_bytes, hasher.finalize())?;
        // The end is told apart from a sender that merely went away.
        sender.send(None).await.map_err(|_| unread())
    };
    let open = move || -> io::Result<Opened> {
        let raw = ChunkReader::new(receiver);
        let frames: Box<dyn Read + Send> = match identity {
            None => Box::new(raw),
            Some(identity) => Box::new(identity.decrypt(raw).map_err(io::Error::other)?),
        };
        Ok(Box::new(zstd::stream::read::Decoder::new(frames)?))
    };
    (open, fetch)
}

/// Reads something small into memory.
pub(crate) async fn read_small(
    operation: &'static str,
    store: Arc<dyn ObjectStore>,
    object: &ManifestObject,
    identity: Option<BackupIdentity>,
    max_bytes: u64,
) -> Result<Vec<u8>> {
    let (open, fetch) = open_object(operation, store, object, identity, Arc::default());
    let read = tokio::task::spawn_blocking(move || {
        let mut content = Vec::new();
        open()?.take(max_bytes + 1).read_to_end(&mut content)?;
        Ok::<_, io::Error>(content)
    });
    let (fetched, content) = tokio::join!(fetch, read);
    let damaged = |source: ops_core::BoxError| {
        let message = format!("{} cannot be opened", object.key);
        Error::new(ErrorKind::Integrity, operation, message).with_source(source)
    };
    if matches!(&content, Ok(Ok(content)) if content.len() as u64 > max_bytes) {
        return Err(damaged("it is larger than it may be".into()));
    }
    let content = content
        .map_err(ops_core::BoxError::from)
        .and_then(|content| content.map_err(Into::into));
    match content {
        Ok(content) => fetched.map(|()| content),
        Err(err) => Err(cause_of(fetched, damaged(err))),
    }
}

/// Why an object could not be read to its end: what the fetch found where it found
/// something, else what its reader did. A fetch that nobody reads any more has found
/// nothing.
#[cold]
pub(crate) fn cause_of(fetched: Result<()>, read: Error) -> Error {
    match fetched {
        Err(cause) if cause.kind() != ErrorKind::Canceled => cause,
        _ => read,
    }
}
