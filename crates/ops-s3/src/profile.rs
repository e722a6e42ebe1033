//! What a store that speaks S3 can really do.

use std::fmt;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// By which checksum a store verifies what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumKind {
    /// `x-amz-checksum-crc32c`: refused where wrong, and repeated in the answer.
    Crc32c,
    /// `x-amz-checksum-sha256`: refused where wrong, and repeated in the answer.
    Sha256,
    /// `Content-MD5`, and an `ETag` that is the MD5.
    Md5,
    /// None: what is written can only be verified by reading it.
    None,
}

/// How a store wants an `ETag` in `If-Match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtagForm {
    /// In quotes, as HTTP says.
    Quoted,
    /// Without quotes. Ceph's gateway compares the header as it is.
    Bare,
}

/// What a store can do beyond reading, writing and listing.
///
/// Probed when a store is opened, or given: [`aws`](Self::aws), [`r2`](Self::r2), or one of
/// them with fields changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own, by the name of the request that it is about"
)]
#[non_exhaustive]
pub struct StoreProfile {
    /// The most parts of an upload.
    pub max_parts: u32,
    /// The smallest part other than the last, in bytes.
    pub min_part_bytes: u64,
    /// The largest part, in bytes.
    pub max_part_bytes: u64,
    /// The largest object, in bytes.
    pub max_object_bytes: u64,
    /// The largest object that one `PutObject` writes, in bytes.
    pub max_put_bytes: u64,
    /// The largest object that one `CopyObject` or `UploadPartCopy` copies, in bytes.
    pub max_copy_bytes: u64,
    /// The most keys of a `DeleteObjects`.
    pub max_delete_keys: u32,
    /// Whether all parts but the last must have the same size. Probed only where
    /// [`probe_part_sizes`](crate::S3StoreBuilder::probe_part_sizes) says so, since it takes
    /// an upload of 10 MiB.
    pub equal_parts: bool,
    /// By which checksum the store verifies what `PutObject` sends.
    pub checksum: ChecksumKind,
    /// By which checksum the store verifies the parts of an upload.
    pub part_checksum: ChecksumKind,
    /// Whether the store was seen to refuse a part that is not what its signature says.
    /// Parts whose content is signed have no MD5 besides then, and their `ETag`s are not
    /// compared; see [`PayloadSigning`](crate::PayloadSigning).
    pub verifies_signed_parts: bool,
    /// Whether an upload in parts can have a CRC-32C over the whole object.
    pub full_object_checksum: bool,
    /// Whether the `ETag` of an object written in one piece is its MD5.
    pub etag_is_md5: bool,
    /// Whether `PutObject` obeys `If-None-Match: *`.
    pub put_if_none_match: bool,
    /// Whether `PutObject` obeys `If-Match`, and in which form.
    pub put_if_match: Option<EtagForm>,
    /// Whether `CompleteMultipartUpload` obeys `If-None-Match: *`.
    pub complete_if_none_match: bool,
    /// Whether `CompleteMultipartUpload` obeys `If-Match`, in the form of `put_if_match`.
    pub complete_if_match: bool,
    /// In which form `GetObject` obeys `If-Match`. The `ETag` of each answer is compared
    /// in any case.
    pub get_if_match: Option<EtagForm>,
    /// Whether there is `CopyObject`.
    pub copy: bool,
    /// Whether `CopyObject` obeys `If-None-Match: *` for the destination.
    pub copy_if_none_match: bool,
    /// Whether `CopyObject` obeys `If-Match` for the destination.
    pub copy_if_match: bool,
    /// Whether there is `UploadPartCopy`.
    pub upload_part_copy: bool,
    /// Whether there is `DeleteObjects`.
    pub delete_many: bool,
    /// Whether listings obey `encoding-type=url`, without which XML cannot name every key.
    pub encodes_listings: bool,
    /// Whether there is `ListMultipartUploads`, which finds stale uploads.
    pub list_uploads: bool,
    /// Whether old versions can be kept.
    pub versions: bool,
    /// Whether the bucket was made with object lock.
    pub object_lock: bool,
    /// Whether there are lifecycle rules.
    pub lifecycle: bool,
}

impl StoreProfile {
    /// Amazon S3.
    #[must_use]
    pub fn aws() -> Self {
        Self {
            max_parts: 10_000,
            min_part_bytes: 5 * MIB,
            max_part_bytes: 5 * GIB,
            max_object_bytes: 5 * TIB,
            max_put_bytes: 5 * GIB,
            max_copy_bytes: 5 * GIB,
            max_delete_keys: 1_000,
            equal_parts: false,
            checksum: ChecksumKind::Crc32c,
            part_checksum: ChecksumKind::Crc32c,
            // Nobody asks where parts have a CRC-32C.
            verifies_signed_parts: false,
            full_object_checksum: true,
            // Not with encryption by KMS.
            etag_is_md5: false,
            put_if_none_match: true,
            put_if_match: Some(EtagForm::Quoted),
            complete_if_none_match: true,
            complete_if_match: true,
            get_if_match: Some(EtagForm::Quoted),
            copy: true,
            copy_if_none_match: true,
            copy_if_match: true,
            upload_part_copy: true,
            delete_many: true,
            encodes_listings: true,
            list_uploads: true,
            versions: true,
            object_lock: true,
            lifecycle: true,
        }
    }

    /// Cloudflare R2: parts of equal size, MD5 instead of the newer checksums, and
    /// conditions on `PutObject` alone.
    #[must_use]
    pub fn r2() -> Self {
        Self {
            max_object_bytes: 5 * TIB - 5 * GIB,
            equal_parts: true,
            checksum: ChecksumKind::Md5,
            part_checksum: ChecksumKind::Md5,
            full_object_checksum: false,
            etag_is_md5: true,
            complete_if_none_match: false,
            complete_if_match: false,
            copy_if_none_match: false,
            copy_if_match: false,
            versions: false,
            object_lock: false,
            ..Self::aws()
        }
    }

    /// What is assumed of a store before it was probed: the limits of Amazon S3, and
    /// nothing that has to be shown.
    pub(crate) fn unproven() -> Self {
        Self {
            checksum: ChecksumKind::None,
            part_checksum: ChecksumKind::None,
            full_object_checksum: false,
            etag_is_md5: false,
            put_if_none_match: false,
            put_if_match: None,
            complete_if_none_match: false,
            complete_if_match: false,
            get_if_match: None,
            copy: false,
            copy_if_none_match: false,
            copy_if_match: false,
            upload_part_copy: false,
            delete_many: false,
            encodes_listings: false,
            list_uploads: false,
            versions: false,
            object_lock: false,
            lifecycle: false,
            ..Self::aws()
        }
    }

    /// The largest object that can be written in one request.
    pub(crate) fn max_single_bytes(&self) -> u64 {
        self.max_put_bytes.min(self.max_object_bytes)
    }
}

/// One line per answer, as `name: value`.
impl fmt::Display for StoreProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let debug = format!("{self:?}");
        let fields = debug
            .split_once(" { ")
            .and_then(|(_, fields)| fields.strip_suffix(" }"))
            .unwrap_or(&debug);
        for (index, field) in fields.split(", ").enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(field)?;
        }
        Ok(())
    }
}
