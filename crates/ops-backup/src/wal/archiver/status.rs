//! What the archiver is doing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, SystemId, Timeline};
use tokio::time::Instant;

use super::super::gap::GapRecord;
use crate::error::{Error, ErrorKind};

/// How many marks of received WAL are kept.
const MAX_MARKS: usize = 512;

/// What the archiver is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ArchiverState {
    /// It has not begun, or has ended.
    #[default]
    Idle,
    /// Another process archives this cluster; it waits for that one to be gone.
    WaitingForLease,
    /// It connects to the server.
    Connecting,
    /// It streams.
    Streaming,
    /// Something failed; it will try again.
    Retrying,
    /// It has ended with an error that trying again does not help against.
    Failed,
}

/// What the server says of the slot.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SlotHealth {
    /// `wal_status`: `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: String,
    /// `safe_wal_size`: how much more may be written before the slot is in danger, in
    /// bytes; `None` where the server sets no limit.
    pub safe_wal_size: Option<i64>,
    /// How much WAL the slot keeps, in bytes.
    pub retained_bytes: u64,
    /// How much room the server has left, in bytes, where that is known.
    pub free_disk: Option<u64>,
}

/// The archiver at one moment.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct ArchiverStatus {
    /// What it is doing.
    pub state: ArchiverState,
    /// The cluster.
    pub system_id: Option<SystemId>,
    /// The timeline that it streams.
    pub timeline: Option<Timeline>,
    /// Up to where the server has WAL, as far as it said.
    pub server_end: Option<Lsn>,
    /// Up to where it was received.
    pub received: Option<Lsn>,
    /// Up to where it is durable in the store.
    pub durable: Option<Lsn>,
    /// How much of the server's WAL is not durable in the store yet, in bytes.
    pub lag_bytes: u64,
    /// For how long the oldest received WAL has been waiting to be durable in the store;
    /// zero where none waits.
    pub lag: Duration,
    /// The newest commit that is durable in the store. What was committed later is lost
    /// with the server.
    pub newest_durable_commit: Option<Timestamp>,
    /// Segments stored since it began.
    pub segments: u64,
    /// Parts stored since it began.
    pub parts: u64,
    /// Bytes stored since it began.
    pub stored_bytes: u64,
    /// Pages and records of WAL that could not be read since it began. They are archived
    /// as they came.
    pub unreadable: u64,
    /// Connections since it began.
    pub connections: u64,
    /// Uploads that had to be tried again since it began.
    pub retried_uploads: u64,
    /// Gaps that were written down since it began.
    pub gaps: Vec<GapRecord>,
    /// Whether a base backup is needed, because of a gap or because the archive is new.
    pub base_backup_needed: bool,
    /// What the server says of the slot; `None` where it cannot be asked.
    pub slot: Option<SlotHealth>,
    /// The last error, while it is not overcome.
    pub last_error: Option<String>,
    /// What it is doing for the second store, where there is one; all else is of the first.
    pub second: Option<Box<Self>>,
}

impl ArchiverStatus {
    /// Up to where WAL is durable in all stores: what the server may let go of.
    #[must_use]
    pub fn durable_everywhere(&self) -> Option<Lsn> {
        match &self.second {
            Some(second) => Some(self.durable?.min(second.durable?)),
            None => self.durable,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    status: ArchiverStatus,
    /// Ends of received WAL, with when it was received.
    marks: VecDeque<(Lsn, Instant)>,
}

/// The status while it changes.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// That of the second store.
    second: Option<Arc<Self>>,
}

impl Shared {
    pub(crate) fn beside(second: Option<Arc<Self>>) -> Self {
        Self {
            state: Mutex::default(),
            second,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut ArchiverStatus)) {
        change(&mut self.lock().status);
    }

    pub(crate) fn set_state(&self, state: ArchiverState) {
        self.update(|status| status.state = state);
    }

    pub(crate) fn failed(&self, error: &Error) {
        let text = ops_core::Report(error).to_string();
        tracing::warn!(error = %text, "the archiver tries again");
        self.update(|status| {
            status.state = ArchiverState::Retrying;
            status.last_error = Some(text);
        });
    }

    /// It will not try again.
    pub(crate) fn ended(&self, error: &Error) {
        let text = ops_core::Report(error).to_string();
        tracing::error!(error = %text, "the archiver has ended");
        self.update(|status| {
            status.state = ArchiverState::Failed;
            status.last_error = Some(text);
        });
    }

    /// What was received until now is not what the next session receives.
    pub(crate) fn begin_stream(&self, timeline: Timeline, durable: Lsn, commit: Option<Timestamp>) {
        let mut state = self.lock();
        state.marks.clear();
        state.status.state = ArchiverState::Streaming;
        state.status.timeline = Some(timeline);
        state.status.durable = Some(durable);
        state.status.newest_durable_commit = commit;
        state.status.last_error = None;
        state.status.connections += 1;
    }

    pub(crate) fn received(&self, end: Lsn, server_end: Lsn) {
        let mut state = self.lock();
        state.status.received = Some(end);
        state.status.server_end = Some(server_end.max(end));
        if state.status.durable.is_some_and(|durable| end <= durable) {
            return;
        }
        state.marks.push_back((end, Instant::now()));
        if state.marks.len() > MAX_MARKS {
            // The older half is known at half the resolution from now on. Of two marks the
            // later end stays with the earlier time: the lag is never made smaller.
            let pairs: Vec<_> = state.marks.drain(..MAX_MARKS / 2).collect();
            let merged = pairs
                .chunks(2)
                .rev()
                .filter_map(|pair| Some((pair.last()?.0, pair.first()?.1)));
            let merged: Vec<_> = merged.collect();
            for mark in merged {
                state.marks.push_front(mark);
            }
        }
    }

    pub(crate) fn server_end(&self, end: Lsn) {
        self.update(|status| status.server_end = Some(end));
    }

    /// Whether the server has WAL up to a position, as far as it said.
    pub(crate) fn server_is_past(&self, end: Lsn) -> bool {
        self.lock().status.server_end.is_some_and(|it| it >= end)
    }

    pub(crate) fn durable(&self, end: Lsn, commit: Option<Timestamp>) {
        let mut state = self.lock();
        state.status.durable = Some(end);
        if commit.is_some() {
            state.status.newest_durable_commit = commit;
        }
        while state.marks.front().is_some_and(|(mark, _)| *mark <= end) {
            state.marks.pop_front();
        }
    }

    pub(crate) fn snapshot(&self) -> ArchiverStatus {
        let state = self.lock();
        let mut status = state.status.clone();
        status.lag = state
            .marks
            .front()
            .map_or(Duration::ZERO, |(_, since)| since.elapsed());
        status.lag_bytes = match (status.server_end, status.durable) {
            (Some(server), Some(durable)) => server.saturating_distance_from(durable),
            _ => 0,
        };
        status.second = self.second.as_ref().map(|it| Box::new(it.snapshot()));
        status
    }
}

/// The archiver that an engine has made last, as long as it is there.
#[derive(Debug, Default)]
pub(crate) struct Archiving(Mutex<Weak<Shared>>);

impl Archiving {
    pub(crate) fn watch(&self, shared: &Arc<Shared>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(shared);
    }

    /// What it is doing; `None` where there is none.
    pub(crate) fn status(&self) -> Option<ArchiverStatus> {
        let shared = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade();
        Some(shared?.snapshot())
    }
}

/// Whether trying again is of no use.
pub(crate) fn is_fatal(error: &Error, has_streamed: bool) -> bool {
    match error.kind() {
        ErrorKind::InvalidConfig
        | ErrorKind::InvalidInput
        | ErrorKind::WrongSystem
        | ErrorKind::Integrity
        | ErrorKind::UnknownFormat
        | ErrorKind::Fenced
        | ErrorKind::Internal => true,
        // A new primary may not admit us yet, and a credential may be rotated.
        ErrorKind::PermissionDenied
        | ErrorKind::Unauthenticated
        | ErrorKind::SourceSettings
        | ErrorKind::StoreDenied => !has_streamed,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_lag_is_the_age_of_the_oldest_wal_that_is_not_durable() {
        let shared = Shared::default();
        shared.begin_stream(Timeline::FIRST, Lsn::new(100), None);
        assert_eq!(shared.snapshot().lag, Duration::ZERO);
        shared.received(Lsn::new(200), Lsn::new(1000));
        tokio::time::advance(Duration::from_secs(3)).await;
        shared.received(Lsn::new(300), Lsn::new(1000));
        let status = shared.snapshot();
        assert_eq!(
            (status.lag, status.lag_bytes),
            (Duration::from_secs(3), 900)
        );
        shared.durable(Lsn::new(250), None);
        assert_eq!(shared.snapshot().lag, Duration::ZERO);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(shared.snapshot().lag, Duration::from_secs(1));
        shared.durable(Lsn::new(1000), None);
        let status = shared.snapshot();
        assert_eq!((status.lag, status.lag_bytes), (Duration::ZERO, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn marks_stay_bounded_and_never_make_the_lag_smaller() {
        let shared = Shared::default();
        shared.begin_stream(Timeline::FIRST, Lsn::new(0), None);
        for end in 1..=100_000 {
            shared.received(Lsn::new(end), Lsn::new(end));
            if end == 1 {
                tokio::time::advance(Duration::from_secs(5)).await;
            }
        }
        assert!(shared.lock().marks.len() <= MAX_MARKS);
        let ends: Vec<_> = shared.lock().marks.iter().map(|(end, _)| *end).collect();
        assert!(ends.is_sorted());
        assert_eq!(shared.snapshot().lag, Duration::from_secs(5));
    }
}
