//! Old versions of objects.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{
    BucketVersioningStatus, EncodingType, MetadataDirective, VersioningConfiguration,
};
use futures_util::stream;
use ops_core::object_store::{ETag, ObjectMeta, ObjectVersion, VersionId, Versions};
use ops_core::{ItemStream, ObjectKey, Result, async_trait};

use crate::copy::source_header;
use crate::error::decode;
use crate::get::{self, timestamp};
use crate::list::decode_key;
use crate::operation::Operation;
use crate::store::{S3Store, Shared};

#[async_trait]
impl Versions for S3Store {
    async fn versioning_enabled(&self) -> Result<bool> {
        let operation = self.0.reading("object_store.versioning_enabled");
        let request = self.0.client.get_bucket_versioning().bucket(&self.0.bucket);
        let get = self.0.call(&operation, request.send());
        let (answer, _) = get.await?;
        Ok(answer.status() == Some(&BucketVersioningStatus::Enabled))
    }

    async fn set_versioning(&self, enabled: bool) -> Result<()> {
        let operation = self.0.writing("object_store.set_versioning");
        let status = if enabled {
            BucketVersioningStatus::Enabled
        } else {
            BucketVersioningStatus::Suspended
        };
        let request = self
            .0
            .client
            .put_bucket_versioning()
            .bucket(&self.0.bucket)
            .versioning_configuration(VersioningConfiguration::builder().status(status).build());
        let put = self.0.checked(&operation, request.send());
        put.await.map(|_| ())
    }

    fn list_versions(&self, prefix: &str) -> ItemStream<ObjectVersion> {
        let listing = Listing {
            shared: Arc::clone(&self.0),
            operation: self.0.reading("object_store.list_versions"),
            prefix: format!("{}{prefix}", self.0.prefix),
            position: None,
            page: VecDeque::new(),
            ended: false,
        };
        Box::pin(stream::try_unfold(listing, |mut listing| async move {
            let next = listing.next().await;
            next.map(|item| item.map(|item| (item, listing)))
        }))
    }

    async fn restore_version(&self, key: &ObjectKey, version: &VersionId) -> Result<ObjectMeta> {
        let operation = self.0.writing("object_store.restore_version").on(key);
        let request = self
            .0
            .client
            .head_object()
            .bucket(&self.0.bucket)
            .key(self.0.full_key(key))
            .version_id(version.as_str());
        let (old, _) = self.0.call(&operation, request.send()).await?;
        let request = self
            .0
            .client
            .copy_object()
            .bucket(&self.0.bucket)
            .key(self.0.full_key(key))
            .copy_source(source_header(&self.0, key, Some(version.as_str())))
            // Replaced by what it is: a copy over itself is refused where nothing changes.
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(old.metadata().cloned())
            .set_content_type(old.content_type().map(ToOwned::to_owned))
            .set_content_encoding(old.content_encoding().map(ToOwned::to_owned))
            .set_content_language(old.content_language().map(ToOwned::to_owned))
            .set_content_disposition(old.content_disposition().map(ToOwned::to_owned))
            .set_cache_control(old.cache_control().map(ToOwned::to_owned));
        let copy = self.0.call(&operation, request.send());
        copy.await?;
        let head = get::head(&self.0, &operation.reading(), key).await?;
        Ok(head.meta)
    }

    async fn delete_version(&self, key: &ObjectKey, version: &VersionId) -> Result<()> {
        let operation = self.0.writing("object_store.delete_version").on(key);
        let request = self
            .0
            .client
            .delete_object()
            .bucket(&self.0.bucket)
            .key(self.0.full_key(key))
            .version_id(version.as_str());
        let delete = self.0.call(&operation, request.send());
        match delete.await {
            Err(err) if !matches!(err.code(), Some("NoSuchKey" | "NoSuchVersion")) => Err(err),
            _ => Ok(()),
        }
    }
}

type Position = (String, Option<String>);

struct Listing {
    shared: Arc<Shared>,
    operation: Operation,
    prefix: String,
    position: Option<Position>,
    page: VecDeque<ObjectVersion>,
    ended: bool,
}

impl Listing {
    async fn next(&mut self) -> Result<Option<ObjectVersion>> {
        while self.page.is_empty() && !self.ended {
            let answer = self.ask().await?;
            self.take(&answer)
                .map_err(|err| self.operation.decorate(err))?;
        }
        Ok(self.page.pop_front())
    }

    async fn ask(&self) -> Result<ListObjectVersionsOutput> {
        let encoding = self.shared.profile.encodes_listings;
        let request = self
            .shared
            .client
            .list_object_versions()
            .bucket(&self.shared.bucket)
            .prefix(&self.prefix)
            .set_encoding_type(encoding.then_some(EncodingType::Url))
            .set_key_marker(self.position.as_ref().map(|(key, _)| key.clone()))
            .set_version_id_marker(self.position.as_ref().and_then(|(_, id)| id.clone()));
        let list = self.shared.call(&self.operation, request.send());
        list.await.map(|(answer, _)| answer)
    }

    fn take(&mut self, answer: &ListObjectVersionsOutput) -> Result<()> {
        let encoded = self.shared.profile.encodes_listings
            && answer.encoding_type() == Some(&EncodingType::Url);
        let mut page = versions(&self.shared, answer, encoded)?;
        // The answer has two lists, which were one.
        page.sort_by(|a, b| {
            let newest_first =
                |one: &ObjectVersion| (!one.is_latest, Reverse(one.meta.last_modified));
            let keys = a.meta.key.cmp(&b.meta.key);
            keys.then_with(|| newest_first(a).cmp(&newest_first(b)))
        });
        self.page.extend(page);
        if answer.is_truncated() != Some(true) {
            self.ended = true;
            return Ok(());
        }
        let next = answer.next_key_marker().map(|key| -> Result<Position> {
            let key = if encoded {
                decode_key(key)?.into_owned()
            } else {
                key.to_owned()
            };
            Ok((key, answer.next_version_id_marker().map(ToOwned::to_owned)))
        });
        match next.transpose()? {
            None => Err(decode("the listing goes on and lacks `NextKeyMarker`")),
            Some(next) if self.position.as_ref() == Some(&next) => Err(decode(
                "the listing does not move on: `NextKeyMarker` is that of before",
            )),
            Some(next) => {
                self.position = Some(next);
                Ok(())
            }
        }
    }
}

fn versions(
    shared: &Shared,
    answer: &ListObjectVersionsOutput,
    encoded: bool,
) -> Result<Vec<ObjectVersion>> {
    let own_key = |key: Option<&str>| {
        let key = key.unwrap_or_default();
        if encoded {
            shared.own_key(&decode_key(key)?)
        } else {
            shared.own_key(key)
        }
    };
    let version = |id: Option<&str>| VersionId::new(id.unwrap_or("null"));
    let mut all = Vec::new();
    for found in answer.versions() {
        let size = found.size().and_then(|size| u64::try_from(size).ok());
        let written = timestamp(found.last_modified())?;
        let mut meta = ObjectMeta::new(own_key(found.key())?, size.unwrap_or(0), written);
        meta.etag = found.e_tag().map(ETag::new);
        let mut one = ObjectVersion::new(meta, version(found.version_id()));
        one.is_latest = found.is_latest() == Some(true);
        all.push(one);
    }
    for found in answer.delete_markers() {
        let written = timestamp(found.last_modified())?;
        let meta = ObjectMeta::new(own_key(found.key())?, 0, written);
        let mut one = ObjectVersion::new(meta, version(found.version_id()));
        one.is_latest = found.is_latest() == Some(true);
        one.is_delete_marker = true;
        all.push(one);
    }
    Ok(all)
}
