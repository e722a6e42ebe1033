//! How much of a plan's storage is used.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::{Result, async_trait};

use super::limits::to_f64;
use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Scope};

/// Something that knows how many bytes it holds.
#[async_trait]
pub trait SizeSource: fmt::Debug + Send + Sync + 'static {
    /// The bytes that count against the limit.
    ///
    /// # Errors
    /// What the source reports.
    ///
    /// # Cancel safety
    /// Asking changes nothing.
    async fn size_bytes(&self) -> Result<u64>;
}

const _: fn(&dyn SizeSource) = |_| {};

/// How many bytes a database or a bucket holds, against what a plan allows.
///
/// Degraded from 2.5 GB on, unhealthy at the limit where there is one; every 5 min, because
/// adding up is work for the source; not critical.
///
/// ```
/// use std::sync::Arc;
/// use ops_health::checks::{SizeSource, StorageSize};
///
/// fn watch(database: Arc<dyn SizeSource>) -> StorageSize {
///     StorageSize::new(database).warn_at(2_500_000_000).fail_at(5_000_000_000)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct StorageSize {
    name: String,
    source: Arc<dyn SizeSource>,
    warn_at: u64,
    fail_at: Option<u64>,
}

impl StorageSize {
    /// Asks this source.
    #[must_use]
    pub fn new(source: Arc<dyn SizeSource>) -> Self {
        Self {
            name: "storage_size".to_owned(),
            source,
            warn_at: 2_500_000_000,
            fail_at: None,
        }
    }

    /// Sets the name. Defaults to `storage_size`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets from how many bytes on the check is degraded. Defaults to 2 500 000 000.
    #[must_use]
    pub fn warn_at(mut self, bytes: u64) -> Self {
        self.warn_at = bytes;
        self
    }

    /// Sets from how many bytes on the check is unhealthy: what the plan allows. Defaults
    /// to no limit.
    #[must_use]
    pub fn fail_at(mut self, bytes: u64) -> Self {
        self.fail_at = Some(bytes);
        self
    }

    fn judge(&self, bytes: u64) -> Outcome {
        let outcome = if self.fail_at.is_some_and(|limit| bytes >= limit) {
            Outcome::unhealthy(Code::ThresholdFail)
        } else if bytes >= self.warn_at {
            Outcome::degraded(Code::ThresholdWarn)
        } else {
            Outcome::healthy()
        };
        let outcome = outcome.with_observation("size", to_f64(bytes), Unit::Bytes);
        match self.fail_at {
            Some(limit) => {
                let used = to_f64(bytes) / to_f64(limit.max(1));
                outcome.with_observation("utilization", used, Unit::Ratio)
            }
            None => outcome,
        }
    }
}

impl Check for StorageSize {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Datastore
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_scope(Scope::SharedDependency)
            .with_interval(Duration::from_secs(300))
            .with_timeout(Duration::from_secs(10))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.warn_at == 0 {
            problems.push("it warns at 0 bytes".to_owned());
        }
        if let Some(fail_at) = self.fail_at.filter(|limit| *limit <= self.warn_at) {
            problems.push(format!(
                "it warns at {} bytes and fails at {fail_at}; the first must be lower",
                self.warn_at
            ));
        }
        problems
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        match self.source.size_bytes().await {
            Ok(bytes) => self.judge(bytes),
            Err(err) => Outcome::from(err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    #[derive(Debug)]
    struct Holds(u64);

    #[async_trait]
    impl SizeSource for Holds {
        async fn size_bytes(&self) -> Result<u64> {
            Ok(self.0)
        }
    }

    #[tokio::test]
    async fn bytes_are_judged_from_the_limit_on() {
        for (bytes, expected) in [
            (0, (Status::Healthy, Code::Ok)),
            (2_499_999_999, (Status::Healthy, Code::Ok)),
            (2_500_000_000, (Status::Degraded, Code::ThresholdWarn)),
            (2_999_999_999, (Status::Degraded, Code::ThresholdWarn)),
            (3_000_000_000, (Status::Unhealthy, Code::ThresholdFail)),
        ] {
            let check = StorageSize::new(Arc::new(Holds(bytes))).fail_at(3_000_000_000);
            let outcome = check.run(&CheckCtx::new(Duration::from_secs(1))).await;
            assert_eq!((outcome.status(), outcome.code()), expected, "{bytes}");
        }
    }

    #[test]
    fn a_limit_below_the_warning_is_refused() {
        let check = StorageSize::new(Arc::new(Holds(0))).fail_at(1000);
        assert_eq!(check.problems().len(), 1);
    }
}
