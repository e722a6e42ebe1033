//! Reading and writing single objects.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use ops_core::object_store::{ByteRange, ByteStream, ETag, GetOptions, PutOptions};
use ops_core::{ErrorKind as CoreKind, ObjectKey, ObjectStore};
use tokio::sync::mpsc;

use super::OPERATION;
use super::header::{HEAD_BYTES, Header};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{CHUNKS, ChunkReader};

/// The largest record that is read.
const MAX_SMALL_BYTES: usize = 16 << 20;

/// Reads something small; `None` where it is not there.
pub(crate) async fn read_small(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    options: GetOptions,
) -> Result<Option<(Bytes, Option<ETag>)>> {
    let got = match store.get(key, options).await {
        Ok(got) => got,
        Err(err) if err.kind() == CoreKind::NotFound => return Ok(None),
        Err(err) => return Err(Error::store(OPERATION, err)),
    };
    let mut body = got.body;
    let mut content = Vec::new();
    while let Some(chunk) = body.next().await {
        content.extend_from_slice(&chunk.map_err(|err| Error::store(OPERATION, err))?);
        if content.len() > MAX_SMALL_BYTES {
            let message = format!("{key} is larger than {MAX_SMALL_BYTES} bytes");
            return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
        }
    }
    Ok(Some((Bytes::from(content), got.meta.etag)))
}

/// Reads the header of an object; `None` where there is no such object.
pub(crate) async fn read_header(
    store: &dyn ObjectStore,
    key: &ObjectKey,
) -> Result<Option<Header>> {
    let head = ByteRange::Bounded {
        offset: 0,
        length: HEAD_BYTES,
    };
    match read_small(store, key, GetOptions::range(head)).await? {
        None => Ok(None),
        Some((bytes, _)) => Header::find(key, &bytes).map(Some),
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there now.
    Stored,
    /// It was there already, with the same content.
    Same,
}

/// Writes a sealed object that is never overwritten: where the key is taken, what lies there
/// must hold the same.
pub(crate) async fn put_once(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    object: Bytes,
    blake3: blake3::Hash,
) -> Result<Put> {
    match store.put(key, object, PutOptions::if_none_match()).await {
        Ok(_) => Ok(Put::Stored),
        Err(err) if err.kind() == CoreKind::AlreadyExists || err.is_conflict() => {
            let there = read_header(store, key).await?;
            match there {
                Some(there) if there.blake3 == blake3 => Ok(Put::Same),
                Some(_) => Err(different(key)),
                // It was removed since; the caller tries again.
                None => Err(Error::store(OPERATION, err)),
            }
        }
        // Nothing is stored: the bytes were altered on their way, and can be sent again.
        Err(err) if err.kind() == CoreKind::Integrity => {
            let message = "the object store got other bytes than were sent";
            Err(Error::new(ErrorKind::Store, OPERATION, message).with_source(err))
        }
        Err(err) => Err(Error::store(OPERATION, err)),
    }
}

#[cold]
pub(crate) fn different(key: &ObjectKey) -> Error {
    let message = format!("{key} holds other bytes than the server has now");
    Error::new(ErrorKind::Integrity, OPERATION, message)
        .with_left_behind("what is in the archive was not overwritten")
        .with_hint("find out which server wrote it: two servers with one system identifier and one timeline have diverged")
}

/// The BLAKE3 of a file. For blocking threads.
pub(crate) fn hash_file(path: &std::path::Path) -> io::Result<blake3::Hash> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; 256 * 1024];
    loop {
        let len = file.read(&mut block)?;
        match block.get(..len).filter(|read| !read.is_empty()) {
            Some(read) => hasher.update(read),
            None => return Ok(hasher.finalize()),
        };
    }
}

/// Splits a body into a future that fetches it and a reader for a blocking thread.
pub(crate) fn blocking_reader(
    mut body: ByteStream,
) -> (
    impl Future<Output = Result<()>> + Send,
    impl Read + Send + 'static,
) {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let fetch = async move {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|err| Error::store(OPERATION, err))?;
            // A reader that went away has its own reason.
            if sender.send(Some(chunk)).await.is_err() {
                return Ok(());
            }
        }
        // The end is told apart from a sender that merely went away.
        let _ = sender.send(None).await;
        Ok(())
    };
    (fetch, ChunkReader::new(receiver))
}

/// A store that many share.
pub(crate) type Store = Arc<dyn ObjectStore>;
