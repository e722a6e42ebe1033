//! How far a drill has come, so that one that fails can say it.

use std::time::Duration;

use ops_core::Timestamp;

use super::report::{self, ClusterDrillReport, DrillLevel};
use crate::backup::Inner;
use crate::drill::DrillFailure;
use crate::error::Error;
use crate::event::{Events, Phase};
use crate::fingerprint::{Check, CheckOutcome};
use crate::physical::restore::{Prepared, Reached, RestoreTarget};
use crate::report::Stopwatch;
use crate::repository::{BackupId, CatalogueEntry};

/// How far a drill has come.
pub(super) struct Progress<'a> {
    pub(super) inner: &'a Inner,
    pub(super) target: &'a RestoreTarget,
    pub(super) events: &'a Events,
    pub(super) started_at: Timestamp,
    watch: Stopwatch,
    /// Once it is chosen.
    pub(super) backup: Option<BackupId>,
    /// How many backups its chain has, once it is opened.
    chain: usize,
    /// What is proven before the first check.
    pub(super) proven: DrillLevel,
    pub(super) checks: Vec<Check>,
    warnings: Vec<String>,
}

/// What a drill has that came to its end.
pub(super) struct Done {
    pub(super) id: BackupId,
    pub(super) manifest_blake3: String,
    pub(super) reached: Reached,
    pub(super) rto_seconds: f64,
    pub(super) server_version: String,
}

impl<'a> Progress<'a> {
    pub(super) fn begin(inner: &'a Inner, target: &'a RestoreTarget, events: &'a Events) -> Self {
        Self {
            inner,
            target,
            events,
            started_at: inner.settings.clock.now(),
            watch: Stopwatch::start(),
            backup: None,
            chain: 0,
            proven: DrillLevel::Unproven,
            checks: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn phase(&mut self, phase: Phase) {
        self.watch.phase(phase);
        self.events.phase(phase);
    }

    /// How long it has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.events.warn(&mut self.warnings, text);
    }

    /// Takes note of a backup whose objects are all there.
    pub(super) fn opened(&mut self, prepared: &Prepared) {
        self.proven = DrillLevel::Listed;
        self.chain = prepared.levels.len();
    }

    /// What there is to say of a drill that came to its end.
    pub(super) fn report(self, done: Done) -> ClusterDrillReport {
        let (id, manifest_blake3) = (done.id.clone(), done.manifest_blake3.clone());
        let level = report::level(&self.checks);
        let mut checks = self.checks.iter();
        let passed = checks.all(|check| check.outcome == CheckOutcome::Passed);
        ClusterDrillReport {
            passed,
            reached: Some(done.reached),
            rto_seconds: done.rto_seconds,
            server_version: done.server_version,
            ..self.unfinished(id, manifest_blake3, level)
        }
    }

    /// What there is to say of one that failed.
    pub(super) fn failed(self, entry: &CatalogueEntry, err: &Error) -> ClusterDrillReport {
        let (id, manifest_blake3) = (entry.manifest.id.clone(), entry.manifest_blake3.clone());
        let level = match self.proven {
            // Not every check was made, but those that were have something to say.
            DrillLevel::Hashed => report::level(&self.checks).min(DrillLevel::Booted),
            proven => proven,
        };
        let failure = DrillFailure::new(self.events, err);
        ClusterDrillReport {
            failure: Some(failure),
            ..self.unfinished(id, manifest_blake3, level)
        }
    }

    fn unfinished(
        self,
        id: BackupId,
        manifest_blake3: String,
        level: DrillLevel,
    ) -> ClusterDrillReport {
        let (_, phases) = self.watch.finish();
        let seconds = |phase: Phase| {
            let duration = phases.get(phase.as_str()).copied();
            duration.unwrap_or_default().as_secs_f64()
        };
        ClusterDrillReport {
            id,
            manifest_blake3,
            target: self.target.clone(),
            started_at: self.started_at,
            completed_at: self.inner.settings.clock.now(),
            passed: false,
            level,
            checks: self.checks,
            reached: None,
            chain: self.chain,
            rto_seconds: 0.0,
            restore_seconds: seconds(Phase::Restore),
            recovery_seconds: seconds(Phase::Recover),
            verify_seconds: seconds(Phase::Verify) + seconds(Phase::Assert),
            bytes_out: self.events.counters.read().0,
            server_version: String::new(),
            warnings: self.warnings,
            failure: None,
        }
    }
}
