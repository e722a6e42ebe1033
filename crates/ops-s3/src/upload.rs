//! Uploads in parts.

use std::sync::Arc;

use bytes::Bytes;
use ops_core::object_store::{ObjectMeta, PutOptions};
use ops_core::{Error, ErrorKind, ObjectKey, Result};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};

use crate::budget::Share;
use crate::condition::Request;
use crate::operation::Operation;
use crate::put::{Failure, Feed};
use crate::store::Shared;

mod part;
mod session;
mod sweep;

pub(crate) use part::Part;
pub(crate) use session::Session;
pub(crate) use sweep::sweep;

/// Uploads what the feed gives, part by part and several at once.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    operation: &Operation,
    key: &ObjectKey,
    mut feed: Feed,
    options: &PutOptions,
) -> Result<ObjectMeta, Failure> {
    Request::Complete.headers(&shared.profile, &options.condition)?;
    let session = Session::begin(shared, operation, key, options.content_type.clone()).await?;
    let mut sending = Sending {
        session: Some(session),
        tasks: JoinSet::new(),
        done: Vec::new(),
    };
    let sent = sending.all(&mut feed).await;
    let sent = sent.and_then(|()| feed.verify(options).map_err(Failure::Store));
    // A store may take long to put the parts together: their buffers are not needed for that.
    drop(feed);
    let (session, tasks, done) = sending.into_parts();
    let Some(session) = session else {
        return Err(Failure::Store(ended_early()));
    };
    match sent {
        Ok(()) => Ok(session.complete(done, &options.condition).await?),
        Err(failure) => {
            session.abandon(tasks).await;
            Err(failure)
        }
    }
}

#[cold]
fn ended_early() -> Error {
    Error::new(ErrorKind::Internal, "the task of a part ended early")
}

type Tasks = JoinSet<Result<(Part, Bytes)>>;

/// Parts on their way. Dropping it stops them and abandons the upload.
struct Sending {
    session: Option<Session>,
    tasks: Tasks,
    done: Vec<Part>,
}

impl Sending {
    fn into_parts(mut self) -> (Option<Session>, Tasks, Vec<Part>) {
        (
            self.session.take(),
            std::mem::take(&mut self.tasks),
            std::mem::take(&mut self.done),
        )
    }

    fn session(&self) -> Result<&Session> {
        self.session.as_ref().ok_or_else(ended_early)
    }

    async fn all(&mut self, feed: &mut Feed) -> Result<(), Failure> {
        let mut number = 0;
        loop {
            let share = self.room_for(feed.next_part_bytes(), feed).await?;
            let Some(data) = feed.next().await? else {
                break;
            };
            number += 1;
            let upload = self.session()?.upload_part(number, data.clone());
            self.tasks.spawn(async move {
                let part = upload.await;
                drop(share);
                part.map(|part| (part, data))
            });
        }
        while !self.tasks.is_empty() {
            self.one_ended(feed).await?;
        }
        Ok(())
    }

    /// Waits until another part may be read into memory.
    async fn room_for(&mut self, bytes: u64, feed: &mut Feed) -> Result<Share, Failure> {
        while self.tasks.len() >= self.session()?.concurrency() {
            self.one_ended(feed).await?;
        }
        loop {
            let budget = self.session()?.budget();
            if let Some(share) = budget.try_share(bytes) {
                return Ok(share);
            }
            if self.tasks.is_empty() {
                return Ok(Share::BEYOND);
            }
            tokio::select! {
                share = budget.share(bytes) => return Ok(share?),
                ended = self.tasks.join_next() => self.take(ended, feed)?,
            }
        }
    }

    async fn one_ended(&mut self, feed: &mut Feed) -> Result<(), Failure> {
        let ended = self.tasks.join_next().await;
        self.take(ended, feed)
    }

    fn take(
        &mut self,
        ended: Option<Result<Result<(Part, Bytes)>, JoinError>>,
        feed: &mut Feed,
    ) -> Result<(), Failure> {
        match ended {
            Some(Ok(part)) => {
                let (part, data) = part?;
                self.done.push(part);
                feed.recycle(data);
            }
            Some(Err(source)) => {
                return Err(Failure::Store(ended_early().with_source(source)));
            }
            None => {}
        }
        Ok(())
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut self.tasks);
        if let (Some(session), Ok(runtime)) = (self.session.take(), Handle::try_current()) {
            runtime.spawn(session.abandon(tasks));
        }
    }
}
