//! The state machine against a reference that keeps the whole history.

use std::time::{Duration, Instant};

use ops_core::Timestamp;
use ops_health::{CheckState, Code, Event, Moment, Outcome, Policy, Private, Status};
use proptest::prelude::*;

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_state_machine_agrees_with_the_reference(
        failure in 1_u32..5,
        success in 1_u32..5,
        grace in 0_u64..60,
        steps in prop::collection::vec((run(), 0_u64..50), 0..60),
    ) {
        let policy = Policy::default()
            .with_thresholds(failure, success)
            .with_startup_grace(Duration::from_secs(grace));
        let start = Instant::now();
        let mut now = Moment { instant: start, wall: Timestamp::UNIX_EPOCH };
        let mut state = CheckState::new(&policy, now);
        let mut reference = Reference {
            failure: failure as usize,
            success: success as usize,
            history: Vec::new(),
            reported: Status::Unknown,
        };
        for (run, pause) in steps {
            let stale = now.instant + Duration::from_secs(pause);
            let aged = pause > policy.stale_after().as_secs() && !reference.history.is_empty();
            let shown = if aged { Status::Unhealthy } else { reference.reported };
            prop_assert_eq!(state.status(stale), shown);
            prop_assert_eq!(state.code(stale) == Code::Stale, aged);

            now.instant = stale;
            let before = reference.reported;
            reference.push(run.status(), now.instant < start + Duration::from_secs(grace));
            let change = state.on(run.event(), now);
            prop_assert_eq!(state.status(now.instant), reference.reported);
            prop_assert_eq!(change.map(|c| (c.from, c.to)),
                (before != reference.reported).then_some((before, reference.reported)));
            prop_assert_eq!(state.code(now.instant) == Code::Ok, reference.reported == Status::Healthy);
            prop_assert_eq!(state.is_pending(),
                reference.reported.is_up() && run.status() > reference.reported);
            prop_assert!(!(state.is_pending() && state.is_recovering()));
        }
    }
}
