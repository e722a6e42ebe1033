//! Telling the server how far the receiver is, whatever the receiver is busy with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use ops_core::{Clock, Error, ErrorKind, Result, Timestamp};
use postgres_protocol::message::frontend;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::StatusUpdate;
use crate::connection::Writer;
use crate::error::invalid_input;
use crate::lsn::Lsn;

const STEP: &str = "reporting to the server";

/// 2000-01-01 in microseconds since 1970-01-01.
const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Reports for a [`WalStream`](super::WalStream) from another task. Clones report for the
/// same stream.
#[derive(Clone, Debug)]
pub struct StatusReporter {
    shared: Arc<Shared>,
}

impl StatusReporter {
    pub(super) fn new(start: Lsn) -> Self {
        let state = State {
            received: start,
            write: Lsn::INVALID,
            flush: Lsn::INVALID,
            asks: false,
            ends: false,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                wake: Notify::new(),
            }),
        }
    }

    /// Tells the server at once how far the receiver is. A position that is lower than one
    /// that was reported before is ignored, and so is a report after the end of the stream.
    ///
    /// # Errors
    /// `InvalidInput` for a position that the stream has not handed out.
    pub fn report(&self, status: StatusUpdate) -> Result<()> {
        let mut state = self.shared.state();
        if status.write.max(status.flush) > state.received {
            return Err(invalid_input("the report is ahead of the stream"));
        }
        let flush = state.flush.max(status.flush);
        let write = state.write.max(status.write).max(flush);
        if (write, flush) != (state.write, state.flush) {
            (state.write, state.flush) = (write, flush);
            self.shared.wake.notify_one();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug)]
struct State {
    /// The end of what was handed out, or the position that was asked for.
    received: Lsn,
    write: Lsn,
    flush: Lsn,
    /// Whether the server is to be asked for a sign of life.
    asks: bool,
    /// Whether to end our side of the stream.
    ends: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.wake.notify_one();
    }
}

/// Writes reports in a task of its own, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Reports {
    shared: Arc<Shared>,
    task: JoinHandle<Result<Writer>>,
}

impl Reports {
    /// Begins to send what a reporter is told.
    pub(super) fn start(
        writer: Writer,
        reporter: &StatusReporter,
        interval: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shared = Arc::clone(&reporter.shared);
        let task = tokio::spawn(run(writer, Arc::clone(&shared), interval, clock));
        Self { shared, task }
    }

    pub(super) fn received(&self, end: Lsn) {
        self.shared.state().received = end;
    }

    /// Answers the server's demand for a report.
    pub(super) fn answer(&self) {
        self.shared.wake.notify_one();
    }

    /// Asks the server for a sign of life.
    pub(super) fn ask(&self) {
        self.shared.wake_with(|state| state.asks = true);
    }

    /// Sends a last report and ends our side of the stream.
    pub(super) fn end(&self) {
        self.shared.wake_with(|state| state.ends = true);
    }

    /// Waits for the task: the sending end after [`end`](Self::end), or the error that it
    /// failed with. Not to be called again once it has returned.
    pub(super) async fn finished(&mut self) -> Result<Writer> {
        match (&mut self.task).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                "the runtime that reports to the server is shutting down",
            )),
        }
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    mut writer: Writer,
    shared: Arc<Shared>,
    interval: Duration,
    clock: Arc<dyn Clock>,
) -> Result<Writer> {
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = BytesMut::new();
    loop {
        tokio::select! {
            () = shared.wake.notified() => tick.reset(),
            _ = tick.tick() => {}
        }
        let (write, flush, asks, ends) = {
            let mut state = shared.state();
            let asks = std::mem::take(&mut state.asks);
            (state.write, state.flush, asks, state.ends)
        };
        buffer.clear();
        status_update(write, flush, clock.now(), asks, &mut buffer);
        if ends {
            frontend::copy_done(&mut buffer);
        }
        writer.send(&buffer, STEP).await?;
        if ends {
            return Ok(writer);
        }
    }
}

/// A standby status update. A receiver that does not replay has applied nothing.
fn status_update(write: Lsn, flush: Lsn, now: Timestamp, asks: bool, buffer: &mut BytesMut) {
    buffer.put_u8(b'd');
    // The length counts itself.
    buffer.put_u32(4 + 1 + 8 + 8 + 8 + 8 + 1);
    buffer.put_u8(b'r');
    buffer.put_u64(write.as_u64());
    buffer.put_u64(flush.as_u64());
    buffer.put_u64(Lsn::INVALID.as_u64());
    let micros = now.unix_millis().saturating_mul(1000);
    buffer.put_i64(micros.saturating_sub(PG_EPOCH_MICROS));
    buffer.put_u8(u8::from(asks));
}

/// An instant of the server's, in microseconds since 2000-01-01.
pub(super) fn instant(micros: i64) -> Timestamp {
    let since_1970 = micros.saturating_add(PG_EPOCH_MICROS);
    let span = Duration::from_micros(since_1970.unsigned_abs());
    if since_1970 < 0 {
        Timestamp::UNIX_EPOCH.saturating_sub(span)
    } else {
        Timestamp::UNIX_EPOCH.saturating_add(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_laid_out_as_the_manual_says() {
        let mut buffer = BytesMut::new();
        let now = "2000-01-01T00:00:01Z".parse().unwrap();
        status_update(Lsn::new(2), Lsn::new(1), now, true, &mut buffer);
        let mut expected = vec![b'd', 0, 0, 0, 38, b'r'];
        for number in [2_u64, 1, 0, 1_000_000] {
            expected.extend_from_slice(&number.to_be_bytes());
        }
        expected.push(1);
        assert_eq!(&buffer[..], expected);
    }

    #[test]
    fn no_instant_of_a_server_is_out_of_range() {
        assert_eq!(instant(1_500).to_string(), "2000-01-01T00:00:00.0015Z");
        assert_eq!(instant(-PG_EPOCH_MICROS), Timestamp::UNIX_EPOCH);
        assert!(instant(i64::MIN) < Timestamp::UNIX_EPOCH);
        assert!(instant(i64::MAX) > Timestamp::UNIX_EPOCH);
    }
}
