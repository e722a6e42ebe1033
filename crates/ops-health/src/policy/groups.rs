//! The routes of a check.

/// Which routes a check takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Groups {
    pub(crate) ready: bool,
    pub(crate) health: bool,
    pub(crate) startup: bool,
}

impl Groups {
    /// `/health/ready` and `/health`, the default.
    pub const READY_AND_HEALTH: Self = Self {
        ready: true,
        health: true,
        startup: false,
    };
    /// `/health` alone.
    pub const HEALTH: Self = Self {
        ready: false,
        health: true,
        startup: false,
    };
    /// `/health/startup` alone: the check runs until it is healthy once, then no more.
    pub const STARTUP: Self = Self {
        ready: false,
        health: false,
        startup: true,
    };
    /// Everything.
    pub const ALL: Self = Self {
        ready: true,
        health: true,
        startup: true,
    };
}

impl Default for Groups {
    fn default() -> Self {
        Self::READY_AND_HEALTH
    }
}
