//! Whether a name resolves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use super::tcp::slow;
use crate::check::{Check, CheckCtx};
use crate::net::resolve;
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Scope};

/// Whether a name resolves, by the system's resolver as the service itself uses it.
///
/// Runs every 10 s; not critical. A resolver that hangs blocks one thread, not one more
/// with each run.
///
/// ```
/// use ops_health::checks::Dns;
///
/// let check = Dns::new("db.internal").expect("10.0.0.5".parse().unwrap());
/// ```
#[derive(Clone, Debug)]
pub struct Dns {
    name: String,
    host: String,
    expected: Vec<IpAddr>,
    warn_after: Option<Duration>,
}

impl Dns {
    /// Looks this name up.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            name: "dns".to_owned(),
            host: host.into(),
            expected: Vec::new(),
            warn_after: None,
        }
    }

    /// Sets the name. Defaults to `dns`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets an address that must be among those found; without it the check is degraded.
    /// May be called again. Defaults to any.
    #[must_use]
    pub fn expect(mut self, address: IpAddr) -> Self {
        self.expected.push(address);
        self
    }

    /// Sets how long an answer may take before the check is degraded. Defaults to the
    /// timeout.
    #[must_use]
    pub fn warn_after(mut self, latency: Duration) -> Self {
        self.warn_after = Some(latency);
        self
    }

    fn judge(&self, found: &[IpAddr], took: Duration) -> Outcome {
        match self.expected.iter().find(|ip| !found.contains(ip)) {
            Some(missing) => Outcome::degraded(Code::UnexpectedBody)
                .with_detail(format!("{missing} is not among {found:?}")),
            None => slow(took, self.warn_after),
        }
    }
}

impl Check for Dns {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Custom
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_scope(Scope::SharedDependency)
    }

    fn problems(&self) -> Vec<String> {
        self.host
            .is_empty()
            .then(|| "the host is empty".to_owned())
            .into_iter()
            .collect()
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        let began = Instant::now();
        match resolve(ctx, &self.host, 0).await {
            Ok(addresses) => {
                let took = began.elapsed();
                let found: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
                self.judge(&found, took).with_observation(
                    "lookup",
                    took.as_secs_f64(),
                    Unit::Seconds,
                )
            }
            Err(outcome) => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    async fn found(check: Dns) -> (Status, Code) {
        let outcome = check.run(&CheckCtx::new(Duration::from_secs(5))).await;
        (outcome.status(), outcome.code())
    }

    #[tokio::test]
    async fn the_name_of_this_machine_resolves() {
        assert_eq!(
            found(Dns::new("localhost")).await,
            (Status::Healthy, Code::Ok)
        );
        let elsewhere = Dns::new("localhost").expect("192.0.2.1".parse().unwrap());
        assert_eq!(
            found(elsewhere).await,
            (Status::Degraded, Code::UnexpectedBody)
        );
    }
}
