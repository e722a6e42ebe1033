//! A pointer to a provider is that provider, with its abilities.

use std::sync::Arc;

use bytes::Bytes;
use ops_core::cdn::Cdn;
use ops_core::database::Database;
use ops_core::dns::Dns;
use ops_core::hosting::Hosting;
use ops_core::memory::{
    MemoryCdn, MemoryDatabase, MemoryDns, MemoryHosting, MemoryMonitor, MemoryNotifier,
    MemoryObjectStore, MemoryPipeline, MemorySecretStore,
};
use ops_core::monitor::Monitor;
use ops_core::notifier::Notifier;
use ops_core::object_store::{
    DeleteOutcome, GetOptions, GetResult, ListOptions, ObjectMeta, ObjectStoreLimits, PutCondition,
    PutOptions,
};
use ops_core::pipeline::Pipeline;
use ops_core::secret_store::SecretStore;
use ops_core::{
    ByteStream, CdnExt, DatabaseExt, DnsExt, HostingExt, ItemStream, MonitorExt, NotifierExt,
    ObjectKey, ObjectStore, ObjectStoreExt, PipelineExt, ProviderId, Result, SecretStoreExt,
    async_trait,
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

fn secret_abilities(store: &impl SecretStore) {
    store.require_read_secrets().unwrap();
    store.require_write_secrets().unwrap();
    store.require_secret_versions().unwrap();
    store.require_rotate_secrets().unwrap();
    store.require_restore_secrets().unwrap();
}

fn notifier_abilities(notifier: &impl Notifier) {
    notifier.require_delivery_status().unwrap();
    notifier.require_deploy_markers().unwrap();
}

fn pipeline_abilities(pipeline: &impl Pipeline) {
    pipeline.require_cancel_runs().unwrap();
    pipeline.require_rerun_runs().unwrap();
    pipeline.require_pipeline_jobs().unwrap();
    pipeline.require_pipeline_logs().unwrap();
    pipeline.require_deploy_markers().unwrap();
}

fn dns_abilities(dns: &impl Dns) {
    dns.require_zone_tls().unwrap();
}

fn cdn_abilities(cdn: &impl Cdn) {
    cdn.require_purge_tags().unwrap();
    cdn.require_purge_hosts().unwrap();
    cdn.require_purge_status().unwrap();
}

#[test]
fn a_pointer_to_an_object_beside_the_four_has_every_ability_of_it() {
    secret_abilities(&(Arc::new(MemorySecretStore::new()) as Arc<dyn SecretStore>));
    secret_abilities(&(Box::new(MemorySecretStore::new()) as Box<dyn SecretStore>));
    notifier_abilities(&(Arc::new(MemoryNotifier::new()) as Arc<dyn Notifier>));
    notifier_abilities(&(Box::new(MemoryNotifier::new()) as Box<dyn Notifier>));
    pipeline_abilities(&(Arc::new(MemoryPipeline::new()) as Arc<dyn Pipeline>));
    pipeline_abilities(&(Box::new(MemoryPipeline::new()) as Box<dyn Pipeline>));
    dns_abilities(&(Arc::new(MemoryDns::new()) as Arc<dyn Dns>));
    dns_abilities(&(Box::new(MemoryDns::new()) as Box<dyn Dns>));
    cdn_abilities(&(Arc::new(MemoryCdn::new(["a.example"])) as Arc<dyn Cdn>));
    cdn_abilities(&(Box::new(MemoryCdn::new(["a.example"])) as Box<dyn Cdn>));
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

/// The futures of the conveniences beside the four can move between threads, too.
#[test]
fn conveniences_beside_the_four_are_send() {
    fn is_send<T: Send>(_: T) {}
    let sleep = tokio::time::sleep;
    let wait = ops_core::WaitOptions::default();
    let secrets: Arc<dyn SecretStore> = Arc::new(MemorySecretStore::new());
    let name = ops_core::id::SecretName::new("a").unwrap();
    is_send(secrets.as_ref().read_strong(&[], 1));
    is_send(secrets.as_ref().ensure_secret(&name, "a".into()));
    let apply = || async { Ok(()) };
    is_send(secrets.as_ref().rotate_to(&name, "a".into(), apply));
    let notifier: Arc<dyn Notifier> = Arc::new(MemoryNotifier::new());
    is_send(
        notifier
            .as_ref()
            .send_test("a", ops_core::Timestamp::UNIX_EPOCH),
    );
    let pipeline: Arc<dyn Pipeline> = Arc::new(MemoryPipeline::new());
    let main = ops_core::pipeline::GitReference::Branch("main".to_owned());
    let request = ops_core::pipeline::StartRunRequest::new(main);
    is_send(pipeline.as_ref().run_and_wait(request, wait, sleep));
    let dns: Arc<dyn Dns> = Arc::new(MemoryDns::new());
    let zone = ops_core::id::ZoneId::new("a").unwrap();
    is_send(dns.as_ref().ensure_record_sets(&zone, Vec::new()));
    let hardened = ops_core::dns::ZoneTlsChange::hardened();
    is_send(dns.as_ref().ensure_tls_settings(&zone, hardened));
    let cdn: Arc<dyn Cdn> = Arc::new(MemoryCdn::new(["a.example"]));
    let all = ops_core::cdn::PurgeRequest::everything();
    is_send(cdn.as_ref().purge_and_wait(all, wait, sleep));
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
