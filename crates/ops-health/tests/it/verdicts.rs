//! Every row of the table that leads from states to the codes of live, startup, ready
//! and health.

use std::time::Duration;

use ops_core::{Error, ErrorKind};
use ops_health::{
    Beacon, Code, Criticality, Groups, Health, Host, Lifecycle, Outcome, Question, Scope, Status,
};

use crate::support::{Act, Scripted, codes, exact, get, seconds, service, settle};

#[tokio::test(start_paused = true)]
async fn a_service_without_checks_is_ready_once_it_serves() {
    let health = service().build().unwrap();
    assert_eq!(codes(&health), [200, 503, 503, 503]);
    let _scheduler = health.start().unwrap();
    assert_eq!(codes(&health), [200, 200, 200, 200]);
    assert_eq!(get(&health, "/health").json()["status"], "healthy");
}

#[tokio::test(start_paused = true)]
async fn a_false_liveness_signal_fails_every_route_in_every_state() {
    let health = service().liveness("worker", || false).build().unwrap();
    assert_eq!(codes(&health), [503; 4]);
    let _scheduler = health.start().unwrap();
    assert_eq!(codes(&health), [503; 4]);
    let _drain = health.drain();
    assert_eq!(codes(&health), [503; 4]);
    assert_eq!(get(&health, "/health").json()["code"], "not_alive");
}

#[tokio::test(start_paused = true)]
async fn a_liveness_signal_that_panics_counts_as_dead() {
    let signal = || -> bool { panic!("a signal panics on purpose") };
    let health = service().liveness("worker", signal).build().unwrap();
    assert_eq!(codes(&health)[0], 503);
}

#[tokio::test(start_paused = true)]
async fn a_silent_beacon_is_dead_and_a_beat_revives_it() {
    let beacon = Beacon::new(seconds(60));
    let health = service()
        .liveness("worker", beacon.clone())
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(codes(&health), [200; 4]);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(codes(&health), [503; 4]);
    beacon.beat();
    assert_eq!(codes(&health), [200; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_startup_check_holds_the_service_in_starting_and_then_ends() {
    let check = Scripted::failing("migrations");
    let health = service()
        .check(check.clone())
        .policy(|_| exact().with_groups(Groups::STARTUP))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    tokio::time::sleep(seconds(20)).await;
    assert_eq!(codes(&health), [200, 503, 503, 503]);
    assert_eq!(get(&health, "/health").json()["code"], "starting");
    check.returns(Outcome::healthy());
    tokio::time::sleep(seconds(6)).await;
    assert_eq!(codes(&health), [200; 4]);
    let runs = check.runs();
    check.returns(Outcome::unhealthy(Code::MigrationsPending));
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(codes(&health), [200; 4]);
    assert!(check.runs() <= runs + 1, "it went on running");
}

#[tokio::test(start_paused = true)]
async fn a_startup_gate_must_return_ok() {
    let health = service()
        .startup_gate("migrations", async {
            tokio::time::sleep(seconds(30)).await;
            Ok(())
        })
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    tokio::time::sleep(seconds(29)).await;
    assert_eq!(codes(&health), [200, 503, 503, 503]);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(codes(&health), [200; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_startup_gate_that_fails_or_panics_never_opens() {
    for panics in [false, true] {
        let health = service()
            .startup_gate("migrations", async move {
                assert!(!panics, "a gate panics on purpose");
                Err(Error::new(ErrorKind::Conflict, "version 7 is missing"))
            })
            .build()
            .unwrap();
        let _scheduler = health.start().unwrap();
        tokio::time::sleep(seconds(3600)).await;
        assert_eq!(codes(&health), [200, 503, 503, 503]);
    }
}

#[tokio::test(start_paused = true)]
async fn draining_fails_readiness_at_once_and_stays_alive() {
    let health = service().check(Scripted::healthy("db")).build().unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    assert_eq!(codes(&health), [200; 4]);
    let _drain = health.drain();
    assert_eq!(codes(&health), [200, 200, 503, 503]);
    assert_eq!(health.lifecycle(), Lifecycle::Draining);
    assert_eq!(get(&health, "/health").json()["code"], "draining");
    health.stop();
    assert_eq!(codes(&health), [200, 200, 503, 503]);
    assert_eq!(health.lifecycle(), Lifecycle::Stopped);
}

#[tokio::test(start_paused = true)]
async fn maintenance_is_degraded_and_not_ready_unless_chosen_otherwise() {
    for (ready, expected) in [(false, [200, 200, 503, 200]), (true, [200; 4])] {
        let health = service()
            .check(Scripted::healthy("db"))
            .ready_in_maintenance(ready)
            .build()
            .unwrap();
        let _scheduler = health.start().unwrap();
        settle().await;
        health.set_maintenance(true);
        assert_eq!(codes(&health), expected);
        let body = get(&health, "/health").json();
        assert_eq!(
            (&body["status"], &body["maintenance"]),
            (&"degraded".into(), &true.into())
        );
        health.set_maintenance(false);
        assert_eq!(codes(&health), [200; 4]);
    }
}

/// The codes with one check that returns `outcome`.
async fn with_one(criticality: Criticality, scope: Scope, outcome: Outcome) -> [u16; 4] {
    let health = service()
        .check(Scripted::new("db", outcome))
        .policy(|_| exact().with_criticality(criticality).with_scope(scope))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    codes(&health)
}

#[tokio::test(start_paused = true)]
async fn what_a_failure_does_depends_on_criticality_and_scope() {
    use Criticality::{Critical, Informational, NonCritical};
    use Scope::{Instance, SharedDependency};

    let failed = || Outcome::unhealthy(Code::Unreachable);
    let degraded = || Outcome::degraded(Code::Saturated);
    let ok = [200; 4];
    for (criticality, scope, outcome, expected) in [
        (Critical, Instance, failed(), [200, 200, 503, 503]),
        (Critical, SharedDependency, failed(), [200, 200, 200, 503]),
        (NonCritical, Instance, failed(), ok),
        (NonCritical, SharedDependency, failed(), ok),
        (Informational, Instance, failed(), ok),
        (Critical, Instance, degraded(), ok),
        (NonCritical, Instance, degraded(), ok),
    ] {
        let codes = with_one(criticality, scope, outcome.clone()).await;
        assert_eq!(codes, expected, "{criticality:?} {scope:?} {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn degraded_comes_from_any_check_but_an_informational_one() {
    use Criticality::{Critical, Informational, NonCritical};

    let failed = || Outcome::unhealthy(Code::Unreachable);
    let degraded = || Outcome::degraded(Code::Saturated);
    for (criticality, outcome, expected) in [
        (Critical, degraded(), Status::Degraded),
        (NonCritical, degraded(), Status::Degraded),
        (NonCritical, failed(), Status::Degraded),
        (Informational, degraded(), Status::Healthy),
        (Informational, failed(), Status::Healthy),
    ] {
        let health = service()
            .check(Scripted::new("db", outcome))
            .policy(|_| exact().with_criticality(criticality))
            .build()
            .unwrap();
        let _scheduler = health.start().unwrap();
        settle().await;
        assert_eq!(
            health.verdict(Question::Health).status,
            expected,
            "{criticality:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_failure_takes_a_single_instance_out_of_readiness() {
    let shared = || exact().with_scope(Scope::SharedDependency);
    let strict = [
        service().ready_on_shared_failure(false),
        service().host(Host::FLY),
        service()
            .host(Host::KUBERNETES)
            .ready_on_shared_failure(false),
    ];
    for builder in strict {
        let health = builder
            .check(Scripted::failing("db"))
            .policy(|_| shared())
            .build()
            .unwrap();
        let _scheduler = health.start().unwrap();
        settle().await;
        assert_eq!(codes(&health), [200, 200, 503, 503]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_has_not_answered_yet_is_unknown() {
    use Criticality::{Critical, NonCritical};

    for (criticality, grace, expected) in [
        (Critical, seconds(0), [200, 200, 503, 503]),
        (Critical, seconds(60), [200, 200, 503, 503]),
        (NonCritical, seconds(0), [200; 4]),
        (NonCritical, seconds(60), [200; 4]),
    ] {
        let check = Scripted::healthy("db");
        check.set(Act::Hang);
        let health = service()
            .check(check)
            .policy(|_| {
                exact()
                    .with_criticality(criticality)
                    .with_scope(Scope::SharedDependency)
                    .with_startup_grace(grace)
            })
            .build()
            .unwrap();
        let _scheduler = health.start().unwrap();
        settle().await;
        assert_eq!(codes(&health), expected, "{criticality:?} {grace:?}");
        let degraded = criticality == NonCritical && grace == Duration::ZERO;
        let status = health.verdict(Question::Health).status;
        assert_eq!(
            status == Status::Degraded,
            degraded,
            "{criticality:?} {grace:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_shared_check_is_this_instances_own_failure() {
    let health = service()
        .check(Scripted::healthy("db"))
        .policy(|_| exact().with_scope(Scope::SharedDependency))
        .build()
        .unwrap();
    let scheduler = health.start().unwrap();
    settle().await;
    drop(scheduler);
    tokio::time::sleep(seconds(33)).await;
    assert_eq!(codes(&health), [200, 200, 503, 503]);
}

#[tokio::test(start_paused = true)]
async fn a_check_counts_only_where_its_groups_say() {
    let health = service()
        .check(Scripted::failing("report"))
        .policy(|_| exact().with_groups(Groups::HEALTH))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    settle().await;
    assert_eq!(codes(&health), [200, 200, 200, 503]);
}

#[tokio::test(start_paused = true)]
async fn the_status_of_degraded_can_be_chosen_for_health_alone() {
    for status in [200, 207, 503] {
        let health = service()
            .check(Scripted::failing("cache"))
            .non_critical()
            .degraded_status(status)
            .build()
            .unwrap();
        let _scheduler = health.start().unwrap();
        settle().await;
        assert_eq!(codes(&health), [200, 200, 200, status]);
    }
}

#[test]
fn a_verdict_needs_no_runtime() {
    let health = Health::builder().build().unwrap();
    assert_eq!(codes(&health), [200, 503, 503, 503]);
    let err = health.start().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
}
