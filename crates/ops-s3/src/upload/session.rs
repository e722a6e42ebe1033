//! An upload from its beginning to its end.

use std::sync::Arc;

use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload};
use bytes::Bytes;
use ops_core::object_store::{Checksum, ETag, ObjectMeta, PutCondition};
use ops_core::{Error, ErrorKind, ObjectKey, Result};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::Part;
use super::part::{self, Place};
use crate::budget::Budget;
use crate::condition::{Lost, Request, new_write_id, settle};
use crate::digest;
use crate::error::{decode, integrity};
use crate::operation::Operation;
use crate::profile::ChecksumKind;
use crate::put::metadata;
use crate::store::Shared;

/// An upload that has begun. Dropping it abandons it in the background.
pub(crate) struct Session {
    shared: Arc<Shared>,
    operation: Operation,
    key: ObjectKey,
    content_type: Option<String>,
    write_id: String,
    upload_id: String,
    open: bool,
}

impl Session {
    /// Begins an upload.
    ///
    /// The request is made in a task of its own: where nobody waits for it any more, the
    /// upload that it began is abandoned when its name arrives.
    pub(crate) async fn begin(
        shared: &Arc<Shared>,
        operation: &Operation,
        key: &ObjectKey,
        content_type: Option<String>,
    ) -> Result<Self> {
        let mut session = Self {
            shared: Arc::clone(shared),
            operation: operation.clone(),
            key: key.clone(),
            content_type,
            write_id: new_write_id()?,
            upload_id: String::new(),
            open: false,
        };
        let begin = tokio::spawn(async move {
            session.upload_id = session.create().await?;
            session.open = true;
            Ok(session)
        });
        begin.await.map_err(|source| {
            Error::new(ErrorKind::Internal, "the task of an upload ended early").with_source(source)
        })?
    }

    async fn create(&self) -> Result<String> {
        let shared = &self.shared;
        let algorithm = match shared.profile.part_checksum {
            ChecksumKind::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            ChecksumKind::Sha256 => Some(ChecksumAlgorithm::Sha256),
            ChecksumKind::Md5 | ChecksumKind::None => None,
        };
        let request = shared
            .client
            .create_multipart_upload()
            .bucket(&shared.bucket)
            .key(shared.full_key(&self.key))
            .set_content_type(self.content_type.clone())
            .set_checksum_algorithm(algorithm)
            .set_checksum_type(self.sums_whole().then_some(ChecksumType::FullObject))
            .set_metadata(Some(metadata(self.write_id.clone())));
        let operation = self.operation.reading();
        let create = shared.call(&operation, request.send());
        let (answer, _) = create.await?;
        let id = answer.upload_id().filter(|id| !id.is_empty());
        id.map(ToOwned::to_owned)
            .ok_or_else(|| decode("the answer lacks `UploadId`"))
    }

    /// Whether the store keeps one checksum over the whole object.
    fn sums_whole(&self) -> bool {
        let profile = &self.shared.profile;
        profile.part_checksum == ChecksumKind::Crc32c && profile.full_object_checksum
    }

    pub(super) fn concurrency(&self) -> usize {
        self.shared.concurrency
    }

    pub(super) fn budget(&self) -> Budget {
        self.shared.budget.clone()
    }

    pub(crate) fn upload_id(&self) -> &str {
        &self.upload_id
    }

    /// Sends a part, counted from 1.
    pub(crate) fn upload_part(
        &self,
        number: i32,
        data: Bytes,
    ) -> impl Future<Output = Result<Part>> + Send + 'static {
        let place = Place {
            path: self.shared.full_key(&self.key),
            upload_id: self.upload_id.clone(),
            number,
        };
        part::upload(
            Arc::clone(&self.shared),
            self.operation.clone(),
            place,
            data,
        )
    }

    /// Makes the object of its parts.
    pub(crate) async fn complete(
        mut self,
        mut parts: Vec<Part>,
        condition: &PutCondition,
    ) -> Result<ObjectMeta> {
        parts.sort_by_key(|part| part.number);
        match self.send_completion(&parts, condition).await {
            Ok(meta) => {
                self.open = false;
                Ok(meta)
            }
            Err(err) => {
                let lost = Lost {
                    key: &self.key,
                    condition,
                    write_id: Some(&self.write_id),
                };
                let settled = settle(&self.shared, &self.operation, lost, err).await;
                if settled.is_err() {
                    self.abort().await;
                }
                self.open = false;
                settled
            }
        }
    }

    async fn send_completion(
        &self,
        parts: &[Part],
        condition: &PutCondition,
    ) -> Result<ObjectMeta> {
        let shared = &self.shared;
        let conditions = Request::Complete.headers(&shared.profile, condition)?;
        let whole = self.sums_whole().then(|| whole_crc32c(parts)).flatten();
        let named = parts.iter().map(Part::completed).collect();
        let request = shared
            .client
            .complete_multipart_upload()
            .bucket(&shared.bucket)
            .key(shared.full_key(&self.key))
            .upload_id(&self.upload_id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(named))
                    .build(),
            )
            .set_if_none_match(conditions.if_none_match)
            .set_if_match(conditions.if_match)
            .set_checksum_crc32_c(whole.map(digest::encode_crc32c))
            .set_checksum_type(whole.map(|_| ChecksumType::FullObject));
        let complete = shared.call(&self.operation, request.send());
        let (answer, trace) = complete.await?;
        let etag = answer.e_tag().map(ETag::new);
        self.check(&answer, etag.as_ref(), parts, whole)?;
        let size = parts.iter().map(|part| part.size_bytes).sum();
        let mut meta = ObjectMeta::new(self.key.clone(), size, shared.answered_at(&trace));
        meta.etag = etag;
        meta.checksum = whole.map(Checksum::Crc32c);
        meta.content_type.clone_from(&self.content_type);
        Ok(meta)
    }

    /// Compares what the store made with what was sent.
    fn check(
        &self,
        answer: &CompleteMultipartUploadOutput,
        etag: Option<&ETag>,
        parts: &[Part],
        whole: Option<u32>,
    ) -> Result<()> {
        let profile = &self.shared.profile;
        let said = digest::of_headers(answer.checksum_crc32_c(), None, None);
        if let (Some(whole), Some(said)) = (whole, said)
            && said != Checksum::Crc32c(whole)
        {
            return Err(integrity(
                "the object that the store made has another checksum",
            ));
        }
        if profile.part_checksum == ChecksumKind::Md5 && profile.etag_is_md5 {
            let sums = parts.iter().filter_map(|part| match &part.checksum {
                Some(Checksum::Md5(sum)) => Some(*sum),
                _ => None,
            });
            let expected = digest::etag_of_parts(sums);
            let all = parts.iter().all(|part| part.checksum.is_some());
            if all && etag.is_some_and(|etag| etag.as_str() != expected) {
                return Err(integrity("the object that the store made has another ETag"));
            }
        }
        Ok(())
    }

    /// Stops the parts and abandons the upload.
    pub(crate) async fn abandon<T: 'static>(mut self, mut tasks: JoinSet<T>) {
        // A part that arrives after the upload was abandoned would stay.
        tasks.shutdown().await;
        self.abort().await;
        self.open = false;
    }

    async fn abort(&self) {
        let shared = &self.shared;
        let request = shared
            .client
            .abort_multipart_upload()
            .bucket(&shared.bucket)
            .key(shared.full_key(&self.key))
            .upload_id(&self.upload_id);
        let abort = shared.call(&self.operation, request.send());
        match abort.await {
            Err(err) if !err.is_not_found() => {
                tracing::warn!(
                    error.type = err.kind().as_str(),
                    "an upload was not abandoned; sweep_uploads removes it"
                );
            }
            _ => {}
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let session = Self {
            shared: Arc::clone(&self.shared),
            operation: self.operation.clone(),
            key: self.key.clone(),
            content_type: None,
            write_id: String::new(),
            upload_id: std::mem::take(&mut self.upload_id),
            open: false,
        };
        runtime.spawn(async move { session.abort().await });
    }
}

/// The CRC-32C over all parts, in order.
fn whole_crc32c(parts: &[Part]) -> Option<u32> {
    parts.iter().try_fold(0, |whole, part| match part.checksum {
        Some(Checksum::Crc32c(crc)) => Some(digest::concat_crc32c(whole, crc, part.size_bytes)),
        _ => None,
    })
}
