//! [`CdnExt`].

use std::time::Duration;

use super::require;
use super::wait::{Unanswered, WaitOptions, poll_until};
use crate::cdn::{Cdn, Purge, PurgeHosts, PurgeRequest, PurgeState, PurgeStatus, PurgeTags};
use crate::error::{Error, ErrorKind, Result};

/// What every [`Cdn`] can do because it is one.
pub trait CdnExt: Cdn {
    require! {
        require_purge_tags: as_purge_tags -> PurgeTags = "purging tags";
        require_purge_hosts: as_purge_hosts -> PurgeHosts = "purging hosts";
        require_purge_status: as_purge_status -> PurgeStatus = "reading the state of a purge";
    }

    /// Purges, and waits until every place has forgotten what was cached.
    ///
    /// A vendor that has done it when it answers is not looked at again.
    ///
    /// # Errors
    /// As [`purge`](Cdn::purge); `Unsupported` where the vendor neither has done it nor
    /// tells when it has; `Timeout`, after which the purge goes on.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the purge.
    fn purge_and_wait<S, F>(
        &self,
        request: PurgeRequest,
        options: WaitOptions,
        sleep: S,
    ) -> impl Future<Output = Result<Purge>> + Send
    where
        S: Fn(Duration) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        async move {
            let started = self.purge(request).await?;
            if started.state == PurgeState::Done {
                return Ok(started);
            }
            let status = self.require_purge_status()?;
            let Some(id) = &started.id else {
                let message = "the provider answered no id for a purge that is not done";
                let err = Error::new(ErrorKind::Internal, message);
                return Err(err.with_provider(self.provider()));
            };
            let look = || status.purge_status(id);
            let done = |seen: &Purge| seen.state == PurgeState::Done;
            let waited = poll_until(options, &sleep, look, done).await;
            waited.map_err(|unanswered| match unanswered {
                Unanswered::Failed(err) => err,
                Unanswered::TimedOut { error, .. } => {
                    let seconds = options.timeout.as_secs();
                    let message = format!("purge {id} was not seen done within {seconds} s");
                    let err = Error::new(ErrorKind::Timeout, message)
                        .with_resource(id.as_str())
                        .with_provider(self.provider())
                        .with_operation("cdn.purge_and_wait");
                    match error {
                        Some(source) => err.with_source(source),
                        None => err,
                    }
                }
            })
        }
    }
}

impl<T: Cdn + ?Sized> CdnExt for T {}
