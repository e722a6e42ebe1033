//! What makes a check run.

use std::time::Duration;

/// What makes a check run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Time: the check runs at its interval, whether or not anybody asks.
    #[default]
    Background,
    /// A reader: the check runs when it is asked about and the last result is older than
    /// `ttl`, once for all who ask meanwhile. A failure is kept for as long as a success.
    ///
    /// For peers that must not be asked while nobody wants to know. Alerts and other
    /// readers that do not wait see the result of the last reader who did.
    OnDemand {
        /// How long a result is good for.
        ttl: Duration,
    },
}
