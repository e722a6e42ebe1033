//! Checksums over what is sent and received.

use aws_smithy_types::base64;
use crc_fast::CrcAlgorithm;
use md5::Md5;
use ops_core::object_store::Checksum;
use sha2::{Digest as _, Sha256};

use crate::profile::ChecksumKind;

const CRC32C: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;
const CRC64_NVME: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

/// A checksum that is being computed.
pub(crate) enum Hasher {
    Crc32c(crc_fast::Digest),
    Crc64Nvme(crc_fast::Digest),
    Md5(Md5),
    Sha256(Sha256),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Computes what can be compared with this checksum; `None` for one that is not known.
    pub(crate) fn like(checksum: &Checksum) -> Option<Self> {
        Some(match checksum {
            Checksum::Crc32c(_) => Self::Crc32c(crc_fast::Digest::new(CRC32C)),
            Checksum::Crc64Nvme(_) => Self::Crc64Nvme(crc_fast::Digest::new(CRC64_NVME)),
            Checksum::Md5(_) => Self::Md5(Md5::new()),
            Checksum::Sha256(_) => Self::Sha256(Sha256::new()),
            Checksum::Blake3(_) => Self::Blake3(Box::default()),
            _ => return None,
        })
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Crc32c(hasher) | Self::Crc64Nvme(hasher) => hasher.update(data),
            Self::Md5(hasher) => hasher.update(data),
            Self::Sha256(hasher) => hasher.update(data),
            Self::Blake3(hasher) => {
                hasher.update(data);
            }
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        match self {
            Self::Crc32c(hasher) => Checksum::Crc32c(low_half(hasher.finalize())),
            Self::Crc64Nvme(hasher) => Checksum::Crc64Nvme(hasher.finalize()),
            Self::Md5(hasher) => Checksum::Md5(hasher.finalize().into()),
            Self::Sha256(hasher) => Checksum::Sha256(hasher.finalize().into()),
            Self::Blake3(hasher) => Checksum::Blake3(hasher.finalize().into()),
        }
    }
}

/// A CRC of 32 bits comes in 64.
fn low_half(crc: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = crc.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The checksum by which a store verifies what it is sent.
pub(crate) fn of(kind: ChecksumKind, data: &[u8]) -> Option<Checksum> {
    let blank = match kind {
        ChecksumKind::Crc32c => Checksum::Crc32c(0),
        ChecksumKind::Sha256 => Checksum::Sha256([0; 32]),
        ChecksumKind::Md5 => Checksum::Md5([0; 16]),
        ChecksumKind::None => return None,
    };
    let mut hasher = Hasher::like(&blank)?;
    hasher.update(data);
    Some(hasher.finish())
}

/// The SHA-256 in hexadecimal, as signatures name content.
pub(crate) fn sha256_hex(sum: [u8; 32]) -> String {
    let named = Checksum::Sha256(sum).to_string();
    named.trim_start_matches("sha256:").to_owned()
}

/// The CRC-32C of two pieces one after the other.
pub(crate) fn concat_crc32c(first: u32, second: u32, second_bytes: u64) -> u32 {
    low_half(crc_fast::checksum_combine(
        CRC32C,
        first.into(),
        second.into(),
        second_bytes,
    ))
}

/// The values of the headers that tell a store what to expect.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChecksumHeaders {
    pub(crate) crc32c: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) content_md5: Option<String>,
}

impl ChecksumHeaders {
    pub(crate) fn new(checksum: Option<&Checksum>) -> Self {
        let mut headers = Self::default();
        match checksum {
            Some(Checksum::Crc32c(crc)) => headers.crc32c = Some(encode_crc32c(*crc)),
            Some(Checksum::Sha256(sum)) => headers.sha256 = Some(base64::encode(sum)),
            Some(Checksum::Md5(sum)) => headers.content_md5 = Some(base64::encode(sum)),
            _ => {}
        }
        headers
    }
}

pub(crate) fn encode_crc32c(crc: u32) -> String {
    base64::encode(crc.to_be_bytes())
}

/// What a store said about the whole of an object, if it did.
///
/// A checksum over the checksums of parts (`…-3`) says nothing about the whole.
pub(crate) fn of_headers(
    crc32c: Option<&str>,
    crc64_nvme: Option<&str>,
    sha256: Option<&str>,
) -> Option<Checksum> {
    fn bytes<const N: usize>(text: Option<&str>) -> Option<[u8; N]> {
        base64::decode(text?).ok()?.try_into().ok()
    }
    let crc32c = bytes(crc32c).map(|crc| Checksum::Crc32c(u32::from_be_bytes(crc)));
    let crc64 = || bytes(crc64_nvme).map(|crc| Checksum::Crc64Nvme(u64::from_be_bytes(crc)));
    let sha256 = || bytes(sha256).map(Checksum::Sha256);
    crc32c.or_else(crc64).or_else(sha256)
}

/// The MD5 that an `ETag` is, where it has the form of one.
pub(crate) fn of_etag(etag: &str) -> Option<Checksum> {
    format!("md5:{etag}").parse().ok()
}

/// The `ETag` of an upload in parts, at stores whose `ETag`s are MD5s.
pub(crate) fn etag_of_parts(parts: impl Iterator<Item = [u8; 16]>) -> String {
    let (mut all, mut count) = (Md5::new(), 0_u32);
    for part in parts {
        all.update(part);
        count += 1;
    }
    let whole = Checksum::Md5(all.finalize().into()).to_string();
    let hex = whole.trim_start_matches("md5:");
    format!("{hex}-{count}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(like: Checksum, data: &[u8]) -> Checksum {
        let mut hasher = Hasher::like(&like).unwrap();
        data.chunks(3).for_each(|chunk| hasher.update(chunk));
        hasher.finish()
    }

    #[test]
    fn each_algorithm_knows_its_published_check_value() {
        let data = b"123456789";
        for (text, like) in [
            ("crc32c:e3069283", Checksum::Crc32c(0)),
            ("crc64nvme:ae8b14860a799888", Checksum::Crc64Nvme(0)),
            (
                "md5:25f9e794323b453885f5181f1b624d0b",
                Checksum::Md5([0; 16]),
            ),
            (
                "sha256:15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
                Checksum::Sha256([0; 32]),
            ),
        ] {
            assert_eq!(hash(like, data).to_string(), text);
        }
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(
            hash(Checksum::Blake3([0; 32]), b"").to_string(),
            format!("blake3:{empty}")
        );
    }

    #[test]
    fn headers_are_read_as_they_are_written() {
        let headers = ChecksumHeaders::new(Some(&Checksum::Crc32c(0xe306_9283)));
        assert_eq!(headers.crc32c.as_deref(), Some("4waSgw=="));
        let read = of_headers(headers.crc32c.as_deref(), None, None);
        assert_eq!(read, Some(Checksum::Crc32c(0xe306_9283)));
        assert_eq!(of_headers(Some("4waSgw==-3"), None, None), None);
        assert_eq!(of_headers(Some("!"), None, None), None);
    }

    #[test]
    fn only_the_etag_of_one_piece_is_an_md5() {
        assert!(of_etag("25f9e794323b453885f5181f1b624d0b").is_some());
        assert!(of_etag("25f9e794323b453885f5181f1b624d0b-2").is_none());
        assert!(of_etag("").is_none());
    }

    #[test]
    fn the_etag_of_parts_is_that_of_s3() {
        // Two parts, "a" and "b", as S3 itself names them.
        let part = |data: &[u8]| match of(ChecksumKind::Md5, data) {
            Some(Checksum::Md5(sum)) => sum,
            other => panic!("{other:?}"),
        };
        let parts = [part(b"a"), part(b"b")];
        let mut all = Md5::new();
        all.update(parts.concat());
        let whole = Checksum::Md5(all.finalize().into()).to_string();
        assert_eq!(
            etag_of_parts(parts.into_iter()),
            format!("{}-2", &whole[4..])
        );
    }

    proptest! {
        #[test]
        fn crcs_of_pieces_make_the_crc_of_the_whole(data: Vec<u8>, cut: proptest::sample::Index) {
            let crc = |data: &[u8]| match of(ChecksumKind::Crc32c, data) {
                Some(Checksum::Crc32c(crc)) => crc,
                other => panic!("{other:?}"),
            };
            let (first, second) = data.split_at(cut.index(data.len() + 1));
            let whole = concat_crc32c(crc(first), crc(second), second.len() as u64);
            prop_assert_eq!(whole, crc(&data));
        }
    }
}
