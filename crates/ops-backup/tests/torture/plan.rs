//! What a seed stands for.

use std::fmt;
use std::time::Duration;

use ops_testkit::store::Moment;

use crate::harm::{Failing, Harm, Wire};

/// What is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Backup,
    Wal,
    Restore,
    Sweep,
    Expire,
    /// A restore with the recovery after it.
    Recover,
    /// `archive_command`.
    Push,
    /// `restore_command`.
    Fetch,
}

impl Work {
    /// That of a name, in lower case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Backup,
            Self::Wal,
            Self::Restore,
            Self::Sweep,
            Self::Expire,
            Self::Recover,
            Self::Push,
            Self::Fetch,
        ];
        all.into_iter()
            .find(|work| format!("{work:?}").to_lowercase() == name)
    }
}

/// What the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Local,
    S3,
}

impl Medium {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
        }
    }
}

/// The work of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) work: Work,
    pub(crate) medium: Medium,
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
    pub(crate) requests: u64,
    pub(crate) time: Duration,
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
    pub(crate) fn of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[usize::try_from(self.below(N as u64)).unwrap_or_default()]
    }

    fn point(&mut self) -> u32 {
        u32::try_from(self.below(65_536)).unwrap_or_default()
    }

    /// One call, or a storm.
    fn count(&mut self) -> u64 {
        if self.below(3) == 0 {
            2 + self.below(8)
        } else {
            1
        }
    }
}

impl Plan {
    /// The work of a seed, over the medium that was asked for or over one of its own.
    pub(crate) fn of(seed: u64, medium: Option<Medium>) -> Self {
        let mut random = Random::new(seed);
        let work = match random.below(20) {
            0..=5 => Work::Backup,
            6..=8 => Work::Wal,
            9..=12 => Work::Restore,
            13 => Work::Sweep,
            14..=15 => Work::Expire,
            16..=17 => Work::Recover,
            18 => Work::Push,
            _ => Work::Fetch,
        };
        let own = if random.below(3) == 0 {
            Medium::S3
        } else {
            Medium::Local
        };
        // The commands run as the server's user, who may not enter a folder of ours.
        let medium = match work {
            Work::Push | Work::Fetch => Medium::S3,
            _ => medium.unwrap_or(own),
        };
        let harm = Self::harm(&mut random, work, medium);
        let boot = random.below(20) == 0;
        Self {
            seed,
            work,
            medium,
            harm,
            boot,
        }
    }

    fn harm(random: &mut Random, work: Work, medium: Medium) -> Harm {
        let of_server = matches!(work, Work::Backup | Work::Wal | Work::Push);
        let shim = matches!(work, Work::Push | Work::Fetch);
        match random.below(20) {
            // Replay and promotion need no store: only the clock finds them.
            0..=3 if work == Work::Recover => Harm::KillAtTime(random.point()),
            4..=6 if medium == Medium::S3 && !shim => Harm::KillAtRequest(random.point()),
            0..=7 => {
                let moment = random.of([Moment::Before, Moment::Within, Moment::After]);
                Harm::KillAtCall(random.point(), moment)
            }
            8 | 9 => Harm::KillAtStoreBytes(random.point()),
            10 if matches!(work, Work::Backup | Work::Wal) => {
                Harm::KillAtServerBytes(random.point())
            }
            11 if of_server => Harm::Server(random.point()),
            10..=12 => Harm::KillAtTime(random.point()),
            13..=16 if medium == Medium::S3 => {
                let wire = random.of(Wire::ALL);
                Harm::Wire(random.point(), random.count(), wire)
            }
            _ => {
                let failing = random.of(Failing::ALL);
                Harm::Store(random.point(), random.count(), failing)
            }
        }
    }

    pub(crate) fn kind(&self) -> String {
        let harm = if self.harm.kills() { "kill" } else { "fault" };
        format!("{:?} {:?} {harm}", self.work, self.medium).to_lowercase()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} over {:?}, {:?}", self.work, self.medium, self.harm)?;
        if self.boot {
            f.write_str(", started")
        } else {
            Ok(())
        }
    }
}
