//! Waiting for a condition.

use std::panic::Location;
use std::time::{Duration, Instant};

/// How long to wait between two looks.
const POLL: Duration = Duration::from_millis(10);

/// Waits until a condition holds. It is looked at again and again, so it should describe
/// a state, not an event that may have passed.
///
/// The timeout is real time, also where the test's clock is paused.
///
/// ```
/// use std::time::Duration;
///
/// use ops_testkit::wait_until;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let begun = std::time::Instant::now();
/// wait_until("20 ms to pass", Duration::from_secs(5), async || {
///     begun.elapsed() > Duration::from_millis(20)
/// })
/// .await;
/// # }
/// ```
///
/// # Panics
/// With `what` where the condition does not hold in time, also where it never answers.
#[track_caller]
pub fn wait_until<F>(what: &str, timeout: Duration, mut condition: F) -> impl Future<Output = ()>
where
    F: AsyncFnMut() -> bool,
{
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + timeout;
        loop {
            // A look that hangs is given up. Where the test's clock is paused, the timer
            // may fire early: then the look is made again.
            let left = deadline.saturating_duration_since(Instant::now());
            let holds = tokio::time::timeout(left.max(POLL), condition()).await;
            if holds == Ok(true) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{caller}: waited {timeout:?} in vain for {what}"
            );
            tokio::time::sleep(POLL).await;
        }
    }
}
