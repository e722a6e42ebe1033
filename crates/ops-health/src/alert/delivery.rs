//! Brings messages to sinks: one worker for each, so that a slow one delays no other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::{Delivery, Notification, NotificationEvent};
use ops_core::{Error, ErrorKind, NotifierExt as _, Report, Result, Retry, Timestamp};
use serde::Serialize;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::limiter::Limiter;
use super::queue::{Item, Queue};
use super::sink::Sink;
use super::thread::Outgoing;
use crate::jitter::Jitter;
use crate::private::scrub;

const MAX_ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How long a vendor may ask to wait. What it will not take sooner goes elsewhere.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// How long one attempt may take: more than the transports below take by themselves.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(90);

/// How a sink does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SinkReport {
    /// Its name.
    pub sink: String,
    /// Messages that it took.
    pub delivered: u64,
    /// Messages that it did not take, after all attempts.
    pub failed: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Messages that were dropped because too many waited.
    pub dropped: u64,
    /// Messages that were dropped because the budget of the day was spent.
    pub over_budget: u64,
    /// Messages that wait.
    pub waiting: usize,
    /// Messages in a row that it did not take.
    pub consecutive_failures: u32,
}

/// A message that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) key: String,
    pub(crate) sink: String,
    pub(crate) event: NotificationEvent,
}

/// All sinks with what waits for them.
#[derive(Clone, Debug)]
pub(crate) struct Dispatcher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outlets: Vec<Outlet>,
    /// How many messages wait or are being sent.
    pending: watch::Sender<usize>,
}

#[derive(Debug)]
struct Outlet {
    sink: Sink,
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    delivered: u64,
    failed: u64,
    retries: u64,
    dropped: u64,
    over_budget: u64,
    consecutive_failures: u32,
}

impl Outlet {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatcher {
    pub(crate) fn new(sinks: Vec<Sink>) -> Self {
        let outlets = sinks
            .into_iter()
            .map(|sink| Outlet {
                sink,
                wake: Notify::new(),
                state: Mutex::default(),
            })
            .collect();
        Self(Arc::new(Shared {
            outlets,
            pending: watch::Sender::new(0),
        }))
    }

    /// Starts a worker for each sink. They end when the set is dropped.
    pub(crate) fn spawn(&self, tasks: &mut JoinSet<()>, delivered: &mpsc::Sender<Delivered>) {
        for at in 0..self.0.outlets.len() {
            tasks.spawn(work(Arc::clone(&self.0), at, delivered.clone()));
        }
    }

    pub(crate) fn send(&self, outgoing: Outgoing) {
        let Outgoing {
            notification,
            sinks,
        } = outgoing;
        let notification = Arc::new(notification);
        for at in (0..self.0.outlets.len()).filter(|at| sinks.contains(*at)) {
            let item = Item {
                notification: Arc::clone(&notification),
                tried: sinks,
            };
            self.0.push(at, item);
        }
    }

    /// Each sink with the number of messages in a row that it did not take.
    pub(crate) fn failures(&self) -> Vec<(String, u32)> {
        let outlets = self.0.outlets.iter();
        outlets
            .map(|outlet| (outlet.sink.name.clone(), outlet.lock().consecutive_failures))
            .collect()
    }

    pub(crate) fn reports(&self) -> Vec<SinkReport> {
        let report = |outlet: &Outlet| {
            let state = outlet.lock();
            SinkReport {
                sink: outlet.sink.name.clone(),
                delivered: state.delivered,
                failed: state.failed,
                retries: state.retries,
                dropped: state.dropped,
                over_budget: state.over_budget,
                waiting: state.queue.len(),
                consecutive_failures: state.consecutive_failures,
            }
        };
        self.0.outlets.iter().map(report).collect()
    }

    /// Ends when nothing waits any more.
    pub(crate) async fn idle(&self) {
        let mut pending = self.0.pending.subscribe();
        // The sender is in here, so that the wait cannot fail.
        _ = pending.wait_for(|pending| *pending == 0).await;
    }

    /// Sends a test over every sink, all at once.
    pub(crate) async fn self_test(
        &self,
        source: &str,
        at: Timestamp,
    ) -> Vec<(String, Result<Delivery>)> {
        let mut tests = JoinSet::new();
        for (place, outlet) in self.0.outlets.iter().enumerate() {
            let (notifier, source) = (Arc::clone(&outlet.sink.notifier), source.to_owned());
            tests.spawn(async move {
                let test = timeout(ATTEMPT_TIMEOUT, notifier.send_test(&source, at)).await;
                (place, test.unwrap_or_else(|_| Err(timed_out())))
            });
        }
        let mut results: Vec<_> = self
            .0
            .outlets
            .iter()
            .map(|outlet| (outlet.sink.name.clone(), Err(panicked())))
            .collect();
        while let Some(ended) = tests.join_next().await {
            if let Ok((place, result)) = ended
                && let Some((_, slot)) = results.get_mut(place)
            {
                *slot = result;
            }
        }
        results
    }
}

impl Shared {
    fn push(&self, at: usize, item: Item) {
        let Some(outlet) = self.outlets.get(at) else {
            return;
        };
        let mut state = outlet.lock();
        let dropped = state.queue.push(item);
        if dropped.is_some() {
            state.dropped += 1;
        } else {
            self.pending.send_modify(|pending| *pending += 1);
        }
        let is_first_drop = dropped.is_some() && state.dropped == 1;
        drop(state);
        if is_first_drop {
            tracing::warn!(target: "ops_health", sink = %outlet.sink.name, "too many messages wait for a sink, the least severe are dropped");
        }
        outlet.wake.notify_one();
    }

    fn done(&self) {
        self.pending
            .send_modify(|pending| *pending = pending.saturating_sub(1));
    }

    /// Hands an urgent message that a sink did not take to the next that has not seen it.
    fn hand_over(&self, at: usize, mut item: Item) {
        let urgent = item.notification.event == NotificationEvent::Firing
            && item.notification.severity >= IncidentSeverity::P1;
        if !urgent {
            return;
        }
        let count = self.outlets.len();
        let mut others = (at + 1..count).chain(0..at);
        if let Some(next) = others.find(|other| !item.tried.contains(*other)) {
            item.tried.insert(next);
            self.push(next, item);
        }
    }
}

async fn work(shared: Arc<Shared>, at: usize, delivered: mpsc::Sender<Delivered>) {
    let Some(outlet) = shared.outlets.get(at) else {
        return;
    };
    let mut limiter = Limiter::new(&outlet.sink, Instant::now());
    let mut jitter = Jitter::new();
    loop {
        let next = outlet.lock().queue.pop();
        let Some(item) = next else {
            outlet.wake.notified().await;
            continue;
        };
        if !limiter.spend(&item.notification, Instant::now()) {
            over_budget(outlet);
            shared.done();
            continue;
        }
        sleep_until(limiter.next_slot(Instant::now())).await;
        match deliver(outlet, &item.notification, &mut jitter).await {
            Ok(_) => {
                let mut state = outlet.lock();
                state.delivered += 1;
                state.consecutive_failures = 0;
                drop(state);
                _ = delivered.try_send(Delivered {
                    key: item.notification.dedup_key.to_string(),
                    sink: outlet.sink.name.clone(),
                    event: item.notification.event,
                });
            }
            Err(err) => {
                failed(outlet, &err);
                shared.hand_over(at, item);
            }
        }
        shared.done();
    }
}

fn over_budget(outlet: &Outlet) {
    let mut state = outlet.lock();
    state.over_budget += 1;
    if state.over_budget == 1 {
        tracing::warn!(target: "ops_health", sink = %outlet.sink.name, "the daily budget of a sink is spent");
    }
}

fn failed(outlet: &Outlet, err: &Error) {
    let mut state = outlet.lock();
    state.failed += 1;
    state.consecutive_failures = state.consecutive_failures.saturating_add(1);
    let failures = state.consecutive_failures;
    drop(state);
    let error = scrub(&Report(err).to_string(), &[]);
    tracing::warn!(target: "ops_health", sink = %outlet.sink.name, failures, error, "a message was not delivered");
}

/// Up to three attempts. A notifier whose transport has already repeated a call says so
/// ([`Retry::Never`]), and then this is not repeated again.
async fn deliver(outlet: &Outlet, note: &Notification, jitter: &mut Jitter) -> Result<Delivery> {
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        let err = match attempt_once(&outlet.sink, note.clone()).await {
            Ok(delivery) => return Ok(delivery),
            Err(err) => err,
        };
        let wait = next_pause(&err, jitter.around(pause, 0.5));
        let Some(wait) = wait.filter(|_| attempt < MAX_ATTEMPTS) else {
            return Err(err);
        };
        outlet.lock().retries += 1;
        sleep(wait).await;
        attempt += 1;
        pause *= 2;
    }
}

/// How long to wait for the next attempt; `None` where there should be none.
///
/// An attempt whose outcome is unknown is repeated: under the same dedup key that makes no
/// second alert, and at worst shows a message twice.
fn next_pause(err: &Error, backoff: Duration) -> Option<Duration> {
    match err.retry() {
        Retry::Safe | Retry::OutcomeUnknown => Some(backoff),
        Retry::After(asked) => (asked <= MAX_PAUSE).then(|| asked.max(backoff)),
        _ => None,
    }
}

/// One attempt in a task of its own, so that a notifier that panics or hangs ends nothing
/// but itself.
async fn attempt_once(sink: &Sink, note: Notification) -> Result<Delivery> {
    let notifier = Arc::clone(&sink.notifier);
    let mut task = JoinSet::new();
    task.spawn(async move { notifier.notify(note).await });
    match timeout(ATTEMPT_TIMEOUT, task.join_next()).await {
        Ok(Some(Ok(result))) => result,
        Ok(_) => Err(panicked()),
        Err(_) => Err(timed_out()),
    }
}

#[cold]
fn timed_out() -> Error {
    let message = format!("no answer within {ATTEMPT_TIMEOUT:?}");
    Error::new(ErrorKind::Timeout, message).with_operation("alert.deliver")
}

#[cold]
fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "the notifier panicked").with_operation("alert.deliver")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_repeated_is_repeated_and_a_vendor_is_given_the_time_it_asks_for() {
        let backoff = Duration::from_secs(2);
        let pause = |retry| {
            let err = Error::new(ErrorKind::Unavailable, "x").with_retry(retry);
            next_pause(&err, backoff)
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pause(Retry::Never), None);
        assert_eq!(pause(Retry::Safe), Some(backoff));
        assert_eq!(pause(Retry::OutcomeUnknown), Some(backoff));
        assert_eq!(pause(Retry::After(Duration::from_secs(60))), seconds(60));
        assert_eq!(pause(Retry::After(Duration::from_secs(1))), Some(backoff));
        assert_eq!(pause(Retry::After(Duration::from_secs(301))), None);
    }
}
