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
