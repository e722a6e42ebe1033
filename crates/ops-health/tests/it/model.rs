//! The state machine against a reference that keeps the whole history.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ops_core::Timestamp;
use ops_health::{CheckState, Code, Event, Moment, Outcome, Policy, Private, Status, Transition};
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

/// Says the same in another way: worse where the best of the last `failure` results is
/// worse, better where the worst of the last `success` results is better.
struct Reference {
    failure: usize,
    success: usize,
    history: Vec<Status>,
    reported: Status,
}

impl Reference {
    fn push(&mut self, status: Status, in_grace: bool) {
        self.history.push(status);
        if self.reported == Status::Unknown {
            if status.is_up() || !in_grace {
                self.reported = status;
            }
            return;
        }
        let last = |n: usize| self.history.iter().rev().take(n).copied();
        let best_of_bad = last(self.failure)
            .min()
            .filter(|_| self.history.len() >= self.failure);
        let worst_of_good = last(self.success)
            .max()
            .filter(|_| self.history.len() >= self.success);
        if let Some(bad) = best_of_bad.filter(|bad| *bad > self.reported) {
            self.reported = bad;
        } else if let Some(good) = worst_of_good.filter(|good| *good < self.reported) {
            self.reported = good;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Run {
    Healthy,
    Degraded,
    Failed,
    TimedOut,
    Panicked,
    Stuck,
}

impl Run {
    fn event(self) -> Event {
        let finished = |outcome| Event::Finished(outcome, Duration::ZERO);
        match self {
            Self::Healthy => finished(Outcome::healthy()),
            Self::Degraded => finished(Outcome::degraded(Code::Saturated)),
            Self::Failed => finished(Outcome::unhealthy(Code::Refused)),
            Self::TimedOut => Event::TimedOut(Duration::ZERO),
            Self::Panicked => Event::Panicked(Private::default()),
            Self::Stuck => Event::Stuck,
        }
    }

    fn status(self) -> Status {
        match self {
            Self::Healthy => Status::Healthy,
            Self::Degraded => Status::Degraded,
            _ => Status::Unhealthy,
        }
    }
}

fn run() -> impl Strategy<Value = Run> {
    prop_oneof![
        4 => Just(Run::Healthy),
        3 => Just(Run::Degraded),
        3 => Just(Run::Failed),
        1 => Just(Run::TimedOut),
        1 => Just(Run::Panicked),
        1 => Just(Run::Stuck),
    ]
}

/// A mistake in the machine, made on purpose.
#[derive(Clone, Copy, Debug)]
enum Planted {
    OneFailureMore,
    OneSuccessLess,
    NeverStale,
    GraceForEver,
    StuckIsForgotten,
    TimeoutIsHealthy,
    PanicIsDegraded,
}

const PLANTED: [Planted; 7] = [
    Planted::OneFailureMore,
    Planted::OneSuccessLess,
    Planted::NeverStale,
    Planted::GraceForEver,
    Planted::StuckIsForgotten,
    Planted::TimeoutIsHealthy,
    Planted::PanicIsDegraded,
];

/// The machine, with a mistake or without.
struct Machine {
    state: CheckState,
    planted: Option<Planted>,
}

impl Machine {
    fn new(policy: &Policy, now: Moment, planted: Option<Planted>) -> Self {
        let (failure, success) = (policy.failure_threshold(), policy.success_threshold());
        let policy = policy.clone();
        let year = Duration::from_secs(365 * 24 * 3600);
        let policy = match planted {
            Some(Planted::OneFailureMore) => policy.with_thresholds(failure + 1, success),
            Some(Planted::OneSuccessLess) => policy.with_thresholds(failure, success.max(2) - 1),
            Some(Planted::NeverStale) => policy.with_stale_after(year),
            Some(Planted::GraceForEver) => policy.with_startup_grace(year),
            _ => policy,
        };
        Self {
            state: CheckState::new(&policy, now),
            planted,
        }
    }

    fn on(&mut self, run: Run, now: Moment) -> Option<Transition> {
        let run = match (self.planted, run) {
            (Some(Planted::StuckIsForgotten), Run::Stuck) => return None,
            (Some(Planted::TimeoutIsHealthy), Run::TimedOut) => Run::Healthy,
            (Some(Planted::PanicIsDegraded), Run::Panicked) => Run::Degraded,
            _ => run,
        };
        self.state.on(run.event(), now)
    }
}

/// Thresholds, grace, and runs with the pauses before them, in seconds.
type Sequence = (u32, u32, u64, Vec<(Run, u64)>);

fn sequence() -> impl Strategy<Value = Sequence> {
    let steps = prop::collection::vec((run(), 0_u64..50), 0..60);
    (1_u32..5, 1_u32..5, 0_u64..60, steps)
}

/// Whether machine and reference say the same at every step.
fn agree(
    (failure, success, grace, steps): Sequence,
    planted: Option<Planted>,
) -> Result<(), TestCaseError> {
    let policy = Policy::default()
        .with_thresholds(failure, success)
        .with_startup_grace(Duration::from_secs(grace));
    let start = Instant::now();
    let mut now = Moment {
        instant: start,
        wall: Timestamp::UNIX_EPOCH,
    };
    let mut machine = Machine::new(&policy, now, planted);
    let mut reference = Reference {
        failure: failure as usize,
        success: success as usize,
        history: Vec::new(),
        reported: Status::Unknown,
    };
    for (run, pause) in steps {
        let state = &machine.state;
        let later = now.instant + Duration::from_secs(pause);
        let aged = pause > policy.stale_after().as_secs() && !reference.history.is_empty();
        let shown = if aged {
            Status::Unhealthy
        } else {
            reference.reported
        };
        prop_assert_eq!(state.status(later), shown);
        prop_assert_eq!(state.code(later) == Code::Stale, aged);

        now.instant = later;
        let before = reference.reported;
        let in_grace = now.instant < start + Duration::from_secs(grace);
        reference.push(run.status(), in_grace);
        let change = machine.on(run, now);
        let state = &machine.state;
        let reported = reference.reported;
        prop_assert_eq!(state.status(now.instant), reported);
        prop_assert_eq!(
            change.map(|c| (c.from, c.to)),
            (before != reported).then_some((before, reported))
        );
        prop_assert_eq!(
            state.code(now.instant) == Code::Ok,
            reported == Status::Healthy
        );
        prop_assert_eq!(
            state.is_pending(),
            reported.is_up() && run.status() > reported
        );
        prop_assert!(!(state.is_pending() && state.is_recovering()));
    }
    Ok(())
}

const SEQUENCES: u32 = 2000;

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases: SEQUENCES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

#[test]
fn the_state_machine_agrees_with_the_reference() {
    let (sequences, runs) = (Cell::new(0_u32), Cell::new(0_usize));
    let outcome = runner().run(&sequence(), |sequence| {
        sequences.set(sequences.get() + 1);
        runs.set(runs.get() + sequence.3.len());
        agree(sequence, None)
    });
    outcome.unwrap_or_else(|err| panic!("{err}"));
    assert_eq!(sequences.get(), SEQUENCES);
    println!(
        "{SEQUENCES} random sequences, {} runs in all: machine and reference agree",
        runs.get()
    );
}

#[test]
fn a_planted_mistake_is_found_by_some_sequence() {
    for planted in PLANTED {
        let sequences = Cell::new(0_u32);
        let outcome = runner().run(&sequence(), |sequence| {
            sequences.set(sequences.get() + 1);
            agree(sequence, Some(planted))
        });
        let Err(TestError::Fail(_, (failure, success, grace, steps))) = outcome else {
            panic!("nothing found {planted:?}: {outcome:?}");
        };
        println!(
            "{planted:?} is found, {} sequences with shrinking; the least: thresholds {failure} \
             and {success}, grace {grace} s, {steps:?}",
            sequences.get()
        );
    }
}
