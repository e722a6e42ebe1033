//! What the archiver knew to be durable.
//!
//! The frontier is found from the segments themselves. This note is a witness beside them:
//! where the newest segments were deleted by somebody, the archive would look as if it had
//! never had them, and recovery would end early without an error. It is written once a
//! minute and when a stream ends, and is never taken for the frontier itself.

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, Timeline};

/// `frontier.json`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Hint {
    pub(crate) timeline: Timeline,
    /// All up to here was durable in whole segments.
    pub(crate) end: Lsn,
    pub(crate) newest_commit: Option<Timestamp>,
    pub(crate) written_at: Timestamp,
}

impl Hint {
    /// Nothing where it cannot be read: it is a witness, not a condition.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
