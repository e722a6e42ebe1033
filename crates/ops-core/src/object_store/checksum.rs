//! Checksums over whole objects.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// A checksum over the whole of an object.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32C (Castagnoli).
    Crc32c(u32),
    /// CRC-64/NVME.
    Crc64Nvme(u64),
    /// MD5.
    Md5([u8; 16]),
    /// SHA-256.
    Sha256([u8; 32]),
    /// BLAKE3 with 256 bits of output.
    Blake3([u8; 32]),
}

impl Checksum {
    /// The name of the algorithm, lowercase.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Crc32c(_) => "crc32c",
            Self::Crc64Nvme(_) => "crc64nvme",
            Self::Md5(_) => "md5",
            Self::Sha256(_) => "sha256",
            Self::Blake3(_) => "blake3",
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm())?;
        let bytes: &[u8] = match self {
            Self::Crc32c(value) => return write!(f, "{value:08x}"),
            Self::Crc64Nvme(value) => return write!(f, "{value:016x}"),
            Self::Md5(bytes) => bytes,
            Self::Sha256(bytes) | Self::Blake3(bytes) => bytes,
        };
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Checksum {
    type Err = Error;

    /// Reads what `Display` prints, such as `crc32c:e3069283`.
    fn from_str(text: &str) -> Result<Self> {
        parse_checksum(text)
            .ok_or_else(|| Error::new(ErrorKind::Decode, "not a checksum with its algorithm"))
    }
}

fn parse_checksum(text: &str) -> Option<Checksum> {
    let (algorithm, hex) = text.split_once(':')?;
    match algorithm {
        "crc32c" => parse_hex(hex).map(u32::from_be_bytes).map(Checksum::Crc32c),
        "crc64nvme" => parse_hex(hex)
            .map(u64::from_be_bytes)
            .map(Checksum::Crc64Nvme),
        "md5" => parse_hex(hex).map(Checksum::Md5),
        "sha256" => parse_hex(hex).map(Checksum::Sha256),
        "blake3" => parse_hex(hex).map(Checksum::Blake3),
        _ => None,
    }
}

fn parse_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(feature = "serde")]
impl serde::Serialize for Checksum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Checksum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_survives_its_text() {
        for checksum in [
            Checksum::Crc32c(0xe306_9283),
            Checksum::Crc64Nvme(1),
            Checksum::Md5([7; 16]),
            Checksum::Sha256([0xab; 32]),
            Checksum::Blake3([0; 32]),
        ] {
            assert_eq!(checksum.to_string().parse::<Checksum>().unwrap(), checksum);
        }
        for text in [
            "",
            "crc32c",
            "crc32c:",
            "crc32c:e306928",
            "crc32c:+3069283",
            "md4:00",
            "md5:é",
        ] {
            assert_eq!(
                text.parse::<Checksum>().unwrap_err().kind(),
                ErrorKind::Decode,
                "{text}"
            );
        }
    }
}
