//! Takes the server's stream apart: archives into frames and index entries, and its manifest
//! into a comparison with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ops_pg_replication::{SystemId, Tablespace};

use super::compare::{SentMembers, is_wal_segment};
use super::cutter::{Cutter, Outlet, Tag, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::{ArchiveInfo, FileEntry, FileKind, TablespaceInfo};
use crate::physical::pages::RelationFile;
use crate::physical::server_manifest::{ManifestReader, ManifestSummary};
use crate::physical::tar::{Member, MemberKind, Piece, Splitter, TRAILER};

/// The most that a line of the index takes, with room to spare: names are below 100 bytes.
const LINE_BYTES: usize = 4096;
/// The most that is kept of `backup_label`.
const LABEL_BYTES: usize = 8192;

/// What came, once all of it has.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) archives: Vec<ArchiveInfo>,
    pub(super) tablespaces: Vec<TablespaceInfo>,
    pub(super) files: u64,
    /// The content of `backup_label`.
    pub(super) label: String,
    pub(super) manifest: ManifestSummary,
}

/// Takes the stream apart.
pub(super) struct Receiver {
    outlet: Outlet,
    /// How many pages a file of a relation has, where pages are to be looked at.
    segment_pages: Option<u32>,
    system_id: SystemId,
    archives: Vec<ArchiveInfo>,
    tablespaces: Vec<TablespaceInfo>,
    archive: Option<Archive>,
    member: Option<OpenMember>,
    index: Option<Vec<u8>>,
    files: u64,
    label: Vec<u8>,
    sent: SentMembers,
    manifest: Option<ManifestReader>,
    manifest_buffer: Option<Vec<u8>>,
}

/// The archive that is being received.
struct Archive {
    place: u32,
    tablespace: Option<u32>,
    splitter: Splitter,
    cutter: Cutter,
}

/// The member that is being received.
struct OpenMember {
    entry: FileEntry,
    hasher: blake3::Hasher,
    is_label: bool,
}

#[cold]
fn broken(source: impl Into<ops_core::BoxError>) -> Error {
    Error::new(
        ErrorKind::Archive,
        "base_backup",
        "what the server sent is not a base backup",
    )
    .with_source(source)
}

impl Receiver {
    pub(super) fn new(outlet: Outlet, segment_pages: Option<u32>, system_id: SystemId) -> Self {
        Self {
            outlet,
            segment_pages,
            system_id,
            archives: Vec::new(),
            tablespaces: Vec::new(),
            archive: None,
            member: None,
            index: None,
            files: 0,
            label: Vec::new(),
            sent: SentMembers::default(),
            manifest: None,
            manifest_buffer: None,
        }
    }

    /// Begins an archive; the one before it must be whole.
    pub(super) async fn begin_archive(
        &mut self,
        name: String,
        tablespace: Option<Tablespace>,
    ) -> Result<()> {
        self.end_archive().await?;
        let place = u32::try_from(self.archives.len()).map_err(broken)?;
        let expected = tablespace.as_ref().map(|it| it.oid);
        let fits = expected.map_or_else(|| "base.tar".to_owned(), |oid| format!("{oid}.tar"));
        if name != fits || self.archives.iter().any(|archive| archive.name == name) {
            return Err(broken(format!("the archive {name:?} was not expected")));
        }
        self.archives.push(ArchiveInfo {
            name,
            tablespace: expected,
            bytes: 0,
        });
        if let Some(Tablespace { oid, path, .. }) = tablespace {
            self.tablespaces.push(TablespaceInfo {
                oid,
                location: path.to_string_lossy().into_owned(),
                archive: place,
            });
        }
        self.archive = Some(Archive {
            place,
            tablespace: expected,
            splitter: Splitter::new(expected.is_none()),
            cutter: Cutter::new(place),
        });
        Ok(())
    }

    /// Takes bytes of the archive.
    pub(super) async fn data(&mut self, data: &[u8]) -> Result<()> {
        let Some(mut archive) = self.archive.take() else {
            return Err(broken("data of no archive"));
        };
        let mut rest = data;
        while let Some(piece) = archive.splitter.next(&mut rest).map_err(broken)? {
            match piece {
                Piece::Member(member) => self.begin_member(&mut archive, member).await?,
                Piece::Content(bytes) => {
                    if let Some(open) = &mut self.member {
                        open.entry.crc32c = crc32c::crc32c_append(open.entry.crc32c, bytes);
                        open.hasher.update(bytes);
                        if open.is_label && self.label.len() < LABEL_BYTES {
                            self.label.extend_from_slice(bytes);
                        }
                    }
                    archive.cutter.content(&mut self.outlet, bytes).await?;
                }
                Piece::End(padding) => {
                    archive.cutter.end(&mut self.outlet, padding).await?;
                    self.end_member(archive.tablespace).await?;
                }
                Piece::Trailer => archive.cutter.zeros(&mut self.outlet, TRAILER).await?,
            }
        }
        self.archive = Some(archive);
        Ok(())
    }

    async fn begin_member(&mut self, archive: &mut Archive, member: Member) -> Result<()> {
        let main = archive.tablespace.is_none();
        let bytes = member.size.saturating_add(member.padding() as u64);
        let relation = RelationFile::of(&member.path, main)
            .filter(|_| member.kind == MemberKind::File)
            .zip(self.segment_pages);
        let pages = relation.map(|(relation, segment_pages)| {
            let path = in_data_folder(&member.path, archive.tablespace);
            let path = String::from_utf8_lossy(&path);
            (Arc::from(path.as_ref()), relation, segment_pages)
        });
        let header = archive.splitter.header();
        let begun = archive.cutter.begin(&mut self.outlet, header, bytes, pages);
        begun.await?;
        let (kind, target) = match member.kind {
            MemberKind::File => (FileKind::File, None),
            MemberKind::Dir => (FileKind::Dir, None),
            MemberKind::Symlink(target) => (FileKind::Symlink, Some(target)),
        };
        self.member = Some(OpenMember {
            is_label: main && member.path == b"backup_label",
            entry: FileEntry {
                path: member.path,
                kind,
                mode: member.mode,
                mtime: member.mtime,
                size: member.size,
                archive: archive.place,
                offset: member.offset,
                crc32c: 0,
                blake3: None,
                target,
            },
            hasher: blake3::Hasher::new(),
        });
        Ok(())
    }

    /// Writes the index entry of the member that has ended.
    async fn end_member(&mut self, tablespace: Option<u32>) -> Result<()> {
        let Some(OpenMember {
            mut entry, hasher, ..
        }) = self.member.take()
        else {
            return Ok(());
        };
        let is_file = entry.kind == FileKind::File;
        if is_file {
            entry.blake3 = Some(hasher.finalize());
            self.files += 1;
        }
        let path = in_data_folder(&entry.path, tablespace);
        let listed = is_file && !is_wal_segment(&path);
        self.sent.push(&path, listed, entry.size, entry.crc32c);
        let mut index = match self.index.take() {
            Some(index) => index,
            None => self.outlet.buffer().await?,
        };
        serde_json::to_writer(&mut index, &entry).map_err(broken)?;
        index.push(b'\n');
        if index.len() + LINE_BYTES > self.outlet.frame_bytes {
            self.send(index, Target::Files)?;
        } else {
            self.index = Some(index);
        }
        Ok(())
    }

    fn send(&mut self, bytes: Vec<u8>, target: Target) -> Result<()> {
        let spans = Vec::new();
        self.outlet.send(bytes, Tag { target, spans })
    }

    /// Ends the archive: it must be whole. Servers before 15 leave it to us to end it.
    async fn end_archive(&mut self) -> Result<()> {
        let Some(mut archive) = self.archive.take() else {
            return Ok(());
        };
        let mut bytes = archive.splitter.position();
        if !archive.splitter.finish().map_err(broken)? {
            archive.cutter.zeros(&mut self.outlet, TRAILER).await?;
            bytes += TRAILER as u64;
        }
        archive.cutter.cut(&mut self.outlet)?;
        if let Some(info) = self.archives.last_mut() {
            info.bytes = bytes;
        }
        Ok(())
    }

    /// Begins the server's manifest; the last archive must be whole.
    pub(super) async fn begin_manifest(&mut self) -> Result<()> {
        self.end_archive().await?;
        // The index is whole, and its buffer is not needed any more.
        if let Some(index) = self.index.take() {
            self.send(index, Target::Files)?;
        }
        self.manifest = Some(ManifestReader::new());
        Ok(())
    }

    /// Takes bytes of the manifest, and compares what it lists with what was sent.
    pub(super) async fn manifest(&mut self, data: &[u8]) -> Result<()> {
        let (sent, Some(reader)) = (&mut self.sent, &mut self.manifest) else {
            return Err(broken("a manifest that did not begin"));
        };
        reader.feed(data, |file| sent.compare(&file).map_err(broken))?;
        let mut rest = data;
        while !rest.is_empty() {
            let mut buffer = match self.manifest_buffer.take() {
                Some(buffer) => buffer,
                None => self.outlet.buffer().await?,
            };
            let room = self.outlet.frame_bytes.saturating_sub(buffer.len());
            let (now, later) = rest.split_at(room.min(rest.len()));
            buffer.extend_from_slice(now);
            rest = later;
            if buffer.len() >= self.outlet.frame_bytes {
                self.send(buffer, Target::ServerManifest)?;
            } else {
                self.manifest_buffer = Some(buffer);
            }
        }
        Ok(())
    }

    /// The end of the backup: everything must be whole, and be what the manifest says. Tells
    /// so before the last frame is taken for the last.
    pub(super) fn finish(mut self, whole: &AtomicBool) -> Result<Received> {
        if self
            .archives
            .last()
            .is_none_or(|last| last.tablespace.is_some())
        {
            return Err(broken("the main archive did not come last"));
        }
        let manifest = self.manifest.take();
        let manifest = manifest.ok_or_else(|| broken("there is no manifest"))?;
        let manifest = manifest.finish().map_err(broken)?;
        if manifest.system_id.is_some_and(|id| id != self.system_id) {
            return Err(broken("the manifest is of another cluster"));
        }
        std::mem::take(&mut self.sent).finish().map_err(broken)?;
        if let Some(buffer) = self.manifest_buffer.take() {
            self.send(buffer, Target::ServerManifest)?;
        }
        whole.store(true, Ordering::Release);
        Ok(Received {
            archives: self.archives,
            tablespaces: self.tablespaces,
            files: self.files,
            label: String::from_utf8_lossy(&self.label).into_owned(),
            manifest,
        })
    }
}

impl From<crate::physical::server_manifest::ManifestError> for Error {
    fn from(err: crate::physical::server_manifest::ManifestError) -> Self {
        broken(err)
    }
}

/// A path in an archive as a path in the data folder.
fn in_data_folder(path: &[u8], tablespace: Option<u32>) -> Vec<u8> {
    match tablespace {
        None => path.to_vec(),
        Some(oid) => [format!("pg_tblspc/{oid}/").as_bytes(), path].concat(),
    }
}
