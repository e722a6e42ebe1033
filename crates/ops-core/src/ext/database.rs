//! [`DatabaseExt`].

use std::cmp::Reverse;
use std::time::Duration;

use super::require;
use super::wait::{Unanswered, WaitOptions, poll_until};
use crate::database::{
    Audit, AuditPolicy, Branching, Database, DatabaseDescription, DatabaseState, Finding,
    NativeBackups, Provision, Stats, Usage,
};
use crate::error::{Error, ErrorKind, Result};

/// What every [`Database`] can do because it is one.
pub trait DatabaseExt: Database {
    require! {
        require_provision: as_provision -> Provision = "making instances";
        require_native_backups: as_native_backups -> NativeBackups = "the vendor's own backups";
        require_branching: as_branching -> Branching = "branching";
        require_stats: as_stats -> Stats = "reading statistics";
        require_audit: as_audit -> Audit = "reading the setup";
        require_usage: as_usage -> Usage = "reading usage";
    }

    /// Reads settings, roles and extensions, and judges them, worst first.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use ops_core::DatabaseExt;
    /// use ops_core::database::{AuditPolicy, Setting, SettingRule};
    /// use ops_core::memory::{MemoryAudit, MemoryDatabase};
    ///
    /// let database = MemoryDatabase::new();
    /// database.set_audit(MemoryAudit {
    ///     settings: vec![Setting::new("max_connections", "100")],
    ///     ..MemoryAudit::default()
    /// });
    /// let policy = AuditPolicy::new().with_setting("max_connections", SettingRule::AtMost(50));
    /// let findings = database.audit(&policy).await?;
    /// assert_eq!(findings[0].to_string(), "max_connections: is 100, should be at most 50");
    /// # Ok(())
    /// # })
    /// # }
    /// # #[cfg(not(feature = "memory"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// `Unsupported` without [`Audit`]; as its methods.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    fn audit(&self, policy: &AuditPolicy) -> impl Future<Output = Result<Vec<Finding>>> + Send {
        async move {
            let audit = self.require_audit()?;
            let mut findings = policy.check_settings(&audit.settings().await?);
            findings.extend(policy.check_roles(&audit.roles().await?));
            if !policy.extensions.is_empty() {
                findings.extend(policy.check_extensions(&audit.extensions().await?));
            }
            findings.sort_by_key(|finding| Reverse(finding.severity));
            Ok(findings)
        }
    }

    /// Waits until the instance answers.
    ///
    /// # Errors
    /// `Timeout` with the last failed look as its source; `Unavailable` where the vendor
    /// says that the instance is broken, stopped or being removed; whatever else will not
    /// get better.
    ///
    /// # Cancel safety
    /// Waiting changes nothing.
    fn wait_until_available<S, F>(
        &self,
        options: WaitOptions,
        sleep: S,
    ) -> impl Future<Output = Result<DatabaseDescription>> + Send
    where
        S: Fn(Duration) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        async move {
            let settled = |seen: &DatabaseDescription| {
                !matches!(
                    seen.state,
                    DatabaseState::Starting | DatabaseState::Updating | DatabaseState::Other(_)
                )
            };
            let waited = poll_until(options, &sleep, || self.describe(), settled).await;
            let err = match waited {
                Ok(seen) if is_reachable(&seen.state) => return Ok(seen),
                Ok(seen) => Error::new(
                    ErrorKind::Unavailable,
                    format!("the instance is {}", seen.state.as_str()),
                )
                .with_retry(crate::Retry::Never),
                Err(Unanswered::Failed(err)) => return Err(err),
                Err(Unanswered::TimedOut { error, .. }) => {
                    let seconds = options.timeout.as_secs();
                    let message = format!("the instance did not answer within {seconds} s");
                    let err =
                        Error::new(ErrorKind::Timeout, message).with_retry(crate::Retry::Safe);
                    match error {
                        Some(source) => err.with_source(source),
                        None => err,
                    }
                }
            };
            Err(err
                .with_provider(self.provider())
                .with_operation("database.wait_until_available"))
        }
    }
}

impl<T: Database + ?Sized> DatabaseExt for T {}

fn is_reachable(state: &DatabaseState) -> bool {
    matches!(state, DatabaseState::Available | DatabaseState::Suspended)
}
