//! What a tap tells about its connection, and what it is told to look for.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counts::TapCounts;
use super::tag::CommandTag;
use crate::close::CloseReason;

/// The state of a session as the server's answers tell it.
pub struct Wire {
    status: AtomicU8,
    in_flight: AtomicU32,
    /// An error is here whose `ReadyForQuery` is not.
    failing: AtomicBool,
    /// How many answers are due is not certain.
    in_doubt: AtomicBool,
    /// The driver has given up a `COPY`, and the server has not said so.
    gives_up_copy: AtomicBool,
    /// The stream did not take what it was given last.
    blocked: AtomicBool,
    digesting: AtomicBool,
    /// A caller has the connection.
    lent: AtomicBool,
    /// That caller has a `last`.
    told: AtomicBool,
    last: Mutex<Option<CommandTag>>,
    counts: TapCounts,
    backend_pid: AtomicI32,
    lookups: Mutex<Vec<Lookup>>,
    statements: Statements,
    resets: Resets,
}

/// What the statements of a session have done to it.
#[derive(Debug, Default)]
struct Statements {
    /// Whether anybody wants to know.
    watched: AtomicBool,
    touched: AtomicBool,
    /// Statements of the caller's that are prepared.
    prepared: AtomicU32,
}

/// Resets that go in front of the first query of a session.
#[derive(Debug, Default)]
struct Resets {
    /// What is to come next from the driver, before anything else.
    expected: Mutex<VecDeque<Arc<str>>>,
    /// The length of `expected`.
    due: AtomicU32,
    /// Those that the server has not answered, sent or not.
    unanswered: AtomicU32,
    answered: AtomicU32,
    /// A [`Broken`], or zero.
    broken: AtomicU8,
}

/// Why a connection must not deliver another answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Broken {
    ResetFailed = 1,
    ResetTimedOut,
    ResetLeftTransaction,
    /// Something of the session before went out ahead of the reset.
    Overtaken,
    /// The server ended the session.
    ServerGone,
    /// The server's answers do not match what was asked.
    OutOfStep,
}

impl Broken {
    const ALL: [Self; 6] = [
        Self::ResetFailed,
        Self::ResetTimedOut,
        Self::ResetLeftTransaction,
        Self::Overtaken,
        Self::ServerGone,
        Self::OutOfStep,
    ];
}

impl From<Broken> for CloseReason {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::ResetFailed => Self::ResetFailed,
            Broken::ResetTimedOut => Self::ResetTimedOut,
            Broken::ResetLeftTransaction => Self::ResetLeftTransaction,
            Broken::Overtaken => Self::QueryInFlight,
            Broken::ServerGone => Self::ServerGone,
            Broken::OutOfStep => Self::OutOfStep,
        }
    }
}

/// The error of a stream that the tap has broken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Poisoned(pub(crate) CloseReason);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("status", &self.status())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// The transaction status by the server's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionStatus {
    /// Not in a transaction.
    Idle,
    /// In a transaction.
    InTransaction,
    /// In a transaction that failed.
    Failed,
    /// The server has not said yet: after an error it says so a little later.
    Unknown,
}

impl Wire {
    pub(super) fn new() -> Self {
        Self {
            status: AtomicU8::new(0),
            in_flight: AtomicU32::new(0),
            failing: AtomicBool::new(false),
            in_doubt: AtomicBool::new(false),
            gives_up_copy: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            digesting: AtomicBool::new(false),
            lent: AtomicBool::new(false),
            told: AtomicBool::new(false),
            last: Mutex::new(None),
            counts: TapCounts::default(),
            backend_pid: AtomicI32::new(0),
            lookups: Mutex::new(Vec::new()),
            statements: Statements::default(),
            resets: Resets::default(),
        }
    }

    /// The transaction status by the server's last word.
    #[must_use]
    #[inline]
    pub fn status(&self) -> TransactionStatus {
        match self.status.load(Ordering::Acquire) {
            b'I' => TransactionStatus::Idle,
            b'T' => TransactionStatus::InTransaction,
            b'E' => TransactionStatus::Failed,
            _ => TransactionStatus::Unknown,
        }
    }

    /// How many requests the server has not answered to the end.
    ///
    /// Statements that are being closed do not count, nor does a request of which only
    /// the `ReadyForQuery` after an error is missing, nor a reset of the pool's: nothing of
    /// the session's runs for those.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Whether the session is in a transaction, failed or not, in which nothing runs.
    #[must_use]
    pub fn is_idle_in_transaction(&self) -> bool {
        let status = self.status();
        let open = [TransactionStatus::InTransaction, TransactionStatus::Failed];
        self.in_flight() == 0 && open.contains(&status)
    }

    /// What callers have done on the connection.
    #[must_use]
    pub fn counts(&self) -> &TapCounts {
        &self.counts
    }

    /// The command of the last statement that ended without an error, of the caller who has
    /// the connection, or who had it last.
    #[must_use]
    pub fn last_command(&self) -> Option<CommandTag> {
        let last = || *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.told.load(Ordering::Acquire).then(last).flatten()
    }

    /// The number of the backend's process, as `pg_stat_activity` shows it. Zero until the
    /// server has told it.
    #[must_use]
    pub fn backend_pid(&self) -> i32 {
        self.backend_pid.load(Ordering::Relaxed)
    }

    pub(super) fn set_backend_pid(&self, key: &[u8]) {
        if let Ok(pid) = key.try_into() {
            let pid = i32::from_be_bytes(pid);
            self.backend_pid.store(pid, Ordering::Relaxed);
        }
    }

    pub(super) fn set_last_command(&self, command: Option<CommandTag>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = command;
        self.told.store(true, Ordering::Release);
    }

    /// What goes out from now on is a caller's.
    #[inline]
    pub(crate) fn lend(&self) {
        self.told.store(false, Ordering::Relaxed);
        self.lent.store(true, Ordering::Release);
    }

    /// What goes out from now on is the pool's.
    #[inline]
    pub(crate) fn take_back(&self) {
        self.lent.store(false, Ordering::Release);
    }

    pub(super) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, status: u8, failing: bool, in_flight: u32) {
        self.failing.store(failing, Ordering::Release);
        self.status.store(status, Ordering::Release);
        self.in_flight.store(in_flight, Ordering::Release);
    }

    /// Whether the server has said that a request failed, and not yet that it is over.
    #[inline]
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// Whether more answers may come than the tap knows of: a `COPY` to the server failed,
    /// perhaps before the server had skipped the `Sync` that was sent with the statement. A
    /// simple query settles it: where its answer is not what comes, the tap breaks the
    /// connection.
    #[inline]
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Acquire)
    }

    pub(super) fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Release);
    }

    pub(crate) fn settle_doubt(&self) {
        self.in_doubt.store(false, Ordering::Release);
    }

    pub(crate) fn gives_up_copy(&self) -> bool {
        self.gives_up_copy.load(Ordering::Acquire)
    }

    pub(super) fn set_gives_up_copy(&self, gives_up: bool) {
        self.gives_up_copy.store(gives_up, Ordering::Release);
    }

    /// Whether the driver may have more to send than has gone through the tap, or has answers
    /// in hand that it cannot give to whoever asked: it asks for more as soon as it can, and
    /// does nothing else for anybody before.
    #[inline]
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire) || self.digesting.load(Ordering::Acquire)
    }

    pub(super) fn set_digesting(&self, digesting: bool) {
        self.digesting.store(digesting, Ordering::Release);
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Release);
    }

    /// Has statements read from now on.
    pub(crate) fn watch_statements(&self) {
        self.statements.watched.store(true, Ordering::Release);
    }

    pub(super) fn watches_statements(&self) -> bool {
        self.statements.watched.load(Ordering::Relaxed)
    }

    pub(super) fn touch(&self) {
        self.statements.touched.store(true, Ordering::Release);
    }

    pub(super) fn prepared(&self) {
        self.statements.prepared.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn closed(&self) {
        let less = |prepared: u32| prepared.checked_sub(1);
        let prepared = &self.statements.prepared;
        let _ = prepared.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// Whether a statement may have changed the state of the session since it was reset.
    pub(crate) fn is_touched(&self) -> bool {
        self.statements.touched.load(Ordering::Acquire)
            || self.statements.prepared.load(Ordering::Acquire) > 0
    }

    /// The session has been reset.
    pub(crate) fn is_reset(&self) {
        self.statements.touched.store(false, Ordering::Release);
        self.statements.prepared.store(0, Ordering::Release);
    }

    /// Says that these resets are what the driver sends next. Whatever comes before them
    /// breaks the connection, and so does one that fails.
    pub(crate) fn expect_resets(&self, resets: impl IntoIterator<Item = Arc<str>>) {
        let mut expected = self.expected();
        let before = expected.len();
        expected.extend(resets);
        let more = u32::try_from(expected.len() - before).unwrap_or(u32::MAX);
        self.resets.unanswered.fetch_add(more, Ordering::AcqRel);
        self.resets.due.fetch_add(more, Ordering::AcqRel);
    }

    pub(super) fn expects_reset(&self) -> bool {
        self.resets.due.load(Ordering::Relaxed) > 0
    }

    /// Compares what the driver has sent with what was to come, and goes on to the next.
    pub(super) fn reset_sent(&self, query: &[u8]) {
        let expected = self.expected().pop_front();
        self.resets.due.fetch_sub(1, Ordering::AcqRel);
        if expected.is_none_or(|expected| expected.as_bytes() != query) {
            self.break_off(Broken::Overtaken);
        }
    }

    pub(super) fn reset_answered(&self) {
        self.resets.unanswered.fetch_sub(1, Ordering::AcqRel);
        self.resets.answered.fetch_add(1, Ordering::AcqRel);
    }

    /// How many resets in front the server has not answered.
    #[inline]
    pub(crate) fn resets(&self) -> u32 {
        self.resets.unanswered.load(Ordering::Acquire)
    }

    /// A number that changes with each answer to a reset in front.
    pub(crate) fn resets_answered(&self) -> u32 {
        self.resets.answered.load(Ordering::Acquire)
    }

    /// Lets no other answer through. The first reason stands.
    pub(crate) fn break_off(&self, why: Broken) {
        let broken = &self.resets.broken;
        let _ = broken.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
    }

    #[inline]
    pub(crate) fn is_broken(&self) -> bool {
        self.resets.broken.load(Ordering::Acquire) != 0
    }

    /// Why no answer comes through anymore.
    pub(crate) fn broken(&self) -> Option<CloseReason> {
        let broken = self.resets.broken.load(Ordering::Acquire);
        let of = Broken::ALL.into_iter().find(|it| *it as u8 == broken)?;
        Some(of.into())
    }

    fn expected(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        let expected = self.resets.expected.lock();
        expected.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lookups(&self) -> MutexGuard<'_, Vec<Lookup>> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// SQL that prepares again what the driver has prepared for itself, where it has.
    ///
    /// The driver looks up types that it does not know with statements that it prepares
    /// once for each connection. A reset that deallocates them would break every later
    /// lookup on the connection.
    pub(crate) fn prepare_lookups_again(&self) -> Option<String> {
        let lookups = self.lookups();
        if lookups.is_empty() {
            return None;
        }
        let mut sql = String::new();
        for Lookup { name, query } in &*lookups {
            let name = name.replace('"', "\"\"");
            sql.extend(["PREPARE \"", &name, "\" AS ", query, ";\n"]);
        }
        Some(sql)
    }
}

/// A statement that the driver has prepared for itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) name: String,
    pub(super) query: String,
}

impl Lookup {
    /// Reads the body of a `Parse` message; none where it is not one of the driver's own.
    pub(super) fn from_parse(body: &[u8]) -> Option<Self> {
        let mut parts = body.splitn(3, |byte| *byte == 0);
        let (name, query, types) = (parts.next()?, parts.next()?, parts.next()?);
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())?;
        let query = std::str::from_utf8(query).ok()?;
        let own = ["pg_type t\n", "pg_enum\n", "pg_attribute\n"]
            .iter()
            .any(|table| query.contains(&format!("\nFROM pg_catalog.{table}")));
        (own && types == [0, 0]).then(|| Self {
            name: name.to_owned(),
            query: query.to_owned(),
        })
    }
}
