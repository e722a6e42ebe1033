//! Whatever happens, what people are told holds together.

use std::collections::BTreeMap;

use ops_core::monitor::IncidentSeverity::{P0, P1, P2, P3};
use ops_core::notifier::{Notification, NotificationEvent};
use ops_core::{ErrorKind, Retry};
use ops_health::alert::Sink;
use ops_health::incident::IncidentLog;
use proptest::prelude::*;
use tokio::time::sleep;

use crate::support::{
    Act as Answer, Error2, Fake, Gauge, WallClock, health, minutes, seconds, watch,
};

#[derive(Clone, Copy, Debug)]
enum Act {
    Set(usize, bool),
    Wait(u64),
    Maintenance(bool),
    Acknowledge(usize),
    JumpForward(u64),
    JumpBack(u64),
    /// The next attempt fails, and may be repeated.
    Stumble,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_usize..6, any::<bool>()).prop_map(|(at, bad)| Act::Set(at, bad)),
        6 => (1_u64..60).prop_map(Act::Wait),
        1 => (60_u64..600).prop_map(Act::Wait),
        1 => any::<bool>().prop_map(Act::Maintenance),
        2 => (0_usize..4).prop_map(Act::Acknowledge),
        1 => (1_u64..200_000).prop_map(Act::JumpForward),
        1 => (1_u64..200_000).prop_map(Act::JumpBack),
        1 => Just(Act::Stumble),
    ]
}

/// What people know of one alert.
#[derive(Debug, Default)]
struct Known {
    open: bool,
    acknowledged: bool,
}

/// Whether a sink could make sense of what it was sent, in this order.
fn hold_together(notes: &[Notification]) -> Result<BTreeMap<String, Known>, String> {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for note in notes {
        let one = known.entry(note.dedup_key.to_string()).or_default();
        let say = |what: &str| Err(format!("{what}: {note:?}"));
        match note.event {
            NotificationEvent::Firing => one.open = true,
            _ if !one.open => return say("nobody knows of it"),
            NotificationEvent::Reminder if one.acknowledged => return say("somebody is at it"),
            NotificationEvent::Reminder if note.severity < P1 => return say("it is minor"),
            NotificationEvent::Acknowledged => one.acknowledged = true,
            NotificationEvent::Resolved => *one = Known::default(),
            _ => {}
        }
    }
    Ok(known)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_alert_that_was_told_is_ended_and_nothing_is_told_out_of_order(
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = WallClock::new();
            let health = health(&clock);
            let gauges: Vec<Gauge> = (0..6).map(|_| Gauge::default()).collect();
            let (chat, pager) = (Fake::new(), Fake::new());
            let log = IncidentLog::in_memory_with_clock(std::sync::Arc::new(clock.clone()));
            let watch = watch(&health)
                .rule(gauges[0].rule("worst", P0).group("g").clear_for(seconds(60)))
                .rule(gauges[1].rule("major", P1).group("g").depends_on("worst"))
                .rule(gauges[2].rule("other", P1).hold_for(seconds(90)))
                .rule(gauges[3].rule("minor", P2).group("g"))
                .rule(gauges[4].rule("lone", P2).depends_on("major").hold_for(seconds(20)))
                .rule(gauges[5].rule("cosmetic", P3))
                .incidents(log.clone())
                .sink(Sink::chat("chat", chat.arc()))
                .sink(Sink::pager("pager", pager.arc()))
                .build()
                .unwrap();
            let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
            sleep(seconds(2)).await;
            let mut stumbles = 0;
            for act in acts {
                match act {
                    Act::Set(at, bad) => gauges[at].set(if bad { 20.0 } else { 0.0 }),
                    Act::Wait(span) => sleep(seconds(span)).await,
                    Act::Maintenance(on) => health.set_maintenance(on),
                    Act::Acknowledge(at) => {
                        if let Some(alert) = watch.alerts().get(at) {
                            // Of a quiet alert nobody knows.
                            _ = watch.acknowledge(&alert.key, "ann");
                        }
                    }
                    Act::JumpForward(span) => clock.jump_forward(seconds(span)),
                    Act::JumpBack(span) => clock.jump_back(seconds(span)),
                    // Three of them could be all attempts at one message.
                    Act::Stumble if stumbles == 2 => {}
                    Act::Stumble => {
                        stumbles += 1;
                        let error = Error2(ErrorKind::Unavailable, Retry::Safe);
                        chat.next(Answer::Fail(error));
                    }
                }
            }
            for gauge in &gauges {
                gauge.set(0.0);
            }
            health.set_maintenance(false);
            sleep(minutes(10)).await;
            prop_assert_eq!(watch.alerts().len(), 0);
            for fake in [&chat, &pager] {
                let mut notes = fake.seen();
                notes.retain(|note| !note.dedup_key.as_str().contains(":digest:"));
                let known = hold_together(&notes).map_err(TestCaseError::fail)?;
                let open: Vec<_> = known.iter().filter(|(_, one)| one.open).collect();
                prop_assert!(open.is_empty(), "{:?} of {:?}", open, notes);
            }
            prop_assert!(pager.seen().iter().all(|note| note.severity >= P1));
            prop_assert!(log.list().iter().all(|one| one.state().is_over() && one.severity() >= P1));
            prop_assert!(watch.sinks().iter().all(|sink| sink.failed == 0 && sink.dropped == 0));
            Ok(())
        })?;
    }
}
