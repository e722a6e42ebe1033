//! The content of a request, and whether it is what the client says it is.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{Checksum, ChecksumType, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};

use super::errors::custom;

/// Copies the five checksums into something that has them as fields.
macro_rules! set_checksums {
    ($to:expr, $from:expr) => {{
        let from: &s3s::dto::Checksum = $from;
        $to.checksum_crc32.clone_from(&from.checksum_crc32);
        $to.checksum_crc32c.clone_from(&from.checksum_crc32c);
        $to.checksum_crc64nvme.clone_from(&from.checksum_crc64nvme);
        $to.checksum_sha1.clone_from(&from.checksum_sha1);
        $to.checksum_sha256.clone_from(&from.checksum_sha256);
    }};
}
pub(super) use set_checksums;

/// The checksums that something with such fields holds.
macro_rules! get_checksums {
    ($from:expr) => {{
        let mut checksum = s3s::dto::Checksum::default();
        checksum.checksum_crc32.clone_from(&$from.checksum_crc32);
        checksum.checksum_crc32c.clone_from(&$from.checksum_crc32c);
        checksum
            .checksum_crc64nvme
            .clone_from(&$from.checksum_crc64nvme);
        checksum.checksum_sha1.clone_from(&$from.checksum_sha1);
        checksum.checksum_sha256.clone_from(&$from.checksum_sha256);
        checksum
    }};
}
pub(super) use get_checksums;

/// The algorithms of checksums, strongest need last.
pub(super) const ALGORITHMS: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// What the client says of its payload.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) checksum: Checksum,
    /// The algorithm whose checksum is to be kept, where no value says so.
    pub(super) algorithm: Option<String>,
    pub(super) content_md5: Option<String>,
    pub(super) trailers: Option<TrailingHeaders>,
    /// The algorithms that the header `x-amz-trailer` announces.
    pub(super) announced: Vec<&'static str>,
}

impl Claims {
    /// Adds what the headers tell beyond the fields of the operation.
    pub(super) fn with_headers(
        mut self,
        headers: &HeaderMap,
        trailers: Option<TrailingHeaders>,
    ) -> Self {
        let announced = headers.get("x-amz-trailer").and_then(|it| it.to_str().ok());
        if let Some(names) = announced {
            let named = |algorithm: &&str| {
                let header = header_of(algorithm);
                names
                    .split(',')
                    .any(|name| name.trim().eq_ignore_ascii_case(&header))
            };
            self.announced = ALGORITHMS.into_iter().filter(named).collect();
        }
        let sdk = headers
            .get("x-amz-sdk-checksum-algorithm")
            .and_then(|it| it.to_str().ok());
        if self.algorithm.is_none() {
            self.algorithm = sdk.map(str::to_owned);
        }
        self.trailers = trailers;
        self
    }

    /// The algorithms whose checksums have to be computed.
    fn algorithms(&self) -> Vec<&'static str> {
        let wanted = |algorithm: &&str| {
            value(&self.checksum, algorithm).is_some()
                || self.announced.contains(algorithm)
                || self.algorithm.as_deref() == Some(algorithm)
        };
        ALGORITHMS.into_iter().filter(wanted).collect()
    }

    fn verify(&self, computed: &Checksum, md5: &[u8; 16]) -> S3Result<()> {
        let trailer = |algorithm: &str| {
            let trailers = self.trailers.as_ref()?;
            let header = header_of(algorithm);
            let text = |headers: &HeaderMap| headers.get(&header)?.to_str().ok().map(str::to_owned);
            trailers.read(text).flatten()
        };
        for algorithm in ALGORITHMS {
            let claimed = value(&self.checksum, algorithm).cloned();
            let claimed = claimed.or_else(|| trailer(algorithm));
            if self.announced.contains(&algorithm) && claimed.is_none() {
                return Err(custom(
                    StatusCode::BAD_REQUEST,
                    "MalformedTrailerError",
                    "The request contained trailing data that was not well-formed",
                ));
            }
            let Some(claimed) = claimed else { continue };
            if value(computed, algorithm) != Some(&claimed) {
                return Err(bad_digest(algorithm));
            }
        }
        match self.content_md5.as_deref() {
            Some(claimed) if decoded_md5(claimed)? != *md5 => Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            )),
            _ => Ok(()),
        }
    }
}

fn bad_digest(algorithm: &str) -> S3Error {
    S3Error::with_message(
        S3ErrorCode::BadDigest,
        format!("The {algorithm} you specified did not match the calculated checksum."),
    )
}

pub(super) fn header_of(algorithm: &str) -> String {
    format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase())
}

/// The checksum of one algorithm, in base64.
pub(super) fn value<'a>(checksum: &'a Checksum, algorithm: &str) -> Option<&'a String> {
    match algorithm {
        "CRC32" => checksum.checksum_crc32.as_ref(),
        "CRC32C" => checksum.checksum_crc32c.as_ref(),
        "CRC64NVME" => checksum.checksum_crc64nvme.as_ref(),
        "SHA1" => checksum.checksum_sha1.as_ref(),
        "SHA256" => checksum.checksum_sha256.as_ref(),
        _ => None,
    }
}

/// The algorithm that there is a checksum of.
pub(super) fn algorithm(checksum: &Checksum) -> Option<&'static str> {
    ALGORITHMS
        .into_iter()
        .find(|algorithm| value(checksum, algorithm).is_some())
}

/// What was received and found to be right.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) data: Bytes,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Checksum,
}

/// Reads a payload and compares it with what the client says of it.
///
/// # Errors
/// `BadDigest`, `InvalidDigest`, `XAmzContentSHA256Mismatch`, `SignatureDoesNotMatch`,
/// `IncompleteBody`.
pub(super) async fn receive(
    body: Option<StreamingBlob>,
    claims: &Claims,
    verify: bool,
) -> S3Result<Payload> {
    let mut algorithms = claims.algorithms();
    if algorithms.is_empty() {
        // What the service itself adds where the client says nothing.
        algorithms.push("CRC64NVME");
    }
    let mut hasher = hasher(&algorithms);
    let mut md5 = Md5::new();
    let mut data = BytesMut::new();
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|err| broken_payload(&err.to_string()))?;
            hasher.update(&chunk);
            md5.update(&chunk);
            data.extend_from_slice(&chunk);
        }
    }
    let mut checksum = hasher.finalize();
    let md5 = md5.finalize();
    if verify {
        claims.verify(&checksum, &md5)?;
    }
    checksum.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
    Ok(Payload {
        data: data.freeze(),
        md5,
        checksum,
    })
}

/// The checksums of something that is here already.
pub(super) fn checksum_of(pieces: &[Bytes], algorithm: &str) -> Checksum {
    let mut hasher = hasher(&[algorithm]);
    for piece in pieces {
        hasher.update(piece);
    }
    let mut checksum = hasher.finalize();
    checksum.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
    checksum
}

fn hasher(algorithms: &[&str]) -> ChecksumHasher {
    let has = |name: &str| algorithms.contains(&name);
    ChecksumHasher {
        crc32: has("CRC32").then(Crc32::new),
        crc32c: has("CRC32C").then(Crc32c::new),
        sha1: has("SHA1").then(Sha1::new),
        sha256: has("SHA256").then(Sha256::new),
        crc64nvme: has("CRC64NVME").then(Crc64Nvme::new),
    }
}

/// The layer below tells what was wrong by a text alone.
fn broken_payload(text: &str) -> S3Error {
    if text.contains("Sha256Mismatch") {
        custom(
            StatusCode::BAD_REQUEST,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch)
    } else {
        s3_error!(
            IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header"
        )
    }
}

fn decoded_md5(text: &str) -> S3Result<[u8; 16]> {
    let invalid = || s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid.");
    let decoded = from_base64(text).ok_or_else(invalid)?;
    decoded.try_into().map_err(|_| invalid())
}

/// Decodes base64 with padding.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(text).ok()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
