//! Manifests, and the objects that they name.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tokio::runtime::Handle;

use super::content::{Look, examine};
use super::report::{CheckedPart, ProblemKind, Subject};
use super::{Known, OPERATION, Run, VerifyDepth};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{BackupIdentity, EncryptionInfo};
use crate::physical::restore::{Packs, RangedSource, for_each_line};
use crate::physical::{FileEntry, FileKind, PhysicalInfo};
use crate::repository::{BackupId, Manifest, ManifestObject, ObjectRole, OpenBackup};

/// The largest manifest and identity that are read.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;
const MAX_IDENTITY_BYTES: u64 = 1 << 20;
/// How many objects are read at once.
const AT_ONCE: usize = 4;

impl Run {
    /// Reads all manifests, and lists all objects; gives the backups that were begun and have
    /// no manifest.
    pub(super) async fn read_manifests(&mut self) -> Result<Vec<BackupId>> {
        let layout = self.repository.layout.clone();
        // Listed before the manifests: a backup that commits in between is seen as committed.
        let objects = self.repository.list(OPERATION, layout.backups()).await?;
        self.stored = objects
            .into_iter()
            .map(|meta| (meta.key.clone(), meta))
            .collect();
        let mut uncommitted: Vec<_> = self
            .stored
            .keys()
            .filter_map(|key| layout.owner(key))
            .collect();
        uncommitted.dedup();
        for meta in self.repository.list(OPERATION, layout.manifests()).await? {
            let Some(id) = layout.manifest_id(&meta.key) else {
                let text = "no manifest has such a name";
                let subject = Subject::object(&meta.key);
                self.findings.problem(
                    CheckedPart::Manifests,
                    ProblemKind::ManifestMisplaced,
                    subject,
                    text,
                );
                continue;
            };
            if self
                .repository
                .is_tombstone(OPERATION, &meta)
                .await
                .unwrap_or(false)
            {
                continue;
            }
            uncommitted.retain(|it| *it != id);
            let subject = Subject::backup(&id).with_object(&meta.key);
            let read = self
                .repository
                .read(OPERATION, &meta.key, MAX_MANIFEST_BYTES)
                .await;
            self.take_manifest(id, subject, read);
        }
        Ok(uncommitted)
    }

    fn take_manifest(&mut self, id: BackupId, subject: Subject, read: Result<Vec<u8>>) {
        let part = CheckedPart::Manifests;
        let parsed = read.and_then(|bytes| Ok((Manifest::parse(OPERATION, &bytes)?, bytes)));
        match parsed {
            Ok((manifest, _)) if manifest.id != id => {
                let text = format!("it is the manifest of {}", manifest.id);
                self.findings
                    .problem(part, ProblemKind::ManifestMisplaced, subject, text);
            }
            Ok((manifest, bytes)) => {
                self.findings.good(part);
                let known = Known {
                    manifest,
                    bytes,
                    identity: None,
                };
                self.known.insert(id, known);
            }
            Err(err) if err.kind() == ErrorKind::Integrity => {
                let text = ops_core::Report(&err).to_string();
                self.findings
                    .problem(part, ProblemKind::ManifestUnreadable, subject, text);
            }
            Err(err) => {
                let text = ops_core::Report(&err).to_string();
                self.findings.unchecked(part, subject, text);
            }
        }
    }

    /// Looks at one backup, as closely as the options say.
    pub(super) async fn check_backup(&mut self, id: &BackupId) {
        let Some(known) = self.known.get(id) else {
            return;
        };
        let (manifest, bytes) = (known.manifest.clone(), known.bytes.clone());
        let identity = self.open_identity(&manifest).await;
        self.check_seal(&manifest, &bytes, identity.as_ref());
        for object in &manifest.objects {
            self.check_listed(id, object);
        }
        if self.options.depth >= VerifyDepth::Hashed {
            self.check_contents(&manifest, identity.as_ref()).await;
        }
        if let Some(known) = self.known.get_mut(id) {
            known.identity = identity.clone().flatten();
        }
        if self.options.depth >= VerifyDepth::Opened
            && let (Some(identity), Some(info)) = (identity, manifest.physical.clone())
        {
            let whole = manifest
                .objects
                .iter()
                .all(|it| !self.findings.is_bad(&it.key));
            if whole {
                let backup = OpenBackup {
                    manifest_blake3: blake3::hash(&bytes).to_hex().to_string(),
                    manifest,
                    identity,
                };
                self.check_tables(&backup, &info).await;
            }
        }
    }

    /// The identity of a backup: `None` where it cannot be opened, `Some(None)` where there
    /// is none because nothing is encrypted.
    async fn open_identity(&mut self, manifest: &Manifest) -> Option<Option<BackupIdentity>> {
        if manifest.encryption == EncryptionInfo::None {
            return Some(None);
        }
        let subject = Subject::backup(&manifest.id);
        let object = manifest.objects_of(ObjectRole::Identity).next();
        let Some(object) = object else {
            let text = "the manifest names no identity";
            self.findings.problem(
                CheckedPart::Objects,
                ProblemKind::ObjectMissing,
                subject,
                text,
            );
            return None;
        };
        let subject = subject.with_object(&object.key);
        let read = self
            .repository
            .read(OPERATION, &object.key, MAX_IDENTITY_BYTES)
            .await;
        let keys = self.inner.settings.unlock.clone();
        let has_keys = !keys.is_empty();
        let unwrapped = match read {
            Err(err) => Err(err),
            // scrypt takes about a second by design.
            Ok(wrapped) => {
                let unwrap = move || BackupIdentity::unwrap(OPERATION, &wrapped, &keys);
                let task = tokio::task::spawn_blocking(unwrap).await;
                task.unwrap_or_else(|source| {
                    let message = "opening the identity ended early";
                    Err(Error::new(ErrorKind::Internal, OPERATION, message).with_source(source))
                })
            }
        };
        let err = match unwrapped {
            Ok(identity) => return Some(Some(identity)),
            Err(err) => err,
        };
        let text = ops_core::Report(&err).to_string();
        let part = CheckedPart::Authentication;
        match err.kind() {
            // Said by the look at the objects.
            ErrorKind::NotFound => {}
            ErrorKind::WrongKey if has_keys => {
                self.findings
                    .problem(part, ProblemKind::WrongKey, subject, text);
            }
            ErrorKind::Integrity => {
                self.findings
                    .problem(part, ProblemKind::IdentityDamaged, subject, text);
            }
            _ if self.options.depth >= VerifyDepth::Opened => {
                self.findings.unchecked(part, subject, text);
            }
            _ => {}
        }
        None
    }

    fn check_seal(
        &mut self,
        manifest: &Manifest,
        bytes: &[u8],
        identity: Option<&Option<BackupIdentity>>,
    ) {
        let subject = Subject::backup(&manifest.id);
        let subject = match self.repository.layout.manifest(&manifest.id) {
            Ok(key) => subject.with_object(&key),
            Err(_) => subject,
        };
        let part = CheckedPart::Seals;
        let Some(identity) = identity else {
            let text = "the backup's identity could not be opened";
            return self.findings.unchecked(part, subject, text);
        };
        match Manifest::verify_seal(OPERATION, bytes, identity.as_ref()) {
            Ok(()) => self.findings.good(part),
            Err(err) => {
                self.findings
                    .problem(part, ProblemKind::SealBroken, subject, err.to_string());
            }
        }
    }

    /// Whether an object is there, with its length.
    fn check_listed(&mut self, id: &BackupId, object: &ManifestObject) {
        let part = CheckedPart::Objects;
        let subject = Subject::backup(id).with_object(&object.key);
        match self.stored.get(&object.key) {
            None => {
                self.findings
                    .problem(part, ProblemKind::ObjectMissing, subject, "it is not there");
            }
            // It may have been stored again for other recipients.
            Some(_) if object.role == ObjectRole::Identity => self.findings.good(part),
            Some(meta) if meta.size_bytes == object.size_bytes => self.findings.good(part),
            Some(meta) => {
                let text = format!(
                    "it has {} bytes instead of {}",
                    meta.size_bytes, object.size_bytes
                );
                self.findings
                    .problem(part, ProblemKind::WrongLength, subject, text);
            }
        }
    }

    /// Reads all objects of a backup.
    async fn check_contents(
        &mut self,
        manifest: &Manifest,
        identity: Option<&Option<BackupIdentity>>,
    ) {
        let opened = self.options.depth >= VerifyDepth::Opened;
        let look = match identity {
            Some(identity) if opened => Look::Open(identity.clone()),
            _ => Look::Hash,
        };
        let objects = manifest
            .objects
            .iter()
            .filter(|it| it.role != ObjectRole::Identity);
        let objects = objects.filter(|it| !self.findings.is_bad(&it.key)).cloned();
        // Owned, so that the stream holds nothing of this.
        let objects: Vec<ManifestObject> = objects.collect();
        let reads = objects.into_iter().map(|object| {
            let (store, look) = (Arc::clone(&self.repository.store), look.clone());
            let counters = Arc::clone(&self.events.counters);
            async move {
                let outcome = examine(&store, &object, look, counters).await;
                (object, outcome)
            }
        });
        let reads: Vec<_> = stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (object, outcome) in reads {
            let subject = Subject::backup(&manifest.id).with_object(&object.key);
            match outcome {
                Err(err) => {
                    let text = ops_core::Report(&err).to_string();
                    self.findings.unchecked(CheckedPart::Hashes, subject, text);
                }
                Ok(Err((kind, text))) => self.findings.problem(part_of(kind), kind, subject, text),
                Ok(Ok(plain)) => {
                    self.findings.good(CheckedPart::Hashes);
                    match plain {
                        None if opened => {
                            let text = "the backup's identity could not be opened";
                            self.findings.unchecked(CheckedPart::Content, subject, text);
                        }
                        None => {}
                        Some(plain) => self.check_plain(manifest, &object, plain),
                    }
                }
            }
        }
    }

    /// What was opened: its tags were right, and it has the length that it should have.
    fn check_plain(&mut self, manifest: &Manifest, object: &ManifestObject, plain: u64) {
        if manifest.encryption != EncryptionInfo::None {
            self.findings.good(CheckedPart::Authentication);
        }
        let pack = manifest.physical.as_ref().and_then(|info| {
            let mut packs = manifest.objects_of(ObjectRole::Data).zip(&info.packs);
            packs
                .find(|(it, _)| it.key == object.key)
                .map(|(_, pack)| pack)
        });
        match pack {
            Some(pack) if pack.bytes != plain => {
                let subject = Subject::backup(&manifest.id).with_object(&object.key);
                let text = format!("it holds {plain} bytes instead of {}", pack.bytes);
                let part = CheckedPart::Content;
                self.findings
                    .problem(part, ProblemKind::WrongContent, subject, text);
            }
            _ => self.findings.good(CheckedPart::Content),
        }
    }

    pub(super) fn source(&self) -> RangedSource {
        RangedSource {
            operation: OPERATION,
            store: Arc::clone(&self.repository.store),
            counters: Arc::clone(&self.events.counters),
            cancel: self.cancel.clone(),
            runtime: Handle::current(),
        }
    }

    /// Whether the table of frames and the index of files fit the manifest.
    async fn check_tables(&mut self, backup: &OpenBackup, info: &PhysicalInfo) {
        let source = self.source();
        let frames = Packs::load(&source, backup).await.map(drop);
        self.take_table(backup, ObjectRole::Frames, frames);
        let archives: Vec<u64> = info.archives.iter().map(|it| it.bytes).collect();
        let take = move |files: &mut u64, entry: FileEntry| {
            let place = usize::try_from(entry.archive).ok();
            let end = entry.offset.checked_add(entry.size);
            let inside = place
                .and_then(|at| archives.get(at))
                .is_some_and(|bytes| end.is_some_and(|end| end <= *bytes));
            if !inside {
                let path = String::from_utf8_lossy(&entry.path).into_owned();
                let message = format!("{path} lies outside of its archive");
                return Err(Error::new(ErrorKind::Integrity, OPERATION, message));
            }
            *files += u64::from(entry.kind == FileKind::File);
            Ok(())
        };
        let store = &self.repository.store;
        let files = for_each_line(OPERATION, store, backup, ObjectRole::Files, 0, take).await;
        let expected = info.files;
        let files = files.and_then(|files| {
            if files == expected {
                return Ok(());
            }
            let message = format!("it lists {files} files instead of {expected}");
            Err(Error::new(ErrorKind::Integrity, OPERATION, message))
        });
        self.take_table(backup, ObjectRole::Files, files);
    }

    fn take_table(&mut self, backup: &OpenBackup, role: ObjectRole, outcome: Result<()>) {
        let part = CheckedPart::Content;
        let subject = Subject::backup(&backup.manifest.id);
        let subject = match backup.manifest.objects_of(role).next() {
            Some(object) => subject.with_object(&object.key),
            None => subject,
        };
        match outcome {
            Ok(()) => self.findings.good(part),
            Err(err) => {
                let text = ops_core::Report(&err).to_string();
                if err.kind() == ErrorKind::Integrity {
                    self.findings
                        .problem(part, ProblemKind::WrongContent, subject, text);
                } else {
                    self.findings.unchecked(part, subject, text);
                }
            }
        }
    }
}

/// The check that a problem with an object's content belongs to.
fn part_of(kind: ProblemKind) -> CheckedPart {
    match kind {
        ProblemKind::ObjectMissing | ProblemKind::WrongLength => CheckedPart::Objects,
        ProblemKind::NotAuthentic => CheckedPart::Authentication,
        ProblemKind::NotDecodable | ProblemKind::WrongContent => CheckedPart::Content,
        _ => CheckedPart::Hashes,
    }
}
