//! Messages and sinks that do not do what they should.

use std::sync::Arc;
use std::time::Duration;

use ops_core::memory::MemoryNotifier;
use ops_core::monitor::IncidentSeverity::{P0, P1, P2};
use ops_core::notifier::NotificationEvent::{Firing, Resolved};
use ops_core::{ErrorKind, Retry};
use ops_health::alert::{LogNotifier, Severities, Sink, standard_rules};
use ops_health::{Watch, WatchTask};
use tokio::time::sleep;

use crate::support::{
    Act, Error2, Fake, Gauge, WallClock, all_over, health, minutes, seconds, watch,
};

const fn fails(retry: Retry) -> Act {
    Act::Fail(Error2(ErrorKind::Unavailable, retry))
}

struct Setup {
    gauges: Vec<Gauge>,
    watch: Watch,
    _running: (ops_health::Scheduler, WatchTask),
}

/// Rules of P0 for the first gauge, P1 for the second, P2 for the others, the standard
/// rules, and these sinks.
fn setup(sinks: Vec<Sink>) -> Setup {
    let clock = WallClock::new();
    let health = health(&clock);
    let gauges: Vec<_> = (0..40).map(|_| Gauge::default()).collect();
    let mut builder = watch(&health).rules(standard_rules(Duration::from_secs(86_400)));
    for (at, gauge) in gauges.iter().enumerate() {
        let severity = [P0, P1].get(at).copied().unwrap_or(P2);
        builder = builder.rule(gauge.rule(&format!("rule_{at}"), severity));
    }
    for sink in sinks {
        builder = builder.sink(sink);
    }
    let watch = builder.build().unwrap();
    let running = (health.start().unwrap(), watch.start().unwrap());
    Setup {
        gauges,
        watch,
        _running: running,
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_be_repeated_is_sent_three_times_with_growing_pauses() {
    let fake = Fake::new();
    fake.always(Some(fails(Retry::Safe)));
    let setup = setup(vec![all_over("fake", &fake)]);
    setup.gauges[2].set(20.0);
    sleep(minutes(5)).await;
    let attempts = fake.attempts();
    assert_eq!(attempts.len(), 3);
    let (first, second) = (attempts[1] - attempts[0], attempts[2] - attempts[1]);
    assert!(
        first >= Duration::from_millis(500) && first <= Duration::from_millis(1510),
        "{first:?}"
    );
    assert!(
        second >= Duration::from_millis(990) && second <= Duration::from_millis(3010),
        "{second:?}"
    );
    let report = &setup.watch.sinks()[0];
    assert_eq!((report.failed, report.retries, report.delivered), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_another_layer_has_repeated_is_not_repeated_again() {
    let fake = Fake::new();
    fake.next(fails(Retry::Never));
    let setup = setup(vec![all_over("fake", &fake)]);
    setup.gauges[2].set(20.0);
    sleep(minutes(5)).await;
    assert_eq!(fake.attempts().len(), 1);
    assert_eq!(setup.watch.sinks()[0].failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_is_given_the_time_that_it_asks_for() {
    let fake = Fake::new();
    fake.next(fails(Retry::After(seconds(45))));
    let setup = setup(vec![all_over("fake", &fake)]);
    setup.gauges[2].set(20.0);
    sleep(seconds(44)).await;
    assert_eq!(fake.attempts().len(), 1);
    sleep(seconds(10)).await;
    let attempts = fake.attempts();
    assert_eq!(attempts.len(), 2);
    assert!(attempts[1] - attempts[0] >= seconds(45));
    assert_eq!(fake.events(), [Firing]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_or_panics_delays_no_other() {
    let (hangs, panics, works) = (Fake::new(), Fake::new(), Fake::new());
    hangs.always(Some(Act::Hang));
    panics.always(Some(Act::Panic));
    let setup = setup(vec![
        all_over("hangs", &hangs),
        all_over("panics", &panics),
        all_over("works", &works),
    ]);
    setup.gauges[2].set(20.0);
    sleep(seconds(3)).await;
    assert_eq!(works.events(), [Firing]);
    panics.always(None);
    setup.gauges[2].set(0.0);
    sleep(seconds(3)).await;
    assert_eq!(works.events(), [Firing, Resolved]);
    assert_eq!(panics.events(), [Resolved]);
    sleep(minutes(10)).await;
    let report = &setup.watch.sinks()[0];
    assert_eq!((report.delivered, report.failed), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_keeps_failing_is_told_of_over_the_next_until_it_delivers() {
    let (broken, works) = (Fake::new(), Fake::new());
    broken.always(Some(fails(Retry::Never)));
    let setup = setup(vec![all_over("broken", &broken), all_over("works", &works)]);
    for at in 2..5 {
        setup.gauges[at].set(20.0);
        sleep(seconds(5)).await;
    }
    let about: Vec<_> = works
        .take()
        .into_iter()
        .filter(|note| note.component.as_deref() == Some("broken"))
        .collect();
    assert_eq!(about.len(), 1);
    assert_eq!(
        (about[0].severity, about[0].title.as_str()),
        (P2, "alerts do not get through: broken")
    );
    assert_eq!(about[0].details["value"], "3");
    // Four would be too many: the alert about the sink does not go over it.
    assert_eq!(setup.watch.sinks()[0].failed, 3);
    broken.always(None);
    setup.gauges[5].set(20.0);
    sleep(seconds(5)).await;
    let over = works.take();
    assert!(
        over.iter()
            .any(|note| note.event == Resolved && note.component.as_deref() == Some("broken"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_urgent_message_that_a_sink_does_not_take_goes_over_one_that_was_not_asked() {
    let (pager, chat) = (Fake::new(), Fake::new());
    pager.always(Some(fails(Retry::Never)));
    let setup = setup(vec![
        Sink::pager("pager", pager.arc()),
        Sink::chat("chat", chat.arc()).severities(Severities::P0),
    ]);
    setup.gauges[1].set(20.0);
    sleep(seconds(5)).await;
    let notes = chat.take();
    assert_eq!((notes.len(), notes[0].severity), (1, P1));
    // One that both are asked for is handed to nobody twice.
    setup.gauges[0].set(20.0);
    sleep(seconds(5)).await;
    assert_eq!(chat.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn text_messages_keep_their_budget_and_the_other_sinks_tell_the_rest() {
    let (sms, chat) = (Fake::new(), Fake::new());
    let setup = setup(vec![
        Sink::sms("sms", sms.arc()).max_per_day(3),
        Sink::chat("chat", chat.arc()),
    ]);
    for _ in 0..4 {
        setup.gauges[0].set(20.0);
        sleep(seconds(10)).await;
        setup.gauges[0].set(0.0);
        sleep(seconds(10)).await;
    }
    assert_eq!(sms.events(), [Firing, Resolved, Firing]);
    assert_eq!(chat.events().len(), 8);
    assert_eq!(setup.watch.sinks()[0].over_budget, 5);
    sleep(minutes(25 * 60)).await;
    setup.gauges[0].set(20.0);
    sleep(seconds(10)).await;
    assert_eq!(sms.events().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_gap_between_messages_is_kept() {
    let fake = Fake::new();
    let setup = setup(vec![
        all_over("fake", &fake).min_gap(seconds(10)).max_burst(2),
    ]);
    for gauge in &setup.gauges[2..6] {
        gauge.set(20.0);
    }
    sleep(seconds(5)).await;
    assert_eq!(fake.take().len(), 2);
    sleep(seconds(10)).await;
    assert_eq!(fake.take().len(), 1);
    sleep(seconds(10)).await;
    assert_eq!(fake.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_nothing_keeps_a_bounded_number_of_messages() {
    let fake = Fake::new();
    fake.always(Some(Act::Hang));
    let setup = setup(vec![all_over("fake", &fake)]);
    for round in 0..40 {
        for gauge in &setup.gauges[2..] {
            gauge.set(if round % 2 == 0 { 20.0 } else { 0.0 });
        }
        sleep(seconds(2)).await;
    }
    let report = &setup.watch.sinks()[0];
    assert_eq!(report.waiting, 1024);
    assert!(report.dropped > 400, "{report:?}");
    // What is more severe than all of it still finds a place, and goes first.
    setup.gauges[0].set(20.0);
    sleep(seconds(2)).await;
    assert_eq!(setup.watch.sinks()[0].waiting, 1024);
    fake.always(None);
    sleep(minutes(5)).await;
    // Only what was being sent at that moment comes before it.
    let severities: Vec<_> = fake
        .seen()
        .iter()
        .take(3)
        .map(|note| note.severity)
        .collect();
    assert_eq!(severities, [P2, P0, P2]);
    assert_eq!(setup.watch.sinks()[0].waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn the_self_test_tells_of_each_sink_what_it_said() {
    let (works, fails_, panics) = (MemoryNotifier::new(), Fake::new(), Fake::new());
    fails_.always(Some(Act::Fail(Error2(
        ErrorKind::Unauthenticated,
        Retry::Never,
    ))));
    panics.always(Some(Act::Panic));
    let setup = setup(vec![
        Sink::chat("works", Arc::new(works.clone())),
        all_over("fails", &fails_),
        all_over("panics", &panics),
        Sink::new("log", Arc::new(LogNotifier)),
    ]);
    let results = setup.watch.self_test().await;
    let kinds: Vec<_> = results
        .iter()
        .map(|(sink, result)| {
            (
                sink.as_str(),
                result.as_ref().err().map(ops_core::Error::kind),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("works", None),
            ("fails", Some(ErrorKind::Unauthenticated)),
            ("panics", Some(ErrorKind::Internal)),
            ("log", None),
        ]
    );
    assert_eq!(works.received().len(), 2);
    assert!(works.open_alerts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_stops_sends_what_waits() {
    let clock = WallClock::new();
    let health = health(&clock);
    let gauge = Gauge::default();
    let fake = Fake::new();
    let watch = watch(&health)
        .rule(gauge.rule("a", P1))
        .sink(all_over("fake", &fake))
        .build()
        .unwrap();
    let _checks = health.start().unwrap();
    let watching = watch.start().unwrap();
    assert_eq!(watch.start().unwrap_err().kind(), ErrorKind::Conflict);
    fake.next(fails(Retry::After(seconds(3))));
    gauge.set(20.0);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(fake.events(), []);
    watching.stop().await;
    assert_eq!(fake.events(), [Firing]);
}
