//! What incremental backups build upon.

use std::sync::Arc;

use super::report::{CheckedPart, ProblemKind, Subject};
use super::{Known, Run, VerifyDepth};
use crate::error::{ErrorKind, Result};
use crate::keys::EncryptionInfo;
use crate::physical::restore::{BackupLabel, Packs, read_label};
use crate::physical::{PhysicalInfo, PhysicalKind};
use crate::repository::{BackupId, OpenBackup};

/// The longest chain that is followed.
const MAX_LEVELS: usize = 1000;

impl Run {
    /// Follows what a backup builds upon down to a full one.
    pub(super) async fn check_chain(&mut self, id: &BackupId) {
        let part = CheckedPart::Chains;
        let subject = Subject::backup(id);
        let Some(info) = self.physical(id) else {
            return;
        };
        let PhysicalKind::Incremental { parent, full } = &info.kind else {
            return self.findings.good(part);
        };
        if let Err((kind, text)) = self.follow(info, full) {
            return self.findings.problem(part, kind, subject, text);
        }
        if self.options.depth < VerifyDepth::Opened {
            return self.findings.good(part);
        }
        let expected = self.physical(parent).map(|it| (it.start_lsn, it.timeline));
        match self.label(id).await {
            None => {
                let text = "the backup could not be opened";
                self.findings.unchecked(part, subject, text);
            }
            Some(Ok(label)) if label.incremental_from == expected => self.findings.good(part),
            Some(Ok(label)) => {
                let text = match label.incremental_from {
                    Some((lsn, timeline)) => {
                        format!(
                            "it builds upon {lsn} of timeline {timeline}, where {parent} does not begin"
                        )
                    }
                    None => "its label says that it is a full backup".to_owned(),
                };
                self.findings
                    .problem(part, ProblemKind::ChainBroken, subject, text);
            }
            Some(Err(err)) => {
                let text = ops_core::Report(&err).to_string();
                if err.kind() == ErrorKind::Integrity {
                    self.findings
                        .problem(part, ProblemKind::ChainBroken, subject, text);
                } else {
                    self.findings.unchecked(part, subject, text);
                }
            }
        }
    }

    fn physical(&self, id: &BackupId) -> Option<&PhysicalInfo> {
        self.known.get(id)?.manifest.physical.as_ref()
    }

    fn follow(&self, child: &PhysicalInfo, full: &BackupId) -> Result<(), (ProblemKind, String)> {
        let broken = |text: String| Err((ProblemKind::ChainBroken, text));
        let mut child = child;
        for _ in 0..MAX_LEVELS {
            let Some(parent) = child.kind.parent() else {
                return Ok(());
            };
            let Some(Known { manifest, .. }) = self.known.get(parent) else {
                let text = format!("it builds upon {parent}, which is not there or cannot be read");
                return Err((ProblemKind::ParentMissing, text));
            };
            let Some(info) = &manifest.physical else {
                return broken(format!("it builds upon {parent}, which is a dump"));
            };
            if info.system_id != child.system_id {
                return broken(format!(
                    "it builds upon {parent}, which is of another cluster"
                ));
            }
            if info.start_lsn >= child.start_lsn {
                return broken(format!(
                    "it builds upon {parent}, which does not begin before it"
                ));
            }
            if info.kind == PhysicalKind::Full && parent != full {
                return broken(format!("its chain ends with {parent} and not with {full}"));
            }
            child = info;
        }
        broken(format!("its chain has more than {MAX_LEVELS} backups"))
    }

    /// What the label of a backup says; `None` where the backup cannot be opened.
    async fn label(&self, id: &BackupId) -> Option<Result<BackupLabel>> {
        let known = self.known.get(id)?;
        let encrypted = known.manifest.encryption != EncryptionInfo::None;
        let whole = known
            .manifest
            .objects
            .iter()
            .all(|it| !self.findings.is_bad(&it.key));
        if !whole || (encrypted && known.identity.is_none()) {
            return None;
        }
        let backup = OpenBackup {
            manifest: known.manifest.clone(),
            manifest_blake3: String::new(),
            identity: known.identity.clone(),
        };
        let source = self.source();
        let packs = match Packs::load(&source, &backup).await {
            Ok(packs) => Arc::new(packs),
            Err(err) => return Some(Err(err)),
        };
        Some(read_label(&source, &backup, &packs).await)
    }
}
