//! Telling of sessions that do not come back.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::error::Holder;
use crate::tap::CommandTag;

/// How much later than the threshold a session may be noticed, as a part of it.
const PRECISION: u32 = 8;

/// Warns of each session that is out for longer than `threshold`, once.
pub(super) async fn watch(shared: Arc<Shared>, threshold: Duration) {
    loop {
        tokio::select! {
            biased;
            () = shared.stopped() => return,
            () = tokio::time::sleep(threshold / PRECISION) => {}
        }
        for holder in shared.leaked(threshold) {
            let Holder {
                label,
                location,
                age,
                last_command,
                idle_in_transaction,
            } = &holder;
            tracing::warn!(
                label = label.as_deref(),
                file = location.file(),
                line = location.line(),
                last_command = last_command.as_ref().map(CommandTag::as_str),
                idle_in_transaction,
                age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
                "a session has not come back",
            );
        }
    }
}

impl Shared {
    /// Sessions that have been out for longer than `threshold` and not been told of.
    fn leaked(&self, threshold: Duration) -> Vec<Holder> {
        let now = self.now();
        self.lock().leaked(threshold, now)
    }
}
