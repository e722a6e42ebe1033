//! Where a service stands in its life.

use std::fmt;

/// Where a service stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// Startup gates are open, or a startup check is not healthy yet.
    Starting,
    /// Takes traffic.
    Serving,
    /// Takes traffic, or not, while an operator works on it.
    Maintenance,
    /// Finishes what it has and wants nothing new.
    Draining,
    /// Is done.
    Stopped,
}

impl Lifecycle {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 5] = [
        Self::Starting,
        Self::Serving,
        Self::Maintenance,
        Self::Draining,
        Self::Stopped,
    ];

    /// The state in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Maintenance => "maintenance",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What moves a service on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Started,
    Drain,
    Stop,
    Maintenance(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Starting,
    Serving,
    Draining,
    Stopped,
}

/// A life goes forward only. Maintenance is apart from it: it may begin and end at any
/// time, and shows while the service would serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LifecycleState {
    phase: Phase,
    maintenance: bool,
}

impl LifecycleState {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Starting,
            maintenance: false,
        }
    }

    /// Takes a step, and tells if anything changed by it.
    pub(crate) fn on(&mut self, step: Step) -> bool {
        let before = *self;
        match step {
            Step::Started => self.phase = self.phase.max(Phase::Serving),
            Step::Drain => self.phase = self.phase.max(Phase::Draining),
            Step::Stop => self.phase = Phase::Stopped,
            Step::Maintenance(on) => self.maintenance = on,
        }
        before != *self
    }

    pub(crate) const fn current(self) -> Lifecycle {
        match self.phase {
            Phase::Starting => Lifecycle::Starting,
            Phase::Serving if self.maintenance => Lifecycle::Maintenance,
            Phase::Serving => Lifecycle::Serving,
            Phase::Draining => Lifecycle::Draining,
            Phase::Stopped => Lifecycle::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_goes_forward_only() {
        let mut state = LifecycleState::new();
        assert!(state.on(Step::Drain));
        assert!(!state.on(Step::Started));
        assert_eq!(state.current(), Lifecycle::Draining);
        assert!(state.on(Step::Stop));
        assert!(!state.on(Step::Drain));
        assert_eq!(state.current(), Lifecycle::Stopped);
    }

    #[test]
    fn maintenance_begun_at_the_start_shows_once_the_service_serves() {
        let mut state = LifecycleState::new();
        state.on(Step::Maintenance(true));
        assert_eq!(state.current(), Lifecycle::Starting);
        state.on(Step::Started);
        assert_eq!(state.current(), Lifecycle::Maintenance);
        state.on(Step::Maintenance(false));
        assert_eq!(state.current(), Lifecycle::Serving);
    }
}
