//! A pointer to a provider is that provider, with its abilities.

use std::sync::Arc;

use bytes::Bytes;
use ops_core::database::Database;
use ops_core::hosting::Hosting;
use ops_core::memory::{MemoryDatabase, MemoryHosting, MemoryMonitor, MemoryObjectStore};
use ops_core::monitor::Monitor;
use ops_core::object_store::{
    DeleteOutcome, GetOptions, GetResult, ListOptions, ObjectMeta, ObjectStoreLimits, PutCondition,
    PutOptions,
};
use ops_core::{
    ByteStream, DatabaseExt, HostingExt, ItemStream, MonitorExt, ObjectKey, ObjectStore,
    ObjectStoreExt, ProviderId, Result, async_trait,
};

use crate::support::{put, read};

/// A bucket without abilities.
#[derive(Debug)]
pub(crate) struct Plain {
    inner: MemoryObjectStore,
    /// A store in which somebody writes `new` to `a` whenever something is streamed here.
    disturbed: Option<MemoryObjectStore>,
}

impl Plain {
    pub(crate) fn new(inner: MemoryObjectStore) -> Self {
        Self {
            inner,
            disturbed: None,
        }
    }

    pub(crate) fn disturbing(other: MemoryObjectStore) -> Self {
        Self {
            inner: MemoryObjectStore::new(),
            disturbed: Some(other),
        }
    }
}

#[async_trait]
impl ObjectStore for Plain {
    fn provider(&self) -> ProviderId {
        "plain".into()
    }

    fn limits(&self) -> ObjectStoreLimits {
        self.inner.limits()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.inner.put(key, data, options).await
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let written = self.inner.put_stream(key, data, options).await?;
        if let Some(other) = &self.disturbed {
            put(other, "a", "new").await;
        }
        Ok(written)
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        self.inner.get(key, options).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        self.inner.head(key).await
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        self.inner.list(options)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        self.inner.delete(key).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        self.inner.delete_many(keys).await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        self.inner.copy(from, to, condition).await
    }
}

fn hosting_abilities(hosting: &impl Hosting) {
    hosting.require_create_apps().unwrap();
    hosting.require_rollback().unwrap();
    hosting.require_scale().unwrap();
    hosting.require_env_vars().unwrap();
    hosting.require_app_secrets().unwrap();
    hosting.require_logs().unwrap();
    hosting.require_domains().unwrap();
    hosting.require_restart().unwrap();
    hosting.require_usage().unwrap();
}

fn database_abilities(database: &impl Database) {
    database.require_provision().unwrap();
    database.require_native_backups().unwrap();
    database.require_branching().unwrap();
    database.require_stats().unwrap();
    database.require_audit().unwrap();
    database.require_usage().unwrap();
}

fn store_abilities(store: &impl ObjectStore) {
    store.require_presign().unwrap();
    store.require_lifecycle().unwrap();
    store.require_versions().unwrap();
    store.require_object_lock().unwrap();
    store.require_bucket_admin().unwrap();
}

fn monitor_abilities(monitor: &impl Monitor) {
    monitor.require_uptime_monitors().unwrap();
    monitor.require_heartbeats().unwrap();
    monitor.require_error_sink().unwrap();
    monitor.require_log_sink().unwrap();
    monitor.require_metric_sink().unwrap();
    monitor.require_incidents().unwrap();
    monitor.require_status_pages().unwrap();
    monitor.require_maintenance_windows().unwrap();
    monitor.require_deploy_markers().unwrap();
    monitor.require_uptime_report().unwrap();
}

#[test]
fn a_pointer_to_an_object_has_every_ability_of_what_it_points_to() {
    hosting_abilities(&(Arc::new(MemoryHosting::new()) as Arc<dyn Hosting>));
    hosting_abilities(&(Box::new(MemoryHosting::new()) as Box<dyn Hosting>));
    database_abilities(&(Arc::new(MemoryDatabase::new()) as Arc<dyn Database>));
    database_abilities(&(Box::new(MemoryDatabase::new()) as Box<dyn Database>));
    store_abilities(&(Arc::new(MemoryObjectStore::new()) as Arc<dyn ObjectStore>));
    store_abilities(&(Box::new(MemoryObjectStore::new()) as Box<dyn ObjectStore>));
    monitor_abilities(&(Arc::new(MemoryMonitor::new()) as Arc<dyn Monitor>));
    monitor_abilities(&(Box::new(MemoryMonitor::new()) as Box<dyn Monitor>));
}

#[tokio::test]
async fn calls_through_a_pointer_reach_the_provider() {
    let inner = MemoryObjectStore::new();
    let outer: Box<dyn ObjectStore> = Box::new(Arc::new(inner.clone()));
    put(&outer, "a", "x").await;
    assert_eq!(read(&inner, "a").await.unwrap(), "x");
}

#[test]
fn an_ability_that_is_missing_is_unsupported_by_name() {
    let err = Plain::new(MemoryObjectStore::new())
        .require_presign()
        .unwrap_err();
    assert!(err.is_unsupported());
    assert_eq!(err.to_string(), "plain: signing URLs is not supported");
}

/// The futures of the conveniences can move between threads, also for `dyn`.
#[test]
fn conveniences_are_send() {
    fn is_send<T: Send>(_: T) {}
    let hosting: Arc<dyn Hosting> = Arc::new(MemoryHosting::new());
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryObjectStore::new());
    let monitor: Arc<dyn Monitor> = Arc::new(MemoryMonitor::new());
    let database: Arc<dyn Database> = Arc::new(MemoryDatabase::new());
    let (app, key) = (
        ops_core::id::AppId::new("a").unwrap(),
        ObjectKey::new("a").unwrap(),
    );
    let request =
        ops_core::hosting::DeployRequest::new(ops_core::hosting::DeploySource::image("a"));
    let sleep = tokio::time::sleep;
    is_send(hosting.as_ref().deploy_and_wait(
        &app,
        request.clone(),
        ops_core::WaitOptions::default(),
        sleep,
    ));
    let probe = || async { Ok(()) };
    is_send(
        hosting
            .as_ref()
            .deploy_gated(&app, request, ops_core::Gate::default(), probe, sleep),
    );
    is_send(store.as_ref().get_bytes(&key, 1));
    is_send(store.as_ref().move_to(&key, &*store, &key));
    is_send(
        store
            .as_ref()
            .sync(&*store, ops_core::SyncOptions::default()),
    );
    is_send(
        store
            .as_ref()
            .offload(&*store, ops_core::OffloadOptions::new(2, 1)),
    );
    is_send(
        monitor
            .as_ref()
            .ensure_monitor(ops_core::monitor::MonitorSpec::http("a", "http://a")),
    );
    is_send(
        database
            .as_ref()
            .wait_until_available(ops_core::WaitOptions::default(), sleep),
    );
}
