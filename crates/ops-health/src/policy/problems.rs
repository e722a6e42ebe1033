//! What a policy cannot mean.

use super::{Mode, Policy};
use crate::builder::is_too_long;
use crate::status::Criticality;

impl Policy {
    /// Everything that cannot work.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.interval.is_zero() {
            problems.push("the interval is zero".to_owned());
        }
        if self.timeout.is_zero() {
            problems.push("the timeout is zero".to_owned());
        }
        if self.failure_threshold == 0 || self.success_threshold == 0 {
            problems.push("a threshold is zero".to_owned());
        }
        if !(0.0..=0.5).contains(&self.jitter) {
            problems.push(format!(
                "the jitter of {} is not between 0 and 0.5",
                self.jitter
            ));
        }
        if let Some(retry) = self.retry_interval {
            if retry.is_zero() {
                problems.push("the retry interval is zero".to_owned());
            } else if retry > self.interval {
                problems.push(format!(
                    "the retry interval of {retry:?} is longer than the interval of {:?}",
                    self.interval
                ));
            }
        }
        problems.extend(self.mode_problems());
        let spans = [
            self.period(),
            self.retry_interval(),
            self.timeout,
            self.stale_after(),
            self.startup_grace,
            self.unrecoverable_after.unwrap_or_default(),
        ];
        if spans.into_iter().any(is_too_long) {
            problems.push("a span is longer than a year".to_owned());
        }
        let least = self.period().saturating_add(self.timeout);
        if self.stale_after() < least {
            let cycle = match self.mode {
                Mode::Background => "interval",
                Mode::OnDemand { .. } => "ttl",
            };
            problems.push(format!(
                "stale_after of {:?} is shorter than {cycle} and timeout together, {least:?}",
                self.stale_after()
            ));
        }
        problems
    }

    fn mode_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let on_demand = match self.mode {
            Mode::Background => false,
            Mode::OnDemand { ttl } => {
                if ttl.is_zero() {
                    problems.push("the ttl is zero".to_owned());
                }
                true
            }
        };
        if on_demand && self.groups.startup {
            problems.push("a check of the start cannot run on demand".to_owned());
        }
        let Some(limit) = self.unrecoverable_after else {
            return problems;
        };
        if on_demand {
            problems.push("a check that runs on demand cannot end the process".to_owned());
        }
        if self.criticality != Criticality::Critical {
            problems.push("only a critical check can end the process".to_owned());
        }
        // Before that, a failure is not even certain.
        let certain = self.detection_time();
        if limit < certain {
            problems.push(format!(
                "unrecoverable_after of {limit:?} is shorter than it takes to be sure of a failure, {certain:?}"
            ));
        }
        problems
    }
}
