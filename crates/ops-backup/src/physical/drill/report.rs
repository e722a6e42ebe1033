//! How to drill a physical backup, and what was found.

use std::path::PathBuf;

use ops_core::Timestamp;
use ops_pg_replication::Timeline;

use crate::drill::{Assertion, DrillFailure};
use crate::fingerprint::{Check, CheckOutcome, Difference};
use crate::physical::restore::{Reached, RestoreTarget};
use crate::repository::BackupId;

/// The check that compares the restored files with the server's manifest.
pub(super) const VERIFY_BACKUP: &str = "pg_verifybackup";
/// The check that the copy came to its target.
pub(super) const RECOVERY: &str = "recovery";
/// The check that looks at every relation.
pub(super) const AMCHECK: &str = "pg_amcheck";
/// The check that looks at the checksum of every page.
pub(super) const CHECKSUMS: &str = "pg_checksums";
/// What the names of the caller's own checks begin with.
const ASSERTION: &str = "assertion: ";

/// How far a backup is proven. Each level holds those below it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DrillLevel {
    /// Nothing: the drill failed before it had seen the backup.
    Unproven,
    /// Its manifest is there, and every object that it names, with its length.
    Listed,
    /// Every file was read, and has the content that was written.
    Hashed,
    /// The files were restored, and equal what the server said they are.
    Restored,
    /// A server recovered it up to the target.
    Booted,
    /// Every table and index is sound, and every page with a checksum.
    Checked,
    /// The copy answered the caller's questions, of which there was at least one.
    Asserted,
}

/// How to drill a physical backup.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClusterDrillOptions {
    /// Which backup. Defaults to the newest that leads to the target.
    pub backup: Option<BackupId>,
    /// On which timeline recovery ends. Defaults to the newest.
    pub timeline: Option<Timeline>,
    /// What the caller asks of the copy: in which database, and what.
    pub assertions: Vec<(String, Assertion)>,
    /// Under which folder the throwaway server is made. Defaults to `ops-drills` in the
    /// system's folder for temporary files. It needs about as much space as the cluster.
    pub folder: Option<PathBuf>,
    /// Settings of the throwaway server, over the defaults.
    pub server_settings: Vec<(String, String)>,
    /// The superuser to connect as. Defaults to `postgres`.
    pub superuser: Option<String>,
}

impl ClusterDrillOptions {
    /// The defaults: no assertions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Drills this backup.
    #[must_use]
    pub fn with_backup(mut self, backup: BackupId) -> Self {
        self.backup = Some(backup);
        self
    }

    /// Ends recovery on this timeline.
    #[must_use]
    pub fn with_timeline(mut self, timeline: Timeline) -> Self {
        self.timeline = Some(timeline);
        self
    }

    /// Adds a question that a database of the copy must answer with true.
    #[must_use]
    pub fn with_assertion(mut self, database: impl Into<String>, assertion: Assertion) -> Self {
        self.assertions.push((database.into(), assertion));
        self
    }

    /// Sets the folder under which the throwaway server is made.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Adds a setting of the throwaway server.
    #[must_use]
    pub fn with_server_setting(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.server_settings.push((name.into(), value.into()));
        self
    }

    /// Sets the superuser to connect as.
    #[must_use]
    pub fn with_superuser(mut self, name: impl Into<String>) -> Self {
        self.superuser = Some(name.into());
        self
    }
}

/// What a drill of a physical backup found. Stored beside the backup.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ClusterDrillReport {
    /// The backup.
    pub id: BackupId,
    /// The BLAKE3 of the manifest that was drilled, in hex.
    pub manifest_blake3: String,
    /// Up to where it was recovered.
    pub target: RestoreTarget,
    /// When the drill began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// Whether every check passed. A check that could not be made is not a pass.
    pub passed: bool,
    /// How far the backup is proven.
    pub level: DrillLevel,
    /// What was checked.
    pub checks: Vec<Check>,
    /// Where recovery ended; `None` where the drill failed before that.
    pub reached: Option<Reached>,
    /// How many backups of a chain it took.
    pub chain: usize,
    /// The recovery time that was measured, in seconds: from nothing until the promoted
    /// copy answered; zero where it never did.
    pub rto_seconds: f64,
    /// How long writing the files took, in seconds.
    pub restore_seconds: f64,
    /// How long recovery took, in seconds: booting, replaying, promoting.
    pub recovery_seconds: f64,
    /// How long the checks took, in seconds.
    pub verify_seconds: f64,
    /// Plain bytes that were written.
    pub bytes_out: u64,
    /// The version of the throwaway server.
    pub server_version: String,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// Why the drill did not come to its end; `None` where it did. What was not measured by
    /// then is zero or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<DrillFailure>,
}

impl ClusterDrillReport {
    /// The first differences of all checks.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.checks.iter().flat_map(|check| &check.differences)
    }
}

/// How far checks prove a backup whose files were all written.
pub(super) fn level(checks: &[Check]) -> DrillLevel {
    let failed = |name: &str| {
        let mut named = checks.iter().filter(|check| check.name == name);
        named.any(|check| check.outcome != CheckOutcome::Passed)
    };
    let passed = |name: &str| checks.iter().any(|check| check.name == name) && !failed(name);
    let mut assertions = checks
        .iter()
        .filter(|check| check.name.starts_with(ASSERTION))
        .peekable();
    if !passed(VERIFY_BACKUP) {
        return DrillLevel::Hashed;
    }
    if !passed(RECOVERY) {
        return DrillLevel::Restored;
    }
    // Not every cluster has checksums.
    if !passed(AMCHECK) || failed(CHECKSUMS) {
        return DrillLevel::Booted;
    }
    if assertions.peek().is_none() || !assertions.all(|check| check.outcome == CheckOutcome::Passed)
    {
        return DrillLevel::Checked;
    }
    DrillLevel::Asserted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_needs_all_those_below_it_and_what_was_not_checked_is_no_pass() {
        let good = |name: &str| Check::new(name, 1, Vec::new());
        let bad = |name: &str| Check::new(name, 1, vec![Difference::new("a", "b", "c")]);
        let base = [good(VERIFY_BACKUP), good("recovery")];
        let with = |more: &[Check]| level(&[base.as_slice(), more].concat());
        assert_eq!(with(&[good(AMCHECK)]), DrillLevel::Checked);
        assert_eq!(
            with(&[good(AMCHECK), good("assertion: a")]),
            DrillLevel::Asserted
        );
        let half = [good(AMCHECK), good("assertion: a"), bad("assertion: b")];
        assert_eq!(with(&half), DrillLevel::Checked);
        assert_eq!(
            with(&[Check::not_checked(AMCHECK, "not installed")]),
            DrillLevel::Booted
        );
        assert_eq!(
            with(&[good(AMCHECK), bad(CHECKSUMS), good("assertion: a")]),
            DrillLevel::Booted
        );
        assert_eq!(
            level(&[bad(VERIFY_BACKUP), good("recovery"), good(AMCHECK)]),
            DrillLevel::Hashed
        );
        // A drill that ended in the middle.
        assert_eq!(level(&[]), DrillLevel::Hashed);
        assert_eq!(level(&[good(VERIFY_BACKUP)]), DrillLevel::Restored);
        assert_eq!(level(&base), DrillLevel::Booted);
        assert!(
            DrillLevel::Unproven < DrillLevel::Listed
                && DrillLevel::Listed < DrillLevel::Hashed
                && DrillLevel::Checked < DrillLevel::Asserted
        );
    }
}
