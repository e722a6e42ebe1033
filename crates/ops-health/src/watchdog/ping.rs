//! One question to the runtime, and when it was answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Lanes, Shared};

/// One way into the runtime, with at most one ping on it.
#[derive(Debug, Default)]
pub(super) struct Lane {
    sent: Option<Instant>,
    last: Duration,
    earlier: Option<Duration>,
    peak: Duration,
}

impl Lane {
    /// Notes that a ping goes out, where none is waited for.
    pub(super) fn send(&mut self) -> bool {
        let free = self.sent.is_none();
        if free {
            self.sent = Some(Instant::now());
        }
        free
    }

    fn answer(&mut self) {
        if let Some(sent) = self.sent.take() {
            self.earlier = Some(std::mem::replace(&mut self.last, sent.elapsed()));
            self.peak = self.peak.max(self.last);
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.sent.is_none()
    }

    /// What is known of the lag: a ping that goes on and is late already counts.
    pub(super) fn lag(&self) -> Duration {
        self.waiting().max(self.last)
    }

    /// The lag before the one that [`Lane::lag`] tells.
    pub(super) fn earlier(&self) -> Option<Duration> {
        if self.waiting() > self.last {
            Some(self.last)
        } else {
            self.earlier
        }
    }

    fn waiting(&self) -> Duration {
        self.sent.map_or(Duration::ZERO, |sent| sent.elapsed())
    }

    pub(super) fn take_peak(&mut self) -> Duration {
        let peak = self.peak.max(self.lag());
        self.peak = Duration::ZERO;
        peak
    }
}

/// What answers from within the runtime.
pub(super) struct Echo {
    shared: Arc<Shared>,
    lane: fn(&mut Lanes) -> &mut Lane,
    answered: bool,
}

impl Echo {
    pub(super) fn new(shared: &Arc<Shared>, lane: fn(&mut Lanes) -> &mut Lane) -> Self {
        Self {
            shared: Arc::clone(shared),
            lane,
            answered: false,
        }
    }

    pub(super) fn answer(mut self) {
        self.answered = true;
        (self.lane)(&mut self.shared.lanes()).answer();
        self.shared.answered.notify_all();
    }
}

impl Drop for Echo {
    /// Dropped without having run: the runtime is gone, and so is what was to be watched.
    fn drop(&mut self) {
        if !self.answered {
            self.shared.over.store(true, Ordering::Release);
            self.shared.answered.notify_all();
        }
    }
}
