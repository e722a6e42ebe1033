//! One object on its way into the store.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use ops_core::object_store::PutOptions;
use ops_core::{ObjectKey, ObjectStore};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind, Result};

/// How much is handed to the store at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many chunks wait for the store.
const CHUNKS: usize = 8;

/// An object that the store has acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct StoredObject {
    pub(crate) key: ObjectKey,
    pub(crate) size_bytes: u64,
    pub(crate) blake3: blake3::Hash,
}

type Chunk = ops_core::Result<Bytes>;

/// An object that is to be uploaded: its key, its body, and where the answer goes.
struct Upload {
    key: ObjectKey,
    body: mpsc::Receiver<Chunk>,
    done: oneshot::Sender<Result<()>>,
}

/// Where a blocking thread orders uploads from.
#[derive(Clone)]
pub(crate) struct Uploader(mpsc::Sender<Upload>);

/// Makes the two ends of the way into the store: one for the blocking thread, and the
/// future that uploads what it orders, one object after the other.
pub(crate) fn upload(
    store: std::sync::Arc<dyn ObjectStore>,
) -> (Uploader, impl Future<Output = ()> + Send) {
    let (sender, mut orders) = mpsc::channel::<Upload>(1);
    let run = async move {
        while let Some(Upload { key, body, done }) = orders.recv().await {
            let body = stream::unfold(body, |mut body| async move {
                body.recv().await.map(|chunk| (chunk, body))
            });
            let put = store
                .put_stream(&key, Box::pin(body), PutOptions::if_none_match())
                .await;
            let answer = put.map(drop).map_err(|err| Error::store("dump", err));
            // Where nobody waits for the answer, the job has failed elsewhere.
            let _ = done.send(answer);
        }
    };
    (Uploader(sender), run)
}

/// A writer whose bytes become one object. For blocking threads only.
///
/// Dropped without [`ObjectSink::finish`], the upload is abandoned.
pub(crate) struct ObjectSink {
    key: ObjectKey,
    body: Option<mpsc::Sender<Chunk>>,
    buffer: BytesMut,
    hasher: blake3::Hasher,
    size_bytes: u64,
}

/// The store's answer about one object.
pub(crate) struct Acknowledgement(oneshot::Receiver<Result<()>>);

impl Acknowledgement {
    /// Waits for the answer.
    pub(crate) fn wait(self) -> Result<()> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(abandoned()))
    }

    /// Why the store stopped to take bytes.
    #[cold]
    pub(crate) fn failure(self) -> Error {
        self.wait().err().unwrap_or_else(abandoned)
    }
}

#[cold]
fn abandoned() -> Error {
    Error::new(ErrorKind::Canceled, "dump", "the upload was abandoned")
}

impl ObjectSink {
    pub(crate) fn create(uploader: &Uploader, key: ObjectKey) -> Result<(Self, Acknowledgement)> {
        let (body, receiver) = mpsc::channel(CHUNKS);
        let (answer, done) = oneshot::channel();
        let order = Upload {
            key: key.clone(),
            body: receiver,
            done: answer,
        };
        uploader.0.blocking_send(order).map_err(|_| abandoned())?;
        let sink = Self {
            key,
            body: Some(body),
            buffer: BytesMut::with_capacity(CHUNK_BYTES),
            hasher: blake3::Hasher::new(),
            size_bytes: 0,
        };
        Ok((sink, Acknowledgement(done)))
    }

    /// Sends what is left and ends the body. The object exists once the store has
    /// acknowledged it.
    pub(crate) fn finish(mut self) -> io::Result<StoredObject> {
        if !self.buffer.is_empty() {
            let rest = self.buffer.split().freeze();
            self.send(rest)?;
        }
        self.body = None;
        let blake3 = self.hasher.finalize();
        Ok(StoredObject {
            key: self.key.clone(),
            size_bytes: self.size_bytes,
            blake3,
        })
    }

    fn send(&mut self, chunk: Bytes) -> io::Result<()> {
        self.hasher.update(&chunk);
        self.size_bytes += chunk.len() as u64;
        self.body
            .as_ref()
            .and_then(|body| body.blocking_send(Ok(chunk)).ok())
            .ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Drop for ObjectSink {
    fn drop(&mut self) {
        // A body that merely ended would be stored as if it were whole.
        if let Some(body) = self.body.take() {
            let reason = ops_core::Error::new(ops_core::ErrorKind::Internal, "the writer gave up");
            // A store that takes nothing more has given up before us.
            let _ = body.blocking_send(Err(reason));
        }
    }
}

impl io::Write for ObjectSink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= CHUNK_BYTES {
            let chunk = self.buffer.split().freeze();
            self.send(chunk)?;
            self.buffer.reserve(CHUNK_BYTES);
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
