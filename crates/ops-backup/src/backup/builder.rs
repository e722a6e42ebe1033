//! Setting the engine up.

use std::sync::Arc;
use std::time::Duration;

use ops_core::{Clock, Database, ObjectStore, SystemClock};
use ops_pg::binaries::Finder;

use super::{Backup, Inner, Selection, Settings, SourceCheck};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Encryption, Unlock};
use crate::physical::PhysicalOptions;
use crate::repository::{Layout, Repository};

/// Sets up [`Backup`].
#[derive(Debug)]
#[must_use = "a builder does nothing until build is called"]
pub struct BackupBuilder {
    database: Arc<dyn Database>,
    store: Arc<dyn ObjectStore>,
    replication: Option<Arc<dyn Database>>,
    second_store: Option<Arc<dyn ObjectStore>>,
    physical: PhysicalOptions,
    prefix: String,
    encryption: Option<Encryption>,
    unlock: Vec<Unlock>,
    level: i32,
    workers: usize,
    frame_bytes: usize,
    memory_bytes: usize,
    max_object_bytes: u64,
    sweep_grace: Duration,
    stall_timeout: Duration,
    lock_wait_timeout: Duration,
    source_check: SourceCheck,
    selection: Selection,
    finder: Option<Finder>,
    clock: Arc<dyn Clock>,
}

const MIB: usize = 1 << 20;

impl BackupBuilder {
    pub(super) fn new(database: Arc<dyn Database>, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            database,
            store,
            replication: None,
            second_store: None,
            physical: PhysicalOptions::default(),
            prefix: String::new(),
            encryption: None,
            unlock: Vec::new(),
            level: 1,
            workers: 2,
            frame_bytes: MIB,
            memory_bytes: 64 * MIB,
            max_object_bytes: 1 << 30,
            sweep_grace: Duration::from_secs(15 * 60),
            stall_timeout: Duration::from_secs(10 * 60),
            lock_wait_timeout: Duration::from_secs(5 * 60),
            source_check: SourceCheck::Off,
            selection: Selection::default(),
            finder: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Whom to log in as for replication: physical backups and WAL. Defaults to the database
    /// itself. The role needs `REPLICATION`, and `pg_hba.conf` a line for `replication`.
    pub fn replication(mut self, database: Arc<dyn Database>) -> Self {
        self.replication = Some(database);
        self
    }

    /// A second store, in which each physical backup is stored too, from the one read of
    /// the cluster, and in which the WAL is archived too: see
    /// [`Archiver`](crate::wal::Archiver). It uses the same prefix.
    pub fn second_store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.second_store = Some(store);
        self
    }

    /// How base backups are taken and stored.
    pub fn physical(mut self, options: PhysicalOptions) -> Self {
        self.physical = options;
        self
    }

    /// Where in the store the backups lie. Defaults to the top. Two databases in one store
    /// need two prefixes.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How backups are encrypted. Must be said, also where the answer is
    /// [`Encryption::none`].
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = Some(encryption);
        self
    }

    /// Adds a key that opens backups, for restores and drills. Taking backups needs none.
    pub fn unlock(mut self, key: Unlock) -> Self {
        self.unlock.push(key);
        self
    }

    /// The zstd level, -7 to 19. Defaults to 1, which is fastest in practice and on heap
    /// pages and dumps also smaller than 3.
    pub fn level(mut self, level: i32) -> Self {
        self.level = level;
        self
    }

    /// How many threads compress. Defaults to 2.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How many bytes go into a zstd frame, 64 KiB to 16 MiB. Defaults to 1 MiB.
    pub fn frame_bytes(mut self, bytes: usize) -> Self {
        self.frame_bytes = bytes;
        self
    }

    /// How much memory a job may take for data in flight. Defaults to 64 MiB. Up to a quarter
    /// of it is what the stores may hold together: each is
    /// [bounded](ObjectStore::bounded), where it can be, to its part of that and one of its
    /// own parts for each transfer. Client programs come on top.
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// The largest stored object, at least 1 MiB. Defaults to 1 GiB.
    pub fn max_object_bytes(mut self, bytes: u64) -> Self {
        self.max_object_bytes = bytes;
        self
    }

    /// How long an uncommitted backup may be silent before a sweep removes it. Defaults to
    /// 15 minutes; a running job gives a sign of life every 20 seconds.
    pub fn sweep_grace(mut self, grace: Duration) -> Self {
        self.sweep_grace = grace;
        self
    }

    /// How long no byte may move before a job ends with `Timeout`. Defaults to 10 minutes.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// How long `pg_dump` waits for a table lock. Defaults to 5 minutes.
    pub fn lock_wait_timeout(mut self, timeout: Duration) -> Self {
        self.lock_wait_timeout = timeout;
        self
    }

    /// Whether the source is read a second time to prove the dump. Defaults to off.
    pub fn source_check(mut self, check: SourceCheck) -> Self {
        self.source_check = check;
        self
    }

    /// What of the database is dumped. Defaults to everything.
    pub fn selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// Where client programs and servers of PostgreSQL are looked for. Defaults to
    /// `pg_config` and the usual folders, without reading the environment.
    pub fn finder(mut self, finder: Finder) -> Self {
        self.finder = Some(finder);
        self
    }

    /// Where the time comes from. Defaults to the system's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks everything and sets the engine up. Nothing is connected yet.
    ///
    /// # Errors
    /// `InvalidConfig` with every problem that was found.
    pub fn build(self) -> Result<Backup> {
        let problems = self.problems();
        let Some(encryption) = self.encryption.filter(|_| problems.is_empty()) else {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "build",
                problems.join("; "),
            ));
        };
        let for_stores = for_stores(self.memory_bytes, self.workers, self.frame_bytes);
        let for_frames = self.memory_bytes - for_stores;
        let buffers = buffers(for_frames, self.workers, self.frame_bytes);
        let queue_depth = queue_depth(for_frames, self.workers, self.frame_bytes);
        let settings = Settings {
            encryption,
            unlock: self.unlock,
            level: self.level,
            workers: self.workers,
            frame_bytes: self.frame_bytes,
            queue_depth,
            buffers,
            max_object_bytes: self.max_object_bytes,
            sweep_grace: self.sweep_grace,
            stall_timeout: self.stall_timeout,
            lock_wait_timeout: self.lock_wait_timeout,
            source_check: self.source_check,
            selection: self.selection,
            physical: self.physical,
            finder: self.finder.unwrap_or_default(),
            clock: self.clock,
        };
        let layout = Layout::new(&self.prefix);
        let stores = 1 + usize::from(self.second_store.is_some());
        let for_each = (for_stores / stores) as u64;
        let bounded = |store: Arc<dyn ObjectStore>| store.bounded(for_each).unwrap_or(store);
        let second = self.second_store;
        let second = second.map(|store| Repository::new(bounded(store), layout.clone()));
        let repository = Repository::new(bounded(self.store), layout);
        let replication = self.replication;
        Ok(Backup(Arc::new(Inner {
            replication: replication.unwrap_or_else(|| Arc::clone(&self.database)),
            database: self.database,
            repository,
            second,
            settings,
            archiving: crate::wal::Archiving::default(),
            keeping: crate::keeper::Keeping::default(),
        })))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut require = |fits: bool, problem: &str| {
            if !fits {
                problems.push(problem.to_owned());
            }
        };
        require(
            self.encryption.is_some(),
            "encryption was not chosen (to store plain text, say Encryption::none)",
        );
        require(
            (-7..=19).contains(&self.level),
            "level must be between -7 and 19",
        );
        require(
            (1..=64).contains(&self.workers),
            "workers must be between 1 and 64",
        );
        require(
            (64 << 10..=16 * MIB).contains(&self.frame_bytes),
            "frame_bytes must be between 64 KiB and 16 MiB",
        );
        require(
            self.max_object_bytes >= MIB as u64,
            "max_object_bytes must be at least 1 MiB",
        );
        require(
            self.physical.pack_bytes >= MIB as u64,
            "pack_bytes must be at least 1 MiB",
        );
        require(
            !self.stall_timeout.is_zero(),
            "stall_timeout must not be zero",
        );
        let needed = needed_bytes(self.workers, self.frame_bytes, 1);
        if self.memory_bytes < needed {
            problems.push(format!(
                "memory_bytes must be at least {needed} for {} workers with frames of {} bytes",
                self.workers, self.frame_bytes
            ));
        }
        problems
    }
}

/// What a job holds at most: the block being read, and for each worker `depth` blocks
/// before it, one in it with its frame, and `depth` frames after it; and the store's queue.
fn needed_bytes(workers: usize, frame_bytes: usize, depth: usize) -> usize {
    let frames = 2 + workers.saturating_mul(2 * depth + 2);
    frames.saturating_mul(frame_bytes).saturating_add(4 * MIB)
}

/// How much of a job's memory the stores may have.
fn for_stores(memory_bytes: usize, workers: usize, frame_bytes: usize) -> usize {
    let needed = needed_bytes(workers, frame_bytes, 1);
    (memory_bytes / 4).min(memory_bytes.saturating_sub(needed))
}

/// The deepest queues that fit, at most 4.
fn queue_depth(memory_bytes: usize, workers: usize, frame_bytes: usize) -> usize {
    (1..=4)
        .rev()
        .find(|&depth| needed_bytes(workers, frame_bytes, depth) <= memory_bytes)
        .unwrap_or(1)
}

/// How many frames of a physical backup may be under way: for each worker one in it, one
/// before and one after it, and some that are being filled or stored. More would not make it
/// faster.
fn buffers(memory_bytes: usize, workers: usize, frame_bytes: usize) -> usize {
    let wanted = workers.saturating_mul(3).saturating_add(4);
    let fitting = memory_bytes.saturating_sub(4 * MIB) / frame_bytes.max(1);
    wanted.min(fitting.saturating_sub(workers)).max(3)
}
