//! What cannot work is refused when the watch is built, all of it at once.

use std::sync::Arc;
use std::time::Duration;

use ops_core::ErrorKind;
use ops_core::memory::MemoryNotifier;
use ops_core::monitor::HeartbeatSpec;
use ops_health::alert::{Checks, Op, Rule, Severities, Signal, Sink, standard_rules};
use ops_health::slo::Slo;
use ops_health::{Code, DeadMan, Health, Status, Watch};

use crate::support::{minutes, seconds};

#[derive(Debug)]
struct NoHeartbeats;

#[ops_core::async_trait]
impl ops_core::Monitor for NoHeartbeats {
    fn provider(&self) -> ops_core::ProviderId {
        "nothing".into()
    }

    fn limits(&self) -> ops_core::monitor::MonitorLimits {
        ops_core::monitor::MonitorLimits::default()
    }

    async fn describe(&self) -> ops_core::Result<ops_core::monitor::MonitorDescription> {
        Err(ops_core::Error::unsupported("describing"))
    }

    async fn self_test(&self) -> ops_core::Result<ops_core::monitor::SelfTest> {
        Err(ops_core::Error::unsupported("testing"))
    }
}

fn value(id: &str) -> Rule {
    Rule::new(id, Signal::custom("x", || None), Op::Above, 1.0)
}

#[test]
fn every_problem_is_in_one_error() {
    let health = Health::builder().build().unwrap();
    let notifier = || Arc::new(MemoryNotifier::new());
    let slo = || Slo::builder("availability").build().unwrap();
    let secret = "https://ops:hunter2@wiki.example";
    let below = Rule::new("below", Signal::custom("x", || None), Op::Below, 1.0);
    let code = |checks| Signal::code(checks, &[Code::Timeout], Status::Degraded);
    let built = Watch::builder(&health)
        .environment("a:b")
        .rule(value("Bad Id"))
        .rule(value("twice"))
        .rule(value("twice"))
        .rule(value("worse").clear_at(2.0))
        .rule(below.clear_at(0.5))
        .rule(value("nan").clear_at(f64::NAN))
        .rule(value("long").hold_for(Duration::MAX))
        .rule(value("orphan").depends_on("nobody"))
        .rule(value("narcissus").depends_on("narcissus"))
        .rule(value("egg").depends_on("hen"))
        .rule(value("hen").depends_on("egg"))
        .rule(value("grouped").group("Not A Name"))
        .rule(value("linked").runbook("wiki"))
        .rule(value("leaky").runbook(secret))
        .rule(value("mute").summary(" "))
        .rule(Rule::new(
            "lost",
            code(Checks::Named("db".to_owned())),
            Op::AtLeast,
            1.0,
        ))
        .rule(Rule::new("fast", Signal::error_rate(1), Op::Above, 0.1))
        .rule(Rule::new(
            "windows",
            Signal::burn(&[(minutes(5), minutes(60), 2.0)]),
            Op::Above,
            1.0,
        ))
        .rule(Rule::new(
            "subject",
            Signal::custom("No Name", || None),
            Op::Above,
            1.0,
        ))
        .adjust("missing", |rule| rule)
        .check_depends_on("a", "b")
        .slo(slo())
        .slo(slo())
        .sink(Sink::pager("pager", notifier()).severities(Severities::NONE))
        .sink(
            Sink::sms("pager", notifier())
                .severities(Severities::ALL)
                .max_per_day(0),
        )
        .dead_man(DeadMan::new(
            Arc::new(NoHeartbeats),
            HeartbeatSpec::new("shop", Duration::ZERO),
        ))
        .reminders(Duration::ZERO, seconds(1))
        .digest_at(Duration::from_secs(86_400))
        .build();
    let err = built.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let message = err.message();
    for part in [
        "the service has no name",
        "the environment \"a:b\" is not",
        "rule \"Bad Id\": the id is not",
        "there are two rules \"twice\"",
        "rule \"worse\": it fires above 1 but would clear at 2",
        "rule \"below\": it fires below 1 but would clear at 0.5",
        "rule \"nan\": a threshold is no number",
        "rule \"long\": a span is longer than a year",
        "rule \"orphan\": it depends on \"nobody\", which is no rule",
        "rule \"narcissus\": it depends on itself",
        "rule \"egg\" depends on itself",
        "rule \"hen\" depends on itself",
        "the group \"Not A Name\" is no name",
        "rule \"linked\": the runbook is no http address",
        "rule \"leaky\": the runbook's address holds a password",
        "rule \"mute\": the summary is empty",
        "rule \"lost\": there is no check \"db\"",
        "rule \"fast\": nobody counts requests",
        "rule \"windows\": the windows",
        "the subject \"No Name\" is no name",
        "there is no rule \"missing\" to adjust",
        "a dependency names \"a\", which is no check",
        "there are two objectives \"availability\"",
        "sink \"pager\": nothing goes over it",
        "there are two sinks \"pager\"",
        "text messages are for P0 and P1 only",
        "a limit is zero",
        "nothing has no heartbeats",
        "the period is not between a second and a year",
        "reminders come more often than once a minute",
        "the digest is not within a day",
    ] {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    assert!(!message.contains("hunter2"));
}

#[test]
fn the_standard_rules_stand_by_themselves_and_can_be_adjusted() {
    let health = Health::builder().service("shop").build().unwrap();
    let watch = Watch::builder(&health)
        .rules(standard_rules(Duration::from_secs(3600)))
        .rule(ops_health::alert::archive_failing(|| None))
        .adjust("disk_warn", |rule| {
            rule.runbook("https://wiki.example/disk").clear_at(0.7)
        })
        .build();
    assert!(watch.is_ok(), "{watch:?}");
}
