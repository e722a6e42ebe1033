//! One part of an upload.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream as SdkStream;
use aws_sdk_s3::types::CompletedPart;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use ops_core::Result;
use ops_core::object_store::{Checksum, ETag};

use crate::digest::{self, ChecksumHeaders};
use crate::error::decode;
use crate::operation::Operation;
use crate::profile::ChecksumKind;
use crate::put::acknowledged;
use crate::store::Shared;
use crate::trace::Payload;

/// A part that the store has.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) number: i32,
    pub(crate) size_bytes: u64,
    pub(crate) etag: ETag,
    pub(crate) checksum: Option<Checksum>,
}

impl Part {
    /// How the completion of the upload names the part.
    pub(crate) fn completed(&self) -> CompletedPart {
        let sums = ChecksumHeaders::new(self.checksum.as_ref());
        CompletedPart::builder()
            .part_number(self.number)
            .e_tag(format!("\"{}\"", self.etag.as_str()))
            .set_checksum_crc32_c(sums.crc32c)
            .set_checksum_sha256(sums.sha256)
            .build()
    }
}

/// Where a part belongs.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) upload_id: String,
    pub(super) number: i32,
}

/// Sends a part, and compares what the store took with what was sent.
pub(super) async fn upload(
    shared: Arc<Shared>,
    operation: Operation,
    place: Place,
    data: Bytes,
) -> Result<Part> {
    let size_bytes = data.len() as u64;
    let kind = shared.profile.part_checksum;
    let (checksum, payload) = sums(&shared, &data);
    let sums = ChecksumHeaders::new(checksum.as_ref());
    let request = shared
        .client
        .upload_part()
        .bucket(&shared.bucket)
        .key(place.path)
        .upload_id(place.upload_id)
        .part_number(place.number)
        .body(SdkStream::new(SdkBody::from(data)))
        .set_checksum_crc32_c(sums.crc32c)
        .set_checksum_sha256(sums.sha256)
        .set_content_md5(sums.content_md5);
    // Sending a part again is harmless, and a part that nobody completes is not visible.
    let operation = operation.reading();
    let sent = shared.transfer_as(&operation, payload, request.send());
    let (answer, _) = sent.await?;
    let etag = answer
        .e_tag()
        .map(ETag::new)
        .ok_or_else(|| decode("the answer lacks `ETag`, that of the part"))?;
    let said = digest::of_headers(answer.checksum_crc32_c(), None, answer.checksum_sha256());
    acknowledged(&shared.profile, kind, checksum.as_ref(), said, Some(&etag))?;
    Ok(Part {
        number: place.number,
        size_bytes,
        etag,
        checksum,
    })
}

/// The checksum that a part is sent with, and how it is signed. It is hashed for a signature
/// or to MD5, not for both, where the store verifies the signature.
fn sums(shared: &Shared, data: &[u8]) -> (Option<Checksum>, Payload) {
    let profile = &shared.profile;
    if !shared.sign_payload {
        return (digest::of(profile.part_checksum, data), Payload::Unsigned);
    }
    let signed = |sum: &Option<Checksum>| match sum {
        Some(Checksum::Sha256(sum)) => Payload::Hashed(digest::sha256_hex(*sum)),
        _ => Payload::Signed,
    };
    if profile.part_checksum == ChecksumKind::Md5 && profile.verifies_signed_parts {
        let sum = digest::of(ChecksumKind::Sha256, data);
        return (None, signed(&sum));
    }
    let checksum = digest::of(profile.part_checksum, data);
    let payload = signed(&checksum);
    (checksum, payload)
}
