//! A body that must keep coming.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::pool::Answer;

/// What must arrive while somebody waits for the length of a window.
const MIN_PROGRESS: usize = 64 * 1024;

/// The body came too slowly, or not at all.
#[derive(Debug)]
pub(crate) struct Stalled(Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "less than {} KiB arrived within {:?}",
            MIN_PROGRESS / 1024,
            self.0
        )
    }
}

impl StdError for Stalled {}

/// Ends a body with [`Stalled`] that makes less than [`MIN_PROGRESS`] per window.
///
/// Only time counts in which the reader waits: a reader may pause for as long as it likes.
pub(crate) struct StallGuard {
    body: Answer,
    window: Duration,
    waited: Duration,
    progress: usize,
    waiting_since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl StallGuard {
    pub(super) fn new(body: Answer, window: Duration) -> Self {
        Self {
            body,
            window,
            waited: Duration::ZERO,
            progress: 0,
            waiting_since: None,
            alarm: None,
        }
    }

    fn arrived(&mut self, bytes: usize) {
        self.progress += bytes;
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        // A wait that is longer than the window was a pause: the alarm found no reader.
        if self.progress >= MIN_PROGRESS || self.waited > self.window {
            self.progress = 0;
            self.waited = Duration::ZERO;
        }
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Stalled> {
        let (waited, window) = (self.waited, self.window);
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now())));
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            alarm.as_mut().reset(now + window.saturating_sub(waited));
        }
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Stalled(window))
    }
}

impl Body for StallGuard {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.arrived(bytes);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let stalled = ready!(self.poll_alarm(cx));
        Poll::Ready(Some(Err(stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
