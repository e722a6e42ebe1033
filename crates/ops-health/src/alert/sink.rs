//! Where messages go.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::Notifier;
use ops_core::monitor::IncidentSeverity;

use crate::builder::{is_name, is_too_long};

/// A set of severities.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Severities(u8);

impl Severities {
    /// None.
    pub const NONE: Self = Self(0);
    /// P0 alone.
    pub const P0: Self = Self(0b0001);
    /// P0 and P1.
    pub const P0_P1: Self = Self(0b0011);
    /// P0, P1 and P2.
    pub const P0_TO_P2: Self = Self(0b0111);
    /// All of them.
    pub const ALL: Self = Self(0b1111);

    /// Whether a severity is in the set.
    #[must_use]
    pub fn contains(self, severity: IncidentSeverity) -> bool {
        let bit = match severity {
            IncidentSeverity::P0 => 0b0001,
            IncidentSeverity::P1 => 0b0010,
            IncidentSeverity::P2 => 0b0100,
            _ => 0b1000,
        };
        self.0 & bit != 0
    }
}

impl fmt::Debug for Severities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            IncidentSeverity::P0,
            IncidentSeverity::P1,
            IncidentSeverity::P2,
            IncidentSeverity::P3,
        ];
        let own = all.into_iter().filter(|severity| self.contains(*severity));
        f.debug_set().entries(own).finish()
    }
}

/// A way to tell people, with what goes over it.
///
/// The limits of its [`Notifier`] (gap, burst, messages a day) are kept; those that are
/// set here come first.
#[derive(Clone)]
#[must_use]
pub struct Sink {
    pub(crate) name: String,
    pub(crate) notifier: Arc<dyn Notifier>,
    pub(crate) severities: Severities,
    pub(crate) digest: bool,
    pub(crate) is_sms: bool,
    pub(crate) max_per_day: Option<u32>,
    pub(crate) min_gap: Option<Duration>,
    pub(crate) max_burst: Option<u32>,
}

impl Sink {
    /// A sink for everything, and without the digest.
    pub fn new(name: impl Into<String>, notifier: Arc<dyn Notifier>) -> Self {
        let limits = notifier.limits();
        Self {
            name: name.into(),
            notifier,
            severities: Severities::ALL,
            digest: false,
            is_sms: false,
            max_per_day: limits.max_per_day,
            min_gap: limits.min_gap,
            max_burst: limits.max_burst,
        }
    }

    /// A channel of a chat: P0 to P2 at once, P3 in the daily digest.
    pub fn chat(name: impl Into<String>, notifier: Arc<dyn Notifier>) -> Self {
        Self {
            severities: Severities::P0_TO_P2,
            digest: true,
            ..Self::new(name, notifier)
        }
    }

    /// A list of e-mail addresses: P0 to P2 at once, P3 in the daily digest.
    pub fn email(name: impl Into<String>, notifier: Arc<dyn Notifier>) -> Self {
        Self::chat(name, notifier)
    }

    /// A service that calls people: P0 and P1.
    pub fn pager(name: impl Into<String>, notifier: Arc<dyn Notifier>) -> Self {
        Self {
            severities: Severities::P0_P1,
            ..Self::new(name, notifier)
        }
    }

    /// Text messages: P0, and at most 20 a day where the notifier says nothing else.
    pub fn sms(name: impl Into<String>, notifier: Arc<dyn Notifier>) -> Self {
        let mut sink = Self {
            severities: Severities::P0,
            is_sms: true,
            ..Self::new(name, notifier)
        };
        sink.max_per_day.get_or_insert(20);
        sink
    }

    /// Sets what goes over it. Text messages take P0 and P1 only.
    pub fn severities(mut self, severities: Severities) -> Self {
        self.severities = severities;
        self
    }

    /// Sets whether the daily digest of P3 goes over it.
    pub fn digest(mut self, digest: bool) -> Self {
        self.digest = digest;
        self
    }

    /// Sets how many messages go over it within 24 hours. What is more is dropped and
    /// counted; the other sinks tell it. Defaults to what the notifier says.
    pub fn max_per_day(mut self, max: u32) -> Self {
        self.max_per_day = Some(max);
        self
    }

    /// Sets the pause between messages after the first few ([`max_burst`](Self::max_burst)).
    /// Defaults to what the notifier says.
    pub fn min_gap(mut self, gap: Duration) -> Self {
        self.min_gap = Some(gap);
        self
    }

    /// Sets how many messages may go at once. Defaults to what the notifier says, or 1.
    pub fn max_burst(mut self, burst: u32) -> Self {
        self.max_burst = Some(burst);
        self
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink")
            .field("name", &self.name)
            .field("provider", &self.notifier.provider())
            .field("severities", &self.severities)
            .field("digest", &self.digest)
            .field("max_per_day", &self.max_per_day)
            .finish_non_exhaustive()
    }
}

/// Everything that cannot work about sinks together.
pub(crate) fn sink_problems(sinks: &[Sink]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names = HashSet::new();
    for sink in sinks {
        let name = &sink.name;
        if !is_name(name) {
            problems.push(format!("the sink name {name:?} is no name"));
        }
        if !names.insert(name) {
            problems.push(format!("there are two sinks {name:?}"));
        }
        if sink.severities == Severities::NONE && !sink.digest {
            problems.push(format!("sink {name:?}: nothing goes over it"));
        }
        let only_paging = !sink.severities.contains(IncidentSeverity::P2)
            && !sink.severities.contains(IncidentSeverity::P3)
            && !sink.digest;
        if sink.is_sms && !only_paging {
            problems.push(format!(
                "sink {name:?}: text messages are for P0 and P1 only"
            ));
        }
        if sink.max_per_day == Some(0) || sink.max_burst == Some(0) {
            problems.push(format!("sink {name:?}: a limit is zero"));
        }
        if sink.min_gap.is_some_and(is_too_long) {
            problems.push(format!("sink {name:?}: the gap is longer than a year"));
        }
    }
    let takes_p0 = |sink: &Sink| sink.severities.contains(IncidentSeverity::P0);
    if !sinks.is_empty() && !sinks.iter().any(takes_p0) {
        problems.push("no sink takes P0".to_owned());
    }
    if sinks.len() > MAX_SINKS {
        problems.push(format!("there are more than {MAX_SINKS} sinks"));
    }
    problems
}

/// As many as bits in [`SinkSet`].
const MAX_SINKS: usize = 64;

/// Some of the sinks, by their place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SinkSet(u64);

impl SinkSet {
    pub(crate) fn insert(&mut self, at: usize) {
        self.0 |= 1 << (at % MAX_SINKS);
    }

    pub(crate) fn contains(self, at: usize) -> bool {
        self.0 & (1 << (at % MAX_SINKS)) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn of(sinks: &[Sink], wanted: impl Fn(&Sink) -> bool) -> Self {
        let mut set = Self::default();
        for (at, sink) in sinks.iter().enumerate() {
            if wanted(sink) {
                set.insert(at);
            }
        }
        set
    }
}
