//! A share that warns, and a share that fails.

use super::Percent;
use crate::outcome::Outcome;
use crate::status::Code;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) warn_at: Percent,
    pub(super) fail_at: Percent,
}

impl Limits {
    pub(super) const fn new(warn_at: u8, fail_at: u8) -> Self {
        Self {
            warn_at: Percent::new(warn_at),
            fail_at: Percent::new(fail_at),
        }
    }

    pub(super) fn judge(self, used: f64) -> Outcome {
        if used >= self.fail_at.ratio() {
            Outcome::unhealthy(Code::ThresholdFail)
        } else if used >= self.warn_at.ratio() {
            Outcome::degraded(Code::ThresholdWarn)
        } else {
            Outcome::healthy()
        }
    }

    pub(super) fn problems(self) -> Vec<String> {
        let fits = self.warn_at < self.fail_at && self.fail_at <= Percent::new(100);
        (!fits)
            .then(|| {
                format!(
                    "it warns at {} % and fails at {} %; the first must be lower, and both at most 100 %",
                    self.warn_at.get(),
                    self.fail_at.get()
                )
            })
            .into_iter()
            .collect()
    }
}

/// A number as bodies show it.
#[expect(
    clippy::cast_precision_loss,
    reason = "a number to 52 bits is exact enough to be shown"
)]
pub(super) const fn to_f64(n: u64) -> f64 {
    n as f64
}
