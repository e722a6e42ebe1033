//! The driver's end of a connection.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt};
use ops_core::Result;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_postgres::{AsyncMessage, CancelToken};

use super::quiet::Quiet;
use crate::connect::Connect;
use crate::tap::{Broken, Wire};

/// How long a closed connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long the request to cancel an abandoned query may take.
const CANCEL: Duration = Duration::from_secs(5);

pub(super) type Messages = BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>;

/// The connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over;

/// The driver's end of a connection.
pub(super) struct Line {
    messages: Messages,
    cancel: CancelToken,
    pub(super) wire: Arc<Wire>,
    quiet: Arc<Quiet>,
    waker: Waker,
    patience: Patience,
    over: bool,
}

impl Line {
    pub(super) fn new(
        messages: Messages,
        cancel: CancelToken,
        wire: Arc<Wire>,
        reset_timeout: Duration,
    ) -> Self {
        let quiet = Quiet::new();
        Self {
            messages,
            cancel,
            wire,
            waker: Waker::from(Arc::clone(&quiet)),
            quiet,
            patience: Patience::new(reset_timeout),
            over: false,
        }
    }

    pub(super) fn quiet(&self) -> &Arc<Quiet> {
        &self.quiet
    }

    pub(super) fn token(&self) -> &CancelToken {
        &self.cancel
    }

    /// Moves bytes as far as they go. Ready once the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if self.over {
            return Poll::Ready(Over);
        }
        let messages = &mut self.messages;
        // Notices and notifications are for a session that asked for them, and there is no
        // such session between two callers.
        let polled = self.quiet.poll(&self.waker, cx, |cx| {
            loop {
                match messages.poll_next_unpin(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Over),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        self.over = polled.is_ready();
        if !self.over && self.patience.is_over(&self.wire, cx) {
            self.wire.break_off(Broken::ResetTimedOut);
            self.over = true;
        }
        if self.over {
            return Poll::Ready(Over);
        }
        Poll::Pending
    }

    /// Moves bytes until the connection ends.
    pub(super) async fn drive(&mut self) -> Over {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Has the driver take up what it has been asked for.
    pub(super) async fn catch_up(&mut self) -> Result<(), Over> {
        if self.quiet.is_quiet() && !self.over {
            return Ok(());
        }
        poll_fn(|cx| {
            Poll::Ready(match self.poll(cx) {
                Poll::Ready(over) => Err(over),
                Poll::Pending => Ok(()),
            })
        })
        .await
    }

    /// Moves bytes until the tap tells what is waited for.
    pub(super) async fn until<F>(&mut self, done: F) -> Result<(), Over>
    where
        F: Fn(&Wire) -> bool + Send,
    {
        self.catch_up().await?;
        if done(&self.wire) {
            return Ok(());
        }
        poll_fn(move |cx| match self.poll(cx) {
            Poll::Ready(over) => Poll::Ready(Err(over)),
            Poll::Pending if done(&self.wire) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Moves bytes while something is done that needs it.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Over> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // What it asks for goes out at once, and what has come in goes to it at once.
            if let Poll::Ready(outcome) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(outcome));
            }
            if let Poll::Ready(over) = self.poll(cx) {
                return Poll::Ready(Err(over));
            }
            work.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Closes the connection, whose client has been dropped, or whose tap lets nothing
    /// through anymore. One that is busy is cut off, and the server is asked to stop what it
    /// does there.
    pub(super) async fn close(mut self, connect: &dyn Connect) {
        let _ = self.catch_up().await;
        let busy = self.wire.in_flight() > 0 || self.wire.resets() > 0;
        if self.wire.broken().is_none() && !busy {
            let _ = timeout(GOODBYE, self.drive()).await;
            return;
        }
        let Self {
            messages, cancel, ..
        } = self;
        drop(messages);
        let _ = timeout(CANCEL, connect.cancel(&cancel)).await;
    }
}

/// How long resets that go in front of a session may take.
///
/// There is one timer, which is armed by the first reset that is not answered at once, and
/// looks again when it goes off.
struct Patience {
    limit: Duration,
    /// Which answer is waited for, and since when.
    waiting: Option<(u32, Instant)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            waiting: None,
            timer: None,
        }
    }

    fn is_over(&mut self, wire: &Wire, cx: &mut Context<'_>) -> bool {
        if wire.resets() == 0 {
            self.waiting = None;
            return false;
        }
        let answered = wire.resets_answered();
        let since = match self.waiting {
            Some((of, since)) if of == answered => since,
            _ => Instant::now(),
        };
        self.waiting = Some((answered, since));
        let until = since + self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.is_elapsed() {
            timer.as_mut().reset(until);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= until {
                return true;
            }
            timer.as_mut().reset(until);
        }
        false
    }
}
