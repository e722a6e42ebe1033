//! What base backup to take.

use std::time::Duration;

/// How a base backup begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Checkpoint {
    /// At once, with as much I/O as the checkpoint takes.
    #[default]
    Fast,
    /// When a checkpoint that is spread over time is done.
    Spread,
}

/// Whether the server sends a backup manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Manifest {
    /// It does not.
    No,
    /// It does.
    #[default]
    Yes,
    /// It does, and writes every file name in hexadecimal: for tests.
    ForceEncode,
}

/// The checksums of files in the backup manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ManifestChecksums {
    /// None.
    None,
    /// CRC-32C.
    #[default]
    Crc32c,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// What base backup to take.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the options of the command, and independent"
)]
pub struct BaseBackupOptions {
    /// The label in `backup_label`. Defaults to `ops`.
    pub label: String,
    /// How the backup begins. Defaults to at once.
    pub checkpoint: Checkpoint,
    /// Whether the WAL that the backup needs is in `pg_wal/` of the main archive. A slot
    /// should hold it back meanwhile. Defaults to no.
    pub wal: bool,
    /// Whether the server waits at the end until its own archiver has the WAL that the
    /// backup needs. It does nothing on a server without `archive_mode`. Defaults to no.
    pub wait_for_archive: bool,
    /// Whether the server sums up sizes before it begins, and reports progress; before
    /// PostgreSQL 15 it sends no progress. Defaults to no.
    pub progress: bool,
    /// The most that the server sends per second, in kB, from 32 to 1048576. Defaults to
    /// as much as it can.
    pub max_rate_kb: Option<u32>,
    /// Whether the main archive has a `tablespace_map`. Defaults to yes.
    pub tablespace_map: bool,
    /// Whether the server checks the checksums of pages, where it has them. Defaults to yes.
    pub verify_checksums: bool,
    /// Whether the server sends a backup manifest. Defaults to yes.
    pub manifest: Manifest,
    /// The checksums in the manifest. Defaults to CRC-32C.
    pub manifest_checksums: ManifestChecksums,
    /// Whether to send only what changed since the backup whose manifest was uploaded
    /// (PostgreSQL 17). Defaults to no.
    pub incremental: bool,
    /// How long the server may be silent before it begins: it takes a checkpoint, and with
    /// `progress` looks at every file. Defaults to 30 min.
    pub start_timeout: Duration,
    /// How long the server may be silent where it waits for its archiver
    /// (`wait_for_archive`). Defaults to 30 min.
    pub end_timeout: Duration,
}

impl Default for BaseBackupOptions {
    fn default() -> Self {
        Self {
            label: "ops".to_owned(),
            checkpoint: Checkpoint::default(),
            wal: false,
            wait_for_archive: false,
            progress: false,
            max_rate_kb: None,
            tablespace_map: true,
            verify_checksums: true,
            manifest: Manifest::default(),
            manifest_checksums: ManifestChecksums::default(),
            incremental: false,
            start_timeout: Duration::from_secs(1800),
            end_timeout: Duration::from_secs(1800),
        }
    }
}

impl BaseBackupOptions {
    /// Sets the label in `backup_label`.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets how the backup begins.
    #[must_use]
    pub fn with_checkpoint(mut self, checkpoint: Checkpoint) -> Self {
        self.checkpoint = checkpoint;
        self
    }

    /// Sets whether the WAL that the backup needs is in the main archive.
    #[must_use]
    pub fn with_wal(mut self, wal: bool) -> Self {
        self.wal = wal;
        self
    }

    /// Sets whether the server waits at the end until its own archiver has the WAL.
    #[must_use]
    pub fn with_wait_for_archive(mut self, wait_for_archive: bool) -> Self {
        self.wait_for_archive = wait_for_archive;
        self
    }

    /// Sets whether the server sums up sizes and reports progress.
    #[must_use]
    pub fn with_progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// Sets the most that the server sends per second, in kB.
    #[must_use]
    pub fn with_max_rate_kb(mut self, max_rate_kb: u32) -> Self {
        self.max_rate_kb = Some(max_rate_kb);
        self
    }

    /// Sets whether the main archive has a `tablespace_map`.
    #[must_use]
    pub fn with_tablespace_map(mut self, tablespace_map: bool) -> Self {
        self.tablespace_map = tablespace_map;
        self
    }

    /// Sets whether the server checks the checksums of pages.
    #[must_use]
    pub fn with_verify_checksums(mut self, verify_checksums: bool) -> Self {
        self.verify_checksums = verify_checksums;
        self
    }

    /// Sets whether the server sends a backup manifest.
    #[must_use]
    pub fn with_manifest(mut self, manifest: Manifest) -> Self {
        self.manifest = manifest;
        self
    }

    /// Sets the checksums in the manifest.
    #[must_use]
    pub fn with_manifest_checksums(mut self, manifest_checksums: ManifestChecksums) -> Self {
        self.manifest_checksums = manifest_checksums;
        self
    }

    /// Sets whether to send only what changed since the backup whose manifest was uploaded.
    #[must_use]
    pub fn with_incremental(mut self, incremental: bool) -> Self {
        self.incremental = incremental;
        self
    }

    /// Sets how long the server may be silent before it begins.
    #[must_use]
    pub fn with_start_timeout(mut self, start_timeout: Duration) -> Self {
        self.start_timeout = start_timeout;
        self
    }

    /// Sets how long the server may be silent where it waits for its archiver.
    #[must_use]
    pub fn with_end_timeout(mut self, end_timeout: Duration) -> Self {
        self.end_timeout = end_timeout;
        self
    }
}
