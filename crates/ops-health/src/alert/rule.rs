//! When an alert fires, and when it is over.

use std::time::Duration;

use ops_core::monitor::IncidentSeverity;
use ops_core::redact::value_looks_secret;

use super::signal::Signal;
use crate::builder::{is_name, is_too_long};

/// How a value is compared with a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Above the threshold.
    Above,
    /// At the threshold or above.
    AtLeast,
    /// Below the threshold.
    Below,
    /// At the threshold or below.
    AtMost,
}

impl Op {
    /// Whether the value is on the bad side of the threshold.
    pub(super) fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }

    /// Whether the value is on the good side of the threshold that clears.
    pub(super) fn is_clear(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above | Self::AtLeast => value < threshold,
            Self::Below | Self::AtMost => value > threshold,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::AtLeast => "at least",
            Self::Below => "below",
            Self::AtMost => "at most",
        }
    }

    fn is_upper(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }
}

/// When an alert fires, how bad it is, and when it is over.
///
/// It fires when its condition has held without a break for [`hold_for`](Self::hold_for),
/// and is over when the value was on the good side of
/// [`clear_at`](Self::clear_at) without a break for [`clear_for`](Self::clear_for). Between
/// the two thresholds nothing changes. A signal without a value changes nothing either,
/// except that an alert that has had none for an hour is over.
///
/// ```
/// use std::time::Duration;
/// use ops_core::monitor::IncidentSeverity;
/// use ops_health::alert::{Op, Rule, Signal};
///
/// let backlog = Signal::custom("inbox", || Some(1200.0));
/// let rule = Rule::new("inbox_backlog", backlog, Op::Above, 1000.0)
///     .summary("the inbox is not being worked off")
///     .hold_for(Duration::from_secs(300))
///     .clear_at(500.0)
///     .severity(IncidentSeverity::P2)
///     .runbook("https://wiki.example/inbox");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Rule {
    pub(super) id: String,
    pub(super) signal: Signal,
    pub(super) op: Op,
    pub(super) threshold: f64,
    pub(super) hold_for: Duration,
    pub(super) clear_at: Option<f64>,
    pub(super) clear_for: Duration,
    pub(crate) severity: IncidentSeverity,
    pub(super) depends_on: Vec<String>,
    pub(super) group: Option<String>,
    pub(super) runbook: Option<String>,
    pub(super) summary: String,
}

impl Rule {
    /// A rule that fires at once and clears at once, of severity P2.
    pub fn new(id: impl Into<String>, signal: Signal, op: Op, threshold: f64) -> Self {
        let id = id.into();
        Self {
            summary: id.replace('_', " "),
            id,
            signal,
            op,
            threshold,
            hold_for: Duration::ZERO,
            clear_at: None,
            clear_for: Duration::ZERO,
            severity: IncidentSeverity::P2,
            depends_on: Vec::new(),
            group: None,
            runbook: None,
        }
    }

    /// Sets what people read first, in a few words. Defaults to the id.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Sets how long the condition must hold. Defaults to not at all.
    pub fn hold_for(mut self, span: Duration) -> Self {
        self.hold_for = span;
        self
    }

    /// Sets the threshold on whose good side the value must come back. Defaults to the
    /// threshold that fires.
    pub fn clear_at(mut self, threshold: f64) -> Self {
        self.clear_at = Some(threshold);
        self
    }

    /// Sets how long it must stay there. Defaults to not at all.
    pub fn clear_for(mut self, span: Duration) -> Self {
        self.clear_for = span;
        self
    }

    /// Sets how bad it is. Defaults to P2.
    pub fn severity(mut self, severity: IncidentSeverity) -> Self {
        self.severity = severity;
        self
    }

    /// Keeps the alert quiet while an alert of that rule fires: for the same subject, or
    /// for the service as a whole. May be called again.
    pub fn depends_on(mut self, rule: impl Into<String>) -> Self {
        self.depends_on.push(rule.into());
        self
    }

    /// Sets the group: alerts of one group that fire within the grouping window are one
    /// message. Defaults to none.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Sets the address of what to do about it. Defaults to none.
    pub fn runbook(mut self, url: impl Into<String>) -> Self {
        self.runbook = Some(url.into());
        self
    }

    /// The rule's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How long it may take until an alert that was told before fires again.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.hold_for
    }

    /// The condition in words, with numbers in this unit.
    pub(super) fn condition(&self, spelled: impl Fn(f64) -> String) -> String {
        format!("{} {}", self.op.as_str(), spelled(self.threshold))
    }

    pub(super) fn clear_threshold(&self) -> f64 {
        self.clear_at.unwrap_or(self.threshold)
    }

    /// Everything that cannot work about this rule by itself.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !is_name(&self.id) {
            problems.push("the id is not a lowercase letter followed by at most 62 lowercase letters, digits and underscores".to_owned());
        }
        let clear = self.clear_threshold();
        if !self.threshold.is_finite() || !clear.is_finite() {
            problems.push("a threshold is no number".to_owned());
        } else if self.op.is_upper() && clear > self.threshold
            || !self.op.is_upper() && clear < self.threshold
        {
            problems.push(format!(
                "it fires {} {} but would clear at {clear}, which is worse",
                self.op.as_str(),
                self.threshold
            ));
        }
        if [self.hold_for, self.clear_for].into_iter().any(is_too_long) {
            problems.push("a span is longer than a year".to_owned());
        }
        if self.depends_on.contains(&self.id) {
            problems.push("it depends on itself".to_owned());
        }
        if let Some(group) = self.group.as_ref().filter(|group| !is_name(group)) {
            problems.push(format!("the group {group:?} is no name"));
        }
        if self.summary.trim().is_empty() || self.summary.chars().count() > 200 {
            problems.push("the summary is empty or longer than 200 characters".to_owned());
        }
        if value_looks_secret(&self.summary) {
            problems.push("the summary looks like a secret".to_owned());
        }
        if let Some(runbook) = &self.runbook {
            if !runbook.starts_with("https://") && !runbook.starts_with("http://") {
                problems.push("the runbook is no http address".to_owned());
            } else if value_looks_secret(runbook) {
                problems.push("the runbook's address holds a password".to_owned());
            }
        }
        problems.extend(self.signal.problems());
        problems
    }
}
