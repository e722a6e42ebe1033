//! What `ops-core` keeps in memory, for tests and first steps.

use std::sync::Arc;

use ops_core::memory::{
    MemoryCdn, MemoryDatabase, MemoryDns, MemoryHosting, MemoryMonitor, MemoryNotifier,
    MemoryObjectStore, MemoryPipeline, MemorySecretStore,
};
use ops_core::{
    Cdn, Database, Dns, Hosting, Monitor, Notifier, ObjectStore, Pipeline, Result, SecretStore,
};

use crate::registry::Fields;

macro_rules! openers {
    ($($opener:ident: $trait_name:ident = $provider:expr;)+) => {$(
        pub(super) async fn $opener(fields: Fields<'_>) -> Result<Arc<dyn $trait_name>> {
            Ok(Arc::new(fields.finish(Ok($provider))?))
        }
    )+};
}

openers! {
    database: Database = MemoryDatabase::new();
    dns: Dns = MemoryDns::new();
    hosting: Hosting = MemoryHosting::new();
    monitor: Monitor = MemoryMonitor::new();
    notifier: Notifier = MemoryNotifier::new();
    object_store: ObjectStore = MemoryObjectStore::new();
    pipeline: Pipeline = MemoryPipeline::new();
    secret_store: SecretStore = MemorySecretStore::new();
}

#[expect(clippy::unused_async, reason = "an opener is a future")]
pub(super) async fn cdn(mut fields: Fields<'_>) -> Result<Arc<dyn Cdn>> {
    let host = fields.required("host", "missing.example".to_owned());
    Ok(Arc::new(fields.finish(Ok(MemoryCdn::new([host])))?))
}
