//! One object on its way into the store, or into two.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use ops_core::object_store::PutOptions;
use ops_core::{ObjectKey, ObjectStore};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

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

/// An object that is to be uploaded: its key, its body, and where to tell that it was.
struct Upload {
    key: ObjectKey,
    body: mpsc::Receiver<Chunk>,
    done: oneshot::Sender<()>,
}

/// Where a blocking thread orders uploads from.
#[derive(Debug)]
pub(crate) struct Uploader {
    orders: mpsc::Sender<Upload>,
    outcome: Arc<Outcome>,
}

/// Whether a store has failed, and with what.
#[derive(Debug, Default)]
struct Outcome {
    failed: CancellationToken,
    /// The first failure, until it is taken.
    failure: Mutex<Option<Error>>,
}

impl Outcome {
    fn fail(&self, err: Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.failed.is_cancelled() {
            *failure = Some(err);
            self.failed.cancel();
        }
    }

    fn failed(&self) -> bool {
        self.failed.is_cancelled()
    }

    fn take(&self) -> Option<Error> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }
}

/// Makes the two ends of the way into the store: one for the blocking thread, and the
/// future that uploads what it orders, all at once. How many those are is up to the thread.
///
/// An upload fails where the store takes nothing of it for `stall`.
pub(crate) fn upload(
    store: Arc<dyn ObjectStore>,
    stall: Duration,
) -> (Uploader, impl Future<Output = ()> + Send) {
    let (sender, mut orders) = mpsc::channel::<Upload>(1);
    let outcome = Arc::new(Outcome::default());
    let uploader = Uploader {
        orders: sender,
        outcome: Arc::clone(&outcome),
    };
    let run = async move {
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => running.push(run_one(&*store, order, stall, &outcome)),
                    None => break,
                },
                Some(()) = running.next() => {}
            }
        }
        while running.next().await.is_some() {}
    };
    (uploader, run)
}

async fn run_one(store: &dyn ObjectStore, order: Upload, stall: Duration, outcome: &Outcome) {
    let Upload { key, body, done } = order;
    // Odd while the store waits for us, even while we wait for the store.
    let turns = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&turns);
    let body = stream::unfold(body, move |mut body| {
        let turns = Arc::clone(&counted);
        async move {
            turns.fetch_add(1, Ordering::Relaxed);
            let chunk = body.recv().await;
            turns.fetch_add(1, Ordering::Relaxed);
            chunk.map(|chunk| (chunk, body))
        }
    });
    let put = store.put_stream(&key, Box::pin(body), PutOptions::if_none_match());
    let put = tokio::select! {
        put = put => put.map_err(|err| Error::store("dump", err)),
        () = stalled(&turns, stall) => Err(Error::new(
            ErrorKind::Timeout,
            "dump",
            format!("the store has taken nothing for {} seconds", stall.as_secs()),
        )),
        // Another upload failed, and the store is left out.
        () = outcome.failed.cancelled() => return,
    };
    match put {
        // Where nobody waits for the answer, the job has failed elsewhere.
        Ok(_) => drop(done.send(())),
        Err(err) => outcome.fail(err),
    }
}

/// Comes back where it has been the store's turn for so long.
async fn stalled(turns: &AtomicU64, stall: Duration) {
    let mut last = turns.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(stall).await;
        let now = turns.load(Ordering::Relaxed);
        if now == last && now.is_multiple_of(2) {
            return;
        }
        last = now;
    }
}

/// The ways into the stores that a job writes to. One that fails is left out from then on;
/// the job goes on while there is another.
#[derive(Clone, Debug)]
pub(crate) struct Uploaders(Arc<[Uploader]>);

impl Uploaders {
    pub(crate) fn new(uploaders: impl IntoIterator<Item = Uploader>) -> Self {
        Self(uploaders.into_iter().collect())
    }

    /// What each of the stores failed with.
    pub(crate) fn take_failures(&self) -> Vec<Option<Error>> {
        self.0.iter().map(|it| it.outcome.take()).collect()
    }

    /// Whether a store still takes part.
    pub(crate) fn takes(&self, store: usize) -> bool {
        let uploader = self.0.get(store);
        uploader.is_some_and(|it| !it.outcome.failed())
    }

    /// Leaves a store out from now on; fails where it was the last.
    pub(crate) fn exclude(&self, store: usize, err: Error) -> Result<()> {
        if let Some(uploader) = self.0.get(store) {
            uploader.outcome.fail(err);
        }
        self.require_one()
    }

    /// Fails where no store is left, with what the first of them failed with.
    fn require_one(&self) -> Result<()> {
        if self.0.iter().any(|it| !it.outcome.failed()) {
            return Ok(());
        }
        let failure = self.0.iter().find_map(|it| it.outcome.take());
        Err(failure.unwrap_or_else(abandoned))
    }
}

/// A writer whose bytes become one object in each store. For blocking threads only.
///
/// Dropped without [`ObjectSink::finish`], the uploads are abandoned.
pub(crate) struct ObjectSink {
    key: ObjectKey,
    /// None where a store takes nothing any more.
    bodies: Vec<Option<mpsc::Sender<Chunk>>>,
    buffer: BytesMut,
    /// Chunks on their way into the stores. One that all of them have let go of is filled again.
    sent: Vec<Bytes>,
    hasher: blake3::Hasher,
    size_bytes: u64,
}

/// The stores' answers about one object.
pub(crate) struct Acknowledgement {
    uploaders: Uploaders,
    /// The place of a store, and the sign that it has the object.
    answers: Vec<(usize, oneshot::Receiver<()>)>,
}

impl Acknowledgement {
    /// Waits for the answers; fails where no store is left.
    pub(crate) fn wait(self) -> Result<()> {
        for (store, answer) in self.answers {
            if answer.blocking_recv().is_err() {
                // It has said why, unless the upload was abandoned.
                self.uploaders.exclude(store, abandoned())?;
            }
        }
        self.uploaders.require_one()
    }

    /// Why no store takes bytes any more.
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
    pub(crate) fn create(uploaders: &Uploaders, key: ObjectKey) -> Result<(Self, Acknowledgement)> {
        let (mut bodies, mut answers) = (Vec::new(), Vec::new());
        uploaders.require_one()?;
        for (index, uploader) in uploaders.0.iter().enumerate() {
            if uploader.outcome.failed() {
                continue;
            }
            let (body, receiver) = mpsc::channel(CHUNKS);
            let (answer, done) = oneshot::channel();
            let order = Upload {
                key: key.clone(),
                body: receiver,
                done: answer,
            };
            let ordered = uploader.orders.blocking_send(order);
            ordered.map_err(|_| abandoned())?;
            bodies.push(Some(body));
            answers.push((index, done));
        }
        let sink = Self {
            key,
            bodies,
            buffer: BytesMut::with_capacity(CHUNK_BYTES),
            sent: Vec::new(),
            hasher: blake3::Hasher::new(),
            size_bytes: 0,
        };
        let uploaders = uploaders.clone();
        Ok((sink, Acknowledgement { uploaders, answers }))
    }

    /// Sends what is left and ends the body. The object exists once the store has
    /// acknowledged it.
    pub(crate) fn finish(mut self) -> io::Result<StoredObject> {
        if !self.buffer.is_empty() {
            let rest = self.buffer.split().freeze();
            self.send(&rest)?;
        }
        self.bodies.clear();
        let blake3 = self.hasher.finalize();
        Ok(StoredObject {
            key: self.key.clone(),
            size_bytes: self.size_bytes,
            blake3,
        })
    }

    /// An empty buffer: memory that was used before is not faulted in again.
    fn empty(&mut self) -> BytesMut {
        let free = self.sent.iter().position(Bytes::is_unique);
        let chunk = free.map(|index| self.sent.swap_remove(index));
        let buffer = chunk.and_then(|chunk| chunk.try_into_mut().ok());
        buffer.map_or_else(
            || BytesMut::with_capacity(CHUNK_BYTES),
            |mut buffer| {
                buffer.clear();
                buffer
            },
        )
    }

    fn send(&mut self, chunk: &Bytes) -> io::Result<()> {
        self.hasher.update(chunk);
        self.size_bytes += chunk.len() as u64;
        for body in &mut self.bodies {
            body.take_if(|body| body.blocking_send(Ok(chunk.clone())).is_err());
        }
        if self.bodies.iter().any(Option::is_some) {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }
    }
}

impl Drop for ObjectSink {
    fn drop(&mut self) {
        // A body that merely ended would be stored as if it were whole.
        for body in self.bodies.drain(..).flatten() {
            let reason = ops_core::Error::new(ops_core::ErrorKind::Internal, "the writer gave up");
            // A store that takes nothing more has given up before us.
            let _ = body.blocking_send(Err(reason));
        }
    }
}

impl io::Write for ObjectSink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // No more than there is room for: a buffer that grew would be another each time.
        let room = CHUNK_BYTES.saturating_sub(self.buffer.len());
        let (now, _) = data.split_at(room.min(data.len()));
        self.buffer.extend_from_slice(now);
        if self.buffer.len() >= CHUNK_BYTES {
            let next = self.empty();
            let chunk = std::mem::replace(&mut self.buffer, next).freeze();
            self.send(&chunk)?;
            self.sent.push(chunk);
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
