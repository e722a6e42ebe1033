//! What base backup to take, and how.

use std::time::Duration;

use super::format::WalMethod;
use crate::error::{Error, ErrorKind, Result};

/// The longest label. PostgreSQL itself takes 1024 bytes.
const LABEL_BYTES: usize = 1000;

/// What a page with a wrong checksum means for a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PagePolicy {
    /// The backup fails, and names the pages. The default: the last good backup must not
    /// be taken for outdone by one that carries damage.
    #[default]
    Fail,
    /// The backup is kept and marked as degraded.
    Degrade,
}

/// How base backups are taken and stored; for
/// [`BackupBuilder::physical`](crate::BackupBuilder::physical).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhysicalOptions {
    /// The largest pack, in stored bytes, at least 1 MiB. Defaults to 256 MiB.
    pub pack_bytes: u64,
    /// How old the full backup of a chain may become before the next backup is full
    /// whatever was asked for. Defaults to 7 days.
    pub full_every: Duration,
    /// What a page with a wrong checksum means. Defaults to failing.
    pub page_policy: PagePolicy,
    /// How long the server may be silent before it begins: it makes a checkpoint first.
    /// Defaults to 30 minutes.
    pub start_timeout: Duration,
}

impl Default for PhysicalOptions {
    fn default() -> Self {
        Self {
            pack_bytes: 256 << 20,
            full_every: Duration::from_secs(7 * 24 * 60 * 60),
            page_policy: PagePolicy::default(),
            start_timeout: Duration::from_secs(30 * 60),
        }
    }
}

impl PhysicalOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the largest pack, in stored bytes.
    #[must_use]
    pub fn with_pack_bytes(mut self, bytes: u64) -> Self {
        self.pack_bytes = bytes;
        self
    }

    /// Sets how old the full backup of a chain may become.
    #[must_use]
    pub fn with_full_every(mut self, age: Duration) -> Self {
        self.full_every = age;
        self
    }

    /// Sets what a page with a wrong checksum means.
    #[must_use]
    pub fn with_page_policy(mut self, policy: PagePolicy) -> Self {
        self.page_policy = policy;
        self
    }

    /// Sets how long the server may be silent before it begins.
    #[must_use]
    pub fn with_start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }
}

/// What base backup to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseBackupRequest {
    /// Whether to take only what changed since the last backup, where that can be had; the
    /// report says why it was a full one where it could not. Defaults to a full backup.
    pub incremental: bool,
    /// Whether the server may take its time for the checkpoint with which a backup begins
    /// (`checkpoint_completion_target`). Defaults to at once, at the price of more I/O.
    pub spread_checkpoint: bool,
    /// The most that the server sends in a second, in bytes, from 32 kB to 1 GB. Defaults
    /// to as much as it can.
    pub max_bytes_per_second: Option<u64>,
    /// The label, which stands in `backup_label` and in the manifest: one line of at most
    /// 1000 bytes. Defaults to
    /// `ops-backup` and the backup's id.
    pub label: Option<String>,
    /// Where the WAL comes from that the backup needs. Defaults to the backup itself.
    pub wal: WalMethod,
    /// What a page with a wrong checksum means, if not what the engine's options say.
    pub page_policy: Option<PagePolicy>,
}

impl BaseBackupRequest {
    /// A full backup.
    #[must_use]
    pub fn full() -> Self {
        Self::default()
    }

    /// What changed since the last backup, or a full backup where that cannot be had:
    /// before PostgreSQL 17, without WAL summaries (`summarize_wal`), without a backup to
    /// build upon, or without a key to open that one with.
    #[must_use]
    pub fn incremental() -> Self {
        Self {
            incremental: true,
            ..Self::default()
        }
    }

    /// Sets whether the server may take its time for its checkpoint.
    #[must_use]
    pub fn with_spread_checkpoint(mut self, spread: bool) -> Self {
        self.spread_checkpoint = spread;
        self
    }

    /// Sets the most that the server sends in a second, in bytes.
    #[must_use]
    pub fn with_max_bytes_per_second(mut self, bytes: u64) -> Self {
        self.max_bytes_per_second = Some(bytes);
        self
    }

    /// Sets the label.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets where the WAL comes from.
    #[must_use]
    pub fn with_wal(mut self, wal: WalMethod) -> Self {
        self.wal = wal;
        self
    }

    /// Sets what a page with a wrong checksum means.
    #[must_use]
    pub fn with_page_policy(mut self, policy: PagePolicy) -> Self {
        self.page_policy = Some(policy);
        self
    }

    /// Whether the request can be met at all.
    pub(crate) fn check(&self) -> Result<()> {
        // It becomes a line of `backup_label`, and PostgreSQL would take more for lines of its own.
        let bad = |label: &String| label.len() > LABEL_BYTES || label.contains(char::is_control);
        if self.label.as_ref().is_some_and(bad) {
            let message = "a label is one line of at most 1000 bytes";
            return Err(Error::new(ErrorKind::InvalidInput, "base_backup", message));
        }
        Ok(())
    }
}
