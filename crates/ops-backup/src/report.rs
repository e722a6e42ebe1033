//! What a backup came to.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::Timestamp;

use crate::event::Phase;
use crate::keys::EncryptionInfo;
use crate::repository::{BackupId, SourceInfo, SweepReport};

/// What a backup came to.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// The backup.
    pub id: BackupId,
    /// When the job began.
    pub started_at: Timestamp,
    /// When the snapshot was taken: what had been committed by then is in the backup.
    pub snapshot_at: Timestamp,
    /// When the backup became visible.
    pub completed_at: Timestamp,
    /// How long the job took, in seconds.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// How long each phase took, in seconds.
    #[serde(serialize_with = "phase_seconds")]
    pub phases: BTreeMap<&'static str, Duration>,
    /// What was backed up.
    pub source: SourceInfo,
    /// How it is encrypted.
    pub encryption: EncryptionInfo,
    /// The size of the dump before compression, in bytes.
    pub bytes_in: u64,
    /// The size of all stored objects, in bytes.
    pub bytes_stored: u64,
    /// How many objects were stored, the manifest included.
    pub objects: usize,
    /// How many tables have rows in the dump, and how many could have.
    pub tables: usize,
    /// How many rows the dump has.
    pub rows: u64,
    /// How many sequences.
    pub sequences: usize,
    /// How many large objects.
    pub large_objects: u64,
    /// What the sweep before the backup removed.
    pub swept: SweepReport,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

impl BackupReport {
    /// Plain bytes a second over the phase that reads the database.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        let spent = self.phases.get("dump").copied();
        rate(self.bytes_in, spent.unwrap_or(self.duration))
    }
}

/// Bytes a second.
pub(crate) fn rate(bytes: u64, spent: Duration) -> f64 {
    let spent = spent.as_secs_f64();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate is shown, not reckoned with"
    )]
    let bytes = bytes as f64;
    if spent > 0.0 { bytes / spent } else { 0.0 }
}

pub(crate) fn seconds<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

pub(crate) fn phase_seconds<S: serde::Serializer>(
    phases: &BTreeMap<&'static str, Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        phases
            .iter()
            .map(|(phase, duration)| (phase, duration.as_secs_f64())),
    )
}

/// Measures phases one after the other.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begun: tokio::time::Instant,
    phases: BTreeMap<&'static str, Duration>,
    current: Option<(&'static str, tokio::time::Instant)>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            begun: tokio::time::Instant::now(),
            phases: BTreeMap::new(),
            current: None,
        }
    }

    pub(crate) fn phase(&mut self, phase: Phase) {
        let now = tokio::time::Instant::now();
        self.end(now);
        self.current = Some((phase.as_str(), now));
    }

    fn end(&mut self, now: tokio::time::Instant) {
        if let Some((name, begun)) = self.current.take() {
            *self.phases.entry(name).or_default() += now.duration_since(begun);
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn finish(mut self) -> (Duration, BTreeMap<&'static str, Duration>) {
        let now = tokio::time::Instant::now();
        self.end(now);
        (now.duration_since(self.begun), self.phases)
    }
}
