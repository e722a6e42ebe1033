//! When the next connection may be opened.
//!
//! The first connection is opened alone: a wrong password costs one login, not one for
//! each caller. While connecting works, several are opened at the same time. After a
//! failure the next attempt waits, alone again, for a time that doubles with each further
//! failure and is jittered, so that many pools do not come back to a restarted server in
//! one moment.

use std::time::Duration;

use super::event::{Failure, Now};

/// The wait after the first failure.
const FIRST_DELAY: Duration = Duration::from_millis(50);
/// The wait while the server says that it is starting up.
const STARTING_DELAY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Governor {
    max_connecting: usize,
    longest: Duration,
    proven: bool,
    failures: u32,
    last: Option<Failure>,
    retry_at: Now,
    random: Random,
}

impl Governor {
    pub(super) fn new(max_connecting: usize, longest: Duration, seed: u64) -> Self {
        Self {
            max_connecting,
            longest,
            proven: false,
            failures: 0,
            last: None,
            retry_at: Now::default(),
            random: Random(seed),
        }
    }

    /// How many connections may be in the making at the same time.
    pub(super) fn allowed(&self, now: Now) -> usize {
        match self.last {
            None if self.proven => self.max_connecting,
            None => 1,
            Some(_) if now >= self.retry_at => 1,
            Some(_) => 0,
        }
    }

    /// When the next attempt may start, where that is not now.
    pub(super) fn retry_at(&self, now: Now) -> Option<Now> {
        self.last
            .filter(|_| now < self.retry_at)
            .map(|_| self.retry_at)
    }

    /// The last attempt's failure, where it failed.
    pub(super) fn last_failure(&self) -> Option<Failure> {
        self.last
    }

    pub(super) fn succeeded(&mut self) {
        self.proven = true;
        self.failures = 0;
        self.last = None;
    }

    pub(super) fn failed(&mut self, failure: Failure, now: Now) {
        let backing_off = self.last.is_some() && now < self.retry_at;
        self.last = Some(failure);
        // Attempts that started together fail together: they count as one.
        if backing_off && failure != Failure::Permanent {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let delay = match failure {
            Failure::Permanent => self.longest,
            Failure::Starting => STARTING_DELAY.min(self.longest),
            Failure::Unreachable => {
                let doublings = (self.failures - 1).min(20);
                FIRST_DELAY.saturating_mul(1 << doublings).min(self.longest)
            }
        };
        self.retry_at = now.after(self.random.between(delay / 2, delay));
    }

    /// A time between zero and `span`.
    pub(super) fn jitter(&mut self, span: Duration) -> Duration {
        self.random.between(Duration::ZERO, span)
    }
}

/// `SplitMix64`: jitter needs no better.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
        low + Duration::from_nanos(self.next() % span.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(15);

    fn delays(failure: Failure, count: usize, seed: u64) -> Vec<Duration> {
        let mut governor = Governor::new(4, LONGEST, seed);
        let mut now = Now::default();
        let mut out = Vec::new();
        for _ in 0..count {
            governor.failed(failure, now);
            let retry_at = governor.retry_at(now).unwrap();
            out.push(retry_at.since(now));
            now = retry_at;
        }
        out
    }

    #[test]
    fn the_wait_doubles_within_its_jitter_up_to_the_longest() {
        for seed in 0..50 {
            let mut expected = FIRST_DELAY;
            for delay in delays(Failure::Unreachable, 30, seed) {
                assert!(
                    delay >= expected / 2 && delay <= expected,
                    "{delay:?} {expected:?}"
                );
                expected = (expected * 2).min(LONGEST);
            }
        }
    }

    #[test]
    fn a_refused_login_waits_long_from_the_first_time() {
        for delay in delays(Failure::Permanent, 3, 7) {
            assert!(delay >= LONGEST / 2, "{delay:?}");
        }
    }

    #[test]
    fn a_server_that_starts_is_asked_at_a_steady_pace() {
        for delay in delays(Failure::Starting, 20, 7) {
            assert!(
                delay >= STARTING_DELAY / 2 && delay <= STARTING_DELAY,
                "{delay:?}"
            );
        }
    }

    #[test]
    fn attempts_that_fail_together_count_as_one() {
        let mut governor = Governor::new(4, LONGEST, 1);
        for _ in 0..4 {
            governor.failed(Failure::Unreachable, Now::default());
        }
        assert!(
            governor
                .retry_at(Now::default())
                .unwrap()
                .since(Now::default())
                <= FIRST_DELAY
        );
    }

    #[test]
    fn one_attempt_at_a_time_until_one_succeeds() {
        let mut governor = Governor::new(4, LONGEST, 1);
        assert_eq!(governor.allowed(Now::default()), 1);
        governor.succeeded();
        assert_eq!(governor.allowed(Now::default()), 4);
        governor.failed(Failure::Unreachable, Now::default());
        assert_eq!(governor.allowed(Now::default()), 0);
        let later = governor.retry_at(Now::default()).unwrap();
        assert_eq!(governor.allowed(later), 1);
        governor.succeeded();
        assert_eq!(governor.allowed(later), 4);
    }
}
