//! Waiting for a session.

use std::borrow::Cow;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::core::{LaneId, WaiterId};
use crate::driver::Conn;
use crate::error::AcquireError;
use crate::session::Session;
use crate::shared::{Answer, Holding, REMINDER, Shared};
use crate::trace;

/// How to acquire a session.
#[derive(Clone, Debug, Default)]
#[must_use = "this only describes how to acquire"]
pub struct Acquire {
    limit: Option<Limit>,
    label: Option<Cow<'static, str>>,
    lane: Option<Cow<'static, str>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    For(Duration),
    Until(Instant),
}

impl Acquire {
    /// As the pool's settings say.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long to wait. Defaults to the pool's `query_wait_timeout`. Zero takes what
    /// is idle, or nothing.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limit = Some(Limit::For(timeout));
        self
    }

    /// Sets until when to wait. Defaults to the pool's `query_wait_timeout` from now.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.limit = Some(Limit::Until(deadline));
        self
    }

    /// Sets the name under which the session stands in reports.
    pub fn label(mut self, label: impl Into<Cow<'static, str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the lane to wait in. Defaults to the pool's lane `default`.
    pub fn lane(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.lane = Some(name.into());
        self
    }

    pub(crate) async fn run(
        self,
        shared: &Arc<Shared>,
        location: &'static Location<'static>,
    ) -> Result<Session, AcquireError> {
        let Self { limit, label, lane } = self;
        let lane = match lane {
            None => LaneId::default(),
            Some(name) => match shared.config().lanes.find(&name) {
                Some(lane) => lane,
                None => return Err(AcquireError::UnknownLane(name)),
            },
        };
        let holding = Holding::new(label, location);
        match shared.take_idle(lane, &holding) {
            Some(session) => Ok(session),
            None => wait(shared, lane, limit, holding).await,
        }
    }
}

/// Waits where no session is at hand. It is boxed, so that the future of those who need not
/// wait is small: it is moved.
#[cold]
pub(crate) fn wait(
    shared: &Arc<Shared>,
    lane: LaneId,
    limit: Option<Limit>,
    holding: Holding,
) -> Pin<Box<impl Future<Output = Result<Session, AcquireError>> + Send + '_>> {
    Box::pin(stand_in_line(shared, lane, limit, holding))
}

async fn stand_in_line(
    shared: &Arc<Shared>,
    lane: LaneId,
    limit: Option<Limit>,
    holding: Holding,
) -> Result<Session, AcquireError> {
    let patience = if shared.config().shed {
        patience(limit, shared.config().query_wait_timeout())
    } else {
        None
    };
    let ask = |cx: &mut Context<'_>| shared.acquire(lane, patience, &holding, cx.waker());
    let waiter = match poll_fn(|cx| Poll::Ready(ask(cx))).await? {
        Answer::Session(conn) => {
            return Ok(Session::new(conn, Arc::clone(shared), holding.task));
        }
        Answer::Wait(waiter) => waiter,
    };
    let mut place = Place {
        shared,
        waiter: Some(waiter),
    };
    let begun = tokio::time::Instant::now();
    let until = match limit {
        Some(Limit::For(timeout)) => begun.checked_add(timeout),
        Some(Limit::Until(deadline)) => Some(tokio::time::Instant::from_std(deadline)),
        None => shared
            .config()
            .query_wait_timeout()
            .and_then(|timeout| begun.checked_add(timeout)),
    };
    let too_late = async {
        let Some(until) = until else {
            return std::future::pending().await;
        };
        if until.duration_since(begun) > SOON {
            // The pool reminds those who have not been served soon. Most are, and setting a
            // timer for each would cost more than everything else.
            pending_once().await;
        }
        tokio::time::sleep_until(until).await;
    };
    let outcome = pin!(async {
        tokio::select! {
            biased;
            served = place.served() => {
                Ok(Session::new(served?, Arc::clone(shared), holding.task))
            }
            () = too_late => {
                place.leave(true);
                Err(shared.gave_up(begun.elapsed(), &holding))
            }
        }
    });
    trace::waiting(shared.config(), &holding, outcome).await
}

/// Whoever waits for no longer than this sets a timer at once.
const SOON: Duration = REMINDER.saturating_mul(4);

/// Ready when it is polled again.
async fn pending_once() {
    let mut polled = false;
    poll_fn(|_| {
        if std::mem::replace(&mut polled, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// How long the caller is ready to wait.
fn patience(limit: Option<Limit>, default: Option<Duration>) -> Option<Duration> {
    match limit {
        Some(Limit::For(timeout)) => Some(timeout),
        Some(Limit::Until(deadline)) => {
            let now = tokio::time::Instant::now().into_std();
            Some(deadline.saturating_duration_since(now))
        }
        None => default,
    }
}

/// A place in the queue, which is given up on drop. A session that had arrived there goes
/// to whoever is next.
struct Place<'a> {
    shared: &'a Arc<Shared>,
    waiter: Option<WaiterId>,
}

impl Place<'_> {
    async fn served(&mut self) -> Result<Box<Conn>, AcquireError> {
        let Some(waiter) = self.waiter else {
            return Err(AcquireError::ShuttingDown);
        };
        // It has just been asked, by the task that polls this.
        pending_once().await;
        let outcome = poll_fn(|cx| self.shared.poll_collect(waiter, cx)).await;
        self.waiter = None;
        outcome
    }

    fn leave(&mut self, timed_out: bool) {
        if let Some(waiter) = self.waiter.take() {
            self.shared.cancel_wait(waiter, timed_out);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave(false);
    }
}
