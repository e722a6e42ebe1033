//! Leaving without dropping a request.

use std::time::Duration;

use ops_core::{Error, ErrorKind, Result};

use crate::host::Host;

/// How a service leaves: it says so, keeps serving for `delay`, stops accepting, and
/// gives what is left until `cap`.
///
/// ```
/// use ops_health::{DrainPlan, Host};
///
/// let plan = DrainPlan::default();
/// plan.check(&Host::KUBERNETES)?;
/// assert!(plan.check(&Host::DOCKER).is_err());
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainPlan {
    /// How long to serve on after readiness turned false: one probe period of whatever
    /// sends the traffic. Zero means zero. Defaults to 5 s.
    pub delay: Duration,
    /// How long connections may take to end after that. Defaults to 25 s.
    pub cap: Duration,
}

impl DrainPlan {
    /// A plan.
    #[must_use]
    pub const fn new(delay: Duration, cap: Duration) -> Self {
        Self { delay, cap }
    }

    /// The plan that fits a host: a sixth of its kill timeout to be noticed, but not
    /// more than 5 s, and the rest for connections.
    #[must_use]
    pub fn for_host(host: &Host) -> Self {
        let delay = (host.kill_timeout / 6).min(Duration::from_secs(5));
        let cap = host
            .kill_timeout
            .saturating_sub(delay)
            .min(Duration::from_secs(25));
        Self { delay, cap }
    }

    /// Checks that the plan ends before the host kills the process.
    ///
    /// # Errors
    /// `InvalidConfig` where `delay` and `cap` together exceed the host's kill timeout.
    pub fn check(&self, host: &Host) -> Result<()> {
        let total = self.delay.saturating_add(self.cap);
        if total <= host.kill_timeout {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "draining takes up to {total:?}, but {} kills after {:?}",
                host.name, host.kill_timeout
            ),
        ))
    }
}

impl Default for DrainPlan {
    fn default() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_secs(25))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_for_a_host_ends_before_the_host_kills() {
        for host in Host::ALL {
            let plan = DrainPlan::for_host(&host);
            plan.check(&host).unwrap();
            assert_eq!(plan.cap.is_zero(), host == Host::RAILWAY, "{host:?}");
        }
        assert_eq!(DrainPlan::for_host(&Host::KUBERNETES), DrainPlan::default());
    }

    #[test]
    fn a_plan_that_outlasts_the_host_is_refused_with_both_numbers() {
        let err = DrainPlan::default().check(&Host::FLY).unwrap_err();
        assert_eq!(
            err.to_string(),
            "draining takes up to 30s, but fly kills after 5s"
        );
        DrainPlan::default()
            .check(&Host::FLY.with_kill_timeout(Duration::from_secs(30)))
            .unwrap();
    }
}
