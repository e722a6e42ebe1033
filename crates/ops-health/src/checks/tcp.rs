//! Whether a port accepts connections.

use std::time::Duration;

use tokio::time::Instant;

use crate::check::{Check, CheckCtx};
use crate::net::{connect, resolve};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Scope};

/// Whether a port accepts connections. Nothing is sent.
///
/// All addresses of the name are tried, each a quarter of a second after the one before.
/// Runs every 10 s; not critical.
///
/// ```
/// use ops_health::checks::Tcp;
///
/// let check = Tcp::new("smtp.internal", 587).named("smtp");
/// ```
#[derive(Clone, Debug)]
pub struct Tcp {
    name: String,
    host: String,
    port: u16,
    warn_after: Option<Duration>,
}

impl Tcp {
    /// Looks at this port of this host, a name or an address.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            name: "tcp".to_owned(),
            host: host.into(),
            port,
            warn_after: None,
        }
    }

    /// Sets the name. Defaults to `tcp`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how long it may take to connect before the check is degraded. Defaults to
    /// the timeout.
    #[must_use]
    pub fn warn_after(mut self, latency: Duration) -> Self {
        self.warn_after = Some(latency);
        self
    }

    async fn look(&self, ctx: &CheckCtx) -> Result<Duration, Outcome> {
        let began = Instant::now();
        let addresses = resolve(ctx, &self.host, self.port).await?;
        connect(&addresses).await.map_err(Outcome::from)?;
        Ok(began.elapsed())
    }
}

impl Check for Tcp {
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
        let mut problems = Vec::new();
        if self.host.is_empty() {
            problems.push("the host is empty".to_owned());
        }
        if self.port == 0 {
            problems.push("the port is zero".to_owned());
        }
        problems
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        match self.look(ctx).await {
            Ok(took) => slow(took, self.warn_after).with_observation(
                "connect",
                took.as_secs_f64(),
                Unit::Seconds,
            ),
            Err(outcome) => outcome,
        }
    }
}

/// Degraded where something took too long.
pub(super) fn slow(took: Duration, limit: Option<Duration>) -> Outcome {
    match limit {
        Some(limit) if took > limit => Outcome::degraded(Code::ThresholdWarn)
            .with_detail(format!("it took {took:?}, more than {limit:?}")),
        _ => Outcome::healthy(),
    }
}

#[cfg(test)]
mod tests {
    use ops_testkit::RefusedPort;
    use tokio::net::TcpListener;

    use super::*;
    use crate::status::Status;

    async fn found(check: &Tcp) -> (Status, Code) {
        let outcome = check.run(&CheckCtx::new(Duration::from_secs(5))).await;
        (outcome.status(), outcome.code())
    }

    #[tokio::test]
    async fn a_port_is_told_by_whether_it_accepts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let check = Tcp::new("127.0.0.1", port);
        assert_eq!(found(&check).await, (Status::Healthy, Code::Ok));
        let slow = check.clone().warn_after(Duration::ZERO);
        assert_eq!(found(&slow).await, (Status::Degraded, Code::ThresholdWarn));
        let refused = RefusedPort::take();
        let check = Tcp::new("127.0.0.1", refused.port());
        assert_eq!(found(&check).await, (Status::Unhealthy, Code::Refused));
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_not_found() {
        // `invalid` never exists (RFC 6761); a machine without a resolver says so instead.
        let (status, code) = found(&Tcp::new("no-such-host.invalid", 80)).await;
        assert_eq!(status, Status::Unhealthy);
        assert!(matches!(code, Code::NotFound | Code::Unreachable), "{code}");
    }
}
