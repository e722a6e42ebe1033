//! Sealing and opening objects of the archive.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use age::x25519;
use age_core::format::{FileKey, Stanza};
use bytes::Bytes;

use super::OPERATION;
use super::header::{Header, TAG};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::BackupIdentity;

/// The public half of an epoch's identity: what a writer needs.
#[derive(Clone)]
pub(crate) struct EpochKey {
    pub(crate) number: u32,
    pub(crate) recipient: x25519::Recipient,
}

impl std::fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever knows the recipient can write what the archive takes for its own.
        f.debug_struct("EpochKey")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// The header as a recipient that adds a stanza and opens nothing.
struct Annotated<'a> {
    recipient: &'a x25519::Recipient,
    fields: Vec<String>,
}

impl age::Recipient for Annotated<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let (mut stanzas, labels) = self.recipient.wrap_file_key(file_key)?;
        let header = Stanza {
            tag: TAG.to_owned(),
            args: self.fields.clone(),
            body: Vec::new(),
        };
        stanzas.insert(0, header);
        Ok((stanzas, labels))
    }
}

/// Seals zstd frames into an object.
pub(crate) fn seal(
    mut header: Header,
    frames: &[Bytes],
    epoch: Option<&EpochKey>,
) -> Result<Bytes> {
    let payload: usize = frames.iter().map(Bytes::len).sum();
    let Some(epoch) = epoch else {
        let mut object = header.skippable_frame();
        object.reserve(payload);
        for frame in frames {
            object.extend_from_slice(frame);
        }
        return Ok(Bytes::from(object));
    };
    header.epoch = Some(epoch.number);
    let annotated = Annotated {
        recipient: &epoch.recipient,
        fields: header.fields(),
    };
    let failed = |source: ops_core::BoxError| {
        let message = "an object cannot be encrypted";
        Error::new(ErrorKind::Internal, OPERATION, message).with_source(source)
    };
    // Each 64 KiB get a tag of 16 bytes, and the header takes less than 1 KiB.
    let mut object = Vec::with_capacity(payload + payload / 4096 + 1024);
    let recipients = std::iter::once(&annotated as &dyn age::Recipient);
    let encryptor =
        age::Encryptor::with_recipients(recipients).map_err(|err| failed(err.into()))?;
    let mut writer = encryptor
        .wrap_output(&mut object)
        .map_err(|err| failed(err.into()))?;
    for frame in frames {
        writer.write_all(frame).map_err(|err| failed(err.into()))?;
    }
    writer.finish().map_err(|err| failed(err.into()))?;
    Ok(Bytes::from(object))
}

/// Makes frames that carry a checksum.
pub(crate) struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    /// What a frame is made in: frames that are kept take no more room than they need.
    buffer: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(level: i32) -> Result<Self> {
        let mut zstd = zstd::bulk::Compressor::new(level).map_err(broken)?;
        zstd.include_checksum(true).map_err(broken)?;
        Ok(Self {
            zstd,
            buffer: Vec::new(),
        })
    }

    /// Compresses one piece into a frame of its own.
    pub(crate) fn compress(&mut self, block: &[u8]) -> Result<Bytes> {
        self.buffer.clear();
        let most = zstd::zstd_safe::compress_bound(block.len());
        self.buffer.reserve(most);
        self.zstd
            .compress_to_buffer(block, &mut self.buffer)
            .map_err(broken)?;
        Ok(Bytes::copy_from_slice(&self.buffer))
    }
}

#[cold]
fn broken(source: io::Error) -> Error {
    Error::new(ErrorKind::Internal, OPERATION, "WAL cannot be compressed").with_source(source)
}

/// Opens an object whose header is known, writes what it holds, and compares that with the
/// header. What was written may be used only where this succeeds.
pub(crate) fn open(
    key: &impl std::fmt::Display,
    header: &Header,
    identity: Option<&BackupIdentity>,
    object: impl Read + Send + 'static,
    output: &mut dyn Write,
) -> Result<()> {
    let damaged = |source: ops_core::BoxError| {
        let message = format!("{key} cannot be opened");
        Error::new(ErrorKind::Integrity, OPERATION, message).with_source(source)
    };
    let frames: Box<dyn Read> = match identity {
        None => Box::new(object),
        Some(identity) => Box::new(
            identity
                .decrypt(object)
                .map_err(|err| damaged(err.into()))?,
        ),
    };
    let decoder = zstd::stream::read::Decoder::new(frames).map_err(|err| damaged(err.into()))?;
    // One byte more than promised tells that there is more, without reading all of it.
    let mut plain = decoder.take(header.bytes + 1);
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        let len = plain.read(&mut block).map_err(|err| damaged(err.into()))?;
        let Some(read) = block.get(..len).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
        bytes += len as u64;
        output.write_all(read).map_err(|source| {
            let message = format!("{key} was read and cannot be written to its place");
            Error::new(ErrorKind::Internal, OPERATION, message).with_source(source)
        })?;
    }
    if bytes != header.bytes || hasher.finalize() != header.blake3 {
        return Err(damaged(
            "it holds something else than its header says".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(plain: &[u8], identity: Option<&BackupIdentity>) -> (Header, Bytes) {
        let epoch = identity.map(|identity| EpochKey {
            number: 7,
            recipient: identity.public_text().parse().unwrap(),
        });
        let header = Header::new(
            "name".to_owned(),
            0,
            plain.len() as u64,
            blake3::hash(plain),
        );
        let mut compressor = Compressor::new(1).unwrap();
        let frames: Vec<_> = plain
            .chunks(1000)
            .map(|block| compressor.compress(block).unwrap())
            .collect();
        let object = seal(header, &frames, epoch.as_ref()).unwrap();
        let head = &object[..object.len().min(1024)];
        (Header::find(&"k", head).unwrap(), object)
    }

    fn opened(
        header: &Header,
        object: Bytes,
        identity: Option<&BackupIdentity>,
    ) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        open(&"k", header, identity, io::Cursor::new(object), &mut plain).map(|()| plain)
    }

    #[test]
    fn what_was_sealed_is_opened_again_and_says_what_it_is() {
        let plain: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let identity = BackupIdentity::generate();
        for identity in [None, Some(&identity)] {
            let (header, object) = sealed(&plain, identity);
            assert_eq!(header.epoch, identity.map(|_| 7));
            assert_eq!(header.name, "name");
            assert_eq!(opened(&header, object, identity).unwrap(), plain);
        }
    }

    #[test]
    fn damage_anywhere_in_an_object_is_found() {
        let plain = b"write-ahead".repeat(500);
        let identity = BackupIdentity::generate();
        for identity in [None, Some(&identity)] {
            let (header, object) = sealed(&plain, identity);
            // The line of the header is covered by a MAC only where there is a key.
            let first = if identity.is_some() {
                0
            } else {
                header.skippable_frame().len()
            };
            for at in (first..object.len()).step_by(7) {
                let mut damaged = object.to_vec();
                damaged[at] ^= 1;
                let err = opened(&header, Bytes::from(damaged), identity).unwrap_err();
                assert_eq!(err.kind(), ErrorKind::Integrity, "byte {at}");
            }
            let cut = object.slice(..object.len() - 1);
            assert_eq!(
                opened(&header, cut, identity).unwrap_err().kind(),
                ErrorKind::Integrity
            );
        }
    }

    #[test]
    fn an_object_with_more_or_other_content_than_it_says_is_refused() {
        let (mut header, object) = sealed(b"abc", None);
        header.bytes = 2;
        assert!(opened(&header, object.clone(), None).is_err());
        header.bytes = 3;
        header.blake3 = blake3::hash(b"abd");
        assert!(opened(&header, object, None).is_err());
    }
}
