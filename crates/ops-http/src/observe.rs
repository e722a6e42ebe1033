//! Who is told of retries.

use std::fmt;
use std::time::Duration;

use ops_core::{ErrorKind, ProviderId};

/// A request that is about to be sent again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryEvent<'a> {
    /// The vendor.
    pub provider: &'a ProviderId,
    /// The vendor's id of the operation.
    pub operation: &'static str,
    /// How often it has been sent so far.
    pub attempts: u32,
    /// How long it waits now.
    pub delay: Duration,
    /// Why the last attempt failed.
    pub kind: ErrorKind,
}

/// Is told of every retry, for counters and logs of an application's own. It is called
/// before the wait, and must not block.
pub trait RetryObserver: fmt::Debug + Send + Sync + 'static {
    /// A request is about to be sent again.
    fn on_retry(&self, event: RetryEvent<'_>);
}
