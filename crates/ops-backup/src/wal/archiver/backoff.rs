//! Pauses between attempts.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);

/// Pauses that double up to a limit, each between half of that and all of it at random, so
/// that many who failed together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
    has_waited: bool,
}

impl Backoff {
    pub(crate) fn new(max: Duration) -> Self {
        Self {
            next: FIRST.min(max),
            max,
            has_waited: false,
        }
    }

    pub(crate) fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Something went well: the next pause is a short one.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST.min(self.max);
    }

    pub(crate) async fn wait(&mut self) {
        self.has_waited = true;
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(self.max);
        tokio::time::sleep(pause).await;
    }
}
