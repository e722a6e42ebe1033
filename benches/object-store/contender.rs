//! The contenders that are written in Rust.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStoreExt as _, WriteMultipart};
use ops_core::object_store::{ByteStream, GetOptions, ListOptions, ObjectKey, PutOptions};
use ops_core::{ObjectStore, Secret};
use ops_s3::{S3Credentials, S3Store};
use ops_testkit::peak_rss_bytes;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

use crate::job::{Job, Kind, Measured};
use crate::{OBJECT_STORE, Result};

const LARGE: &str = "large";
/// How many small objects are on the way at once, for every contender.
const AT_ONCE: usize = 32;

/// The interpreter that has boto3.
pub(crate) fn python() -> Option<PathBuf> {
    ops_testkit::s3::python()
}

pub(crate) async fn run(name: &str, job: &Job) -> Result<Measured> {
    let took = if name == OBJECT_STORE {
        peer(job).await?
    } else {
        ours(job).await?
    };
    let peak = u32::try_from(peak_rss_bytes().unwrap_or(0) / 1024)?;
    Ok(Measured {
        seconds: took.as_secs_f64(),
        peak_mib: f64::from(peak) / 1024.0,
    })
}

/// Removes what a contender has put.
pub(crate) async fn clean(job: &Job) -> Result<()> {
    let store = store(job).await?;
    let objects: Vec<_> = store.list(ListOptions::default()).try_collect().await?;
    let keys = objects.into_iter().map(|it| it.key).collect();
    for deleted in store.delete_many(keys).await? {
        deleted?;
    }
    Ok(())
}

async fn store(job: &Job) -> Result<Arc<dyn ObjectStore>> {
    let credentials = S3Credentials::new(job.access.as_str(), Secret::from(job.signing.as_str()));
    let store = S3Store::builder(job.bucket.as_str())
        .endpoint(job.endpoint.as_str())
        .region(job.region.as_str())
        .credentials(credentials)
        .allow_http(true)
        .open()
        .await?;
    Ok(Arc::new(store))
}

async fn ours(job: &Job) -> Result<Duration> {
    let store = store(job).await?;
    let key = |number: usize| ObjectKey::new(format!("small/{number:05}"));
    let begun = Instant::now();
    match job.kind {
        Kind::PutLarge => {
            let file = tokio::fs::File::open(&job.source).await?;
            store
                .put_stream(&ObjectKey::new(LARGE)?, chunks(file), PutOptions::default())
                .await?;
        }
        Kind::GetLarge => {
            let got = store
                .get(&ObjectKey::new(LARGE)?, GetOptions::default())
                .await?;
            let read = drain(got.body.map_ok(|chunk| chunk.len())).await?;
            assert_eq!(read, job.bytes, "a whole object");
        }
        Kind::PutSmall => {
            let data = Bytes::from(vec![7; job.object_bytes]);
            each(job.objects, move |number| {
                let (store, data) = (Arc::clone(&store), data.clone());
                async move {
                    let key = key(number)?;
                    store.put(&key, data, PutOptions::default()).await.map(drop)
                }
            })
            .await?;
        }
        Kind::GetSmall => {
            each(job.objects, move |number| {
                let store = Arc::clone(&store);
                async move {
                    let got = store.get(&key(number)?, GetOptions::default()).await?;
                    got.body.try_for_each(|_| async { Ok(()) }).await
                }
            })
            .await?;
        }
    }
    Ok(begun.elapsed())
}

async fn peer(job: &Job) -> Result<Duration> {
    // Its HTTP client asks for the default of the process, also where no TLS is spoken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = AmazonS3Builder::new()
        .with_endpoint(job.endpoint.as_str())
        .with_region(job.region.as_str())
        .with_bucket_name(job.bucket.as_str())
        .with_access_key_id(job.access.as_str())
        .with_secret_access_key(job.signing.as_str())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .build()?;
    let path = |number: usize| object_store::path::Path::from(format!("small/{number:05}"));
    let large = object_store::path::Path::from(LARGE);
    let begun = Instant::now();
    match job.kind {
        Kind::PutLarge => {
            let file = tokio::fs::File::open(&job.source).await?;
            // Its own defaults: parts of 5 MiB; so many at once as ours.
            let mut writer = WriteMultipart::new(store.put_multipart(&large).await?);
            let mut chunks = chunks(file);
            while let Some(chunk) = chunks.next().await {
                writer.wait_for_capacity(8).await?;
                writer.put(chunk?);
            }
            writer.finish().await?;
        }
        Kind::GetLarge => {
            let got = store.get(&large).await?;
            let read = drain(got.into_stream().map_ok(|chunk| chunk.len())).await?;
            assert_eq!(read, job.bytes, "a whole object");
        }
        Kind::PutSmall => {
            let data = Bytes::from(vec![7; job.object_bytes]);
            each(job.objects, move |number| {
                let (store, data, path) = (store.clone(), data.clone(), path(number));
                async move { store.put(&path, data.into()).await.map(drop) }
            })
            .await?;
        }
        Kind::GetSmall => {
            each(job.objects, move |number| {
                let (store, path) = (store.clone(), path(number));
                async move { store.get(&path).await?.bytes().await.map(drop) }
            })
            .await?;
        }
    }
    Ok(begun.elapsed())
}

/// Works through the objects in so many tasks as boto3 has threads.
async fn each<W, F, E>(objects: usize, work: W) -> Result<()>
where
    W: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: std::error::Error + Send + Sync + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (next, work) = (Arc::clone(&next), work.clone());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= objects {
                    return Ok(());
                }
                work(number).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        let worked: Result<(), E> = ended?;
        worked?;
    }
    Ok(())
}

/// A file in chunks of 1 MiB.
fn chunks(file: tokio::fs::File) -> ByteStream {
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(1 << 20);
        let read = (&mut file).take(1 << 20).read_to_end(&mut chunk).await;
        let read = read.map_err(|err| {
            ops_core::Error::new(ops_core::ErrorKind::Internal, "the source cannot be read")
                .with_source(err)
        })?;
        Ok((read > 0).then(|| (Bytes::from(chunk), file)))
    });
    Box::pin(chunks)
}

async fn drain<E>(stream: impl stream::Stream<Item = Result<usize, E>>) -> Result<u64, E> {
    stream
        .try_fold(0, |sum, length| async move { Ok(sum + length as u64) })
        .await
}
