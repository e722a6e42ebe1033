//! A clock that stands still, and little helpers.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use ops_core::database::{
    CreateBackupRequest, Database, DatabaseState, NativeBackup, NativeBackupState,
};
use ops_core::hosting::{DeployRequest, DeploySource, Deployment, EnvKey, Hosting};
use ops_core::id::{AppId, DatabaseId};
use ops_core::object_store::{GetOptions, ListOptions, PutOptions};
use ops_core::{ByteStream, Clock, ItemStream, ObjectKey, ObjectStore, Result, Timestamp};
use ops_core::{DatabaseExt, DeployOutcome, HostingExt, WaitOptions};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
pub(crate) struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    pub(crate) fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self(Mutex::new(at("2026-01-01T00:00:00Z"))))
    }

    pub(crate) fn advance(&self, span: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.saturating_add(span);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

pub(crate) fn body(chunks: impl IntoIterator<Item = Result<&'static str>>) -> ByteStream {
    let chunks: Vec<_> = chunks
        .into_iter()
        .map(|chunk| chunk.map(Bytes::from))
        .collect();
    Box::pin(futures_util::stream::iter(chunks))
}

pub(crate) async fn all<T>(stream: ItemStream<T>) -> Vec<T> {
    stream.try_collect().await.unwrap()
}

pub(crate) async fn put(store: &dyn ObjectStore, name: &str, data: &'static str) {
    store
        .put(&key(name), data.into(), PutOptions::default())
        .await
        .unwrap();
}

pub(crate) async fn read(store: &dyn ObjectStore, name: &str) -> Result<Bytes> {
    read_with(store, name, GetOptions::default()).await
}

pub(crate) async fn read_with(
    store: &dyn ObjectStore,
    name: &str,
    options: GetOptions,
) -> Result<Bytes> {
    let object = store.get(&key(name), options).await?;
    let chunks: Vec<Bytes> = object.body.try_collect().await?;
    Ok(chunks.concat().into())
}

pub(crate) async fn keys(store: &dyn ObjectStore, options: ListOptions) -> Vec<String> {
    all(store.list(options))
        .await
        .into_iter()
        .map(|meta| meta.key.into())
        .collect()
}

fn image(tag: &str) -> DeploySource {
    DeploySource::image(format!("registry.example/shop:{tag}"))
}

pub(crate) async fn release(hosting: &dyn Hosting, app: &AppId, tag: &str) -> Deployment {
    let request = DeployRequest::new(image(tag));
    let wait = WaitOptions::default();
    match hosting
        .deploy_and_wait(app, request, wait, tokio::time::sleep)
        .await
        .unwrap()
    {
        DeployOutcome::Live(deployment) => deployment,
        other => panic!("not live: {other:?}"),
    }
}

pub(crate) fn env_key(name: &str) -> EnvKey {
    EnvKey::new(name).unwrap()
}

pub(crate) async fn wait_available(database: &dyn Database, id: &DatabaseId) {
    let provision = database.require_provision().unwrap();
    for _ in 0..10 {
        if provision.instance(id).await.unwrap().description.state == DatabaseState::Available {
            return;
        }
    }
    panic!("{id} does not become available");
}

/// Makes a backup, and waits until it is complete.
pub(crate) async fn complete_backup(database: &dyn Database) -> NativeBackup {
    let backups = database.require_native_backups().unwrap();
    let started = backups
        .create_backup(CreateBackupRequest::default())
        .await
        .unwrap();
    for _ in 0..10 {
        let backup = backups.backup(&started.id).await.unwrap();
        if backup.state == NativeBackupState::Complete {
            return backup;
        }
    }
    panic!("{} does not become complete", started.id);
}
