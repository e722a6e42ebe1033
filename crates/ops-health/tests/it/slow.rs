//! What is logged of a check that gets slow.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_health::{Kind, Outcome, check_fn};
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::support::{exact, seconds, service};

/// The messages of every event.
#[derive(Clone, Default)]
struct Messages(Arc<Mutex<Vec<String>>>);

impl Visit for Messages {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Messages {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_nears_its_timeout_is_told_once_until_it_is_quick_again() {
    let messages = Messages::default();
    let subscriber = tracing_subscriber::registry().with(messages.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let takes = Arc::new(Mutex::new(Duration::from_millis(900)));
    let shared = Arc::clone(&takes);
    let check = check_fn("db", Kind::Datastore, move |_| {
        let takes = *shared.lock().unwrap();
        async move {
            sleep(takes).await;
            Outcome::healthy()
        }
    });
    let health = service().check(check).policy(|_| exact()).build().unwrap();
    let _scheduler = health.start().unwrap();
    let slow = || {
        let messages = messages.0.lock().unwrap();
        let slow = messages.iter().filter(|text| text.contains("half"));
        slow.count()
    };
    sleep(seconds(45)).await;
    assert_eq!(slow(), 0);
    *takes.lock().unwrap() = Duration::from_millis(1100);
    sleep(seconds(100)).await;
    assert_eq!(slow(), 1, "ten runs were slow");
    *takes.lock().unwrap() = Duration::from_millis(10);
    sleep(seconds(20)).await;
    *takes.lock().unwrap() = Duration::from_millis(1100);
    sleep(seconds(20)).await;
    assert_eq!(slow(), 2);
}
