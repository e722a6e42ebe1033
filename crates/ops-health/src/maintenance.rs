//! Times in which an operator works on the service.

use ops_core::Timestamp;

/// A time in which an operator works on the service, from a moment on and until another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaintenanceWindow {
    /// When it begins.
    pub from: Timestamp,
    /// When it is over.
    pub until: Timestamp,
}

impl MaintenanceWindow {
    /// A window that contains `from`, but not `until`.
    #[must_use]
    pub const fn new(from: Timestamp, until: Timestamp) -> Self {
        Self { from, until }
    }

    pub(crate) fn contains(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}
