//! Stopping what a connection runs.

use std::time::Duration;

use ops_core::Error;
use tokio::time::timeout;

use super::line::{Line, Over};
use crate::connect::Connect;
use crate::tap::Wire;

/// How long a request to cancel may have no effect before it is sent again. Doubled each time.
const AGAIN: Duration = Duration::from_millis(100);

/// Why a connection could not be stopped.
#[derive(Debug)]
pub(super) enum Unstopped {
    Over,
    /// A request to cancel failed, and may still arrive.
    Uncertain(Error),
}

impl From<Over> for Unstopped {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

impl Line {
    /// Cancels until nothing runs. The server forgets a request that arrives before it has
    /// begun with the query, so it is sent again while the query runs on.
    ///
    /// Each request has ended before the next is sent and before this does, also where
    /// nothing runs anymore: one that is under way could hit whatever the connection runs
    /// next.
    pub(super) async fn stop(&mut self, connect: &dyn Connect) -> Result<(), Unstopped> {
        let token = self.token().clone();
        loop {
            let before = self.wire.in_flight();
            if before == 0 {
                return Ok(());
            }
            // An error that somebody does not read may keep the end from coming.
            let ended = move |wire: &Wire| wire.in_flight() < before && !wire.is_failing();
            let mut pause = AGAIN;
            loop {
                // A COPY that the driver has given up ends by itself.
                if self.wire.in_flight() > 0 && !self.wire.gives_up_copy() {
                    let requested = self.during(connect.cancel(&token)).await?;
                    requested.map_err(Unstopped::Uncertain)?;
                }
                if let Ok(told) = timeout(pause, self.until(ended)).await {
                    told?;
                    break;
                }
                pause *= 2;
            }
        }
    }
}
