//! Uploads that nobody will complete.

use std::sync::Arc;

use ops_core::{Result, Timestamp};

use crate::error::{decode, unsupported};
use crate::operation::Operation;
use crate::store::Shared;

/// Abandons the uploads below a prefix within the store's own that began before a time.
pub(crate) async fn sweep(
    shared: &Arc<Shared>,
    operation: &Operation,
    prefix: &str,
    before: Timestamp,
) -> Result<u64> {
    if !shared.profile.list_uploads {
        return Err(unsupported("the store cannot list uploads"));
    }
    let prefix = format!("{}{prefix}", shared.prefix);
    let mut swept = 0;
    let mut position: Option<(String, String)> = None;
    loop {
        let (stale, next) = page(shared, operation, &prefix, position.as_ref(), before).await?;
        for (key, upload_id) in stale {
            abort(shared, operation, &key, &upload_id).await?;
            swept += 1;
        }
        match next {
            None => return Ok(swept),
            Some(next) if position.as_ref() == Some(&next) => {
                return Err(decode(
                    "the listing of uploads does not move on: `NextKeyMarker` is that of before",
                ));
            }
            Some(next) => position = Some(next),
        }
    }
}

type Uploads = Vec<(String, String)>;

/// The stale uploads of one page, and where the next one begins.
async fn page(
    shared: &Arc<Shared>,
    operation: &Operation,
    prefix: &str,
    position: Option<&(String, String)>,
    before: Timestamp,
) -> Result<(Uploads, Option<(String, String)>)> {
    let request = shared
        .client
        .list_multipart_uploads()
        .bucket(&shared.bucket)
        .prefix(prefix)
        .set_key_marker(position.map(|(key, _)| key.clone()))
        .set_upload_id_marker(position.map(|(_, id)| id.clone()));
    let operation = operation.reading();
    let list = shared.call(&operation, request.send());
    let (answer, _) = list.await?;
    let mut stale = Vec::new();
    for upload in answer.uploads() {
        let begun = upload.initiated().map(|begun| begun.to_millis());
        let begun = begun.and_then(Result::ok).map(Timestamp::from_unix_millis);
        let (Some(key), Some(id), Some(Ok(begun))) = (upload.key(), upload.upload_id(), begun)
        else {
            return Err(decode(
                "a listed upload lacks its `Key`, `UploadId` or `Initiated`",
            ));
        };
        if begun < before && key.starts_with(prefix) {
            stale.push((key.to_owned(), id.to_owned()));
        }
    }
    if answer.is_truncated() != Some(true) {
        return Ok((stale, None));
    }
    match (answer.next_key_marker(), answer.next_upload_id_marker()) {
        (Some(key), Some(id)) => Ok((stale, Some((key.to_owned(), id.to_owned())))),
        _ => Err(decode(
            "the listing of uploads goes on and lacks `NextKeyMarker`",
        )),
    }
}

/// One that is gone already was completed or abandoned meanwhile.
async fn abort(
    shared: &Arc<Shared>,
    operation: &Operation,
    key: &str,
    upload_id: &str,
) -> Result<()> {
    let request = shared
        .client
        .abort_multipart_upload()
        .bucket(&shared.bucket)
        .key(key)
        .upload_id(upload_id);
    let abort = shared.call(operation, request.send());
    match abort.await {
        Err(err) if !err.is_not_found() => Err(err),
        _ => Ok(()),
    }
}
