//! What the tests share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::{
    Delivery, DeliveryState, Notification, NotificationEvent, Notifier, NotifierLimits,
};
use ops_core::{Clock, Error, ProviderId, Result, Timestamp, async_trait};
use ops_health::alert::{Op, Rule, Signal, Sink};
use ops_health::{Health, Watch, WatchBuilder};
use tokio::time::Instant;

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A wall clock that goes with the runtime's, and can be set.
#[derive(Clone, Debug)]
pub(crate) struct WallClock {
    base: Arc<Mutex<Timestamp>>,
    started: Instant,
}

impl WallClock {
    /// Noon, so that no test meets a midnight by chance.
    pub(crate) fn new() -> Self {
        Self {
            base: Arc::new(Mutex::new(at("2026-01-02T12:00:00Z"))),
            started: Instant::now(),
        }
    }

    pub(crate) fn jump_forward(&self, span: Duration) {
        let mut base = self.base.lock().unwrap();
        *base = base.saturating_add(span);
    }

    pub(crate) fn jump_back(&self, span: Duration) {
        let mut base = self.base.lock().unwrap();
        *base = base.saturating_sub(span);
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let base = *self.base.lock().unwrap();
        base.saturating_add(self.started.elapsed())
    }
}

/// What a [`Fake`] does with the next notification.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Fail(Error2),
    Panic,
    Hang,
}

/// How to make an error: errors themselves cannot be cloned.
#[derive(Clone, Debug)]
pub(crate) struct Error2(pub(crate) ops_core::ErrorKind, pub(crate) ops_core::Retry);

impl Error2 {
    fn make(&self) -> Error {
        Error::new(self.0, "no").with_retry(self.1)
    }
}

/// A notifier that does what it is told, and remembers when.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    script: Arc<Mutex<VecDeque<Act>>>,
    /// What it does when the script is at its end.
    pub(crate) always: Arc<Mutex<Option<Act>>>,
    seen: Arc<Mutex<Vec<(Instant, Notification)>>>,
    attempts: Arc<Mutex<Vec<Instant>>>,
    limits: NotifierLimits,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            script: Arc::default(),
            always: Arc::default(),
            seen: Arc::default(),
            attempts: Arc::default(),
            limits: NotifierLimits::default(),
        }
    }

    pub(crate) fn arc(&self) -> Arc<dyn Notifier> {
        Arc::new(self.clone())
    }

    pub(crate) fn next(&self, act: Act) {
        self.script.lock().unwrap().push_back(act);
    }

    pub(crate) fn always(&self, act: Option<Act>) {
        *self.always.lock().unwrap() = act;
    }

    pub(crate) fn attempts(&self) -> Vec<Instant> {
        self.attempts.lock().unwrap().clone()
    }

    pub(crate) fn seen(&self) -> Vec<Notification> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(_, note)| note.clone()).collect()
    }

    pub(crate) fn take(&self) -> Vec<Notification> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.into_iter().map(|(_, note)| note).collect()
    }

    /// Event and title of everything that arrived.
    pub(crate) fn told(&self) -> Vec<(NotificationEvent, String)> {
        self.seen()
            .into_iter()
            .map(|note| (note.event, note.title))
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<NotificationEvent> {
        self.seen().into_iter().map(|note| note.event).collect()
    }
}

#[async_trait]
impl Notifier for Fake {
    fn provider(&self) -> ProviderId {
        ProviderId::from_static("fake")
    }

    fn limits(&self) -> NotifierLimits {
        self.limits
    }

    async fn notify(&self, notification: Notification) -> Result<Delivery> {
        self.attempts.lock().unwrap().push(Instant::now());
        let scripted = self.script.lock().unwrap().pop_front();
        let act = scripted.or_else(|| self.always.lock().unwrap().clone());
        match act {
            None => {
                let seen = (Instant::now(), notification);
                self.seen.lock().unwrap().push(seen);
                Ok(Delivery::new(DeliveryState::Accepted))
            }
            Some(Act::Fail(error)) => Err(error.make()),
            Some(Act::Panic) => panic!("the notifier breaks"),
            Some(Act::Hang) => std::future::pending().await,
        }
    }
}

/// A value that a rule looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<Mutex<Option<f64>>>);

impl Gauge {
    pub(crate) fn set(&self, value: f64) {
        *self.0.lock().unwrap() = Some(value);
    }

    pub(crate) fn signal(&self, subject: &str) -> Signal {
        let value = Arc::clone(&self.0);
        Signal::custom(subject, move || *value.lock().unwrap())
    }

    /// Fires above 10, is over below 5.
    pub(crate) fn rule(&self, id: &str, severity: IncidentSeverity) -> Rule {
        Rule::new(id, self.signal("gauge"), Op::Above, 10.0)
            .clear_at(5.0)
            .severity(severity)
    }
}

/// A service without checks that serves, on this clock.
pub(crate) fn health(clock: &WallClock) -> Health {
    Health::builder()
        .service("shop")
        .clock(Arc::new(clock.clone()))
        .first_run_within(Duration::ZERO)
        .build()
        .unwrap()
}

/// A watch over it.
pub(crate) fn watch(health: &Health) -> WatchBuilder {
    Watch::builder(health).environment("prod")
}

pub(crate) fn all_over(name: &str, fake: &Fake) -> Sink {
    Sink::new(name, fake.arc())
}
