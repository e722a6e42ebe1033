//! How work is disturbed, and how that is brought about.

use std::time::Duration;

use ops_testkit::FaultStore;
use ops_testkit::s3::{Fault, Injected};
use ops_testkit::store::{Moment, StoreFault};

use crate::place::Site;
use crate::plan::Extent;

/// Longer than anybody waits for an answer here.
const NEVER: Duration = Duration::from_secs(600);

/// How work is disturbed. Points are parts of 65536 of what an undisturbed run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// SIGKILL at a call of the store.
    KillAtCall(u32, Moment),
    /// SIGKILL when so many bytes have gone to or from the store.
    KillAtStoreBytes(u32),
    /// SIGKILL when so many bytes have come from the server.
    KillAtServerBytes(u32),
    /// SIGKILL when an S3 server has done what a request asks for, and has not answered.
    KillAtRequest(u32),
    /// SIGKILL after some time.
    KillAtTime(u32),
    /// Calls of the store that fail.
    Store(u32, u64, Failing),
    /// Requests to an S3 server that fail.
    Wire(u32, u64, Wire),
    /// The connection to the server is lost; with commands, the server crashes.
    Server(u32),
}

/// What goes wrong at a call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Failing {
    Refuse,
    LoseAnswer,
    Truncate,
    Corrupt,
    Slow,
}

impl Failing {
    pub(crate) const ALL: [Self; 5] = [
        Self::Refuse,
        Self::LoseAnswer,
        Self::Truncate,
        Self::Corrupt,
        Self::Slow,
    ];

    fn fault(self) -> StoreFault {
        match self {
            Self::Refuse => StoreFault::Refuse,
            Self::LoseAnswer => StoreFault::LoseAnswer,
            Self::Truncate => StoreFault::Truncate,
            Self::Corrupt => StoreFault::Corrupt,
            Self::Slow => StoreFault::Slow(Duration::from_millis(300)),
        }
    }
}

/// What goes wrong with a request to an S3 server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    SlowDown,
    InternalError,
    Reset,
    ResetUpload,
    LoseAnswer,
    ResetAnswer,
    TruncateAnswer,
    CorruptAnswer,
    CorruptUpload,
    WrongChecksum,
    Delay,
}

impl Wire {
    pub(crate) const ALL: [Self; 11] = [
        Self::SlowDown,
        Self::InternalError,
        Self::Reset,
        Self::ResetUpload,
        Self::LoseAnswer,
        Self::ResetAnswer,
        Self::TruncateAnswer,
        Self::CorruptAnswer,
        Self::CorruptUpload,
        Self::WrongChecksum,
        Self::Delay,
    ];

    fn fault(self) -> Fault {
        match self {
            Self::SlowDown => Fault::slow_down(),
            Self::InternalError => Fault::internal_error(),
            Self::Reset => Fault::reset(),
            Self::ResetUpload => Fault::reset_upload(1000),
            Self::LoseAnswer => Fault::lose_answer(),
            Self::ResetAnswer => Fault::reset_answer(100),
            Self::TruncateAnswer => Fault::truncate_answer(100),
            Self::CorruptAnswer => Fault::corrupt_answer(60),
            Self::CorruptUpload => Fault::corrupt_upload(150),
            Self::WrongChecksum => Fault::wrong_checksum(),
            Self::Delay => Fault::delay(Duration::from_millis(300)),
        }
    }
}

/// What the store of another process does.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Trap {
    /// The call at which it is killed, and 0 before, 1 within, 2 after.
    pub(crate) call: Option<(u64, u8)>,
    pub(crate) bytes: Option<u64>,
    pub(crate) time: Option<Duration>,
    /// The first call that fails, how many do, and how.
    pub(crate) fault: Option<(u64, u64, Failing)>,
    /// How much longer every call takes that nothing else happens to.
    pub(crate) slow: Option<Duration>,
}

impl Harm {
    pub(crate) fn kills(self) -> bool {
        !matches!(self, Self::Store(..) | Self::Wire(..) | Self::Server(_))
    }

    /// What the store of a child does that is killed.
    pub(crate) fn trap(self, extent: &Extent) -> Trap {
        let mut trap = Trap::default();
        match self {
            Self::KillAtCall(point, moment) => {
                trap.call = Some((1 + part(point, extent.calls), number(moment)));
            }
            Self::KillAtStoreBytes(point) => {
                trap.bytes = Some(1 + part(point, extent.store_bytes));
            }
            Self::KillAtTime(point) => trap.time = Some(extent.time * point / 65_536),
            Self::Store(point, count, failing) => {
                trap.fault = Some((1 + part(point, extent.calls), count, failing));
            }
            _ => {}
        }
        trap
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

    /// Makes the S3 server of a seed fail.
    pub(crate) fn inject(self, site: &Site, extent: &Extent) -> Option<Injected> {
        let (point, count, fault) = match self {
            Self::Wire(point, count, wire) => (point, count, wire.fault()),
            Self::KillAtRequest(point) => (point, 1, Fault::delay(NEVER)),
            _ => return None,
        };
        let fault = fault.skip(part(point, extent.requests)).times(count);
        site.s3().map(|s3| s3.inject(fault))
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
        if let Some((first, count, failing)) = self.fault {
            store.inject(first, count, failing.fault());
        }
        if let Some(pause) = self.slow {
            store.inject(1, u64::MAX, StoreFault::Slow(pause));
        }
        if let Some(time) = self.time {
            std::thread::spawn(move || {
                std::thread::sleep(time);
                let (own, kill) = (rustix::process::getpid(), rustix::process::Signal::KILL);
                rustix::process::kill_process(own, kill)
            });
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

pub(crate) fn part(point: u32, whole: u64) -> u64 {
    u64::from(point) * whole / 65_536
}
