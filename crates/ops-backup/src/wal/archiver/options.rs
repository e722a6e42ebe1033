//! Settings of the archiver.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ops_pg_replication::{SlotName, WalSegmentSize};

use super::super::gap::GapRecord;
use super::super::{FRAME_BYTES, OPERATION};
use crate::error::{Error, ErrorKind, Result};

const MIB: u64 = 1 << 20;

/// Whether commits wait for the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitMode {
    /// They do not. WAL is durable an upload later, and lost with the server before that. It
    /// is taken from the server at most 0.1 s after it was written, many commits at once:
    /// that costs the workload less.
    #[default]
    Asynchronous,
    /// A server whose `synchronous_standby_names` has the archiver's application name waits
    /// with each commit until it is durable in the store (`synchronous_commit = on`), or in
    /// the spool folder, which is then needed (`remote_write`). For two stores name both:
    /// `FIRST 2 (ops_backup, ops_backup_2)`.
    Synchronous,
}

/// What to do where the slot keeps so much WAL that the server may run out of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotPolicy {
    /// Keep the slot: no WAL is lost, and the server stops where its disk is full. The
    /// server's own `max_slot_wal_keep_size` still holds.
    #[default]
    Block,
    /// Drop the slot where it keeps more than so many bytes. What was not archived is lost,
    /// a gap is written down, and a base backup is asked for.
    DropAbove(u64),
}

/// How much room the server has left for WAL, in bytes; `None` where that is not known.
pub type FreeDisk = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// Called for each gap that is written down. What comes after a gap can be recovered only
/// from a base backup that begins after it: take one.
pub type OnGap = Arc<dyn Fn(&GapRecord) + Send + Sync>;

/// Settings of the archiver.
#[derive(Clone)]
#[non_exhaustive]
pub struct ArchiverOptions {
    /// The replication slot. Defaults to `ops_backup`. It is made where it is missing.
    pub slot: SlotName,
    /// The replication slot for the second store, where the engine has one. Defaults to the
    /// name of the first with `_2` after it.
    pub second_slot: Option<SlotName>,
    /// What the connection calls itself, for `synchronous_standby_names`. Defaults to
    /// `ops_backup`. That for the second store has `_2` after it.
    pub application_name: String,
    /// Whether commits wait for the archive. Defaults to no.
    pub commits: CommitMode,
    /// How long received WAL waits at most before it is sealed and stored. Defaults to 10 s.
    pub part_interval: Duration,
    /// How much received WAL waits at most, in bytes. Defaults to 4 MiB.
    pub part_bytes: u64,
    /// How much memory data in flight may take, in bytes. Defaults to 64 MiB; needed are
    /// twice the size of a segment, and 12 MiB. For each store.
    pub memory_bytes: u64,
    /// How many uploads may be under way at once. Defaults to 4.
    pub max_uploads: usize,
    /// How long one upload may take before it is tried again. Defaults to 60 s.
    pub upload_timeout: Duration,
    /// A folder for what must survive this process: the spool of synchronous commits, and
    /// who it is. Defaults to none.
    pub spool: Option<PathBuf>,
    /// What to do where the slot keeps too much WAL. Defaults to `Block`.
    pub slot_policy: SlotPolicy,
    /// Drop the slot, as in [`SlotPolicy::DropAbove`], where the server has less room left
    /// than this, in bytes; needs [`free_disk`](Self::free_disk). Defaults to never.
    pub min_free_disk: Option<u64>,
    /// Tells how much room the server has left.
    pub free_disk: Option<FreeDisk>,
    /// How often the slot is looked at. Defaults to 15 s.
    pub guard_interval: Duration,
    /// How long a silent archiver keeps others waiting. Defaults to 60 s.
    pub lease_lifetime: Duration,
    /// How long the server may send nothing, although it was asked to, before the connection
    /// is given up and another one made. Defaults to 60 s.
    pub silence_timeout: Duration,
    /// The longest pause before the next attempt to connect or to upload. Defaults to 30 s.
    pub max_backoff: Duration,
    /// Whether to archive from a standby. Defaults to no.
    pub from_standby: bool,
    /// Whether this cluster may take over a prefix that belongs to another one, whose archive
    /// stays where it is. Defaults to no.
    pub take_over: bool,
    /// Called for each gap.
    pub on_gap: Option<OnGap>,
}

impl Default for ArchiverOptions {
    fn default() -> Self {
        let slot = SlotName::new("ops_backup");
        Self {
            slot: slot.unwrap_or_else(|err| unreachable!("the name is fixed: {err}")),
            second_slot: None,
            application_name: "ops_backup".to_owned(),
            commits: CommitMode::default(),
            part_interval: Duration::from_secs(10),
            part_bytes: 4 * MIB,
            memory_bytes: 64 * MIB,
            max_uploads: 4,
            upload_timeout: Duration::from_secs(60),
            spool: None,
            slot_policy: SlotPolicy::default(),
            min_free_disk: None,
            free_disk: None,
            guard_interval: Duration::from_secs(15),
            lease_lifetime: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(60),
            max_backoff: Duration::from_secs(30),
            from_standby: false,
            take_over: false,
            on_gap: None,
        }
    }
}

impl fmt::Debug for ArchiverOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiverOptions")
            .field("slot", &self.slot)
            .field("commits", &self.commits)
            .field("part_interval", &self.part_interval)
            .field("part_bytes", &self.part_bytes)
            .field("memory_bytes", &self.memory_bytes)
            .field("spool", &self.spool)
            .field("slot_policy", &self.slot_policy)
            .finish_non_exhaustive()
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $with:ident($field:ident: $type:ty);)+) => {
        impl ArchiverOptions {
            /// The defaults.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field.into();
                    self
                }
            )+
        }
    };
}

setters! {
    /// Sets the replication slot.
    with_slot(slot: SlotName);
    /// Sets what the connection calls itself.
    with_application_name(application_name: impl Into<String>);
    /// Sets whether commits wait for the archive.
    with_commits(commits: CommitMode);
    /// Sets how long received WAL waits at most.
    with_part_interval(part_interval: Duration);
    /// Sets how much received WAL waits at most, in bytes.
    with_part_bytes(part_bytes: u64);
    /// Sets how much memory data in flight may take, in bytes.
    with_memory_bytes(memory_bytes: u64);
    /// Sets how many uploads may be under way at once.
    with_max_uploads(max_uploads: usize);
    /// Sets how long one upload may take.
    with_upload_timeout(upload_timeout: Duration);
    /// Sets the folder for what must survive this process.
    with_spool(spool: PathBuf);
    /// Sets what to do where the slot keeps too much WAL.
    with_slot_policy(slot_policy: SlotPolicy);
    /// Sets how often the slot is looked at.
    with_guard_interval(guard_interval: Duration);
    /// Sets how long a silent archiver keeps others waiting.
    with_lease_lifetime(lease_lifetime: Duration);
    /// Sets how long the server may be silent.
    with_silence_timeout(silence_timeout: Duration);
    /// Sets the longest pause before the next attempt.
    with_max_backoff(max_backoff: Duration);
    /// Sets whether to archive from a standby.
    with_from_standby(from_standby: bool);
    /// Sets whether this cluster may take over a prefix of another one.
    with_take_over(take_over: bool);
    /// Sets what is called for each gap.
    with_on_gap(on_gap: OnGap);
}

impl ArchiverOptions {
    /// Drops the slot where the server has less room left than so many bytes, which a
    /// function tells.
    #[must_use]
    pub fn with_min_free_disk(mut self, min_free_disk: u64, free_disk: FreeDisk) -> Self {
        self.min_free_disk = Some(min_free_disk);
        self.free_disk = Some(free_disk);
        self
    }

    /// Sets the replication slot for the second store.
    #[must_use]
    pub fn with_second_slot(mut self, slot: SlotName) -> Self {
        self.second_slot = Some(slot);
        self
    }

    /// The same for the second store: nothing that only one can use is shared.
    pub(crate) fn for_second(&self) -> Result<Self> {
        let mut options = self.clone();
        options.slot = match &self.second_slot {
            Some(slot) => slot.clone(),
            None => SlotName::new(format!("{}_2", self.slot)).map_err(|source| {
                let message = "the slot for the second store needs a name of its own";
                Error::new(ErrorKind::InvalidConfig, OPERATION, message).with_source(source)
            })?,
        };
        if options.slot == self.slot {
            let message = "each store needs a replication slot of its own";
            return Err(Error::new(ErrorKind::InvalidConfig, OPERATION, message));
        }
        options.application_name.push_str("_2");
        options.spool = self.spool.as_ref().map(|spool| spool.join("second"));
        Ok(options)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        let mut require = |fits: bool, problem: &str| {
            if !fits {
                problems.push(problem.to_owned());
            }
        };
        require(
            !self.part_interval.is_zero(),
            "part_interval must not be zero",
        );
        require(
            self.part_bytes >= 64 << 10,
            "part_bytes must be at least 64 KiB",
        );
        require(
            (1..=64).contains(&self.max_uploads),
            "max_uploads must be between 1 and 64",
        );
        require(
            !self.upload_timeout.is_zero(),
            "upload_timeout must not be zero",
        );
        require(
            !self.silence_timeout.is_zero(),
            "silence_timeout must not be zero",
        );
        require(
            self.lease_lifetime >= Duration::from_millis(300),
            "lease_lifetime must be at least 300 ms",
        );
        require(
            self.commits == CommitMode::Asynchronous || self.spool.is_some(),
            "synchronous commits need a spool folder",
        );
        require(
            self.min_free_disk.is_none() || self.free_disk.is_some(),
            "min_free_disk needs free_disk",
        );
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::InvalidConfig,
                OPERATION,
                problems.join("; "),
            ))
        }
    }

    /// How much may be sealed and not yet uploaded, beside the segment that is being filled
    /// and what has not been compressed yet.
    pub(crate) fn upload_budget(&self, size: WalSegmentSize) -> Result<u32> {
        let unsealed = size.bytes() + 4 * FRAME_BYTES as u64 + 4 * MIB;
        let left = self.memory_bytes.saturating_sub(unsealed);
        let needed = size.bytes() + 4 * MIB;
        if left < needed {
            let message = format!(
                "segments of {size} bytes need memory_bytes of at least {}",
                unsealed + needed
            );
            return Err(Error::new(ErrorKind::InvalidConfig, OPERATION, message));
        }
        Ok(u32::try_from(left).unwrap_or(u32::MAX))
    }
}
