//! The description of a watch, checked as a whole.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use ops_core::{Error, Result};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::dead_man::{DeadMan, Heart};
use super::{Core, Inner, MAX_JOBS, Watch};
use crate::alert::{
    Dispatcher, Engine, Flaps, Names, Rule, Sink, Threads, Timing, rule_problems, sink_problems,
};
use crate::builder::is_too_long;
use crate::health::Health;
use crate::incident::IncidentLog;
use crate::slo::Slo;
use crate::traffic::Traffic;

/// Describes a watch. Made by [`Watch::builder`].
///
/// Setters never fail; [`WatchBuilder::build`] reports every problem together.
#[must_use]
pub struct WatchBuilder {
    health: Health,
    service: Option<String>,
    environment: String,
    slos: Vec<Slo>,
    traffic: Option<Traffic>,
    rules: Vec<Rule>,
    sinks: Vec<Sink>,
    incidents: Option<IncidentLog>,
    dead_men: Vec<DeadMan>,
    check_parents: BTreeMap<String, BTreeSet<String>>,
    timing: Timing,
    problems: Vec<String>,
}

impl WatchBuilder {
    pub(super) fn new(health: &Health) -> Self {
        Self {
            health: health.clone(),
            service: health.0.settings.service.clone(),
            environment: "production".to_owned(),
            slos: Vec::new(),
            traffic: None,
            rules: Vec::new(),
            sinks: Vec::new(),
            incidents: None,
            dead_men: Vec::new(),
            check_parents: BTreeMap::new(),
            timing: Timing::default(),
            problems: Vec::new(),
        }
    }

    /// Sets the service's name, which is part of the key of every alert. Defaults to
    /// that of the health.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Sets where the service runs, which is part of the key of every alert. Defaults to
    /// `production`.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = environment.into();
        self
    }

    /// Adds an objective.
    pub fn slo(mut self, slo: Slo) -> Self {
        self.slos.push(slo);
        self
    }

    /// Sets the counters of requests, for rules on error rate and latency and for
    /// objectives. Defaults to none.
    pub fn traffic(mut self, traffic: Traffic) -> Self {
        self.traffic = Some(traffic);
        self
    }

    /// Adds a rule.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds rules, such as [`standard_rules`](crate::alert::standard_rules).
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.extend(rules);
        self
    }

    /// Changes the rule with this id that was added before: its severity, its thresholds,
    /// its runbook.
    pub fn adjust(mut self, id: &str, change: impl FnOnce(Rule) -> Rule) -> Self {
        match self.rules.iter().position(|rule| rule.id() == id) {
            Some(at) => {
                let rule = self.rules.remove(at);
                self.rules.insert(at, change(rule));
            }
            None => self
                .problems
                .push(format!("there is no rule {id:?} to adjust")),
        }
        self
    }

    /// Adds a way to tell people. Where one fails, urgent alerts go over the next.
    pub fn sink(mut self, sink: Sink) -> Self {
        self.sinks.push(sink);
        self
    }

    /// Keeps incidents in this log: one for every message about P0 or P1. Defaults to
    /// none.
    pub fn incidents(mut self, log: IncidentLog) -> Self {
        self.incidents = Some(log);
        self
    }

    /// Adds an outgoing heartbeat.
    pub fn dead_man(mut self, dead_man: DeadMan) -> Self {
        self.dead_men.push(dead_man);
        self
    }

    /// Keeps alerts about the check `child` quiet while an alert about the check `parent`
    /// fires, as [`Policy::with_dependency`](crate::Policy::with_dependency) does. May be
    /// called again.
    pub fn check_depends_on(mut self, child: impl Into<String>, parent: impl Into<String>) -> Self {
        let parents = self.check_parents.entry(child.into()).or_default();
        parents.insert(parent.into());
        self
    }

    /// Sets for how long alerts of one group are gathered into one message; one of P0
    /// does not wait. Defaults to 30 s.
    pub fn group_window(mut self, window: Duration) -> Self {
        self.timing.group_window = window;
        self
    }

    /// Sets after what time an alert of P0 or P1 that nobody acknowledged is reminded of,
    /// and after what time again. Defaults to 5 and 30 min.
    pub fn reminders(mut self, first: Duration, next: Duration) -> Self {
        self.timing.first_reminder = first;
        self.timing.next_reminder = next;
        self
    }

    /// Sets when the daily digest of P3 goes, as a time of day in UTC. Defaults to 9 h.
    pub fn digest_at(mut self, after_midnight: Duration) -> Self {
        match u32::try_from(after_midnight.as_secs()) {
            Ok(seconds) if seconds < 24 * 3600 => self.timing.digest_at = seconds,
            _ => self
                .problems
                .push("the digest is not within a day".to_owned()),
        }
        self
    }

    /// Sets whether people are told that an alert is over. Defaults to true.
    pub fn send_resolved(mut self, send: bool) -> Self {
        self.timing.send_resolved = send;
        self
    }

    /// Makes the watch. Nothing runs before [`Watch::start`].
    ///
    /// # Errors
    /// `InvalidConfig` with every problem: names that are none or are there twice, rules
    /// whose thresholds contradict each other, which depend on themselves or on what is
    /// not there, or which look at checks that are not there, sinks over which nothing
    /// goes, a heartbeat at a monitor that has none.
    pub fn build(self) -> Result<Watch> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(Error::invalid_config(problems).with_operation("watch.build"));
        }
        let Self {
            health,
            service,
            environment,
            slos,
            traffic,
            rules,
            sinks,
            incidents,
            dead_men,
            check_parents,
            timing,
            problems: _,
        } = self;
        let names = Names {
            service: service.unwrap_or_default(),
            environment,
        };
        let check_parents = with_policies(check_parents, &health);
        let retire_after = rules
            .iter()
            .map(Rule::longest_wait)
            .max()
            .unwrap_or_default();
        let labels = rules.iter().map(|rule| {
            let severity = format!("{:?}", rule.severity);
            (rule.id().to_owned(), severity.to_lowercase())
        });
        let labels = labels.collect();
        let counted = traffic.as_ref().map(Traffic::totals).unwrap_or_default();
        let core = Core {
            engine: Engine::new(rules, names.clone(), check_parents),
            threads: Threads::new(names.clone(), timing, sinks.clone(), retire_after),
            flaps: Flaps::default(),
            counted,
        };
        let hearts = dead_men.into_iter().map(|one| Arc::new(Heart::new(one)));
        let (jobs, pending_jobs) = mpsc::channel(MAX_JOBS);
        Ok(Watch(Arc::new(Inner {
            health,
            names,
            rules: labels,
            slos,
            traffic,
            incidents,
            dispatcher: Dispatcher::new(sinks),
            hearts: hearts.collect(),
            core: Mutex::new(core),
            alerts: ArcSwap::default(),
            jobs,
            pending_jobs: Mutex::new(Some(pending_jobs)),
            adopted: AtomicBool::new(false),
            created: Instant::now(),
            last_tick: AtomicU64::new(0),
        })))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        match &self.service {
            None => problems.push("the service has no name".to_owned()),
            Some(service) => problems.extend(key_part_problem("service", service)),
        }
        problems.extend(key_part_problem("environment", &self.environment));
        let checks: HashSet<String> = {
            let registry = self.health.0.registry.iter();
            registry.map(|entry| entry.name.clone()).collect()
        };
        problems.extend(rule_problems(
            &self.rules,
            &checks,
            &with_policies(self.check_parents.clone(), &self.health),
            self.traffic.is_some(),
        ));
        problems.extend(sink_problems(&self.sinks));
        let mut slos = HashSet::new();
        let twice = self.slos.iter().filter(|slo| !slos.insert(slo.name()));
        problems.extend(twice.map(|slo| format!("there are two objectives {:?}", slo.name())));
        problems.extend(self.dead_men.iter().flat_map(DeadMan::problems));
        let Timing {
            group_window,
            first_reminder,
            next_reminder,
            ..
        } = self.timing;
        if [group_window, first_reminder, next_reminder]
            .into_iter()
            .any(is_too_long)
        {
            problems.push("a span is longer than a year".to_owned());
        }
        if next_reminder < Duration::from_secs(60) || first_reminder.is_zero() {
            problems.push("reminders come more often than once a minute".to_owned());
        }
        problems
    }
}

/// Adds what the checks themselves say that they depend on.
fn with_policies(
    mut parents: BTreeMap<String, BTreeSet<String>>,
    health: &Health,
) -> BTreeMap<String, BTreeSet<String>> {
    for entry in &health.0.registry {
        let named = entry.policy.depends_on();
        if !named.is_empty() {
            let known = parents.entry(entry.name.clone()).or_default();
            known.extend(named.iter().cloned());
        }
    }
    parents
}

/// What cannot be a part of a key. Four of them with their colons fill a key.
fn key_part_problem(what: &str, name: &str) -> Option<String> {
    let is_part = !name.is_empty()
        && name.len() <= 63
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    (!is_part).then(|| {
        format!("the {what} {name:?} is not 1 to 63 letters, digits, dots, dashes and underscores")
    })
}

impl fmt::Debug for WatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchBuilder")
            .field("service", &self.service)
            .field("environment", &self.environment)
            .field("slos", &self.slos)
            .field("sinks", &self.sinks)
            .finish_non_exhaustive()
    }
}
