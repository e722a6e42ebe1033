//! Opening stored backups without the code that is tested: by the crates and programs of
//! others.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use ops_backup::{
    Backup, BaseBackupReport, BaseBackupRequest, FileEntry, FileKind, FrameTable, Manifest,
    ManifestObject, ObjectRole,
};
use ops_testkit::Pg;

pub(crate) use crate::judges::verify;
use crate::shared::Bench;

/// Runs a program to its end; fails with what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// Runs a program with arguments.
#[expect(
    clippy::disallowed_methods,
    reason = "a program of others that ends by itself"
)]
pub(crate) fn call<I>(program: impl AsRef<OsStr>, arguments: I) -> String
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    run(Command::new(program).args(arguments))
}

/// Runs statements in a server's own database.
pub(crate) async fn execute(pg: &Pg, sql: &str) {
    let client = pg.client("postgres").await;
    client.batch_execute(sql).await.unwrap();
}

/// Takes a full base backup.
pub(crate) async fn full(backup: &Backup) -> BaseBackupReport {
    let job = backup.base_backup(BaseBackupRequest::full());
    job.finish().await.unwrap()
}

/// A full base backup of a server, in a store of its own.
pub(crate) async fn backed_up(pg: &Pg) -> (Bench, Backup) {
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    full(&backup).await;
    (bench, backup)
}

/// The path of a stored object in the store of a bench.
pub(crate) fn path_of(bench: &Bench, object: &ManifestObject) -> PathBuf {
    let path = bench.folder.path().join("store").join(object.key.as_str());
    assert_eq!(path.metadata().unwrap().len(), object.size_bytes);
    let hash = blake3::hash(&fs::read(&path).unwrap());
    assert_eq!(hash.to_hex().as_str(), object.blake3, "{}", object.key);
    path
}

/// The identity of a backup, opened with the key of the bench.
fn identity(bench: &Bench, manifest: &Manifest) -> Option<age::x25519::Identity> {
    let object = manifest.objects_of(ObjectRole::Identity).next()?;
    let wrapped = fs::read(path_of(bench, object)).unwrap();
    let key = age::x25519::Identity::from_str(&bench.keys.identity).unwrap();
    let line = age::decrypt(&key, &wrapped).unwrap();
    let line = String::from_utf8(line).unwrap();
    Some(age::x25519::Identity::from_str(line.trim_end()).unwrap())
}

/// The payload of an object: what is in it when it is decrypted.
fn payload(bench: &Bench, manifest: &Manifest, object: &ManifestObject) -> Vec<u8> {
    let stored = fs::read(path_of(bench, object)).unwrap();
    match identity(bench, manifest) {
        None => stored,
        Some(identity) => {
            let payload = age::decrypt(&identity, &stored).unwrap();
            // What readers of ranges rely upon.
            let tags = 16 * payload.len().div_ceil(65_536).max(1);
            assert!(stored.starts_with(b"age-encryption.org/v1\n"));
            let header = stored.len() - payload.len() - tags;
            let end = b"\n--- ";
            let mac = stored.windows(end.len()).position(|it| it == end).unwrap();
            let line = stored[mac + 1..]
                .iter()
                .position(|it| *it == b'\n')
                .unwrap();
            assert_eq!(header, mac + 1 + line + 1 + 16, "a header and a nonce");
            payload
        }
    }
}

/// The plain bytes of all objects of a role, one after the other.
pub(crate) fn plain(bench: &Bench, manifest: &Manifest, role: ObjectRole) -> Vec<u8> {
    let mut plain = Vec::new();
    for object in manifest.objects_of(role) {
        let payload = payload(bench, manifest, object);
        let mut decoder = zstd::stream::read::Decoder::new(payload.as_slice()).unwrap();
        decoder.read_to_end(&mut plain).unwrap();
    }
    plain
}

/// The lines of the file index.
pub(crate) fn index(bench: &Bench, manifest: &Manifest) -> Vec<FileEntry> {
    let text = plain(bench, manifest, ObjectRole::Files);
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// A backup that was unpacked.
pub(crate) struct Unpacked {
    pub(crate) folder: PathBuf,
    pub(crate) index: Vec<FileEntry>,
}

/// Unpacks a backup by `tar`, and sees to it that everything that is written down about it
/// is so.
pub(crate) fn unpack(bench: &Bench, manifest: &Manifest, name: &str) -> Unpacked {
    let folder = bench.folder.path().join(name);
    let data = folder.join("data");
    fs::create_dir_all(&data).unwrap();
    let physical = manifest.physical.as_ref().unwrap();
    let packs: Vec<_> = manifest.objects_of(ObjectRole::Data).collect();
    assert_eq!(packs.len(), physical.packs.len());
    let index = index(bench, manifest);
    let table = frames(bench, manifest);
    for (place, archive) in physical.archives.iter().enumerate() {
        let mut tar = Vec::new();
        let own = physical.packs.iter().enumerate();
        for (number, pack) in own.filter(|(_, pack)| pack.archive as usize == place) {
            assert_eq!(pack.offset, tar.len() as u64);
            let payload = payload(bench, manifest, packs[number]);
            let mut at = 0;
            for &(plain, stored) in &table[number] {
                let end = at + stored as usize;
                let frame = zstd::stream::decode_all(&payload[at..end]).unwrap();
                assert_eq!(frame.len(), plain as usize);
                tar.extend(frame);
                at = end;
            }
            assert_eq!(at, payload.len());
            assert_eq!(pack.bytes, tar.len() as u64 - pack.offset);
        }
        assert_eq!(archive.bytes, tar.len() as u64, "{}", archive.name);
        check_index(&index, place, &tar);
        let path = folder.join(&archive.name);
        fs::write(&path, &tar).unwrap();
        let into = match archive.tablespace {
            None => data.clone(),
            Some(oid) => folder.join(oid.to_string()),
        };
        fs::create_dir_all(&into).unwrap();
        let (path, into) = (path.as_os_str(), into.as_os_str());
        call("tar", [OsStr::new("-xf"), path, OsStr::new("-C"), into]);
    }
    for tablespace in &physical.tablespaces {
        let link = data.join("pg_tblspc").join(tablespace.oid.to_string());
        let target = fs::read_link(&link).unwrap();
        assert_eq!(target.to_str().unwrap(), tablespace.location);
        fs::remove_file(&link).unwrap();
        let moved = folder.join(tablespace.oid.to_string());
        std::os::unix::fs::symlink(moved, &link).unwrap();
    }
    let server_manifest = plain(bench, manifest, ObjectRole::BackupManifest);
    fs::write(data.join("backup_manifest"), server_manifest).unwrap();
    Unpacked {
        folder: data,
        index,
    }
}

/// The frame table, by packs.
pub(crate) fn frames(bench: &Bench, manifest: &Manifest) -> Vec<Vec<(u32, u32)>> {
    let physical = manifest.physical.as_ref().unwrap();
    let text = plain(bench, manifest, ObjectRole::Frames);
    let mut frames = vec![Vec::new(); physical.packs.len()];
    for line in text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let table: FrameTable = serde_json::from_slice(line).unwrap();
        frames[table.pack as usize].extend(table.frames);
    }
    for (pack, frames) in physical.packs.iter().zip(&frames) {
        assert_eq!(pack.frames, frames.len() as u64);
        let most = u64::from(frames.iter().map(|frame| frame.0).max().unwrap());
        assert!(most <= manifest.compression.frame_bytes);
    }
    frames
}

/// Whether the index tells the truth about an archive.
fn check_index(index: &[FileEntry], place: usize, tar: &[u8]) {
    for entry in index.iter().filter(|entry| entry.archive as usize == place) {
        let start = usize::try_from(entry.offset).unwrap();
        let content = &tar[start..start + usize::try_from(entry.size).unwrap()];
        if entry.kind == FileKind::File {
            assert_eq!(entry.blake3, Some(blake3::hash(content)));
            assert_eq!(entry.crc32c, crc32c::crc32c(content));
        } else {
            assert!(content.is_empty());
        }
    }
}

/// Makes a folder that a server can write to, in one that only we can look into so far.
pub(crate) fn folder_for(pg: &Pg, folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(folder).unwrap();
    let above = folder.parent().unwrap();
    fs::set_permissions(above, PermissionsExt::from_mode(0o755)).unwrap();
    if let Some(user) = pg.run_as() {
        std::os::unix::fs::chown(folder, Some(user.uid()), Some(user.gid())).unwrap();
    }
}
