//! A pointer to a provider is that provider.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::cdn::{Cdn, CdnLimits, Purge, PurgeHosts, PurgeRequest, PurgeStatus, PurgeTags};
use crate::database::{
    Audit, Branching, ConnectInfo, Database, DatabaseDescription, NativeBackups, Ping, Provision,
    Stats,
};
use crate::dns::{Dns, DnsLimits, DnsName, RecordQuery, RecordSet, RecordType, Zone, ZoneTls};
use crate::error::Result;
use crate::hosting::{
    App, AppSecrets, CreateApps, DeployRequest, Deployment, Domains, EnvVars, Hosting,
    HostingLimits, Logs, Restart, Rollback, Scale,
};
use crate::id::{AppId, DeploymentId, ProviderId, RunId, SecretName, ZoneId};
use crate::monitor::{
    DeployMarkers, ErrorSink, Heartbeats, Incidents, LogSink, MaintenanceWindows, MetricSink,
    Monitor, MonitorDescription, MonitorLimits, SelfTest, StatusPages, UptimeMonitors,
    UptimeReport,
};
use crate::notifier::{Delivery, DeliveryStatus, Notification, Notifier, NotifierLimits};
use crate::object_store::{
    BucketAdmin, ByteStream, DeleteOutcome, GetOptions, GetResult, ItemStream, Lifecycle,
    ListOptions, ObjectKey, ObjectLock, ObjectMeta, ObjectStore, ObjectStoreLimits, Presign,
    PutCondition, PutOptions, Versions,
};
use crate::pipeline::{
    CancelRuns, Pipeline, PipelineJobs, PipelineLimits, PipelineLogs, RerunRuns, Run, RunQuery,
    StartRunRequest,
};
use crate::secret_store::{
    ReadSecrets, RestoreSecrets, RotateSecrets, SecretMeta, SecretStore, SecretStoreLimits,
    SecretVersions, WriteSecrets,
};
use crate::time::Timestamp;
use crate::usage::Usage;

/// Forwards a trait through `Arc` and `Box`.
///
/// The lint makes a method that is missing here a compile error: a defaulted accessor
/// that is not forwarded would hide an ability.
macro_rules! forward {
    ($trait:ident {
        $(fn $fn:ident(&$self:ident $(, $arg:ident: $ty:ty)*) -> $out:ty;)*
        async { $(fn $async_fn:ident(&$async_self:ident $(, $async_arg:ident: $async_ty:ty)*) -> $async_out:ty;)* }
        abilities { $($accessor:ident: $ability:ident,)* }
    }) => {
        forward!(@impl Arc $trait { $(fn $fn(&$self $(, $arg: $ty)*) -> $out;)* async { $(fn $async_fn(&$async_self $(, $async_arg: $async_ty)*) -> $async_out;)* } abilities { $($accessor: $ability,)* } });
        forward!(@impl Box $trait { $(fn $fn(&$self $(, $arg: $ty)*) -> $out;)* async { $(fn $async_fn(&$async_self $(, $async_arg: $async_ty)*) -> $async_out;)* } abilities { $($accessor: $ability,)* } });
    };
    (@impl $pointer:ident $trait:ident {
        $(fn $fn:ident(&$self:ident $(, $arg:ident: $ty:ty)*) -> $out:ty;)*
        async { $(fn $async_fn:ident(&$async_self:ident $(, $async_arg:ident: $async_ty:ty)*) -> $async_out:ty;)* }
        abilities { $($accessor:ident: $ability:ident,)* }
    }) => {
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl<T: $trait + ?Sized> $trait for $pointer<T> {
            $(fn $fn(&$self $(, $arg: $ty)*) -> $out {
                (**$self).$fn($($arg),*)
            })*
            $(async fn $async_fn(&$async_self $(, $async_arg: $async_ty)*) -> $async_out {
                (**$async_self).$async_fn($($async_arg),*).await
            })*
            $(fn $accessor(&self) -> Option<&dyn $ability> {
                (**self).$accessor()
            })*
        }
    };
}

forward!(Hosting {
    fn provider(&self) -> ProviderId;
    fn limits(&self) -> HostingLimits;
    fn list_apps(&self) -> ItemStream<App>;
    fn list_deployments(&self, app: &AppId) -> ItemStream<Deployment>;
    async {
        fn app(&self, app: &AppId) -> Result<App>;
        fn deploy(&self, app: &AppId, request: DeployRequest) -> Result<Deployment>;
        fn deployment(&self, app: &AppId, deployment: &DeploymentId) -> Result<Deployment>;
        fn delete_app(&self, app: &AppId) -> Result<DeleteOutcome>;
    }
    abilities {
        as_create_apps: CreateApps,
        as_rollback: Rollback,
        as_scale: Scale,
        as_env_vars: EnvVars,
        as_app_secrets: AppSecrets,
        as_logs: Logs,
        as_domains: Domains,
        as_restart: Restart,
        as_usage: Usage,
    }
});

forward!(Database {
    fn provider(&self) -> ProviderId;
    async {
        fn describe(&self) -> Result<DatabaseDescription>;
        fn connect_info(&self) -> Result<ConnectInfo>;
        fn ping(&self) -> Result<Ping>;
    }
    abilities {
        as_provision: Provision,
        as_native_backups: NativeBackups,
        as_branching: Branching,
        as_stats: Stats,
        as_audit: Audit,
        as_usage: Usage,
    }
});

forward!(ObjectStore {
    fn provider(&self) -> ProviderId;
    fn limits(&self) -> ObjectStoreLimits;
    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta>;
    fn bounded(&self, memory_bytes: u64) -> Option<Arc<dyn ObjectStore>>;
    async {
        fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta>;
        fn put_stream(&self, key: &ObjectKey, data: ByteStream, options: PutOptions) -> Result<ObjectMeta>;
        fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult>;
        fn head(&self, key: &ObjectKey) -> Result<ObjectMeta>;
        fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome>;
        fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>>;
        fn copy(&self, from: &ObjectKey, to: &ObjectKey, condition: PutCondition) -> Result<ObjectMeta>;
        fn abandon_uploads(&self, prefix: &str, begun_before: Timestamp) -> Result<u64>;
    }
    abilities {
        as_presign: Presign,
        as_lifecycle: Lifecycle,
        as_versions: Versions,
        as_object_lock: ObjectLock,
        as_bucket_admin: BucketAdmin,
    }
});

forward!(Monitor {
    fn provider(&self) -> ProviderId;
    fn limits(&self) -> MonitorLimits;
    async {
        fn describe(&self) -> Result<MonitorDescription>;
        fn self_test(&self) -> Result<SelfTest>;
    }
    abilities {
        as_uptime_monitors: UptimeMonitors,
        as_heartbeats: Heartbeats,
        as_error_sink: ErrorSink,
        as_log_sink: LogSink,
        as_metric_sink: MetricSink,
        as_incidents: Incidents,
        as_status_pages: StatusPages,
        as_maintenance_windows: MaintenanceWindows,
        as_deploy_markers: DeployMarkers,
        as_uptime_report: UptimeReport,
    }
});

forward!(SecretStore {
    fn provider(&self) -> ProviderId;
    fn limits(&self) -> SecretStoreLimits;
    fn list_secrets(&self) -> ItemStream<SecretMeta>;
    async {
        fn secret(&self, name: &SecretName) -> Result<SecretMeta>;
    }
    abilities {
        as_read_secrets: ReadSecrets,
        as_write_secrets: WriteSecrets,
        as_secret_versions: SecretVersions,
        as_rotate_secrets: RotateSecrets,
        as_restore_secrets: RestoreSecrets,
    }
});

forward!(Notifier {
    fn provider(&self) -> ProviderId;
    fn limits(&self) -> NotifierLimits;
    async {
        fn notify(&self, notification: Notification) -> Result<Delivery>;
    }
    abilities {
        as_delivery_status: DeliveryStatus,
        as_deploy_markers: DeployMarkers,
    }
});

forward!(Pipeline {
    fn provider(&self) -> ProviderId;
    fn limits(&self) -> PipelineLimits;
    fn list_runs(&self, query: RunQuery) -> ItemStream<Run>;
    async {
        fn start_run(&self, request: StartRunRequest) -> Result<Run>;
        fn run(&self, run: &RunId) -> Result<Run>;
    }
    abilities {
        as_cancel_runs: CancelRuns,
        as_rerun_runs: RerunRuns,
        as_pipeline_jobs: PipelineJobs,
        as_pipeline_logs: PipelineLogs,
        as_deploy_markers: DeployMarkers,
    }
});

forward!(Dns {
    fn provider(&self) -> ProviderId;
    fn limits(&self) -> DnsLimits;
    fn list_zones(&self) -> ItemStream<Zone>;
    fn list_record_sets(&self, zone: &ZoneId, query: RecordQuery) -> ItemStream<RecordSet>;
    async {
        fn zone(&self, zone: &ZoneId) -> Result<Zone>;
        fn put_record_set(&self, zone: &ZoneId, set: RecordSet) -> Result<RecordSet>;
        fn delete_record_set(&self, zone: &ZoneId, name: &DnsName, kind: &RecordType) -> Result<DeleteOutcome>;
    }
    abilities {
        as_zone_tls: ZoneTls,
    }
});

forward!(Cdn {
    fn provider(&self) -> ProviderId;
    fn limits(&self) -> CdnLimits;
    async {
        fn purge(&self, request: PurgeRequest) -> Result<Purge>;
    }
    abilities {
        as_purge_tags: PurgeTags,
        as_purge_hosts: PurgeHosts,
        as_purge_status: PurgeStatus,
    }
});
