//! All rules over time. No I/O, no clock: everything is in the view.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ops_core::Timestamp;
use ops_core::id::DedupKey;
use ops_core::monitor::IncidentSeverity;

use super::condition::{Change, Phase};
use super::rule::Rule;
use super::samples::{SERVICE, Sample, View};
use super::{Alert, Facts, Quiet};

/// How many subjects all rules together know. Checks, objectives and sinks are few.
const MAX_SUBJECTS: usize = 4096;

/// How long an alert stays quiet after what explains it is over. The short window of the
/// slowest rule that pages sees an outage for half an hour after its end.
const AFTERMATH: Duration = Duration::from_secs(35 * 60);

/// Where alerts come from, as it stands in every key.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) service: String,
    pub(crate) environment: String,
}

impl Names {
    /// The source as people read it, such as `shop:prod`.
    pub(crate) fn source(&self) -> String {
        format!("{}:{}", self.service, self.environment)
    }

    pub(crate) fn key(&self, rule: &str, subject: &str) -> Option<DedupKey> {
        DedupKey::new(format!("{}:{rule}:{subject}", self.source())).ok()
    }
}

/// What has become of alerts in one evaluation.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Alerts of which people are to be told now.
    pub(crate) told: Vec<Alert>,
    /// Alerts that are over, and of which people were told.
    pub(crate) over: Vec<Alert>,
}

/// All rules with what they know.
#[derive(Debug)]
pub(crate) struct Engine {
    rules: Vec<Arc<Rule>>,
    names: Names,
    /// Of a check: the checks whose alerts explain its alerts.
    check_parents: BTreeMap<String, BTreeSet<String>>,
    phases: BTreeMap<(usize, String), Phase>,
    /// By rule and subject.
    alerts: BTreeMap<(usize, String), Alert>,
}

impl Engine {
    pub(crate) fn new(
        rules: Vec<Rule>,
        names: Names,
        check_parents: BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        Self {
            rules: rules.into_iter().map(Arc::new).collect(),
            names,
            check_parents,
            phases: BTreeMap::new(),
            alerts: BTreeMap::new(),
        }
    }

    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// Says who is at these alerts.
    pub(crate) fn acknowledge(&mut self, keys: &[DedupKey], who: &str) {
        for alert in self.alerts.values_mut() {
            if keys.contains(&alert.dedup) {
                alert.acknowledged_by = Some(who.to_owned());
            }
        }
    }

    /// Evaluates every rule. `hushed` says that the service starts or is in maintenance.
    pub(crate) fn evaluate(&mut self, view: &View<'_>, wall: Timestamp, hushed: bool) -> Outcome {
        let mut outcome = Outcome::default();
        for at in 0..self.rules.len() {
            let Some(rule) = self.rules.get(at).map(Arc::clone) else {
                continue;
            };
            for sample in rule.signal.samples(view) {
                self.take(at, &rule, &sample, view, wall, &mut outcome);
            }
        }
        self.tell(hushed, view.instant, &mut outcome);
        outcome
    }

    fn take(
        &mut self,
        at: usize,
        rule: &Rule,
        sample: &Sample,
        view: &View<'_>,
        wall: Timestamp,
        outcome: &mut Outcome,
    ) {
        let id = (at, sample.subject.clone());
        if !self.phases.contains_key(&id) && self.phases.len() >= MAX_SUBJECTS {
            return;
        }
        let phase = self.phases.entry(id.clone()).or_default();
        match phase.step(rule, sample.value, view.instant) {
            Some(Change::Fired) => {
                if let Some(alert) = self.alert(rule, sample, wall) {
                    tracing::warn!(target: "ops_health", alert = %alert.key, severity = ?alert.severity, value = alert.value, "alert fires");
                    self.alerts.insert(id, alert);
                }
            }
            Some(Change::Cleared) => {
                if let Some(alert) = self.alerts.remove(&id) {
                    tracing::info!(target: "ops_health", alert = %alert.key, "alert is over");
                    if alert.dispatched {
                        outcome.over.push(alert);
                    }
                }
            }
            None => {
                let seen = self.alerts.get_mut(&id).zip(sample.value);
                if let Some((alert, value)) = seen {
                    alert.value = value;
                    alert.facts.value = sample.unit.spelled(value);
                    // When it is over there is none, and people want to know what it was.
                    if sample.cause.is_some() {
                        alert.facts.cause.clone_from(&sample.cause);
                    }
                }
            }
        }
    }

    fn alert(&self, rule: &Rule, sample: &Sample, wall: Timestamp) -> Option<Alert> {
        let dedup = self.names.key(&rule.id, &sample.subject)?;
        let value = sample.value.unwrap_or_default();
        let spelled = sample.unit.spelled(value);
        let title = if sample.subject == SERVICE {
            rule.summary.clone()
        } else {
            format!("{}: {}", rule.summary, sample.subject)
        };
        let condition = sample
            .unit
            .spelled(rule.threshold)
            .map(|_| rule.condition(|limit| sample.unit.spelled(limit).unwrap_or_default()));
        Some(Alert {
            key: dedup.to_string(),
            rule: rule.id.clone(),
            subject: sample.subject.clone(),
            severity: rule.severity,
            title,
            value,
            since: wall,
            acknowledged_by: None,
            quiet: None,
            facts: Facts {
                value: spelled,
                condition,
                cause: sample.cause.clone(),
                group: rule.group.clone(),
                runbook: rule.runbook.clone(),
            },
            dedup,
            dispatched: false,
            quiet_until: None,
        })
    }

    /// Decides of which alerts people are told.
    fn tell(&mut self, hushed: bool, now: Instant, outcome: &mut Outcome) {
        let ids: Vec<_> = self.alerts.keys().cloned().collect();
        for id in ids {
            let parent = self.parent_of(&id).map(|alert| alert.key.clone());
            let Some(alert) = self.alerts.get_mut(&id) else {
                continue;
            };
            let explained = parent.or_else(|| aftermath(alert, now));
            alert.quiet = match explained {
                Some(parent) => Some(Quiet::Suppressed(parent)),
                None if hushed && alert.severity < IncidentSeverity::P0 => Some(Quiet::Lifecycle),
                None => None,
            };
            if alert.quiet.is_none() && !alert.dispatched {
                alert.dispatched = true;
                outcome.told.push(alert.clone());
            }
        }
        // The worst first, so that it opens the message that the others join.
        outcome
            .told
            .sort_by_key(|alert| std::cmp::Reverse(alert.severity));
    }

    /// An alert that fires and explains this one.
    fn parent_of(&self, id: &(usize, String)) -> Option<&Alert> {
        let rule = self.rules.get(id.0)?;
        let by_rule = self.alerts.iter().find(|((at, subject), _)| {
            let parent = self.rules.get(*at);
            parent.is_some_and(|parent| rule.depends_on.contains(&parent.id))
                && (*subject == id.1 || subject == SERVICE)
        });
        let checks = self.check_parents.get(&id.1);
        let by_check = checks.and_then(|parents| {
            let mut alerts = self.alerts.iter();
            alerts.find(|((_, subject), _)| parents.contains(subject))
        });
        by_rule.or(by_check).map(|(_, alert)| alert)
    }

    /// The alerts that stay quiet because of this one.
    pub(crate) fn explained_by(&self, key: &str) -> Vec<String> {
        let quiet = self.alerts.values().filter(
            |alert| matches!(&alert.quiet, Some(Quiet::Suppressed(parent)) if parent == key),
        );
        quiet
            .map(|alert| format!("{}:{}", alert.rule, alert.subject))
            .collect()
    }
}

/// The alert that has explained this one until lately.
fn aftermath(alert: &mut Alert, now: Instant) -> Option<String> {
    let Some(Quiet::Suppressed(parent)) = &alert.quiet else {
        return None;
    };
    let until = *alert.quiet_until.get_or_insert(now + AFTERMATH);
    (now < until).then(|| parent.clone())
}

/// Everything that cannot work about rules together.
pub(crate) fn rule_problems(
    rules: &[Rule],
    checks: &HashSet<String>,
    check_parents: &BTreeMap<String, BTreeSet<String>>,
    has_traffic: bool,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = HashSet::new();
    for rule in rules {
        let own = rule.problems().into_iter();
        problems.extend(own.map(|problem| format!("rule {:?}: {problem}", rule.id)));
        if !ids.insert(rule.id.as_str()) {
            problems.push(format!("there are two rules {:?}", rule.id));
        }
        if let Some(check) = rule
            .signal
            .named_check()
            .filter(|check| !checks.contains(*check))
        {
            problems.push(format!("rule {:?}: there is no check {check:?}", rule.id));
        }
        if rule.signal.needs_traffic() && !has_traffic && !super::standard::is_standard(&rule.id) {
            problems.push(format!("rule {:?}: nobody counts requests", rule.id));
        }
    }
    for rule in rules {
        for parent in rule
            .depends_on
            .iter()
            .filter(|parent| !ids.contains(parent.as_str()))
        {
            problems.push(format!(
                "rule {:?}: it depends on {parent:?}, which is no rule",
                rule.id
            ));
        }
    }
    let parents = |id: &str| -> Vec<&str> {
        let rule = rules.iter().find(|rule| rule.id == id);
        rule.map(|rule| rule.depends_on.iter().map(String::as_str).collect())
            .unwrap_or_default()
    };
    problems.extend(circles("rule", &ids, parents));
    let named = check_parents
        .iter()
        .flat_map(|(child, parents)| parents.iter().chain([child]));
    let unknown: BTreeSet<_> = named.filter(|name| !checks.contains(*name)).collect();
    problems.extend(
        unknown
            .into_iter()
            .map(|name| format!("a dependency names {name:?}, which is no check")),
    );
    let children = check_parents.keys().map(String::as_str).collect();
    let parents = |check: &str| -> Vec<&str> {
        let parents = check_parents.get(check);
        parents
            .map(|set| set.iter().map(String::as_str).collect())
            .unwrap_or_default()
    };
    problems.extend(circles("check", &children, parents));
    problems
}

/// Names that depend on themselves by way of others: none of their alerts would be told.
fn circles<'a>(
    what: &str,
    names: &HashSet<&'a str>,
    parents: impl Fn(&str) -> Vec<&'a str>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut sorted: Vec<_> = names.iter().copied().collect();
    sorted.sort_unstable();
    for start in sorted {
        let mut seen = HashSet::new();
        let mut open = parents(start);
        while let Some(name) = open.pop() {
            if name == start {
                problems.push(format!("{what} {start:?} depends on itself"));
                break;
            }
            if seen.insert(name) {
                open.extend(parents(name));
            }
        }
    }
    problems
}
