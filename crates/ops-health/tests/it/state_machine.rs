use std::time::{Duration, Instant};

use ops_core::Timestamp;
use ops_health::{CheckState, Code, Event, Moment, Outcome, Policy, Private, Status, Transition};

use crate::support::seconds;

/// A state with a clock that moves 10 s before every event.
struct Bench {
    state: CheckState,
    now: Moment,
}

const TOOK: Duration = Duration::from_millis(7);

impl Bench {
    fn new(policy: &Policy) -> Self {
        let now = Moment {
            instant: Instant::now(),
            wall: Timestamp::UNIX_EPOCH,
        };
        Self {
            state: CheckState::new(policy, now),
            now,
        }
    }

    fn default() -> Self {
        Self::new(&Policy::default())
    }

    fn pass(&mut self, span: Duration) {
        self.now.instant += span;
        self.now.wall = self.now.wall.saturating_add(span);
    }

    fn on(&mut self, event: Event) -> Option<Transition> {
        self.pass(seconds(10));
        self.state.on(event, self.now)
    }

    fn result(&mut self, outcome: Outcome) -> Option<Transition> {
        self.on(Event::Finished(outcome, TOOK))
    }

    fn status(&self) -> (Status, Code) {
        (
            self.state.status(self.now.instant),
            self.state.code(self.now.instant),
        )
    }
}

fn healthy() -> Outcome {
    Outcome::healthy()
}

fn degraded() -> Outcome {
    Outcome::degraded(Code::ThresholdWarn)
}

fn failed() -> Outcome {
    Outcome::unhealthy(Code::Unreachable)
}

const HEALTHY: (Status, Code) = (Status::Healthy, Code::Ok);
const DEGRADED: (Status, Code) = (Status::Degraded, Code::ThresholdWarn);
const FAILED: (Status, Code) = (Status::Unhealthy, Code::Unreachable);

#[test]
fn the_first_result_stands_at_once() {
    for (outcome, expected) in [
        (healthy(), HEALTHY),
        (degraded(), DEGRADED),
        (failed(), FAILED),
    ] {
        let mut bench = Bench::default();
        assert_eq!(bench.status(), (Status::Unknown, Code::Ok));
        let (to, code) = expected;
        let change = bench.result(outcome);
        assert_eq!(
            change,
            Some(Transition {
                from: Status::Unknown,
                to,
                code
            })
        );
        assert_eq!(bench.status(), expected);
    }
}

#[test]
fn a_first_failure_within_the_grace_leaves_it_unknown() {
    let mut bench = Bench::new(&Policy::default().with_startup_grace(seconds(25)));
    assert_eq!(bench.result(failed()), None);
    assert_eq!(bench.result(failed()), None);
    assert_eq!(bench.status(), (Status::Unknown, Code::Unreachable));
    assert!(bench.state.in_grace(bench.now.instant));
    assert!(bench.result(failed()).is_some());
    assert_eq!(bench.status(), FAILED);
    assert!(!bench.state.in_grace(bench.now.instant));
}

#[test]
fn a_success_within_the_grace_stands_at_once() {
    let mut bench = Bench::new(&Policy::default().with_startup_grace(seconds(60)));
    bench.result(failed());
    bench.result(healthy());
    assert_eq!(bench.status(), HEALTHY);
}

#[test]
fn failures_below_the_threshold_are_pending_and_change_nothing() {
    for (first, expected) in [(healthy(), HEALTHY), (degraded(), DEGRADED)] {
        let mut bench = Bench::default();
        bench.result(first);
        assert!(!bench.state.is_pending());
        for _ in 0..2 {
            assert_eq!(bench.result(failed()), None);
            assert_eq!(bench.status(), expected);
            assert!(bench.state.is_pending() && !bench.state.is_settled());
        }
        assert_eq!(bench.state.consecutive_failures(), 2);
    }
}

#[test]
fn the_third_failure_in_a_row_is_unhealthy() {
    for first in [healthy(), degraded()] {
        let mut bench = Bench::default();
        bench.result(first);
        bench.result(failed());
        bench.result(failed());
        assert!(bench.result(failed()).is_some());
        assert_eq!(bench.status(), FAILED);
        assert!(!bench.state.is_pending());
    }
}

#[test]
fn a_success_between_failures_starts_the_count_again() {
    let mut bench = Bench::default();
    bench.result(healthy());
    for _ in 0..5 {
        bench.result(failed());
        bench.result(failed());
        bench.result(healthy());
    }
    assert_eq!(bench.status(), HEALTHY);
}

#[test]
fn one_success_is_recovering_and_changes_nothing() {
    let mut bench = Bench::default();
    bench.result(failed());
    assert_eq!(bench.result(healthy()), None);
    assert_eq!(bench.status(), FAILED);
    assert!(bench.state.is_recovering());
    assert!(bench.result(failed()).is_none());
    assert!(!bench.state.is_recovering());
}

#[test]
fn the_second_success_in_a_row_recovers() {
    for (first, second, expected) in [
        (healthy(), healthy(), HEALTHY),
        (degraded(), degraded(), DEGRADED),
        (degraded(), healthy(), DEGRADED),
        (healthy(), degraded(), DEGRADED),
    ] {
        let mut bench = Bench::default();
        bench.result(failed());
        bench.result(first);
        assert!(bench.result(second).is_some());
        assert_eq!(bench.status(), expected);
    }
}

#[test]
fn healthy_and_degraded_are_damped_alike() {
    let mut bench = Bench::default();
    bench.result(healthy());
    bench.result(degraded());
    bench.result(degraded());
    assert_eq!(bench.status(), HEALTHY);
    assert!(bench.state.is_pending());
    bench.result(degraded());
    assert_eq!(bench.status(), DEGRADED);
    bench.result(healthy());
    assert_eq!(bench.status(), DEGRADED);
    assert!(bench.state.is_recovering());
    bench.result(healthy());
    assert_eq!(bench.status(), HEALTHY);
}

#[test]
fn a_mix_of_bad_results_is_as_bad_as_the_best_of_them() {
    let mut bench = Bench::default();
    bench.result(healthy());
    bench.result(degraded());
    bench.result(failed());
    bench.result(failed());
    assert_eq!(bench.status().0, Status::Degraded);
    bench.result(failed());
    assert_eq!(bench.status(), FAILED);
}

#[test]
fn timeout_panic_and_stuck_are_failures_with_codes_of_their_own() {
    for (event, code) in [
        (Event::TimedOut(seconds(2)), Code::Timeout),
        (
            Event::Panicked(Private::new("boom".to_owned())),
            Code::Panicked,
        ),
        (Event::Stuck, Code::Stuck),
    ] {
        let mut bench = Bench::default();
        bench.result(healthy());
        bench.on(event.clone());
        bench.on(event.clone());
        assert_eq!(bench.status(), HEALTHY);
        bench.on(event);
        assert_eq!(bench.status(), (Status::Unhealthy, code));
    }
}

#[test]
fn a_result_is_stale_only_after_its_time_and_only_until_the_next() {
    // 3 x 10 s + 2 s.
    let mut bench = Bench::default();
    bench.result(healthy());
    bench.pass(seconds(32));
    assert_eq!(bench.status(), HEALTHY);
    bench.pass(Duration::from_nanos(1));
    assert_eq!(bench.status(), (Status::Unhealthy, Code::Stale));
    bench.result(healthy());
    assert_eq!(bench.status(), HEALTHY);
}

#[test]
fn a_check_that_never_ran_is_unknown_and_not_stale() {
    let mut bench = Bench::default();
    bench.pass(seconds(10_000));
    assert_eq!(bench.status(), (Status::Unknown, Code::Ok));
}

#[test]
fn a_wall_clock_that_jumps_changes_no_verdict() {
    let mut bench = Bench::default();
    bench.result(healthy());
    bench.now.wall = bench.now.wall.saturating_add(seconds(86_400));
    assert_eq!(bench.status(), HEALTHY);
    bench.result(failed());
    bench.now.wall = Timestamp::UNIX_EPOCH;
    assert_eq!(bench.status(), HEALTHY);
    bench.result(failed());
    bench.result(failed());
    assert_eq!(bench.status(), FAILED);
}

#[test]
fn a_reader_whose_clock_is_behind_sees_no_stale_result() {
    let mut bench = Bench::default();
    let before = bench.now.instant;
    bench.result(healthy());
    assert!(!bench.state.is_stale(before));
}

#[test]
fn the_times_of_a_failure_are_kept() {
    let at = |s: i64| Timestamp::from_unix_seconds(s).unwrap();
    let mut bench = Bench::default();
    bench.result(healthy()); // 10
    bench.result(failed()); // 20
    bench.result(failed()); // 30
    bench.result(failed()); // 40
    assert_eq!(bench.state.last_success(), Some(at(10)));
    assert_eq!(bench.state.first_failure(), Some(at(20)));
    assert_eq!(bench.state.last_change(), at(40));
    assert_eq!(bench.state.last_run().unwrap().wall, at(40));
    assert_eq!(bench.state.took(), Some(TOOK));
    bench.result(healthy()); // 50
    assert_eq!(bench.state.first_failure(), None);
    assert_eq!(bench.state.last_success(), Some(at(50)));
    assert_eq!(bench.state.last_change(), at(40));
}
