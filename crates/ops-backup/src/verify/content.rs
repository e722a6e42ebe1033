//! Reading one object to its end.

use std::io::{self, Read};
use std::sync::Arc;

use ops_core::ObjectStore;
use ops_core::object_store::GetOptions;

use super::{OPERATION, ProblemKind};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Counters;
use crate::keys::BackupIdentity;
use crate::repository::ManifestObject;
use crate::wal::blocking_reader;

/// How closely an object is looked at.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// Its bytes are compared with its hash.
    Hash,
    /// And it is decrypted with the identity, where there is one, and decompressed.
    Open(Option<BackupIdentity>),
}

/// What was read.
struct Seen {
    bytes: u64,
    blake3: blake3::Hash,
    /// How many plain bytes it holds, where it was opened.
    opened: Result<Option<u64>, (ProblemKind, String)>,
}

/// Reads an object and compares it with what the manifest says: gives what is wrong with it,
/// and how many plain bytes it holds where it was opened.
///
/// # Errors
/// Where it could not be read for a reason that has nothing to do with the object.
pub(super) async fn examine(
    store: &Arc<dyn ObjectStore>,
    object: &ManifestObject,
    look: Look,
    counters: Arc<Counters>,
) -> Result<Result<Option<u64>, (ProblemKind, String)>> {
    let body = match store.get(&object.key, GetOptions::default()).await {
        Ok(got) => got.body,
        Err(err) => return of_store(Error::store(OPERATION, err)),
    };
    let (fetch, reader) = blocking_reader(body);
    let read = tokio::task::spawn_blocking(move || read(reader, look, &counters));
    let (fetched, seen) = tokio::join!(fetch, read);
    if let Err(err) = fetched {
        return of_store(err);
    }
    let seen = seen.map_err(|source| {
        Error::new(ErrorKind::Internal, OPERATION, "a reading task failed").with_source(source)
    })?;
    let seen = seen.map_err(|source| {
        Error::new(ErrorKind::Store, OPERATION, "an object could not be read").with_source(source)
    })?;
    Ok(compare(object, seen))
}

fn compare(object: &ManifestObject, seen: Seen) -> Result<Option<u64>, (ProblemKind, String)> {
    if seen.bytes != object.size_bytes {
        let text = format!(
            "it has {} bytes instead of {}",
            seen.bytes, object.size_bytes
        );
        return Err((ProblemKind::WrongLength, text));
    }
    if seen.blake3.to_hex().as_str() != object.blake3 {
        return Err((
            ProblemKind::WrongHash,
            "it has other bytes than were written".to_owned(),
        ));
    }
    seen.opened
}

/// What a failure of the store says about the object, if anything.
fn of_store(err: Error) -> Result<Result<Option<u64>, (ProblemKind, String)>> {
    let kind = match err.kind() {
        ErrorKind::NotFound => ProblemKind::ObjectMissing,
        // The store itself keeps a checksum.
        ErrorKind::Integrity => ProblemKind::WrongHash,
        _ => return Err(err),
    };
    Ok(Err((kind, ops_core::Report(&err).to_string())))
}

fn read(reader: impl Read, look: Look, counters: &Counters) -> io::Result<Seen> {
    let mut raw = Tee {
        reader,
        hasher: blake3::Hasher::new(),
        bytes: 0,
        failed: false,
    };
    let opened = match look {
        Look::Hash => Ok(None),
        Look::Open(identity) => open(&mut raw, identity.as_ref()).map(Some),
    };
    // What could not be opened is read to its end all the same, for its hash.
    if !raw.failed {
        io::copy(&mut raw, &mut io::sink())?;
    } else if opened.is_err() {
        return Err(io::Error::other("the stored object could not be read"));
    }
    counters.add_stored(raw.bytes);
    Ok(Seen {
        bytes: raw.bytes,
        blake3: raw.hasher.finalize(),
        opened,
    })
}

fn open(
    raw: &mut impl Read,
    identity: Option<&BackupIdentity>,
) -> Result<u64, (ProblemKind, String)> {
    let Some(identity) = identity else {
        return decode(raw).map_err(|err| (ProblemKind::NotDecodable, err.to_string()));
    };
    let not_authentic = |text: String| (ProblemKind::NotAuthentic, text);
    let inner = identity
        .decrypt(raw)
        .map_err(|err| not_authentic(err.to_string()))?;
    let mut decrypted = Tee {
        reader: inner,
        hasher: blake3::Hasher::new(),
        bytes: 0,
        failed: false,
    };
    decode(&mut decrypted).map_err(|err| {
        if decrypted.failed {
            not_authentic(err.to_string())
        } else {
            (ProblemKind::NotDecodable, err.to_string())
        }
    })
}

fn decode(frames: &mut impl Read) -> io::Result<u64> {
    let mut decoder = zstd::stream::read::Decoder::new(frames)?;
    io::copy(&mut decoder, &mut io::sink())
}

/// Counts and hashes what is read, and remembers whether reading failed.
struct Tee<R> {
    reader: R,
    hasher: blake3::Hasher,
    bytes: u64,
    failed: bool,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(out).inspect_err(|_| self.failed = true)?;
        self.hasher.update(out.get(..len).unwrap_or_default());
        self.bytes += len as u64;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(stored: &[u8], identity: Option<&BackupIdentity>) -> Seen {
        let look = Look::Open(identity.cloned());
        read(stored, look, &Counters::default()).unwrap()
    }

    fn sealed(payload: &[u8], identity: &BackupIdentity) -> Vec<u8> {
        use std::io::Write;
        let mut stored = Vec::new();
        let mut writer = identity.encrypt(&mut stored).unwrap();
        writer.write_all(payload).unwrap();
        writer.finish().unwrap();
        stored
    }

    #[test]
    fn each_way_in_which_an_object_cannot_be_opened_has_its_name() {
        let identity = BackupIdentity::generate();
        let frames = zstd::encode_all(&b"plain".repeat(1000)[..], 1).unwrap();
        let good = sealed(&frames, &identity);
        assert_eq!(seen(&good, Some(&identity)).opened, Ok(Some(5000)));
        assert_eq!(seen(&frames, None).opened, Ok(Some(5000)));
        let kind = |stored: &[u8], identity: Option<&BackupIdentity>| {
            let seen = seen(stored, identity);
            assert_eq!(seen.blake3, blake3::hash(stored), "it is read to its end");
            seen.opened.unwrap_err().0
        };
        let other = BackupIdentity::generate();
        assert_eq!(kind(&good, Some(&other)), ProblemKind::NotAuthentic);
        assert_eq!(
            kind(&good[..good.len() - 1], Some(&identity)),
            ProblemKind::NotAuthentic
        );
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(kind(&flipped, Some(&identity)), ProblemKind::NotAuthentic);
        let cut = sealed(&frames[..frames.len() - 1], &identity);
        assert_eq!(kind(&cut, Some(&identity)), ProblemKind::NotDecodable);
        assert_eq!(
            kind(&frames[..frames.len() - 1], None),
            ProblemKind::NotDecodable
        );
        assert_eq!(kind(b"no zstd", None), ProblemKind::NotDecodable);
    }
}
