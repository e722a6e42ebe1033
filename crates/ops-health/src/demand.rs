//! What readers ask of a check that runs on demand: one run for all of them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The readers of one check, and the task that runs it for them.
///
/// The run belongs to that task: a reader who leaves ends nothing.
#[derive(Debug)]
pub(crate) struct Demand {
    /// How long an answer is good for.
    ttl: Duration,
    /// How long a demand may stay without an answer before nobody is believed to give one.
    patience: Duration,
    wanted: Notify,
    answers: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when somebody waits.
    asked: Option<Instant>,
    /// Until when the last answer is good.
    fresh_until: Option<Instant>,
}

impl Demand {
    pub(crate) fn new(ttl: Duration, patience: Duration) -> Self {
        Self {
            ttl,
            patience,
            wanted: Notify::new(),
            answers: watch::Sender::new(0),
            state: Mutex::default(),
        }
    }

    /// Asks for a run unless the last answer is still good. What is returned changes with
    /// the answer.
    pub(crate) fn ask(&self, now: Instant) -> Option<watch::Receiver<u64>> {
        let mut state = self.lock();
        if state.fresh_until.is_some_and(|until| now < until) {
            return None;
        }
        // Subscribed under the lock, so that no answer comes before.
        let answer = self.answers.subscribe();
        if state.asked.is_none() {
            state.asked = Some(now);
            drop(state);
            self.wanted.notify_one();
        }
        Some(answer)
    }

    /// Ends when somebody has asked.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Gives everybody who waits the answer that was just recorded.
    pub(crate) fn answer(&self, now: Instant) {
        let mut state = self.lock();
        *state = State {
            asked: None,
            fresh_until: Some(now + self.ttl),
        };
        drop(state);
        self.answers.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Whether somebody waits for an answer.
    pub(crate) fn is_asked(&self) -> bool {
        self.lock().asked.is_some()
    }

    /// Whether somebody has waited in vain: the task that should answer is gone or stuck.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.lock()
            .asked
            .is_some_and(|since| now.saturating_duration_since(since) > self.patience)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
