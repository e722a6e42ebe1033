//! The requests that a probe makes, as plain as they are.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream as SdkStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, Delete, EncodingType,
    ObjectIdentifier,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use ops_core::object_store::{Checksum, ETag};
use ops_core::{Error, ErrorKind, Result};

use super::CONTENT;
use crate::condition::etag_header;
use crate::copy::source_of;
use crate::digest::{self, ChecksumHeaders};
use crate::list::decode_key;
use crate::operation::Operation;
use crate::profile::{ChecksumKind, EtagForm};
use crate::store::Shared;
use crate::trace::Payload;

/// When a write may happen.
#[derive(Clone, Copy)]
pub(super) enum Condition<'a> {
    None,
    NoneMatch,
    Match(&'a ETag, EtagForm),
}

impl Condition<'_> {
    fn if_none_match(self) -> Option<String> {
        matches!(self, Self::NoneMatch).then(|| "*".to_owned())
    }

    fn if_match(self) -> Option<String> {
        match self {
            Self::Match(etag, form) => Some(etag_header(etag, form)),
            _ => None,
        }
    }
}

/// What a write answered.
pub(super) struct Written {
    pub(super) etag: Option<ETag>,
    pub(super) checksum: Option<Checksum>,
}

impl Written {
    /// The MD5 that the `ETag` is, if it has the form of one.
    pub(super) fn md5(&self) -> Option<Checksum> {
        digest::of_etag(self.etag.as_ref()?.as_str())
    }
}

pub(super) struct Requests {
    shared: Arc<Shared>,
    operation: Operation,
}

/// Sends a request of the SDK.
macro_rules! send {
    ($self:ident, $request:expr) => {{
        let request = $request;
        $self
            .shared
            .call(&$self.operation, request.send())
            .await
            .map(|(answer, _)| answer)
    }};
}

impl Requests {
    pub(super) fn new(shared: Arc<Shared>, operation: Operation) -> Self {
        Self { shared, operation }
    }

    pub(super) async fn put(
        &self,
        key: &str,
        data: Bytes,
        checksum: Option<Checksum>,
        condition: Condition<'_>,
    ) -> Result<Written> {
        let sums = ChecksumHeaders::new(checksum.as_ref());
        let request = self
            .shared
            .client
            .put_object()
            .bucket(&self.shared.bucket)
            .key(key)
            .body(SdkStream::new(SdkBody::from(data)))
            .set_if_none_match(condition.if_none_match())
            .set_if_match(condition.if_match())
            .set_checksum_crc32_c(sums.crc32c)
            .set_checksum_sha256(sums.sha256)
            .set_content_md5(sums.content_md5);
        let answer = send!(self, request)?;
        Ok(Written {
            etag: answer.e_tag().map(ETag::new),
            checksum: digest::of_headers(answer.checksum_crc32_c(), None, answer.checksum_sha256()),
        })
    }

    pub(super) async fn get_if_match(&self, key: &str, etag: &ETag, form: EtagForm) -> Result<()> {
        let request = self.shared.client.get_object();
        let request = request
            .bucket(&self.shared.bucket)
            .key(key)
            .if_match(etag_header(etag, form));
        send!(self, request).map(drop)
    }

    pub(super) async fn copy(
        &self,
        from: &str,
        to: &str,
        condition: Condition<'_>,
    ) -> Result<Option<ETag>> {
        let request = self
            .shared
            .client
            .copy_object()
            .bucket(&self.shared.bucket)
            .key(to)
            .copy_source(self.source(from))
            .set_if_none_match(condition.if_none_match())
            .set_if_match(condition.if_match());
        let answer = send!(self, request)?;
        let result = answer.copy_object_result();
        Ok(result.and_then(|result| result.e_tag()).map(ETag::new))
    }

    fn source(&self, key: &str) -> String {
        source_of(&self.shared.bucket, key)
    }

    /// An upload of one part, completed under a condition.
    pub(super) async fn upload(
        &self,
        key: &str,
        kind: ChecksumKind,
        whole: bool,
        condition: Condition<'_>,
    ) -> Result<Written> {
        let id = self.begin(key, kind, whole).await?;
        let completed = self.finish(key, &id, kind, whole, condition).await;
        if completed.is_err() {
            self.abort(key, &id).await;
        }
        completed
    }

    pub(super) async fn begin(&self, key: &str, kind: ChecksumKind, whole: bool) -> Result<String> {
        let algorithm = match kind {
            ChecksumKind::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            ChecksumKind::Sha256 => Some(ChecksumAlgorithm::Sha256),
            _ => None,
        };
        let request = self
            .shared
            .client
            .create_multipart_upload()
            .bucket(&self.shared.bucket)
            .key(key)
            .set_checksum_algorithm(algorithm)
            .set_checksum_type(whole.then_some(ChecksumType::FullObject));
        let answer = send!(self, request)?;
        answer
            .upload_id()
            .map(ToOwned::to_owned)
            .ok_or_else(|| Error::new(ErrorKind::Decode, "no UploadId"))
    }

    async fn finish(
        &self,
        key: &str,
        id: &str,
        kind: ChecksumKind,
        whole: bool,
        condition: Condition<'_>,
    ) -> Result<Written> {
        let sum = digest::of(kind, &CONTENT);
        let sums = ChecksumHeaders::new(sum.as_ref());
        let part = self.part(key, id, (1, CONTENT), sum).await?;
        let etag = part.etag.map(|etag| etag_header(&etag, EtagForm::Quoted));
        let part = CompletedPart::builder()
            .part_number(1)
            .set_e_tag(etag)
            .set_checksum_crc32_c(sums.crc32c.clone())
            .set_checksum_sha256(sums.sha256);
        let parts = CompletedMultipartUpload::builder().parts(part.build());
        let request = self
            .shared
            .client
            .complete_multipart_upload()
            .bucket(&self.shared.bucket)
            .key(key)
            .upload_id(id)
            .multipart_upload(parts.build())
            .set_checksum_crc32_c(sums.crc32c.filter(|_| whole))
            .set_checksum_type(whole.then_some(ChecksumType::FullObject))
            .set_if_none_match(condition.if_none_match())
            .set_if_match(condition.if_match());
        let answer = send!(self, request)?;
        Ok(Written {
            etag: answer.e_tag().map(ETag::new),
            checksum: digest::of_headers(answer.checksum_crc32_c(), None, None),
        })
    }

    /// Sends a part: its number and its content.
    pub(super) async fn part(
        &self,
        key: &str,
        id: &str,
        (number, data): (i32, Bytes),
        checksum: Option<Checksum>,
    ) -> Result<Written> {
        let sums = ChecksumHeaders::new(checksum.as_ref());
        let request = self
            .shared
            .client
            .upload_part()
            .bucket(&self.shared.bucket)
            .key(key)
            .upload_id(id)
            .part_number(number)
            .body(SdkStream::new(SdkBody::from(data)))
            .set_checksum_crc32_c(sums.crc32c)
            .set_checksum_sha256(sums.sha256)
            .set_content_md5(sums.content_md5);
        let answer = send!(self, request)?;
        Ok(Written {
            etag: answer.e_tag().map(ETag::new),
            checksum: digest::of_headers(answer.checksum_crc32_c(), None, answer.checksum_sha256()),
        })
    }

    /// Makes an object of parts with these `ETag`s.
    pub(super) async fn complete(&self, key: &str, id: &str, etags: Vec<ETag>) -> Result<()> {
        let parts = etags.iter().zip(1..).map(|(etag, number)| {
            let etag = etag_header(etag, EtagForm::Quoted);
            let part = CompletedPart::builder().part_number(number).e_tag(etag);
            part.build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect()));
        let request = self
            .shared
            .client
            .complete_multipart_upload()
            .bucket(&self.shared.bucket)
            .key(key)
            .upload_id(id)
            .multipart_upload(parts.build());
        send!(self, request).map(drop)
    }

    /// A part of an upload that is not completed.
    pub(super) async fn lone_part(
        &self,
        key: &str,
        kind: ChecksumKind,
        checksum: Option<Checksum>,
    ) -> Result<Written> {
        let id = self.begin(key, kind, false).await?;
        let part = self.part(key, &id, (1, CONTENT), checksum).await;
        self.abort(key, &id).await;
        part
    }

    /// As [`lone_part`](Self::lone_part), with the hash of `signed` in the signature.
    pub(super) async fn signed_part(&self, key: &str, signed: &[u8]) -> Result<()> {
        let Some(Checksum::Sha256(sum)) = digest::of(ChecksumKind::Sha256, signed) else {
            return Err(Error::new(ErrorKind::Internal, "no SHA-256"));
        };
        let id = self.begin(key, ChecksumKind::None, false).await?;
        let request = self
            .shared
            .client
            .upload_part()
            .bucket(&self.shared.bucket)
            .key(key)
            .upload_id(&id)
            .part_number(1)
            .body(SdkStream::new(SdkBody::from(CONTENT)));
        let payload = Payload::Hashed(digest::sha256_hex(sum));
        let sent = self
            .shared
            .transfer_as(&self.operation, payload, request.send())
            .await;
        self.abort(key, &id).await;
        sent.map(drop)
    }

    pub(super) async fn abort(&self, key: &str, id: &str) {
        let request = self
            .shared
            .client
            .abort_multipart_upload()
            .bucket(&self.shared.bucket)
            .key(key)
            .upload_id(id);
        if let Err(err) = send!(self, request)
            && !err.is_not_found()
        {
            tracing::warn!(
                error.type = err.kind().as_str(),
                "an upload of a probe was not abandoned"
            );
        }
    }

    /// An upload whose one part is copied from an object. It is not completed.
    pub(super) async fn part_copy(&self, from: &str, to: &str) -> Result<()> {
        let id = self.begin(to, ChecksumKind::None, false).await?;
        let request = self
            .shared
            .client
            .upload_part_copy()
            .bucket(&self.shared.bucket)
            .key(to)
            .upload_id(&id)
            .part_number(1)
            .copy_source(self.source(from))
            .copy_source_range("bytes=0-9");
        let copied = send!(self, request);
        self.abort(to, &id).await;
        let copied = copied?;
        match copied.copy_part_result().and_then(|result| result.e_tag()) {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorKind::Decode, "no ETag")),
        }
    }

    pub(super) async fn lists_encoded(&self, key: &str) -> Result<()> {
        let request = self.shared.client.list_objects_v2();
        let request = request
            .bucket(&self.shared.bucket)
            .prefix(key)
            .encoding_type(EncodingType::Url);
        let answer = send!(self, request)?;
        let listed = answer.contents().first().and_then(|object| object.key());
        let listed = listed.map(decode_key).transpose()?;
        if listed.as_deref() == Some(key) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Decode, "listed under another name"))
    }

    pub(super) async fn lists_own_upload(&self, key: &str) -> Result<()> {
        let id = self.begin(key, ChecksumKind::None, false).await?;
        let request = self.shared.client.list_multipart_uploads();
        let request = request.bucket(&self.shared.bucket).prefix(key);
        let listed = send!(self, request);
        self.abort(key, &id).await;
        let listed = listed?;
        let found = listed
            .uploads()
            .iter()
            .any(|upload| upload.upload_id() == Some(&id) && upload.key() == Some(key));
        if found {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Decode, "the upload is not listed"))
    }

    pub(super) async fn delete_objects(&self, key: &str) -> Result<()> {
        let unusable = |source| Error::new(ErrorKind::Internal, "no key").with_source(source);
        let object = ObjectIdentifier::builder().key(key).build();
        let delete = Delete::builder().objects(object.map_err(unusable)?).build();
        let request = self
            .shared
            .client
            .delete_objects()
            .bucket(&self.shared.bucket)
            .delete(delete.map_err(unusable)?);
        let sent = self.shared.checked(&self.operation, request.send()).await;
        let (answer, _) = sent?;
        if answer.deleted().iter().any(|one| one.key() == Some(key)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Decode, "the key is not answered"))
    }

    pub(super) async fn get_versioning(&self) -> Result<()> {
        let request = self.shared.client.get_bucket_versioning();
        send!(self, request.bucket(&self.shared.bucket)).map(drop)
    }

    pub(super) async fn get_lifecycle(&self) -> Result<()> {
        let request = self.shared.client.get_bucket_lifecycle_configuration();
        match send!(self, request.bucket(&self.shared.bucket)) {
            Err(err) if err.code() != Some("NoSuchLifecycleConfiguration") => Err(err),
            _ => Ok(()),
        }
    }

    pub(super) async fn get_object_lock(&self) -> Result<()> {
        let request = self.shared.client.get_object_lock_configuration();
        send!(self, request.bucket(&self.shared.bucket)).map(drop)
    }
}
