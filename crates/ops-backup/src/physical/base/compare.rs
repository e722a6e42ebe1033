//! What was sent against what the server's manifest lists.

use xxhash_rust::xxh3::xxh3_64;

use crate::physical::server_manifest::ManifestFile;

/// How many members are remembered in one piece of memory: a list that doubled when it is
/// full would take three times its size for a moment.
const PIECE: usize = 4096;

/// A member, in as few bytes as will do.
#[derive(Clone, Copy, Debug)]
struct Sent {
    path: u64,
    size: u64,
    crc32c: u32,
    listed: bool,
}

/// The members that were sent, in order.
#[derive(Debug, Default)]
pub(super) struct SentMembers {
    pieces: Vec<Vec<Sent>>,
    /// How many have been found in the manifest, or are not listed there.
    compared: usize,
    len: usize,
}

/// A difference between the manifest and what was sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Mismatch {
    #[error("{0:?} is in the server's manifest and was not sent in its place")]
    Missing(String),
    #[error("{0:?} was sent with another content than the server's manifest says")]
    Content(String),
    #[error("{0} files were sent that the server's manifest does not list")]
    Unlisted(usize),
    #[error("two members have the same path")]
    Twice,
}

impl SentMembers {
    /// Remembers a member, by its path in the data folder. `listed` where the server's
    /// manifest must have it: files, save for segments of WAL.
    pub(super) fn push(&mut self, path: &[u8], listed: bool, size: u64, crc32c: u32) {
        let sent = Sent {
            path: xxh3_64(path),
            size,
            crc32c,
            listed,
        };
        self.len += 1;
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(sent),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(sent);
                self.pieces.push(piece);
            }
        }
    }

    /// The next member that the manifest must list.
    fn next_listed(&mut self) -> Option<Sent> {
        loop {
            let piece = self.pieces.get(self.compared / PIECE)?;
            let sent = *piece.get(self.compared % PIECE)?;
            self.compared += 1;
            if sent.listed {
                return Some(sent);
            }
        }
    }

    /// Compares a file of the manifest with the member in its place: servers list files in
    /// the order in which they send them.
    pub(super) fn compare(&mut self, file: &ManifestFile) -> Result<(), Mismatch> {
        let path = || String::from_utf8_lossy(&file.path).into_owned();
        match self.next_listed() {
            Some(sent) if sent.path == xxh3_64(&file.path) => {
                let same = file.crc32c.is_some_and(|crc| crc == sent.crc32c);
                if same && file.size == sent.size {
                    Ok(())
                } else {
                    Err(Mismatch::Content(path()))
                }
            }
            _ => Err(Mismatch::Missing(path())),
        }
    }

    /// Whether everything that was sent is in the manifest, and has a path of its own.
    pub(super) fn finish(mut self) -> Result<(), Mismatch> {
        let mut unlisted = 0;
        while self.next_listed().is_some() {
            unlisted += 1;
        }
        if unlisted > 0 {
            return Err(Mismatch::Unlisted(unlisted));
        }
        let mut paths = Vec::with_capacity(self.len);
        for piece in self.pieces.drain(..) {
            paths.extend(piece.into_iter().map(|sent| sent.path));
        }
        paths.sort_unstable();
        let twice = paths
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a == b));
        if twice { Err(Mismatch::Twice) } else { Ok(()) }
    }
}

/// Whether a file is a segment of WAL, which manifests do not list.
pub(super) fn is_wal_segment(path: &[u8]) -> bool {
    path.strip_prefix(b"pg_wal/")
        .is_some_and(|name| name.len() == 24 && name.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64, crc32c: u32) -> ManifestFile {
        ManifestFile {
            path: path.into(),
            size,
            crc32c: Some(crc32c),
        }
    }

    fn sent() -> SentMembers {
        let mut sent = SentMembers::default();
        sent.push(b"base", false, 0, 0);
        for number in 0..10_000 {
            sent.push(format!("base/5/{number}").as_bytes(), true, number, 7);
        }
        sent.push(b"pg_wal/000000010000000000000001", false, 16 << 20, 0);
        sent
    }

    fn compare(mut sent: SentMembers, skip: u64) -> Result<(), Mismatch> {
        for number in (0..10_000).filter(|number| *number != skip) {
            sent.compare(&file(&format!("base/5/{number}"), number, 7))?;
        }
        sent.finish()
    }

    #[test]
    fn the_same_files_in_the_same_order_are_equal() {
        assert_eq!(compare(sent(), u64::MAX), Ok(()));
    }

    #[test]
    fn what_is_missing_or_too_many_or_differs_is_named() {
        assert!(
            matches!(compare(sent(), 5000), Err(Mismatch::Missing(path)) if path == "base/5/5001")
        );
        assert_eq!(compare(sent(), 9999), Err(Mismatch::Unlisted(1)));
        let mut more = sent();
        more.push(b"extra", true, 0, 0);
        assert_eq!(compare(more, u64::MAX), Err(Mismatch::Unlisted(1)));
        for other in [
            file("base/5/0", 1, 7),
            file("base/5/0", 0, 8),
            ManifestFile {
                crc32c: None,
                ..file("base/5/0", 0, 7)
            },
        ] {
            assert_eq!(
                sent().compare(&other),
                Err(Mismatch::Content("base/5/0".to_owned()))
            );
        }
        let mut twice = sent();
        twice.push(b"base", false, 0, 0);
        assert_eq!(compare(twice, u64::MAX), Err(Mismatch::Twice));
    }

    #[test]
    fn segments_of_wal_are_known_by_their_names() {
        assert!(is_wal_segment(b"pg_wal/0000000100000000000000AB"));
        for other in [
            "pg_wal/00000002.history",
            "pg_wal/archive_status/0000000100000000000000AB",
            "x",
        ] {
            assert!(!is_wal_segment(other.as_bytes()), "{other}");
        }
    }
}
