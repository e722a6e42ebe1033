//! One condition over time. No I/O, no clock: every moment is an argument.

use std::time::{Duration, Instant};

use super::rule::Rule;

/// How long an alert whose signal has no value any more goes on.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// What a rule knows of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Phase {
    /// The condition does not hold.
    #[default]
    Idle,
    /// It holds, but not for long enough.
    Pending { since: Instant },
    /// The alert fires.
    Firing {
        /// Since when the value is on the good side.
        clearing: Option<Instant>,
        /// When there was a value last.
        seen: Instant,
    },
}

/// What has become of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Fired,
    Cleared,
}

impl Phase {
    /// Takes a value in; `None` says that there is none now.
    pub(super) fn step(&mut self, rule: &Rule, value: Option<f64>, now: Instant) -> Option<Change> {
        let value = value.filter(|value| !value.is_nan());
        let (next, change) = match (*self, value) {
            (Self::Firing { seen, .. }, None) => {
                if now.saturating_duration_since(seen) > FORGET_AFTER {
                    (Self::Idle, Some(Change::Cleared))
                } else {
                    // The value must be good without a break.
                    let clearing = None;
                    (Self::Firing { clearing, seen }, None)
                }
            }
            (_, None) => (Self::Idle, None),
            (Self::Firing { clearing, .. }, Some(value)) => firing(rule, clearing, value, now),
            (idle_or_pending, Some(value)) => waiting(rule, idle_or_pending, value, now),
        };
        *self = next;
        change
    }
}

fn waiting(rule: &Rule, phase: Phase, value: f64, now: Instant) -> (Phase, Option<Change>) {
    if !rule.op.holds(value, rule.threshold) {
        return (Phase::Idle, None);
    }
    let since = match phase {
        Phase::Pending { since } => since,
        _ => now,
    };
    if now.saturating_duration_since(since) < rule.hold_for {
        return (Phase::Pending { since }, None);
    }
    let clearing = None;
    let firing = Phase::Firing {
        clearing,
        seen: now,
    };
    (firing, Some(Change::Fired))
}

fn firing(
    rule: &Rule,
    clearing: Option<Instant>,
    value: f64,
    now: Instant,
) -> (Phase, Option<Change>) {
    if !rule.op.is_clear(value, rule.clear_threshold()) {
        let clearing = None;
        return (
            Phase::Firing {
                clearing,
                seen: now,
            },
            None,
        );
    }
    let since = clearing.unwrap_or(now);
    if now.saturating_duration_since(since) >= rule.clear_for {
        return (Phase::Idle, Some(Change::Cleared));
    }
    let clearing = Some(since);
    (
        Phase::Firing {
            clearing,
            seen: now,
        },
        None,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::{Op, Signal};

    fn is_firing(phase: Phase) -> bool {
        matches!(phase, Phase::Firing { .. })
    }

    fn rule(hold: u64, clear: u64) -> Rule {
        Rule::new("disk_fail", Signal::custom("x", || None), Op::Above, 0.85)
            .clear_at(0.82)
            .hold_for(Duration::from_secs(hold))
            .clear_for(Duration::from_secs(clear))
    }

    /// Says the same from the whole history: fires where every value of the last `hold`
    /// seconds was bad, clears where every value of the last `clear` seconds was good.
    struct Reference {
        history: Vec<(u64, Option<f64>)>,
        firing: bool,
    }

    impl Reference {
        fn step(&mut self, rule: &Rule, at: u64, value: Option<f64>) -> bool {
            self.history.push((at, value));
            let run = |good: &dyn Fn(f64) -> bool| {
                let tail = self.history.iter().rev();
                let first = tail.take_while(|(_, value)| value.is_some_and(good)).last();
                first.map(|(since, _)| at - since)
            };
            if self.firing {
                let last_seen = self.history.iter().rev().find(|(_, value)| value.is_some());
                let gone = last_seen.is_none_or(|(seen, _)| at - seen > FORGET_AFTER.as_secs());
                let good = run(&|value| value < 0.82);
                self.firing = !gone && good.is_none_or(|span| span < rule.clear_for.as_secs());
                if !self.firing {
                    self.history.clear();
                }
            } else {
                let bad = run(&|value| value > 0.85);
                self.firing = bad.is_some_and(|span| span >= rule.hold_for.as_secs());
            }
            self.firing
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_condition_agrees_with_its_whole_history(
            hold in 0_u64..40,
            clear in 0_u64..40,
            steps in prop::collection::vec((0_u64..5000, prop::option::weighted(0.9, 0.78_f64..0.9)), 0..60),
            pause in 1_u64..30,
        ) {
            let rule = rule(hold, clear);
            let start = Instant::now();
            let mut phase = Phase::default();
            let mut reference = Reference { history: Vec::new(), firing: false };
            let mut at = 0;
            for (jump, value) in steps {
                // Mostly short pauses, now and then one of more than an hour.
                at += if jump > 4900 { jump } else { jump % pause };
                let before = reference.firing;
                let after = reference.step(&rule, at, value);
                let change = phase.step(&rule, value, start + Duration::from_secs(at));
                let expected = match (before, after) {
                    (false, true) => Some(Change::Fired),
                    (true, false) => Some(Change::Cleared),
                    _ => None,
                };
                prop_assert_eq!(change, expected);
                prop_assert_eq!(is_firing(phase), after);
            }
        }

        #[test]
        fn a_value_between_the_thresholds_changes_nothing(
            values in prop::collection::vec(0.82_f64..=0.85, 1..50),
            firing in any::<bool>(),
        ) {
            let rule = rule(0, 0);
            let now = Instant::now();
            let mut phase = Phase::default();
            if firing {
                phase.step(&rule, Some(0.9), now);
            }
            for value in values {
                prop_assert_eq!(phase.step(&rule, Some(value), now), None);
            }
            prop_assert_eq!(is_firing(phase), firing);
        }
    }

    #[test]
    fn what_is_no_number_is_no_value() {
        let mut phase = Phase::default();
        assert_eq!(
            phase.step(&rule(0, 0), Some(f64::NAN), Instant::now()),
            None
        );
        assert_eq!(phase, Phase::Idle);
        let fired = phase.step(&rule(0, 0), Some(f64::INFINITY), Instant::now());
        assert_eq!(fired, Some(Change::Fired));
    }
}
