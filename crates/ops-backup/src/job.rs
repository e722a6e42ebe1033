//! A job that runs in the background.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Events, QUEUE};

/// A job that runs in the background, and its events as a stream.
///
/// The stream ends when the job does; [`Job::finish`] then gives the result. Nobody has to
/// read the events.
///
/// # Cancel safety
/// Dropping the job stops it: client programs are killed, uploads are abandoned, nothing
/// is committed. What it had stored is removed by the next sweep. [`Job::cancel`] does the
/// same and also cleans up at once.
#[must_use = "dropping a job stops it"]
pub struct Job<R> {
    events: mpsc::Receiver<Event>,
    task: Option<JoinHandle<Result<R>>>,
    cancel: CancellationToken,
    operation: &'static str,
}

impl<R> fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

impl<R: Send + 'static> Job<R> {
    /// Starts a job on the current runtime.
    pub(crate) fn spawn<F>(
        operation: &'static str,
        run: impl FnOnce(Events, CancellationToken) -> F,
    ) -> Self
    where
        F: Future<Output = Result<R>> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(QUEUE);
        let cancel = CancellationToken::new();
        let task = tokio::spawn(run(Events::new(sender), cancel.clone()));
        Self {
            events,
            task: Some(task),
            cancel,
            operation,
        }
    }

    /// The next event; `None` where the job has ended.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Asks the job to stop, clean up, and end with `Canceled`.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for the job and gives its result.
    ///
    /// # Errors
    /// What made the job fail; `Canceled` after [`Job::cancel`].
    ///
    /// # Cancel safety
    /// Dropping the future stops the job.
    pub async fn finish(mut self) -> Result<R> {
        let ended_early = || Error::new(ErrorKind::Internal, self.operation, "the job ended early");
        let Some(task) = &mut self.task else {
            return Err(ended_early());
        };
        let result = task.await;
        self.task = None;
        result.unwrap_or_else(|source| Err(ended_early().with_source(source)))
    }
}

impl<R> Stream for Job<R> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll_recv(context)
    }
}

impl<R> Drop for Job<R> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
