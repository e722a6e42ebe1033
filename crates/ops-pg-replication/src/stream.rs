//! Streams of WAL.
//!
//! Facts: PostgreSQL's manual, section "Streaming Replication Protocol", and
//! `walsender.c`: the end of a timeline is a `CopyDone`, a row and two `CommandComplete`;
//! an orderly shutdown is a `CommandComplete` within the stream, when all has been sent.

mod event;
mod message;
mod receive;
mod status;

use std::sync::Arc;
use std::time::Duration;

use ops_core::{Error, Result};

pub use event::{NextTimeline, StartReplication, StatusUpdate, WalEvent};
pub use status::StatusReporter;

use crate::client::ReplicationClient;
use crate::connection::Connection;
use crate::error::{invalid_input, nothing_applied, protocol};
use crate::lsn::Lsn;
use crate::wire::Message;
use status::Reports;

const STEP: &str = "streaming WAL";

/// The least time between reports that nobody asked for.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// A stream of WAL.
///
/// A task of its own reports to the server: as often as it expects, at once where it asks
/// for it, and at once on [`report`](Self::report), however busy the caller is. It runs on
/// the runtime that [`ReplicationClient::start_replication`] was called on; on a runtime of
/// one thread it cannot run while that thread computes.
///
/// The task ends when this is dropped, and the connection is closed. Connecting again is
/// for the caller: from the end of what it has, on the timeline of that position.
#[derive(Debug)]
pub struct WalStream {
    connection: Connection,
    /// `None` once our side of the stream has ended.
    reports: Option<Reports>,
    reporter: StatusReporter,
    /// The end of what was handed out.
    position: Lsn,
    phase: Phase,
    /// Whether the server has been asked for a sign of life since the last one.
    has_asked: bool,
    /// Why reports cannot be sent any more.
    report_failure: Option<Error>,
    next: Option<NextTimeline>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Streaming,
    /// One side has ended the stream, or both.
    Closing {
        server_done: bool,
    },
    /// The stream is over, and the connection can be used again.
    Over,
    /// So it is, and it cannot.
    Dead,
}

impl WalStream {
    pub(crate) async fn begin(
        mut client: ReplicationClient,
        start: StartReplication,
    ) -> Result<Self> {
        const STEP: &str = "beginning to stream WAL";
        let interval = interval(&mut client, start.status_interval).await?;
        let mut connection = client.connection;
        connection
            .command(&command(&start), STEP)
            .await
            .map_err(nothing_applied)?;
        let limit = connection.command_timeout;
        let message = connection.expect(limit, STEP).await;
        let phase = match message.map_err(nothing_applied)? {
            Message::CopyBoth => Phase::Streaming,
            // The position is the end of a timeline that the server has left: there is
            // nothing to send but where it goes on.
            Message::Columns(_) => Phase::Closing { server_done: true },
            other => return Err(other.unexpected(STEP)),
        };
        let reporter = StatusReporter::new(start.position);
        let writer = connection.writer.take_if(|_| phase == Phase::Streaming);
        let clock = Arc::clone(&connection.clock);
        let reports = writer.map(|writer| Reports::start(writer, &reporter, interval, clock));
        Ok(Self {
            connection,
            reports,
            reporter,
            position: start.position,
            phase,
            has_asked: false,
            report_failure: None,
            next: None,
        })
    }

    /// What comes next. After [`WalEvent::TimelineEnded`], [`WalEvent::ServerStopped`] or an
    /// error it fails with `InvalidInput`.
    ///
    /// WAL comes as slices of a read buffer of 512 KiB, at most 128 KiB each: whoever keeps
    /// one for long keeps its whole buffer.
    ///
    /// # Errors
    /// `Timeout` with [`Failure::Silent`](crate::Failure::Silent) where the server says
    /// nothing for the silence timeout, although it was asked to after half of it;
    /// `Unavailable` where the connection broke; `NotFound` with
    /// [`Failure::WalRemoved`](crate::Failure::WalRemoved); `Integrity` with
    /// [`Failure::OutOfSequence`](crate::Failure::OutOfSequence) for WAL that does not
    /// follow on what came before; `Decode` with
    /// [`Failure::Protocol`](crate::Failure::Protocol) for what is not the protocol.
    ///
    /// # Cancel safety
    /// Nothing is lost where the future is dropped.
    pub async fn next(&mut self) -> Result<WalEvent> {
        if matches!(self.phase, Phase::Over | Phase::Dead) {
            return Err(invalid_input("the stream of WAL is over"));
        }
        let outcome = self.advance().await;
        if outcome.is_err() {
            self.phase = Phase::Dead;
            self.reports = None;
        }
        outcome.map_err(nothing_applied)
    }

    /// Tells the server at once how far the receiver is. A position that is lower than one
    /// that was reported before is ignored.
    ///
    /// # Errors
    /// `InvalidInput` for a position that the stream has not handed out.
    pub fn report(&self, status: StatusUpdate) -> Result<()> {
        self.reporter.report(status)
    }

    /// What can report from another task.
    pub fn reporter(&self) -> StatusReporter {
        self.reporter.clone()
    }

    /// The position after the last byte that was handed out.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// Ends the stream after a last report, and gives the connection back for the next
    /// command. WAL that is on its way is dropped.
    ///
    /// After [`WalEvent::TimelineEnded`] this is how to go on: ask for the
    /// [history](ReplicationClient::timeline_history), then start on the next timeline.
    ///
    /// # Errors
    /// As [`next`](Self::next); `InvalidInput` after an error or after
    /// [`WalEvent::ServerStopped`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn stop(mut self) -> Result<ReplicationClient> {
        if self.phase == Phase::Streaming {
            self.end_reports();
            self.phase = Phase::Closing { server_done: false };
        }
        while let Phase::Closing { .. } = self.phase {
            self.close().await.map_err(nothing_applied)?;
        }
        match self.phase {
            Phase::Over => Ok(ReplicationClient {
                connection: self.connection,
            }),
            _ => Err(invalid_input("the connection has ended with the stream")),
        }
    }

    fn end_reports(&self) {
        if let Some(reports) = &self.reports {
            reports.end();
        }
    }
}

/// How often to report: as often as the caller wants, and three times within the time
/// after which the server gives a silent receiver up.
async fn interval(client: &mut ReplicationClient, wanted: Duration) -> Result<Duration> {
    let setting = client.show("wal_sender_timeout").await?;
    let timeout = message::duration(&setting)
        .ok_or_else(|| protocol("wal_sender_timeout is not understood"))?;
    let most = if timeout.is_zero() {
        wanted
    } else {
        timeout / 3
    };
    Ok(wanted.min(most).max(MIN_INTERVAL))
}

fn command(start: &StartReplication) -> String {
    let slot = start.slot.as_ref();
    let slot = slot.map_or_else(String::new, |slot| format!("SLOT \"{slot}\" "));
    let timeline = start.timeline;
    let timeline = timeline.map_or_else(String::new, |timeline| format!(" TIMELINE {timeline}"));
    format!(
        "START_REPLICATION {slot}PHYSICAL {}{timeline}",
        start.position
    )
}

#[cold]
fn unfinished() -> Error {
    protocol("the server ended the stream without saying where the log goes on")
}
