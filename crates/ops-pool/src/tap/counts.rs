//! What callers do on a connection, counted.

use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Counters of one connection, since it was opened.
///
/// They are about what callers do in their sessions: what the pool asks for itself, such as
/// the login, resets and checks, is not in them.
#[derive(Debug, Default)]
pub struct TapCounts {
    transactions: AtomicU64,
    queries: AtomicU64,
    parses: AtomicU64,
    binds: AtomicU64,
    bytes_to_server: AtomicU64,
    bytes_from_server: AtomicU64,
    transaction_nanos: AtomicU64,
    query_nanos: AtomicU64,
}

impl TapCounts {
    /// The counters now. Each one is exact; they may be of moments that are a few
    /// instructions apart.
    #[must_use]
    pub fn snapshot(&self) -> TapCountsSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TapCountsSnapshot {
            transactions: read(&self.transactions),
            queries: read(&self.queries),
            parses: read(&self.parses),
            binds: read(&self.binds),
            bytes_to_server: read(&self.bytes_to_server),
            bytes_from_server: read(&self.bytes_from_server),
            transaction_time: Duration::from_nanos(read(&self.transaction_nanos)),
            query_time: Duration::from_nanos(read(&self.query_nanos)),
        }
    }
}

/// [`TapCounts`] at a moment. Those of several connections add up to those of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TapCountsSnapshot {
    /// Transactions that ended, also by an error, those of a single statement among them.
    pub transactions: u64,
    /// Queries that were answered to the end, also by an error: simple queries, function
    /// calls, and everything up to a `Sync` that is more than closing statements.
    pub queries: u64,
    /// Statements that were prepared, with a name or without one.
    pub parses: u64,
    /// Statements that were bound.
    pub binds: u64,
    /// Bytes of messages to the server, before encryption. PgBouncer's `received`.
    pub bytes_to_server: u64,
    /// Bytes of messages from the server, before encryption. PgBouncer's `sent`.
    pub bytes_from_server: u64,
    /// How long transactions took, from their first query until the server was ready after
    /// their last, with the time between their queries.
    pub transaction_time: Duration,
    /// For how long at least one query was not answered. Added when an answer is complete.
    pub query_time: Duration,
}

impl Add for TapCountsSnapshot {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            transactions: self.transactions.saturating_add(other.transactions),
            queries: self.queries.saturating_add(other.queries),
            parses: self.parses.saturating_add(other.parses),
            binds: self.binds.saturating_add(other.binds),
            bytes_to_server: self.bytes_to_server.saturating_add(other.bytes_to_server),
            bytes_from_server: self
                .bytes_from_server
                .saturating_add(other.bytes_from_server),
            transaction_time: self.transaction_time.saturating_add(other.transaction_time),
            query_time: self.query_time.saturating_add(other.query_time),
        }
    }
}

impl AddAssign for TapCountsSnapshot {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for TapCountsSnapshot {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// The tap's own side of the counters. It alone writes them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    now: TapCountsSnapshot,
    published: TapCountsSnapshot,
    /// Since when a query is unanswered.
    query: Option<Instant>,
    transaction: Option<Instant>,
}

impl Tally {
    pub(super) fn sent(&mut self, kind: u8, bytes: usize) {
        self.now.bytes_to_server += bytes as u64;
        self.now.parses += u64::from(kind == b'P');
        self.now.binds += u64::from(kind == b'B');
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.now.bytes_from_server += bytes as u64;
    }

    /// A query goes out.
    pub(super) fn asked(&mut self) {
        if self.query.is_none() {
            let now = Instant::now();
            self.query = Some(now);
            self.transaction.get_or_insert(now);
        }
    }

    /// The server is ready after a query, or after several of which this was the first.
    pub(super) fn answered(&mut self, status: u8, more: bool) {
        let now = Instant::now();
        self.now.queries += 1;
        if let Some(since) = self.query.take() {
            self.now.query_time += now - since;
        }
        self.ends_transaction(status, now);
        if more {
            self.query = Some(now);
            self.transaction.get_or_insert(now);
        }
    }

    /// The server is ready after something that no caller has asked for.
    pub(super) fn ready(&mut self, status: u8) {
        // Nearly always there is no transaction of a caller's to end.
        if self.transaction.is_some() && self.query.is_none() {
            self.ends_transaction(status, Instant::now());
        }
    }

    fn ends_transaction(&mut self, status: u8, now: Instant) {
        if status == b'I'
            && let Some(since) = self.transaction.take()
        {
            self.now.transactions += 1;
            self.now.transaction_time += now - since;
        }
    }

    pub(super) fn publish(&mut self, to: &TapCounts) {
        if self.now == self.published {
            return;
        }
        let write = |counter: &AtomicU64, value| counter.store(value, Ordering::Relaxed);
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let now = self.now;
        self.published = now;
        write(&to.transactions, now.transactions);
        write(&to.queries, now.queries);
        write(&to.parses, now.parses);
        write(&to.binds, now.binds);
        write(&to.bytes_to_server, now.bytes_to_server);
        write(&to.bytes_from_server, now.bytes_from_server);
        write(&to.transaction_nanos, nanos(now.transaction_time));
        write(&to.query_nanos, nanos(now.query_time));
    }
}
