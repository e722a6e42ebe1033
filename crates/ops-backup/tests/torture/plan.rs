//! What a seed stands for.

use std::fmt;
use std::time::Duration;

use ops_testkit::FaultStore;
use ops_testkit::store::{Moment, StoreFault};

/// What is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Work {
    Backup,
    Wal,
    Restore,
    Sweep,
    Expire,
}

/// How it is disturbed. Points are parts of 65536 of what an undisturbed run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// SIGKILL at a call of the store.
    KillAtCall(u32, Moment),
    /// SIGKILL when so many bytes have gone to or from the store.
    KillAtStoreBytes(u32),
    /// SIGKILL when so many bytes have come from the server.
    KillAtServerBytes(u32),
    /// SIGKILL after some time.
    KillAtTime(u32),
    /// Calls of the store that fail.
    Store(u32, u64, StoreFault),
    /// The connection to the server is lost.
    Server(u32),
}

/// The work of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) work: Work,
    pub(crate) harm: Harm,
    /// Whether what was restored is also started.
    pub(crate) boot: bool,
}

/// What an undisturbed run comes to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) calls: u64,
    pub(crate) store_bytes: u64,
    pub(crate) server_bytes: u64,
    pub(crate) time: Duration,
}

/// How a child sets up its store. It arrives as a line on standard input.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Trap {
    /// The call, and 0 before, 1 within, 2 after.
    pub(crate) call: Option<(u64, u8)>,
    pub(crate) bytes: Option<u64>,
}

/// `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    #[expect(clippy::indexing_slicing, reason = "the index is below the length")]
    fn of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[usize::try_from(self.below(N as u64)).unwrap_or_default()]
    }

    fn point(&mut self) -> u32 {
        u32::try_from(self.below(65_536)).unwrap_or_default()
    }
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let work = match random.below(10) {
            0..=3 => Work::Backup,
            4..=5 => Work::Wal,
            6..=7 => Work::Restore,
            8 => Work::Sweep,
            _ => Work::Expire,
        };
        let harm = match random.below(20) {
            0..=7 => {
                let moment = random.of([Moment::Before, Moment::Within, Moment::After]);
                Harm::KillAtCall(random.point(), moment)
            }
            8 | 9 => Harm::KillAtStoreBytes(random.point()),
            10 if matches!(work, Work::Backup | Work::Wal) => {
                Harm::KillAtServerBytes(random.point())
            }
            11 if matches!(work, Work::Backup | Work::Wal) => Harm::Server(random.point()),
            10..=12 => Harm::KillAtTime(random.point()),
            _ => {
                let fault = random.of([
                    StoreFault::Refuse,
                    StoreFault::LoseAnswer,
                    StoreFault::Truncate,
                    StoreFault::Corrupt,
                    StoreFault::Slow(Duration::from_millis(300)),
                ]);
                // One call, or a storm.
                let count = if random.below(3) == 0 {
                    2 + random.below(8)
                } else {
                    1
                };
                Harm::Store(random.point(), count, fault)
            }
        };
        let boot = random.below(20) == 0;
        Self {
            seed,
            work,
            harm,
            boot,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match (self.work, self.kills()) {
            (Work::Backup, true) => "backup, kill",
            (Work::Backup, false) => "backup, fault",
            (Work::Wal, true) => "wal, kill",
            (Work::Wal, false) => "wal, fault",
            (Work::Restore, true) => "restore, kill",
            (Work::Restore, false) => "restore, fault",
            (Work::Sweep, true) => "sweep, kill",
            (Work::Sweep, false) => "sweep, fault",
            (Work::Expire, true) => "expire, kill",
            (Work::Expire, false) => "expire, fault",
        }
    }

    pub(crate) fn kills(&self) -> bool {
        !matches!(self.harm, Harm::Store(..) | Harm::Server(_))
    }
}

impl Harm {
    /// What the child's store does.
    pub(crate) fn trap(self, extent: &Extent) -> Trap {
        match self {
            Self::KillAtCall(point, moment) => Trap {
                call: Some((1 + part(point, extent.calls), number(moment))),
                bytes: None,
            },
            Self::KillAtStoreBytes(point) => Trap {
                call: None,
                bytes: Some(1 + part(point, extent.store_bytes)),
            },
            _ => Trap::default(),
        }
    }

    /// When the child is killed from outside.
    pub(crate) fn after(self, extent: &Extent) -> Option<Duration> {
        match self {
            Self::KillAtTime(point) => Some(extent.time * point / 65_536),
            _ => None,
        }
    }

    /// After how many bytes of the server something happens.
    pub(crate) fn server_bytes(self, extent: &Extent) -> Option<u64> {
        match self {
            Self::KillAtServerBytes(point) | Self::Server(point) => {
                Some(1 + part(point, extent.server_bytes))
            }
            _ => None,
        }
    }

    /// Makes the store of this process fail.
    pub(crate) fn inject(self, store: &FaultStore, extent: &Extent) {
        if let Self::Store(point, count, fault) = self {
            store.inject(1 + part(point, extent.calls), count, fault);
        }
    }
}

impl Trap {
    pub(crate) fn set(self, store: &FaultStore) {
        if let Some((call, moment)) = self.call {
            let moment = match moment {
                0 => Moment::Before,
                1 => Moment::Within,
                _ => Moment::After,
            };
            store.inject(call, 1, StoreFault::Kill(moment));
        }
        if let Some(bytes) = self.bytes {
            store.kill_after_bytes(bytes);
        }
    }
}

fn number(moment: Moment) -> u8 {
    match moment {
        Moment::Before => 0,
        Moment::Within => 1,
        _ => 2,
    }
}

fn part(point: u32, whole: u64) -> u64 {
    u64::from(point) * whole / 65_536
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.work, self.harm)?;
        if self.boot {
            f.write_str(", started")
        } else {
            Ok(())
        }
    }
}
