//! Readers who wait for checks that run on demand.

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use tokio::time::{Instant, timeout_at};

use super::Health;
use crate::aggregate::Question;

impl Health {
    /// As [`Health::respond`], but first gets new results of the checks that run on demand
    /// and whose last result has expired: one run for all who ask, and at most as long as
    /// the slowest of their timeouts. Without such checks nothing is waited for.
    ///
    /// # Cancel safety
    /// A run goes on when the future is dropped: its result is for everybody.
    pub async fn handle(&self, request: &Parts) -> Response<Bytes> {
        self.prepare(request).await;
        self.respond(request)
    }

    /// As [`Health::handle`], with all details for whoever asks: for a second listener that
    /// only operators can reach.
    ///
    /// # Cancel safety
    /// As [`Health::handle`].
    pub async fn handle_with_details(&self, request: &Parts) -> Response<Bytes> {
        self.prepare(request).await;
        self.respond_with_details(request)
    }

    /// The answer, where there is nothing to be waited for.
    #[cfg(feature = "axum")]
    pub(crate) fn at_once(&self, request: &Parts, details: bool) -> Option<Response<Bytes>> {
        if self.waits(request) {
            None
        } else if details {
            Some(self.respond_with_details(request))
        } else {
            Some(self.respond(request))
        }
    }

    fn waits(&self, request: &Parts) -> bool {
        self.0.has_on_demand && asks_checks(request.uri.path())
    }

    async fn prepare(&self, request: &Parts) {
        if self.waits(request) {
            self.refresh().await;
        }
    }

    /// The answer to a question, after the checks that run on demand have given new
    /// results. See [`Health::handle`].
    ///
    /// # Cancel safety
    /// As [`Health::handle`].
    pub async fn fresh_verdict(&self, question: Question) -> crate::Verdict {
        if self.0.has_on_demand {
            self.refresh().await;
        }
        self.verdict(question)
    }

    async fn refresh(&self) {
        let now = Instant::now();
        let asked: Vec<_> = self
            .0
            .registry
            .iter()
            .filter_map(|entry| {
                let demand = entry.demand.as_ref()?;
                let answer = demand.ask(now)?;
                // Nobody is there to answer: what is known now is that.
                let is_lost = demand.is_overdue(now);
                (!is_lost).then_some((answer, now + entry.policy.timeout()))
            })
            .collect();
        // The deadlines all count from the same moment: one after another is together.
        for (mut answer, deadline) in asked {
            let _ = timeout_at(deadline, answer.changed()).await;
        }
    }
}

/// Probes of liveness and of the start depend on no check that runs on demand.
fn asks_checks(path: &str) -> bool {
    !matches!(
        path,
        "/health/live" | "/health/startup" | "/livez" | "/metrics"
    )
}
