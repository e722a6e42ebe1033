//! Faults, scripted or at random.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::store::mix;

/// Something that goes wrong with requests that match.
///
/// It happens once, to the first request that matches, unless it is told otherwise.
///
/// ```
/// use std::time::Duration;
/// use ops_testkit::s3::Fault;
///
/// // The second and third part that are uploaded below `backups/` are refused.
/// let busy = Fault::slow_down()
///     .on("UploadPart")
///     .key_prefix("backups/")
///     .skip(1)
///     .times(2);
/// // One download in five stalls.
/// let slow = Fault::delay(Duration::from_secs(2)).on("GetObject").always().chance(0.2);
/// # drop((busy, slow));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Fault {
    pub(super) kind: Kind,
    operation: Option<&'static str>,
    key: Option<String>,
    key_prefix: String,
    part: Option<i32>,
    skip: u64,
    times: Option<u64>,
    chance: Option<f64>,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Error {
        status: u16,
        code: String,
        retry_after: Option<Duration>,
    },
    ErrorUnder200 {
        code: String,
    },
    Answer(Box<Canned>),
    Reset,
    ResetUpload {
        after: u64,
    },
    LoseAnswer,
    EndAnswer {
        after: u64,
        reset: bool,
    },
    Drip {
        bytes: usize,
        pause: Duration,
    },
    Delay(Duration),
    CorruptAnswer {
        at: u64,
    },
    CorruptUpload {
        at: u64,
    },
    WrongChecksum,
    WrongEtag,
}

/// An answer that the test has written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Canned {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Fault {
    const fn new(kind: Kind) -> Self {
        Self {
            kind,
            operation: None,
            key: None,
            key_prefix: String::new(),
            part: None,
            skip: 0,
            times: Some(1),
            chance: None,
        }
    }

    /// An error answer, in the protocol's XML. The request is read whole and not applied.
    pub fn error(status: u16, code: &str) -> Self {
        Self::new(Kind::Error {
            status,
            code: code.to_owned(),
            retry_after: None,
        })
    }

    /// 503 `SlowDown`.
    pub fn slow_down() -> Self {
        Self::error(503, "SlowDown")
    }

    /// 500 `InternalError`.
    pub fn internal_error() -> Self {
        Self::error(500, "InternalError")
    }

    /// 503 `ServiceUnavailable`.
    pub fn unavailable() -> Self {
        Self::error(503, "ServiceUnavailable")
    }

    /// An error in the body of an answer with the status 200, as `CopyObject`,
    /// `UploadPartCopy` and `CompleteMultipartUpload` may give. The request is not applied.
    pub fn error_under_200(code: &str) -> Self {
        Self::new(Kind::ErrorUnder200 {
            code: code.to_owned(),
        })
    }

    /// This answer and no other. The request is read whole and not applied.
    pub fn answer(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self::new(Kind::Answer(Box::new(Canned {
            status,
            headers,
            body: body.into(),
        })))
    }

    /// The connection is reset when the head of the request has come. Not applied.
    pub fn reset() -> Self {
        Self::new(Kind::Reset)
    }

    /// The connection is reset when that many bytes of the request's body have come.
    pub fn reset_upload(after: u64) -> Self {
        Self::new(Kind::ResetUpload { after })
    }

    /// The request is applied, then the connection is reset before a byte of the answer.
    pub fn lose_answer() -> Self {
        Self::new(Kind::LoseAnswer)
    }

    /// The connection is reset after the head and that many bytes of the answer's body.
    pub fn reset_answer(after: u64) -> Self {
        Self::new(Kind::EndAnswer { after, reset: true })
    }

    /// As [`reset_answer`](Self::reset_answer), but the connection ends in order.
    pub fn truncate_answer(after: u64) -> Self {
        Self::new(Kind::EndAnswer {
            after,
            reset: false,
        })
    }

    /// The answer's body comes in pieces of so many bytes, with a pause before each.
    pub fn drip(bytes: usize, pause: Duration) -> Self {
        Self::new(Kind::Drip {
            bytes: bytes.max(1),
            pause,
        })
    }

    /// The request is applied at once, and answered later.
    pub fn delay(pause: Duration) -> Self {
        Self::new(Kind::Delay(pause))
    }

    /// One bit of the answer's body is flipped, at that offset.
    pub fn corrupt_answer(at: u64) -> Self {
        Self::new(Kind::CorruptAnswer { at })
    }

    /// One bit of the request's body is flipped on its way, at that offset of what is sent.
    pub fn corrupt_upload(at: u64) -> Self {
        Self::new(Kind::CorruptUpload { at })
    }

    /// The `x-amz-checksum-*` headers of the answer are those of other bytes.
    pub fn wrong_checksum() -> Self {
        Self::new(Kind::WrongChecksum)
    }

    /// The `ETag` header of the answer is that of other bytes.
    pub fn wrong_etag() -> Self {
        Self::new(Kind::WrongEtag)
    }

    /// Only requests of this operation, by Amazon's name: `PutObject`, `UploadPart`.
    pub fn on(mut self, operation: &'static str) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only requests of this key.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Only requests of keys that begin so.
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.key_prefix);
        self
    }

    /// Only requests of this part.
    pub fn part(mut self, number: i32) -> Self {
        self.part = Some(number);
        self
    }

    /// Leaves so many matching requests alone first.
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// How often it happens. Defaults to once.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// It happens again and again.
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// How probable it is for each matching request, of 1. The server's seed decides.
    pub fn chance(mut self, probability: f64) -> Self {
        self.chance = Some(probability);
        self
    }

    /// The header `Retry-After` of an error answer, in whole seconds.
    pub fn retry_after(mut self, pause: Duration) -> Self {
        if let Kind::Error { retry_after, .. } = &mut self.kind {
            *retry_after = Some(pause);
        }
        self
    }

    fn matches(&self, request: &Subject<'_>) -> bool {
        self.operation.is_none_or(|it| it == request.operation)
            && self.key.as_deref().is_none_or(|it| request.key == Some(it))
            && request
                .key
                .unwrap_or_default()
                .starts_with(&self.key_prefix)
            && self.part.is_none_or(|it| request.part == Some(it))
    }
}

/// A request, as faults look at it.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) operation: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) part: Option<i32>,
}

/// A fault that was given to a server.
#[derive(Clone, Debug)]
pub struct Injected(Arc<Armed>);

impl Injected {
    /// How often it has happened so far.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.0.happened.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: AtomicU64,
    happened: AtomicU64,
}

/// The faults of a server.
#[derive(Debug)]
pub(super) struct Faults {
    armed: Mutex<Vec<Arc<Armed>>>,
    seed: u64,
    rolls: AtomicU64,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            armed: Mutex::default(),
            seed,
            rolls: AtomicU64::new(0),
        }
    }

    pub(super) fn inject(&self, fault: Fault) -> Injected {
        let armed = Arc::new(Armed {
            fault,
            seen: AtomicU64::new(0),
            happened: AtomicU64::new(0),
        });
        self.all().push(Arc::clone(&armed));
        Injected(armed)
    }

    pub(super) fn clear(&self) {
        self.all().clear();
    }

    /// What goes wrong with this request: the first fault that matches and is not used up.
    pub(super) fn strike(&self, request: &Subject<'_>) -> Option<Kind> {
        let armed = self.all();
        let struck = armed.iter().find(|it| self.strikes(it, request))?;
        Some(struck.fault.kind.clone())
    }

    fn strikes(&self, armed: &Armed, request: &Subject<'_>) -> bool {
        let fault = &armed.fault;
        let used_up = fault
            .times
            .is_some_and(|times| armed.happened.load(Ordering::Acquire) >= times);
        if used_up || !fault.matches(request) {
            return false;
        }
        if armed.seen.fetch_add(1, Ordering::AcqRel) < fault.skip {
            return false;
        }
        if fault.chance.is_some_and(|chance| self.roll() >= chance) {
            return false;
        }
        armed.happened.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// A number from 0 up to 1, by the seed.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the upper 53 bits fit into a double exactly"
    )]
    fn roll(&self) -> f64 {
        let roll = self.rolls.fetch_add(1, Ordering::AcqRel);
        (mix(self.seed ^ mix(roll + 1)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Armed>>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: Subject<'_> = Subject {
        operation: "PutObject",
        key: Some("a/b"),
        part: None,
    };

    fn strikes(faults: &Faults, times: usize) -> Vec<bool> {
        (0..times).map(|_| faults.strike(&PUT).is_some()).collect()
    }

    #[test]
    fn a_fault_skips_then_happens_so_often() {
        let faults = Faults::new(0);
        let injected = faults.inject(Fault::slow_down().on("PutObject").skip(1).times(2));
        assert_eq!(strikes(&faults, 5), [false, true, true, false, false]);
        assert_eq!(injected.happened(), 2);
    }

    #[test]
    fn a_fault_leaves_other_requests_alone() {
        for fault in [
            Fault::reset().on("GetObject"),
            Fault::reset().key("a"),
            Fault::reset().key_prefix("b"),
            Fault::reset().part(1),
        ] {
            let faults = Faults::new(0);
            faults.inject(fault);
            assert_eq!(strikes(&faults, 2), [false, false]);
        }
    }

    #[test]
    fn the_seed_decides_what_happens_by_chance() {
        let run = |seed| {
            let faults = Faults::new(seed);
            faults.inject(Fault::reset().always().chance(0.25));
            strikes(&faults, 400)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hits = run(7).into_iter().filter(|hit| *hit).count();
        assert!((70..130).contains(&hits), "{hits}");
    }
}
