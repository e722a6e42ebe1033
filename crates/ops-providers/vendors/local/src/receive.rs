//! The pump from a stream into an upload.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use ops_core::object_store::{ObjectMeta, PutOptions};
use ops_core::{ByteStream, Error, Result};

use crate::key::KeyPath;
use crate::store::{DropBlocking, SharedStore, blocking};
use crate::upload::Upload;

/// How much is gathered for one blocking task.
const BATCH_BYTES: usize = 1024 * 1024;

/// The most parts of one batch: what one vectored write takes.
const BATCH_PARTS: usize = 1024;

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The stream ended with an error, which goes to the caller as it is.
    Source(Error),
    Store(Error),
}

struct Batch {
    parts: Vec<Bytes>,
    is_last: bool,
}

/// Writes a stream.
///
/// While one batch is hashed and written on a blocking thread, the next is gathered. Each
/// batch is a task of its own: a task that waited for the stream would hold a thread, and
/// with as many uploads as there are threads, a stream that needs one would never go on.
pub(crate) async fn receive(
    store: SharedStore,
    key: Arc<KeyPath>,
    mut data: ByteStream,
    options: PutOptions,
) -> Result<ObjectMeta, Failure> {
    let mut writing = {
        let (store, key) = (Arc::clone(&store), Arc::clone(&key));
        Either::Left(blocking(move || {
            Upload::begin(&store, &key, options).map(DropBlocking::new)
        }))
    };
    loop {
        let gathering = pin!(gather(&mut data));
        let (batch, upload) = match select(gathering, writing).await {
            Either::Left((batch, writing)) => (batch, writing.await),
            Either::Right((Ok(upload), gathering)) => (gathering.await, Ok(upload)),
            Either::Right((Err(err), _)) => return Err(Failure::Store(err)),
        };
        let upload = upload.map_err(Failure::Store)?;
        let Batch { parts, is_last } = match batch {
            Ok(batch) => batch,
            Err(source) => {
                // Awaited, so that nothing is left when the caller sees the error.
                let _ = blocking(move || {
                    drop(upload.take());
                    Ok(())
                })
                .await;
                return Err(Failure::Source(source));
            }
        };
        if is_last {
            let committed = blocking(move || {
                let mut upload = upload.take().ok_or_else(lost)?;
                upload.write(&parts)?;
                upload.commit(&store, &key)
            });
            return committed.await.map_err(Failure::Store);
        }
        writing = Either::Right(blocking(move || {
            let mut upload = upload.take().ok_or_else(lost)?;
            upload.write(&parts)?;
            Ok(DropBlocking::new(upload))
        }));
    }
}

async fn gather(data: &mut ByteStream) -> Result<Batch> {
    let mut batch = Batch {
        parts: Vec::new(),
        is_last: false,
    };
    let mut bytes = 0;
    while bytes < BATCH_BYTES && batch.parts.len() < BATCH_PARTS {
        let Some(part) = data.next().await else {
            batch.is_last = true;
            break;
        };
        let part = part?;
        bytes += part.len();
        batch.parts.push(part);
    }
    Ok(batch)
}

#[cold]
fn lost() -> Error {
    Error::new(ops_core::ErrorKind::Internal, "the upload was taken twice")
}
