//! The objects and uploads that a probe makes.

use std::sync::Arc;

use ops_core::Result;
use tokio::runtime::Handle;

use crate::operation::Operation;
use crate::store::Shared;

/// Scratch keys, all below one folder. What is left of them when this is dropped is
/// removed in the background.
pub(super) struct Scratch {
    shared: Arc<Shared>,
    operation: Operation,
    folder: String,
    used: Vec<String>,
}

impl Scratch {
    pub(super) fn new(shared: Arc<Shared>, operation: Operation, name: &str) -> Self {
        let folder = format!("{}.ops-probe/{name}/", shared.prefix);
        Self {
            shared,
            operation,
            folder,
            used: Vec::new(),
        }
    }

    /// A key that was not used before.
    pub(super) fn key(&mut self) -> String {
        self.named(&self.used.len().to_string())
    }

    /// A key that a listing has to encode.
    pub(super) fn awkward_key(&mut self) -> String {
        self.named("a+b %20")
    }

    fn named(&mut self, name: &str) -> String {
        let key = format!("{}{name}", self.folder);
        self.used.push(key.clone());
        key
    }

    /// Removes every object that may be there, in all its versions.
    pub(super) async fn remove_all(&mut self) -> Result<()> {
        let keys = std::mem::take(&mut self.used);
        remove(&self.shared, &self.operation, &self.folder, &keys).await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.used.is_empty() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        let operation = self.operation.clone();
        let folder = self.folder.clone();
        let keys = std::mem::take(&mut self.used);
        runtime.spawn(async move {
            abandon_uploads(&shared, &operation, &folder).await;
            if let Err(err) = remove(&shared, &operation, &folder, &keys).await {
                tracing::warn!(
                    error.type = err.kind().as_str(),
                    "scratch objects of a probe are left below .ops-probe/"
                );
            }
        });
    }
}

async fn remove(
    shared: &Arc<Shared>,
    operation: &Operation,
    folder: &str,
    keys: &[String],
) -> Result<()> {
    let mut first_error = None;
    for key in keys {
        let request = shared
            .client
            .delete_object()
            .bucket(&shared.bucket)
            .key(key);
        let delete = shared.call(operation, request.send());
        match delete.await {
            Err(err) if !err.is_not_found() => first_error = first_error.or(Some(err)),
            _ => {}
        }
    }
    // Where the bucket keeps versions, those deletes left marks and kept the content.
    remove_versions(shared, operation, folder).await;
    first_error.map_or(Ok(()), Err)
}

/// Abandons what was begun, as far as the store can list it.
async fn abandon_uploads(shared: &Arc<Shared>, operation: &Operation, folder: &str) {
    let request = shared
        .client
        .list_multipart_uploads()
        .bucket(&shared.bucket)
        .prefix(folder);
    let list = shared.call(operation, request.send());
    let Ok((answer, _)) = list.await else {
        return;
    };
    for upload in answer.uploads() {
        let request = shared
            .client
            .abort_multipart_upload()
            .bucket(&shared.bucket)
            .set_key(upload.key().map(ToOwned::to_owned))
            .set_upload_id(upload.upload_id().map(ToOwned::to_owned));
        let abort = shared.call(operation, request.send());
        if abort.await.is_err() {
            tracing::warn!("an upload of a probe was not abandoned");
        }
    }
}

/// As far as the store can: one without versions refuses the listing.
async fn remove_versions(shared: &Arc<Shared>, operation: &Operation, folder: &str) {
    let request = shared
        .client
        .list_object_versions()
        .bucket(&shared.bucket)
        .prefix(folder);
    let list = shared.call(operation, request.send());
    let Ok((answer, _)) = list.await else {
        return;
    };
    let versions = answer
        .versions()
        .iter()
        .filter_map(|version| Some((version.key()?, version.version_id()?)));
    let markers = answer
        .delete_markers()
        .iter()
        .filter_map(|marker| Some((marker.key()?, marker.version_id()?)));
    for (key, version) in versions.chain(markers) {
        let request = shared
            .client
            .delete_object()
            .bucket(&shared.bucket)
            .key(key)
            .version_id(version);
        let delete = shared.call(operation, request.send());
        if delete.await.is_err() {
            tracing::warn!("a version of a scratch object is left below .ops-probe/");
        }
    }
}
