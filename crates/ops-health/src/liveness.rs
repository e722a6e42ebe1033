//! What decides whether the process should live: nothing outside of it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A yes-or-no answer about the process itself.
///
/// It is synchronous and gets no context, so that it cannot ask a dependency: a
/// restart never repairs somebody else's outage. It is asked on every request.
pub trait LivenessSignal: Send + Sync + 'static {
    /// Whether the process is alive. A panic counts as no.
    fn is_alive(&self) -> bool;
}

impl<F: Fn() -> bool + Send + Sync + 'static> LivenessSignal for F {
    fn is_alive(&self) -> bool {
        self()
    }
}

/// The sign of life of a worker.
///
/// The worker calls [`Beacon::beat`]; a beacon that is silent for longer than its limit
/// makes the process dead. Clones are the same beacon.
///
/// ```
/// use std::time::Duration;
/// use ops_health::{Beacon, LivenessSignal};
///
/// let beacon = Beacon::new(Duration::from_secs(60));
/// beacon.beat();
/// assert!(beacon.is_alive());
/// ```
#[derive(Clone)]
pub struct Beacon(Arc<BeaconInner>);

struct BeaconInner {
    limit: Duration,
    created: Instant,
    last_beat_millis: AtomicU64,
}

impl Beacon {
    /// A beacon that may be silent for that long, counted from now.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self(Arc::new(BeaconInner {
            limit,
            created: Instant::now(),
            last_beat_millis: AtomicU64::new(0),
        }))
    }

    /// Says that the worker is alive.
    pub fn beat(&self) {
        self.0
            .last_beat_millis
            .fetch_max(self.age_millis(), Ordering::Relaxed);
    }

    /// How long the worker has been silent, to the millisecond.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let last = self.0.last_beat_millis.load(Ordering::Relaxed);
        Duration::from_millis(self.age_millis().saturating_sub(last))
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.0.created.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl LivenessSignal for Beacon {
    fn is_alive(&self) -> bool {
        self.silence() <= self.0.limit
    }
}

impl fmt::Debug for Beacon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beacon")
            .field("limit", &self.0.limit)
            .field("silence", &self.silence())
            .finish()
    }
}

/// A signal with its name.
pub(crate) struct NamedSignal {
    pub(crate) name: String,
    pub(crate) signal: Box<dyn LivenessSignal>,
}

impl NamedSignal {
    pub(crate) fn is_alive(&self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.signal.is_alive())).unwrap_or(false)
    }
}
