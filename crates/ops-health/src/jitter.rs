//! Randomness for schedules: not secret, and different in every process.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// A `SplitMix64` generator.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    /// Seeded by the operating system.
    pub(crate) fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    /// Between 0 and 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let top = u32::try_from(z >> 32).unwrap_or(u32::MAX);
        f64::from(top) / f64::from(u32::MAX)
    }

    /// Between zero and `span`.
    pub(crate) fn up_to(&mut self, span: Duration) -> Duration {
        span.mul_f64(self.unit())
    }

    /// `span`, shortened or lengthened by at most `share` of it.
    pub(crate) fn around(&mut self, span: Duration, share: f64) -> Duration {
        span.mul_f64(1.0 + share * (2.0 * self.unit() - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_stay_within_the_share_and_use_both_sides_of_it() {
        let mut jitter = Jitter::new();
        let span = Duration::from_secs(10);
        let spans: Vec<_> = (0..1000).map(|_| jitter.around(span, 0.1)).collect();
        assert!(
            spans
                .iter()
                .all(|s| (9.0..=11.0).contains(&s.as_secs_f64()))
        );
        assert!(spans.iter().any(|s| s.as_secs_f64() < 9.5));
        assert!(spans.iter().any(|s| s.as_secs_f64() > 10.5));
        assert_eq!(jitter.around(span, 0.0), span);
        assert_eq!(jitter.up_to(Duration::ZERO), Duration::ZERO);
    }
}
