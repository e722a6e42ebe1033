//! A reader of tar archives, and of backup manifests, that shares nothing with the client.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::Received;

/// A member of an archive.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) content: Vec<u8>,
}

/// Reads a whole archive, whose end must be two blocks of zeros and nothing after them.
#[track_caller]
pub(crate) fn members(archive: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    let mut rest = archive;
    loop {
        let (header, more) = rest.split_at(512);
        if header.iter().all(|byte| *byte == 0) {
            assert_eq!(more, [0; 512], "two blocks of zeros end an archive");
            return members;
        }
        let text = |from: usize, length: usize| {
            let field = &header[from..from + length];
            let end = field.iter().position(|byte| *byte == 0);
            String::from_utf8(field[..end.unwrap_or(length)].to_vec()).unwrap()
        };
        let size = usize::from_str_radix(text(124, 12).trim(), 8).unwrap();
        let (content, more) = more.split_at(size);
        members.push(Member {
            name: text(0, 100),
            kind: header[156],
            content: content.to_vec(),
        });
        rest = &more[(512 - size % 512) % 512..];
    }
}

/// All files of a backup, by the paths that the manifest gives them.
pub(crate) fn files(backup: &Received) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for archive in &backup.archives {
        let prefix = match &archive.tablespace {
            Some(tablespace) => format!("pg_tblspc/{}/", tablespace.oid),
            None => String::new(),
        };
        for member in members(&archive.bytes) {
            if member.kind == b'0' {
                let path = format!("{prefix}{}", member.name);
                assert!(files.insert(path, member.content).is_none());
            }
        }
    }
    files
}

/// Compares a backup with the server's own manifest, file by file, and returns how many
/// files there are.
#[track_caller]
pub(crate) fn verify(backup: &Received) -> usize {
    let manifest: Value = serde_json::from_slice(backup.manifest.as_ref().unwrap()).unwrap();
    let files = files(backup);
    let listed = manifest["Files"].as_array().unwrap();
    for entry in listed {
        let path = entry["Path"].as_str().unwrap();
        let content = files
            .get(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(entry["Size"].as_u64(), Some(content.len() as u64), "{path}");
        let crc = format!("{:08x}", crc32c::crc32c(content).swap_bytes());
        assert_eq!(entry["Checksum"].as_str(), Some(crc.as_str()), "{path}");
    }
    let range = &manifest["WAL-Ranges"][0];
    assert_eq!(
        range["Start-LSN"].as_str(),
        Some(&*backup.start.lsn.to_string())
    );
    assert_eq!(
        range["End-LSN"].as_str(),
        Some(&*backup.end.lsn.to_string())
    );
    // Neither WAL nor the manifest is listed, and nothing else is left out.
    let unlisted: Vec<_> = files
        .keys()
        .filter(|path| !path.starts_with("pg_wal/"))
        .filter(|path| {
            !listed
                .iter()
                .any(|entry| entry["Path"].as_str() == Some(path))
        })
        .collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    listed.len()
}
