//! The channel binding `tls-server-end-point` of RFC 5929.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// The binding of a server's certificate: its hash by the hash of its own signature,
/// with SHA-256 in place of MD5 and SHA-1. `None` where the signature has no hash of its
/// own (Ed25519) or one that is not known; such a connection cannot be bound.
pub(crate) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature_hash(certificate)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const CONTEXT_0: u8 = 0xa0;

// The contents of DER object identifiers.
const MD5_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04";
const SHA1_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05";
const RSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
const SHA256_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
const SHA384_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c";
const SHA512_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d";
const SHA1_ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x01";
const SHA256_ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x02";
const SHA384_ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x03";
const SHA512_ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x04";
const ID_SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
const ID_SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
const ID_SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";

/// Reads `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }`.
fn signature_hash(certificate: &[u8]) -> Option<&'static Algorithm> {
    let mut certificate = Der(Der(certificate).expect(SEQUENCE)?);
    certificate.expect(SEQUENCE)?;
    let mut algorithm = Der(certificate.expect(SEQUENCE)?);
    match algorithm.expect(OBJECT_IDENTIFIER)? {
        MD5_RSA | SHA1_RSA | SHA1_ECDSA | SHA256_RSA | SHA256_ECDSA => Some(&SHA256),
        SHA384_RSA | SHA384_ECDSA => Some(&SHA384),
        SHA512_RSA | SHA512_ECDSA => Some(&SHA512),
        RSA_PSS => pss_hash(algorithm.expect(SEQUENCE)?),
        _ => None,
    }
}

/// Reads `RSASSA-PSS-params`, whose first field is the hash, SHA-1 where it is absent.
fn pss_hash(parameters: &[u8]) -> Option<&'static Algorithm> {
    let Some((CONTEXT_0, hash)) = Der(parameters).next() else {
        return Some(&SHA256);
    };
    match Der(Der(hash).expect(SEQUENCE)?).expect(OBJECT_IDENTIFIER)? {
        ID_SHA256 => Some(&SHA256),
        ID_SHA384 => Some(&SHA384),
        ID_SHA512 => Some(&SHA512),
        _ => None,
    }
}

/// A reader of DER elements with tags of one byte.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .and_then(|(found, content)| (found == tag).then_some(content))
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (
                    digits
                        .iter()
                        .fold(0, |length, digit| length << 8 | usize::from(*digit)),
                    rest,
                )
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    macro_rules! certificate {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/fixtures/certificates/", $name, ".der"))
        };
    }

    #[track_caller]
    fn assert_hash(certificate: &[u8], algorithm: &'static Algorithm) {
        let expected = digest(algorithm, certificate).as_ref().to_vec();
        assert_eq!(server_end_point(certificate), Some(expected));
    }

    #[test]
    fn the_hash_is_that_of_the_signature_and_never_weaker_than_sha_256() {
        assert_hash(certificate!("rsa-sha1"), &SHA256);
        assert_hash(certificate!("rsa-sha256"), &SHA256);
        assert_hash(certificate!("rsa-sha384"), &SHA384);
        assert_hash(certificate!("rsa-sha512"), &SHA512);
        assert_hash(certificate!("pss-sha256"), &SHA256);
        assert_hash(certificate!("pss-sha512"), &SHA512);
        assert_hash(certificate!("ecdsa-sha256"), &SHA256);
        assert_hash(certificate!("ecdsa-sha512"), &SHA512);
    }

    #[test]
    fn a_signature_without_a_hash_gives_no_binding() {
        assert_eq!(server_end_point(certificate!("ed25519")), None);
    }

    #[test]
    fn a_certificate_that_is_cut_off_gives_no_binding() {
        let whole = certificate!("pss-sha512");
        for length in 0..whole.len() {
            assert_eq!(server_end_point(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_whatever_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0..900_usize,
        ) {
            let _ = server_end_point(&bytes);
            let mut certificate = certificate!("pss-sha256").to_vec();
            let end = certificate.len().min(at + bytes.len());
            certificate.splice(at.min(end)..end, bytes);
            let _ = server_end_point(&certificate);
        }
    }
}
