//! When a request is sent again, and how long to wait before.

use std::time::Duration;

/// When to send again. Waits have full jitter: between nothing and the exponential bound.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often a request is sent at most, the first time included. Defaults to 3.
    pub max_attempts: u32,
    /// The bound of the first wait. Defaults to 250 ms.
    pub base: Duration,
    /// The bound that later waits never exceed. Defaults to 20 s.
    pub cap: Duration,
    /// The time that all attempts and waits may take together. Defaults to 60 s.
    pub deadline: Duration,
    /// The longest `Retry-After` that is waited for. A longer one is returned as
    /// `RateLimited` with the real delay. Defaults to 60 s.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_millis(250),
            cap: Duration::from_secs(20),
            deadline: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// Sends once and never again.
    #[must_use]
    pub fn never() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// Sets how often a request is sent at most.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets the time that everything may take together.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the bounds of the first and of later waits.
    #[must_use]
    pub fn with_backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.base = base;
        self.cap = cap;
        self
    }

    /// Sets the longest `Retry-After` that is waited for.
    #[must_use]
    pub fn with_max_retry_after(mut self, longest: Duration) -> Self {
        self.max_retry_after = longest;
        self
    }
}

impl RetryPolicy {
    /// What makes no sense.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.max_attempts == 0 {
            problems.push("a request must be sent once at least".to_owned());
        }
        if self.base > self.cap {
            problems.push("the first wait is longer than the longest".to_owned());
        }
        if self.deadline.is_zero() {
            problems.push("the time for all attempts is zero".to_owned());
        }
        problems
    }

    /// The wait after so many attempts, by a number from 0 up to 1: full jitter.
    pub(crate) fn backoff(&self, attempts: u32, random: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        let bound = self.base.saturating_mul(doubled).min(self.cap);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let policy = RetryPolicy::default();
        let waits: Vec<u128> = (1..=9)
            .map(|attempts| policy.backoff(attempts, 1.0).as_millis())
            .collect();
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]
        );
        assert_eq!(policy.backoff(5, 0.0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_its_bound(attempts in 0_u32..1000, random in -1.0..2.0_f64) {
            let policy = RetryPolicy::default();
            prop_assert!(policy.backoff(attempts, random) <= policy.cap);
            prop_assert!(policy.backoff(1, random) <= policy.base);
        }
    }
}
