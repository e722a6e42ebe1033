//! Objectives against a reference, against another crate, and against clocks that jump.

use std::sync::Arc;
use std::time::Duration;

use ops_core::id::MonitorId;
use ops_core::memory::MemoryMonitor;
use ops_core::monitor::UptimeSummary;
use ops_core::usage::Period;
use ops_core::{Clock as _, Timestamp};
use ops_health::slo::{Slo, SloState};
use ops_testkit::ManualClock;
use proptest::prelude::*;

use crate::support::{WallClock, minutes, seconds};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn slo(clock: &WallClock, objective: f64) -> Slo {
    Slo::builder("availability")
        .objective(objective)
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap()
}

/// Lets time pass in a state, with an observation once in 30 s.
async fn live(slo: &Slo, state: SloState, span: Duration) {
    slo.observe(state);
    let mut left = span;
    while !left.is_zero() {
        let step = left.min(seconds(30));
        tokio::time::advance(step).await;
        slo.observe(state);
        left -= step;
    }
}

fn last(clock: &WallClock, span: Duration) -> Period {
    let now = clock.now();
    Period::new(now.saturating_sub(span), now).unwrap()
}

#[track_caller]
fn assert_close(left: f64, right: f64, what: &str) {
    let scale = right.abs().max(1e-9);
    assert!(
        (left - right).abs() / scale < 1e-6,
        "{what}: {left} is not {right}"
    );
}

#[tokio::test(start_paused = true)]
async fn budgets_of_thirty_days_are_those_of_the_objectives() {
    let clock = WallClock::new();
    for (objective, seconds) in [(0.99, 25_920), (0.995, 12_960), (0.999, 2592)] {
        let slo = slo(&clock, objective);
        let report = slo.report(last(&clock, Slo::PERIOD), &[]);
        assert_close(report.budget.as_secs_f64(), f64::from(seconds), "budget");
        assert_eq!((report.availability, report.met), (None, None));
        assert_eq!(report.unknown, Slo::PERIOD);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_spends_what_it_lasts_and_the_rest_lasts_as_long_as_the_rate_says() {
    let clock = WallClock::new();
    let slo = slo(&clock, 0.999);
    live(&slo, SloState::Good, HOUR * 2).await;
    live(&slo, SloState::Bad, seconds(1296)).await;
    // Half of 43 min 12 s is gone.
    assert_close(slo.remaining(), 0.5, "remaining");
    assert_close(slo.burn(HOUR), 1296.0 / 3600.0 / 0.001, "burn of an hour");
    assert_close(slo.burn(minutes(5)), 1000.0, "burn of five minutes");
    let left = slo.time_to_exhaustion().unwrap();
    assert_close(
        left.as_secs_f64(),
        3600.0,
        "at that rate it lasts another hour",
    );
    // A minute more than the hour, for the minute in which the outage ended.
    live(&slo, SloState::Good, HOUR + minutes(1)).await;
    assert_eq!(slo.time_to_exhaustion(), None);
    live(&slo, SloState::Bad, HOUR).await;
    assert!(slo.remaining() < 0.0);
    assert_eq!(slo.time_to_exhaustion(), Some(Duration::ZERO));

    let report = slo.report(last(&clock, HOUR * 5), &[]);
    assert_eq!(report.bad, seconds(1296 + 3600));
    assert_eq!(report.good, HOUR * 3 + minutes(1));
    assert_eq!(report.met, Some(false));
}

#[tokio::test(start_paused = true)]
async fn requests_judge_a_window_with_a_hundred_of_them_and_time_one_with_fewer() {
    let clock = WallClock::new();
    let slo = Slo::builder("api")
        .objective(0.99)
        .with_requests()
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    live(&slo, SloState::Good, HOUR).await;
    slo.record_requests(49, 50);
    assert!(slo.burn(HOUR) <= 0.0);
    slo.record_requests(1, 0);
    assert_close(slo.burn(HOUR), 50.0, "half of the requests");
    let report = slo.report(last(&clock, HOUR), &[]);
    assert_eq!(
        (report.good_requests, report.bad_requests),
        (Some(50), Some(50))
    );
    assert_eq!(report.availability, Some(1.0));
    // They grow old, and time decides again.
    live(&slo, SloState::Good, HOUR * 2).await;
    assert!(slo.burn(HOUR) <= 0.0);
    assert!(slo.burn(DAY) > 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_observes_is_unknown_and_not_good() {
    let clock = WallClock::new();
    let slo = slo(&clock, 0.999);
    live(&slo, SloState::Good, HOUR).await;
    tokio::time::advance(HOUR).await;
    slo.observe(SloState::Good);
    let report = slo.report(last(&clock, HOUR * 2), &[]);
    let held = report.good.saturating_sub(HOUR);
    assert!(held >= minutes(1) && held < minutes(2), "{held:?}");
    assert_eq!(report.bad, Duration::ZERO);
    assert_eq!(report.availability, Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_makes_no_bad_time_and_loses_none() {
    let clock = WallClock::new();
    let slo = slo(&clock, 0.999);
    live(&slo, SloState::Good, HOUR).await;
    live(&slo, SloState::Bad, minutes(10)).await;
    for span in [seconds(90), HOUR, DAY] {
        clock.jump_forward(span);
        live(&slo, SloState::Good, minutes(5)).await;
        let report = slo.report(last(&clock, DAY * 3), &[]);
        assert_eq!(report.bad, minutes(10), "after a jump of {span:?}");
    }
    clock.jump_back(DAY);
    live(&slo, SloState::Good, minutes(5)).await;
    clock.jump_back(HOUR);
    live(&slo, SloState::Bad, minutes(7)).await;
    let report = slo.report(last(&clock, DAY * 3), &[]);
    assert_eq!(report.bad, minutes(17));
    assert!(report.good <= HOUR + minutes(20), "{:?}", report.good);
    // What is lived twice is bad where it was bad once.
    clock.jump_back(minutes(7));
    live(&slo, SloState::Good, minutes(7)).await;
    assert_eq!(slo.report(last(&clock, DAY * 3), &[]).bad, minutes(17));
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_far_back_and_forth_leaves_a_tracker_that_works() {
    let clock = WallClock::new();
    let slo = slo(&clock, 0.999);
    live(&slo, SloState::Bad, minutes(10)).await;
    for _ in 0..3 {
        clock.jump_back(DAY * 20_000);
        live(&slo, SloState::Good, minutes(2)).await;
        clock.jump_forward(DAY * 40_000);
        live(&slo, SloState::Good, minutes(2)).await;
        clock.jump_back(DAY * 20_000);
        live(&slo, SloState::Good, minutes(2)).await;
    }
    live(&slo, SloState::Bad, minutes(5)).await;
    let report = slo.report(last(&clock, minutes(5)), &[]);
    assert_eq!(report.bad, minutes(5));
}

#[test]
fn the_memory_of_an_objective_is_fixed_and_small() {
    let plain = Slo::builder("a").build().unwrap();
    let with_requests = Slo::builder("b").with_requests().build().unwrap();
    println!(
        "{} bytes, with requests {}",
        plain.memory_bytes(),
        with_requests.memory_bytes()
    );
    assert!(plain.memory_bytes() < 76_000, "{}", plain.memory_bytes());
    assert!(with_requests.memory_bytes() < 150_000);
}

#[tokio::test(start_paused = true)]
async fn what_was_found_from_outside_wins_in_both_directions() {
    let clock = WallClock::new();
    let slo = slo(&clock, 0.99);
    live(&slo, SloState::Good, HOUR * 2).await;
    live(&slo, SloState::Unknown, HOUR).await;
    live(&slo, SloState::Good, HOUR).await;
    let period = last(&clock, HOUR * 4);
    let found = |ratio| UptimeSummary::new(period, Some(ratio));

    // Half an hour that nobody inside has seen goes where nothing was known.
    assert!(slo.merge(&found(0.875)));
    let report = slo.report(period, &[]);
    assert_close(report.bad.as_secs_f64(), 1800.0, "bad");
    assert_close(report.good.as_secs_f64(), 3.5 * 3600.0, "good");
    let start = period.start;
    let unseen = Period::new(
        start.saturating_add(HOUR * 2),
        start.saturating_add(HOUR * 3),
    )
    .unwrap();
    assert_close(
        slo.report(unseen, &[]).bad.as_secs_f64(),
        1800.0,
        "in its place",
    );

    // More than that was unknown: the rest comes from what looked good.
    assert!(slo.merge(&found(0.5)));
    assert_close(slo.report(period, &[]).bad.as_secs_f64(), 7200.0, "bad");
    // And less than was seen from inside.
    assert!(slo.merge(&found(1.0)));
    assert_eq!(slo.report(period, &[]).bad, Duration::ZERO);
    assert!(!slo.merge(&UptimeSummary::new(period, None)));
    assert!(!slo.merge(&found(f64::NAN)));
    // A period that nothing is known of changes nothing.
    let old = Period::new(
        Timestamp::UNIX_EPOCH,
        Timestamp::UNIX_EPOCH.saturating_add(HOUR),
    )
    .unwrap();
    assert!(!slo.merge(&UptimeSummary::new(old, Some(0.0))));
}

#[tokio::test(start_paused = true)]
async fn a_monitor_that_knows_no_such_check_changes_nothing() {
    let clock = WallClock::new();
    let slo = slo(&clock, 0.99);
    live(&slo, SloState::Bad, HOUR).await;
    let monitor = MemoryMonitor::with_clock(Arc::new(clock.clone()));
    let id = MonitorId::new("nobody").unwrap();
    let report = ops_core::Monitor::as_uptime_report(&monitor).unwrap();
    let err = slo.pull(report, &id, last(&clock, HOUR)).await.unwrap_err();
    assert!(err.is_not_found());
    assert_eq!(slo.report(last(&clock, HOUR), &[]).bad, HOUR);
}

#[test]
fn an_objective_that_cannot_be_is_refused_with_everything_that_is_wrong() {
    for objective in [0.0, 1.0, -1.0, 99.5, f64::NAN] {
        let clock = Arc::new(ManualClock::default());
        let built = Slo::builder("No Name")
            .objective(objective)
            .clock(clock)
            .build();
        let message = built.unwrap_err().message().to_owned();
        assert!(message.contains("\"No Name\" is no name"), "{message}");
        assert!(message.contains("is not between 0 and 1"), "{message}");
    }
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    state: SloState,
    minutes: u64,
}

fn stretch() -> impl Strategy<Value = Stretch> {
    let state = prop_oneof![
        6 => Just(SloState::Good),
        2 => Just(SloState::Bad),
        1 => Just(SloState::Unknown),
    ];
    (state, 1_u64..400).prop_map(|(state, minutes)| Stretch { state, minutes })
}

/// The bad seconds of the last `window`, from the list itself.
fn bad_seconds(stretches: &[Stretch], window: Duration) -> f64 {
    let mut age = 0;
    let mut bad = 0;
    for one in stretches.iter().rev() {
        let (from, to) = (age, age + one.minutes * 60);
        if one.state == SloState::Bad {
            bad += to.min(window.as_secs()).saturating_sub(from);
        }
        age = to;
    }
    f64::from(u32::try_from(bad).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// The reference adds up a list; the arithmetic on its sums is another crate's.
    #[test]
    fn burn_and_budget_agree_with_another_implementation(
        stretches in prop::collection::vec(stretch(), 1..16),
        objective in prop::sample::select(vec![0.99, 0.995, 0.999]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = WallClock::new();
            let slo = slo(&clock, objective);
            for one in &stretches {
                live(&slo, one.state, minutes(one.minutes)).await;
            }
            let period = slokit::Window::days(30);
            let theirs = slokit::Slo::new(slokit::Objective::ratio(objective).unwrap(), period);
            let windows = [5, 30, 60, 6 * 60, 3 * 24 * 60];
            for window in windows.map(minutes) {
                let ratio = bad_seconds(&stretches, window) / window.as_secs_f64();
                let burn = slokit::BurnRate::from_error_ratio(ratio, &theirs);
                // Stretches begin at full minutes, and so do fine buckets; a bucket of five
                // minutes that a long window cuts is estimated.
                let tolerance = if window > minutes(360) {
                    300.0 / window.as_secs_f64() / (1.0 - objective)
                } else {
                    1e-6
                };
                prop_assert!((slo.burn(window) - burn.value()).abs() <= tolerance * burn.value().max(1.0),
                    "{window:?}: {} is not {}", slo.burn(window), burn.value());
            }
            let bad = bad_seconds(&stretches, Slo::PERIOD);
            let budget = slokit::ErrorBudget::new(Slo::PERIOD.as_secs_f64(), 1.0 - objective);
            // Theirs ends at zero, ours tells by how much it is overspent.
            prop_assert!((slo.remaining().max(0.0) - budget.remaining_ratio(bad)).abs() < 1e-6);
            let hour = bad_seconds(&stretches, HOUR) / 3600.0;
            let burn = slokit::BurnRate::from_error_ratio(hour, &theirs);
            let expected = budget.time_to_exhaustion(bad, burn, period);
            match (slo.time_to_exhaustion(), expected) {
                (Some(ours), Some(theirs)) => {
                    let off = ours.as_secs_f64() - theirs.as_secs_f64();
                    prop_assert!(off.abs() < 1.0, "{ours:?} is not {theirs:?}");
                }
                (None, None) => {}
                // Nothing is left, and nothing is being spent: ours says that it is over.
                (Some(Duration::ZERO), None) => prop_assert!(budget.remaining_ratio(bad) <= 0.0),
                (ours, theirs) => prop_assert!(false, "{ours:?} is not {theirs:?}"),
            }
            Ok(())
        })?;
    }
}
