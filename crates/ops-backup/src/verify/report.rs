//! What was verified, and what came of it.

use std::collections::BTreeMap;

use ops_core::{ObjectKey, Timestamp};
use ops_pg_replication::{Lsn, SystemId, Timeline};

use super::VerifyDepth;
use crate::fingerprint::CheckOutcome;
use crate::repository::BackupId;
use crate::wal::GapRecord;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckedPart {
    /// Each manifest can be read, and lies under its own name.
    Manifests,
    /// Each manifest has the seal that only a holder of the backup's identity can make. Of a
    /// backup that is not encrypted the seal finds accidents only.
    Seals,
    /// Each object that a manifest names is there, with its length.
    Objects,
    /// Each object has the BLAKE3 that was written.
    Hashes,
    /// Each object of an encrypted backup is encrypted to that backup's identity, and no tag
    /// is wrong.
    Authentication,
    /// Each object holds what it should when it is decompressed.
    Content,
    /// Each incremental backup has all that it builds upon.
    Chains,
    /// Each object of the WAL archives says of itself what its name says, and holds what it
    /// says: of this cluster.
    WalObjects,
    /// Without a hole, WAL leads from each base backup to where the archive ends.
    WalContinuity,
}

impl CheckedPart {
    pub(super) const ALL: [Self; 9] = [
        Self::Manifests,
        Self::Seals,
        Self::Objects,
        Self::Hashes,
        Self::Authentication,
        Self::Content,
        Self::Chains,
        Self::WalObjects,
        Self::WalContinuity,
    ];
}

/// What is wrong with an object or a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The manifest cannot be read, or contradicts itself.
    ManifestUnreadable,
    /// The manifest is that of another backup than its name says.
    ManifestMisplaced,
    /// The manifest is not what was written.
    SealBroken,
    /// The object with the backup's identity is damaged.
    IdentityDamaged,
    /// None of the given keys opens the identity.
    WrongKey,
    /// An object is not there.
    ObjectMissing,
    /// An object is shorter or longer than it was.
    WrongLength,
    /// An object has other bytes than were written.
    WrongHash,
    /// An object cannot be decrypted: a tag is wrong, or it is encrypted to another identity.
    NotAuthentic,
    /// An object cannot be decompressed.
    NotDecodable,
    /// An object holds something else than the manifest says.
    WrongContent,
    /// A backup that another one builds upon is not there.
    ParentMissing,
    /// A backup does not build upon the one that it names as its parent.
    ChainBroken,
    /// WAL that a backup needs, or that leads from it to the end of the archive, is not there.
    WalMissing,
    /// An object of the WAL archive says of itself something else than its name says, or lies
    /// where nothing of the archive does.
    WalMislabeled,
    /// An object of the WAL archive cannot be decrypted or decompressed, or does not hold what
    /// it says.
    WalDamaged,
    /// WAL of another cluster.
    WalForeign,
    /// The identity that opens WAL is not there.
    EpochMissing,
    /// The history of a timeline is not there, and WAL of that timeline is.
    HistoryMissing,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The check that found it.
    pub part: CheckedPart,
    /// The backup that it concerns; none for an object of the WAL archive.
    pub backup: Option<BackupId>,
    /// The object that it concerns.
    pub object: Option<ObjectKey>,
    /// More about it, in one line.
    pub detail: String,
}

/// Something that was to be checked and could not be. It is not known to be wrong, and it
/// is no pass.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Unchecked {
    /// The check.
    pub part: CheckedPart,
    /// The backup that it concerns.
    pub backup: Option<BackupId>,
    /// The object that it concerns.
    pub object: Option<ObjectKey>,
    /// Why not.
    pub reason: String,
}

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct PartCheck {
    /// What was looked at.
    pub part: CheckedPart,
    /// How it ended. `NotChecked` where the depth leaves it out, where there was nothing to
    /// check, and where anything that was to be checked could not be.
    pub outcome: CheckOutcome,
    /// How many things are right.
    pub good: u64,
    /// How many are wrong.
    pub bad: u64,
    /// How many could not be checked.
    pub unchecked: u64,
}

/// How far WAL leads from a base backup.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WalClosure {
    /// The backup.
    pub backup: BackupId,
    /// The cluster.
    pub system_id: SystemId,
    /// The timeline that it was followed along.
    pub timeline: Timeline,
    /// The first position whose WAL must be archived.
    pub from: Lsn,
    /// Up to where recovery of the backup leads.
    pub to: Lsn,
    /// What is there.
    pub end: ClosureEnd,
}

/// What is where WAL that leads from a base backup ends.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClosureEnd {
    /// The end of the archive: nothing is missing.
    Frontier,
    /// A gap that was written down. Nothing is wrong with what comes before it.
    Gap(GapRecord),
    /// WAL that is missing, and no record says why: a problem.
    Missing(ObjectKey),
    /// The end of the backup itself, which brings its own WAL: archived WAL begins later, with
    /// a newer backup.
    OwnEnd,
    /// The end of the backup itself, which brings its own WAL: none is archived.
    NoArchive,
}

/// What was verified, and what came of it.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// How closely was looked.
    pub depth: VerifyDepth,
    /// Whether all that the depth asks for was checked, and is right.
    pub passed: bool,
    /// How each check ended.
    pub checks: Vec<PartCheck>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What could not be checked.
    pub unchecked: Vec<Unchecked>,
    /// The backups that were looked at, oldest first.
    pub backups: Vec<BackupId>,
    /// Backups that were begun and not committed: they are being made, or wait for a sweep.
    pub uncommitted: Vec<BackupId>,
    /// How far WAL leads from each base backup.
    pub wal: Vec<WalClosure>,
    /// Bytes that were read from the store, without those of manifests and of WAL.
    pub bytes_read: u64,
}

impl VerifyReport {
    /// How a check ended.
    #[must_use]
    pub fn outcome(&self, part: CheckedPart) -> CheckOutcome {
        let check = self.checks.iter().find(|check| check.part == part);
        check.map_or(CheckOutcome::NotChecked, |check| check.outcome)
    }
}

/// What something concerns.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    pub(super) backup: Option<BackupId>,
    pub(super) object: Option<ObjectKey>,
}

impl Subject {
    pub(super) fn backup(id: &BackupId) -> Self {
        Self {
            backup: Some(id.clone()),
            object: None,
        }
    }

    pub(super) fn object(key: &ObjectKey) -> Self {
        Self {
            backup: None,
            object: Some(key.clone()),
        }
    }

    pub(super) fn with_object(mut self, key: &ObjectKey) -> Self {
        self.object = Some(key.clone());
        self
    }
}

/// What is found, while it is found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    good: BTreeMap<CheckedPart, u64>,
    pub(super) problems: Vec<Problem>,
    pub(super) unchecked: Vec<Unchecked>,
    pub(super) wal: Vec<WalClosure>,
}

impl Findings {
    pub(super) fn good(&mut self, part: CheckedPart) {
        *self.good.entry(part).or_default() += 1;
    }

    pub(super) fn problem(
        &mut self,
        part: CheckedPart,
        kind: ProblemKind,
        subject: Subject,
        detail: impl Into<String>,
    ) {
        self.problems.push(Problem {
            kind,
            part,
            backup: subject.backup,
            object: subject.object,
            detail: detail.into(),
        });
    }

    pub(super) fn unchecked(
        &mut self,
        part: CheckedPart,
        subject: Subject,
        reason: impl Into<String>,
    ) {
        self.unchecked.push(Unchecked {
            part,
            backup: subject.backup,
            object: subject.object,
            reason: reason.into(),
        });
    }

    /// Whether anything was found to be wrong with an object.
    pub(super) fn is_bad(&self, key: &ObjectKey) -> bool {
        self.problems
            .iter()
            .any(|it| it.object.as_ref() == Some(key))
    }

    pub(super) fn checks(&self) -> Vec<PartCheck> {
        CheckedPart::ALL
            .into_iter()
            .map(|part| self.check(part))
            .collect()
    }

    fn check(&self, part: CheckedPart) -> PartCheck {
        let good = self.good.get(&part).copied().unwrap_or_default();
        let bad = self.problems.iter().filter(|it| it.part == part).count() as u64;
        let unchecked = self.unchecked.iter().filter(|it| it.part == part).count() as u64;
        let outcome = if bad > 0 {
            CheckOutcome::Failed
        } else if unchecked > 0 || good == 0 {
            CheckOutcome::NotChecked
        } else {
            CheckOutcome::Passed
        };
        PartCheck {
            part,
            outcome,
            good,
            bad,
            unchecked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_is_no_pass_and_what_is_wrong_outweighs_it() {
        let mut findings = Findings::default();
        let outcome = |findings: &Findings| findings.check(CheckedPart::Hashes).outcome;
        assert_eq!(outcome(&findings), CheckOutcome::NotChecked);
        findings.good(CheckedPart::Hashes);
        assert_eq!(outcome(&findings), CheckOutcome::Passed);
        findings.unchecked(
            CheckedPart::Hashes,
            Subject::default(),
            "the store was away",
        );
        assert_eq!(outcome(&findings), CheckOutcome::NotChecked);
        findings.problem(
            CheckedPart::Hashes,
            ProblemKind::WrongHash,
            Subject::default(),
            "",
        );
        assert_eq!(outcome(&findings), CheckOutcome::Failed);
        assert_eq!(
            findings.check(CheckedPart::Seals).outcome,
            CheckOutcome::NotChecked
        );
        assert_eq!(findings.checks().len(), CheckedPart::ALL.len());
    }
}
