//! The state that handles, sessions and tasks share, and how the core's actions are
//! carried out.
//!
//! There is one lock. Under it events are told to the core and tables are kept; whatever
//! can run foreign code (wakers, drops, spawns) happens after it has been released.

mod admin;
mod leak;
mod show;
#[cfg(test)]
mod shuttle_tests;
mod state;
mod stats;
mod time;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ops_core::Error;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock::Clock;
use crate::close::Released;
use crate::config::Config;
use crate::connect::classify;
use crate::core::{Core, Event, LaneId, Now, Refusal, ServerId, Settings, WaiterId};
use crate::driver::{self, Conn, Order};
use crate::error::{AcquireError, Holder};
use crate::histogram::TimingsSnapshot;
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::sync::{self, Mutex, MutexGuard};
use state::{Deferred, Effect, Reply};
use stats::Period;

pub(crate) use state::{Holding, State};

/// After how long those who wait are woken once, to set timers of their own.
pub(crate) const REMINDER: Duration = Duration::from_millis(5);

/// What handles, sessions and tasks share.
pub(crate) struct Shared {
    config: Config,
    clock: Clock,
    runtime: Handle,
    state: Mutex<State>,
    /// The timer has been set.
    rearm: Notify,
    stop: AtomicBool,
    period: Period,
    stopping: Notify,
    /// The last connection is gone of a pool that drains or is paused, the last outdated
    /// one is gone, or the pool is no longer paused.
    settled: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The answer to a caller.
pub(crate) enum Answer {
    Session(Box<Conn>),
    Wait(WaiterId),
}

impl Shared {
    /// Starts a pool: its timer, and the connections that it is to have at least.
    pub(crate) fn start(config: Config, settings: Settings, runtime: &Handle) -> Arc<Self> {
        let shared = Arc::new(Self {
            config,
            clock: Clock::start(),
            runtime: runtime.clone(),
            state: Mutex::new(State::new(Core::new(settings))),
            rearm: Notify::new(),
            stop: AtomicBool::new(false),
            period: Period::default(),
            stopping: Notify::new(),
            settled: Notify::new(),
        });
        shared.config.groups.join(&shared);
        sync::spawn(runtime, time::keep_time(Arc::clone(&shared)));
        sync::spawn(runtime, stats::watch(Arc::clone(&shared)));
        if let Some(threshold) = shared.config.leak_threshold {
            sync::spawn(runtime, leak::watch(Arc::clone(&shared), threshold));
        }
        shared.step(Event::Tick);
        shared
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    #[inline]
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        // No invariant of the tables can be broken half way: the lock is never held while
        // foreign code runs.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the core something that has no answer.
    pub(crate) fn step(self: &Arc<Self>, event: Event) {
        let now = self.now();
        let mut deferred = Deferred::default();
        self.lock().step(event, now, &mut deferred);
        self.finish(deferred);
    }

    /// A session that is at hand.
    #[inline]
    pub(crate) fn take_idle(self: &Arc<Self>, lane: LaneId, holding: &Holding) -> Option<Session> {
        let now = self.now();
        let granted = self.lock().grant(lane, holding, now);
        match granted? {
            (_, Some(conn)) if !conn.client.is_closed() => {
                return Some(Session::new(conn, Arc::clone(self), holding.task));
            }
            (server, broken) => self.give_up(server, broken, now),
        }
        None
    }

    /// It broke, and its task has not got round to saying so.
    #[cold]
    fn give_up(self: &Arc<Self>, server: ServerId, broken: Option<Box<Conn>>, now: Now) {
        let mut deferred = Deferred::default();
        self.lock().give_up(server, broken, now, &mut deferred);
        self.finish(deferred);
    }

    /// Asks for a session where none is at hand. Whoever is to wait is woken by `waker`
    /// once there is an answer to [`poll_collect`](Self::poll_collect).
    pub(crate) fn acquire(
        self: &Arc<Self>,
        lane: LaneId,
        patience: Option<Duration>,
        holding: &Holding,
        waker: &Waker,
    ) -> Result<Answer, AcquireError> {
        let now = self.now();
        let mut waker = Some(waker.clone());
        let mut deferred = Deferred::default();
        let answer = loop {
            let mut state = self.lock();
            match state.step(Event::Acquire { lane, patience }, now, &mut deferred) {
                Some(Reply::Grant(server)) => {
                    let caller = state.caller(holding, now);
                    match state.hand_out(server, caller, now) {
                        Some(conn) if !conn.client.is_closed() => break Ok(Answer::Session(conn)),
                        // It broke, and its task has not got round to saying so.
                        broken => state.give_up(server, broken, now, &mut deferred),
                    }
                }
                Some(Reply::Wait(waiter)) => {
                    if let Some(err) = self.nested(&mut state, waiter, holding, now, &mut deferred)
                    {
                        break Err(err);
                    }
                    break match state.collect(waiter, &mut waker, now, &mut deferred) {
                        Poll::Pending => Ok(Answer::Wait(waiter)),
                        Poll::Ready(outcome) => outcome.map(Answer::Session),
                    };
                }
                Some(Reply::Refuse(refusal)) => break Err(state.refused(refusal, now)),
                None => break Err(state.refused(Refusal::ShuttingDown, now)),
            }
        };
        self.finish(deferred);
        answer
    }

    /// Whether the caller would wait for itself: its own session is one of those that it
    /// waits for, and everybody else who has one waits too.
    fn nested(
        &self,
        state: &mut State,
        waiter: WaiterId,
        holding: &Holding,
        now: Now,
        deferred: &mut Deferred,
    ) -> Option<AcquireError> {
        let caller = state.caller(holding, now);
        state.note_waiter(waiter, caller, now, deferred);
        let holds = |task| state.is_holder(task);
        if !self.config.refuse_nested || !holding.task.is_some_and(holds) || !state.is_deadlocked()
        {
            return None;
        }
        let report = Box::new(state.report(Duration::ZERO, now));
        state.forget_waiter(waiter);
        let timed_out = false;
        state.step(Event::CancelWait { waiter, timed_out }, now, deferred);
        Some(AcquireError::NestedAcquire(report))
    }

    /// Asks whether a waiter has been served, and notes whom to wake when it is.
    pub(crate) fn poll_collect(
        self: &Arc<Self>,
        waiter: WaiterId,
        cx: &Context<'_>,
    ) -> Poll<Result<Box<Conn>, AcquireError>> {
        let now = self.now();
        let mut waker = Some(cx.waker().clone());
        let mut deferred = Deferred::default();
        let outcome = self.lock().collect(waiter, &mut waker, now, &mut deferred);
        self.finish(deferred);
        outcome
    }

    pub(crate) fn cancel_wait(self: &Arc<Self>, waiter: WaiterId, timed_out: bool) {
        let now = self.now();
        let mut deferred = Deferred::default();
        let mut waker = None;
        {
            let mut state = self.lock();
            state.swap_waker(waiter, &mut waker);
            state.forget_waiter(waiter);
            state.step(Event::CancelWait { waiter, timed_out }, now, &mut deferred);
        }
        self.finish(deferred);
    }

    /// Takes a session back.
    #[inline]
    pub(crate) fn give_back(self: &Arc<Self>, conn: Box<Conn>) {
        let (clean, now) = (conn.is_clean(&self.config), self.now());
        let mut state = self.lock();
        let conn = if clean {
            match state.keep(conn, now) {
                Some(conn) => conn,
                None => return,
            }
        } else {
            conn
        };
        self.release_slowly(state, conn, None, now);
    }

    /// Takes a session back, and tells how that went.
    pub(crate) fn release(self: &Arc<Self>, conn: Box<Conn>, report: oneshot::Sender<Released>) {
        let now = self.now();
        self.release_slowly(self.lock(), conn, Some(report), now);
    }

    #[cold]
    fn release_slowly(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        conn: Box<Conn>,
        report: Option<oneshot::Sender<Released>>,
        now: Now,
    ) {
        let event = Event::Release(conn.server, conn.verdict(&self.config));
        let mut deferred = Deferred::default();
        state.take_back(conn, report, event, now, &mut deferred);
        drop(state);
        self.finish(deferred);
    }

    /// Lets a session go for good.
    pub(crate) fn detach(self: &Arc<Self>, conn: Conn) -> tokio_postgres::Client {
        let now = self.now();
        let mut deferred = Deferred::default();
        let slot = {
            let mut state = self.lock();
            let slot = state.clear(conn.server);
            state.step(Event::Detach(conn.server), now, &mut deferred);
            slot
        };
        slot.send(Order::Detach);
        self.finish(deferred);
        conn.client
    }

    /// Whether the connection is still wanted, right before it is dialed.
    pub(crate) fn dial(self: &Arc<Self>, server: ServerId) -> bool {
        let now = self.now();
        let mut deferred = Deferred::default();
        let wanted = {
            let mut state = self.lock();
            state.step(Event::Dial(server), now, &mut deferred);
            state.knows(server)
        };
        self.finish(deferred);
        wanted
    }

    /// The session is used by another task than the one that acquired it.
    pub(crate) fn moved(&self, server: ServerId) {
        self.lock().moved(server);
    }

    /// Takes in a connection that stands. One that is not wanted anymore is dropped.
    pub(crate) fn connected(
        self: &Arc<Self>,
        conn: Box<Conn>,
        orders: mpsc::UnboundedSender<Order>,
        dialed: Now,
    ) {
        let now = self.now();
        let mut deferred = Deferred::default();
        let unwanted = self
            .lock()
            .take_in(conn, orders, dialed, now, &mut deferred);
        drop(unwanted);
        self.finish(deferred);
    }

    pub(crate) fn connect_failed(self: &Arc<Self>, server: ServerId, err: Error) {
        let failure = classify(&err);
        let now = self.now();
        let mut deferred = Deferred::default();
        {
            let mut state = self.lock();
            state.note_failure(Arc::new(err), now);
            state.step(Event::ConnectFailed(server, failure), now, &mut deferred);
        }
        self.finish(deferred);
    }

    /// Takes back a connection whose session has been reset.
    pub(crate) fn reset_done(self: &Arc<Self>, conn: Box<Conn>) {
        let (server, now) = (conn.server, self.now());
        let mut deferred = Deferred::default();
        let done = Event::ResetDone(server, Ok(()));
        self.lock().take_back(conn, None, done, now, &mut deferred);
        self.finish(deferred);
    }

    /// What a caller who has waited in vain is told.
    pub(crate) fn gave_up(&self, waited: Duration, holding: &Holding) -> AcquireError {
        let now = self.now();
        let state = self.lock();
        let report = Box::new(state.report(waited, now));
        if state.core().paused() {
            AcquireError::Paused(report)
        } else if holding.task.is_some_and(|task| state.is_holder(task)) {
            AcquireError::NestedAcquire(report)
        } else {
            AcquireError::Timeout(report)
        }
    }

    pub(crate) fn holders(&self) -> Vec<Holder> {
        let now = self.now();
        self.lock().holders(now)
    }

    pub(crate) fn timings(&self) -> TimingsSnapshot {
        self.lock().timings()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        Snapshot::of(&self.lock(), &self.config, now)
    }

    /// Carries out what could not be done under the lock.
    fn finish(self: &Arc<Self>, deferred: Deferred) {
        let Deferred { wake, order, more } = deferred;
        if let Some(waker) = wake {
            waker.wake();
        }
        if let Some((to, order)) = order {
            send(&to, order);
        }
        for effect in more {
            match effect {
                Effect::Wake(waker) => waker.wake(),
                Effect::Order(to, order) => send(&to, order),
                Effect::Connect(server) => {
                    sync::spawn(&self.runtime, driver::run(Arc::clone(self), server));
                }
                Effect::Close(slot, reason) => {
                    tracing::debug!(reason = reason.as_str(), "closing a connection");
                    slot.close(reason);
                }
                Effect::Report(report, how) => drop(report.send(how)),
                Effect::Rearm => self.rearm.notify_one(),
                Effect::Settled => self.settled.notify_waiters(),
                Effect::Request => self.config.groups.request(self),
                Effect::GiveBack(permits) => self.config.groups.give_back(permits),
                Effect::Spare => self.config.groups.idle(self),
            }
        }
    }
}

/// A task that is gone has said so, or is about to.
fn send(to: &mpsc::UnboundedSender<Order>, order: Order) {
    drop(to.send(order));
}
