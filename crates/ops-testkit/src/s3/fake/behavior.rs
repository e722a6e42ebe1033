//! How a store departs from Amazon's.

/// What a store makes of a condition on a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// It decides: 412 where it does not hold.
    #[default]
    Honored,
    /// It is not looked at, and the write succeeds.
    Ignored,
    /// 412, whether it holds or not.
    AlwaysFails,
    /// 501 `NotImplemented`.
    NotImplemented,
}

/// How a store behaves. The default is Amazon's own way; each field weakens it as real
/// stores do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a trait of a store of its own"
)]
pub struct Behavior {
    /// `If-None-Match` on `PutObject`.
    pub if_none_match: Condition,
    /// `If-Match` on `PutObject`.
    pub if_match: Condition,
    /// Both on `CompleteMultipartUpload`.
    pub conditional_complete: Condition,
    /// Whether `x-amz-checksum-*` come back with objects. Defaults to yes.
    pub returns_checksums: bool,
    /// Whether checksums and `Content-MD5` of a request are compared with what arrived.
    /// Defaults to yes.
    pub verifies_checksums: bool,
    /// Whether requests may carry checksums: where not, `x-amz-checksum-*`,
    /// `x-amz-sdk-checksum-algorithm` and a payload with a trailer are answered with 501
    /// `NotImplemented`, as some stores do to the present defaults of the SDKs. Defaults to yes.
    pub accepts_request_checksums: bool,
    /// Whether payloads may come signed chunk by chunk, or with a trailer (`STREAMING-…` in
    /// `x-amz-content-sha256`); 501 where not. Defaults to yes.
    pub accepts_chunked_payloads: bool,
    /// Whether an upload may ask for a checksum of the full object by CRC32 or CRC32C; 501
    /// where not. Defaults to yes.
    pub full_object_crc32: bool,
    /// Whether all parts of an upload but the last must have one size. Defaults to no.
    pub equal_part_sizes: bool,
    /// The least size in bytes of a part that is not the last. Defaults to 5 MiB.
    pub min_part_size: u64,
    /// The greatest size in bytes of an object that one `CopyObject` takes. Defaults to 5 GiB.
    pub max_copy_size: u64,
    /// The greatest part number. Defaults to 10 000.
    pub max_parts: i32,
    /// Whether `ListMultipartUploads` is there; 501 where not. Defaults to yes.
    pub lists_uploads: bool,
    /// Whether `CopyObject` and `UploadPartCopy` are there; 501 where not. Defaults to yes.
    pub copies: bool,
    /// Whether versioning, object lock, lifecycle, CORS, tagging and policies are there; 501
    /// where not. Defaults to yes.
    pub bucket_features: bool,
    /// Further operations that are answered with 501, by Amazon's names: `PutBucketPolicy`.
    /// Defaults to none.
    pub unknown_operations: Vec<&'static str>,
    /// How many seconds the server's clock goes ahead of the true one. Signatures made more
    /// than 15 minutes away from the server's clock are answered with 403
    /// `RequestTimeTooSkewed`, and the `Date` of each answer shows the server's clock.
    /// Defaults to 0.
    pub clock_ahead_seconds: i64,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            if_none_match: Condition::Honored,
            if_match: Condition::Honored,
            conditional_complete: Condition::Honored,
            returns_checksums: true,
            verifies_checksums: true,
            accepts_request_checksums: true,
            accepts_chunked_payloads: true,
            full_object_crc32: true,
            equal_part_sizes: false,
            min_part_size: 5 << 20,
            max_copy_size: 5 << 30,
            max_parts: 10_000,
            lists_uploads: true,
            copies: true,
            bucket_features: true,
            unknown_operations: Vec::new(),
            clock_ahead_seconds: 0,
        }
    }
}
