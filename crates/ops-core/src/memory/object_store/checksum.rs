//! Checksums over a whole object.

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::error::{ErrorKind, Result};
use crate::memory::error;
use crate::object_store::{Checksum, ObjectKey};

/// Fails where the content does not hash to what is expected.
pub(super) fn verify(
    operation: &'static str,
    key: &ObjectKey,
    data: &Bytes,
    expected: Option<Checksum>,
) -> Result<()> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let actual = match expected {
        Checksum::Crc32c(_) => crc32c(data),
        Checksum::Crc64Nvme(_) => Checksum::Crc64Nvme(crc64_nvme(data)),
        Checksum::Md5(_) => Checksum::Md5(Md5::digest(data).into()),
        Checksum::Sha256(_) => Checksum::Sha256(Sha256::digest(data).into()),
        Checksum::Blake3(_) => Checksum::Blake3(blake3::hash(data).into()),
    };
    if actual == expected {
        return Ok(());
    }
    let message = format!("{key} hashes to {actual}, expected {expected}");
    Err(error(ErrorKind::Integrity, operation, message).with_resource(key.as_str()))
}

/// The checksum that is kept where the writer names none.
pub(super) fn crc32c(data: &[u8]) -> Checksum {
    Checksum::Crc32c(crc32c::crc32c(data))
}

#[expect(
    clippy::indexing_slicing,
    reason = "the index is below 256, and checked when compiled"
)]
const CRC64_NVME: [u64; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x9a6c_9329_ac4b_c9b5
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

fn crc64_nvme(data: &[u8]) -> u64 {
    let crc = data.iter().fold(u64::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        CRC64_NVME
            .get(usize::from(low ^ byte))
            .map_or(crc, |entry| (crc >> 8) ^ entry)
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_knows_its_published_check_value() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2)
                .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
                .collect()
        };
        let array = |text: &str| -> [u8; 32] { hex(text).try_into().unwrap() };
        let checksums = [
            Checksum::Crc32c(0xe306_9283),
            Checksum::Crc64Nvme(0xae8b_1486_0a79_9888),
            Checksum::Md5(hex("25f9e794323b453885f5181f1b624d0b").try_into().unwrap()),
            Checksum::Sha256(array(
                "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
            )),
        ];
        let key = ObjectKey::new("k").unwrap();
        for checksum in checksums {
            verify("x", &key, &Bytes::from("123456789"), Some(checksum)).unwrap();
            let err = verify("x", &key, &Bytes::from("123456788"), Some(checksum)).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Integrity);
        }
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        verify(
            "x",
            &key,
            &Bytes::new(),
            Some(Checksum::Blake3(array(empty))),
        )
        .unwrap();
    }
}
