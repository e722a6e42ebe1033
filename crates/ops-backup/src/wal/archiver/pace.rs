//! Taking WAL in large pieces.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use ops_pg_replication::{Lsn, WalEvent, WalStream};
use tokio::time::Instant;

use super::{ArchiverOptions, CommitMode};

/// How long what the server sends waits in the socket at most, once all before it was taken.
///
/// A server sends each commit by itself, as soon as it is flushed. Who takes it at once is
/// woken for each commit, and so is everything behind it, at the expense of the workload.
/// Where the socket is full, what comes next leaves the server in messages of 128 KiB.
const REST: Duration = Duration::from_millis(100);

/// A rest is at most this part of the time that WAL waits for a part anyway.
const REST_OF_INTERVAL: u32 = 4;

/// How much WAL is handed on at once.
const BATCH_BYTES: usize = 256 << 10;

/// When to look into the socket again.
#[derive(Debug)]
pub(super) struct Pace {
    rest: Duration,
    until: Option<Instant>,
}

impl Pace {
    /// Where commits wait for the archive, it does not rest.
    pub(super) fn new(options: &ArchiverOptions) -> Self {
        let rest = match options.commits {
            CommitMode::Synchronous => Duration::ZERO,
            CommitMode::Asynchronous => REST.min(options.part_interval / REST_OF_INTERVAL),
        };
        Self { rest, until: None }
    }

    /// Waits until it is time to look. The future may be dropped, and waits for the same
    /// moment again.
    pub(super) async fn rest(&self) {
        if let Some(until) = self.until {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Rests where there is nothing more to take. A server that is ahead is followed
    /// without a rest.
    pub(super) fn taken(&mut self, gathered: &Gathered) {
        let is_behind = gathered
            .reached
            .is_some_and(|(end, server_end)| end < server_end);
        let rests = !self.rest.is_zero() && gathered.is_drained && !is_behind;
        self.until = rests.then(|| Instant::now() + self.rest);
    }
}

/// What had come.
#[derive(Debug)]
pub(super) struct Gathered {
    /// WAL, each piece after the one before it.
    pub(super) wal: Vec<Bytes>,
    /// Where it ends, and up to where the server has more; `None` without WAL.
    pub(super) reached: Option<(Lsn, Lsn)>,
    /// What came after it.
    pub(super) then: Option<ops_core::Result<WalEvent>>,
    /// Whether that was all that had come.
    is_drained: bool,
}

/// Takes what has come after an event, without waiting, up to what is handed on at once.
pub(super) fn gather(stream: &mut WalStream, first: WalEvent) -> Gathered {
    let mut gathered = Gathered {
        wal: Vec::new(),
        reached: None,
        then: None,
        is_drained: false,
    };
    let mut bytes = 0;
    let mut next = Some(Ok(first));
    while let Some(event) = next {
        match event {
            Ok(WalEvent::Wal {
                start,
                server_end,
                data,
                ..
            }) => {
                bytes += data.len();
                let end = start.saturating_add(data.len() as u64);
                gathered.reached = Some((end, server_end));
                gathered.wal.push(data);
            }
            other => {
                // More may have come, but a server that asks again and again needs no
                // answer without a rest, either.
                gathered.is_drained = true;
                gathered.then = Some(other);
                return gathered;
            }
        }
        if bytes >= BATCH_BYTES {
            return gathered;
        }
        // The budget of a task makes a stream look empty that is not.
        next = tokio::task::unconstrained(stream.next()).now_or_never();
    }
    gathered.is_drained = true;
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(commits: CommitMode, part_interval: Duration) -> Pace {
        let options = ArchiverOptions::new()
            .with_commits(commits)
            .with_part_interval(part_interval);
        Pace::new(&options)
    }

    fn gathered(server_end: u64, is_drained: bool) -> Gathered {
        Gathered {
            wal: Vec::new(),
            reached: Some((Lsn::new(100), Lsn::new(server_end))),
            then: None,
            is_drained,
        }
    }

    async fn rested(pace: &Pace) -> Duration {
        let begun = Instant::now();
        pace.rest().await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rests_once_all_was_taken_and_no_longer_where_a_wait_is_given_up() {
        let mut pace = pace(CommitMode::Asynchronous, Duration::from_secs(10));
        assert_eq!(rested(&pace).await, Duration::ZERO);
        pace.taken(&gathered(100, true));
        let given_up = tokio::time::timeout(Duration::from_millis(60), pace.rest());
        assert!(given_up.await.is_err());
        assert_eq!(rested(&pace).await, Duration::from_millis(40));
        assert_eq!(rested(&pace).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_ahead_is_followed_without_a_rest() {
        let mut pace = pace(CommitMode::Asynchronous, Duration::from_secs(10));
        for (server_end, is_drained) in [(101, true), (100, false), (101, false)] {
            pace.taken(&gathered(100, true));
            pace.taken(&gathered(server_end, is_drained));
            assert_eq!(rested(&pace).await, Duration::ZERO, "{server_end}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_commits_wait_it_never_rests_and_before_parts_that_are_due_soon_not_for_long() {
        let mut synchronous = pace(CommitMode::Synchronous, Duration::from_secs(10));
        synchronous.taken(&gathered(100, true));
        assert_eq!(rested(&synchronous).await, Duration::ZERO);
        let mut frequent = pace(CommitMode::Asynchronous, Duration::from_millis(200));
        frequent.taken(&gathered(100, true));
        assert_eq!(rested(&frequent).await, Duration::from_millis(50));
    }
}
