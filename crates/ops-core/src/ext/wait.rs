//! Waiting without a runtime.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::error::{Error, Result, Retry};
use crate::macros::setters;

/// How long to wait for something, and how often to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitOptions {
    /// How long at most. Defaults to 10 minutes.
    pub timeout: Duration,
    /// How long between two looks. Defaults to 2 seconds.
    pub interval: Duration,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
            interval: Duration::from_secs(2),
        }
    }
}

setters! { WaitOptions {
    val { with_timeout(timeout: Duration), with_interval(interval: Duration) }
} }

/// The result of `work`, or `None` where `deadline` comes first.
pub(crate) async fn before<T>(
    deadline: impl Future<Output = ()>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (mut deadline, mut work) = (pin!(deadline), pin!(work));
    poll_fn(|cx| {
        if let Poll::Ready(out) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(out));
        }
        deadline.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// How a wait ended without an answer.
pub(crate) enum Unanswered<T> {
    /// Time was up; the last that was seen, and the last error of looking, if any.
    TimedOut {
        seen: Option<T>,
        error: Option<Error>,
    },
    /// Looking failed in a way that will not get better.
    Failed(Error),
}

/// Looks again and again until `done` says so.
///
/// A look that fails in a way that may get better is taken for "not yet": somebody who
/// waits ten minutes does not want to hear of one lost packet.
pub(crate) async fn poll_until<T, L, S, F>(
    options: WaitOptions,
    sleep: &S,
    look: impl Fn() -> L + Send + Sync,
    done: impl Fn(&T) -> bool + Send + Sync,
) -> Result<T, Unanswered<T>>
where
    T: Send,
    L: Future<Output = Result<T>> + Send,
    S: Fn(Duration) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    let (mut seen, mut error) = (None, None);
    let work = async {
        loop {
            let mut pause = options.interval;
            match look().await {
                Ok(value) if done(&value) => return Ok(value),
                Ok(value) => {
                    seen = Some(value);
                    error = None;
                }
                Err(err) if err.is_retryable() => {
                    if let Retry::After(wait) = err.retry() {
                        pause = pause.max(wait);
                    }
                    error = Some(err);
                }
                Err(err) => return Err(Unanswered::Failed(err)),
            }
            sleep(pause).await;
        }
    };
    match before(sleep(options.timeout), work).await {
        Some(answer) => answer,
        None => Err(Unanswered::TimedOut { seen, error }),
    }
}
