//! What a description cannot mean: all of it at once.

use std::collections::HashSet;
use std::time::Duration;

use super::HealthBuilder;
use crate::policy::Policy;

/// The longest span that a setting accepts.
const MAX_SPAN: Duration = Duration::from_secs(366 * 24 * 3600);

/// Keys of the smaller body shapes, which put checks beside them.
const RESERVED_NAMES: [&str; 3] = ["status", "timestamp", "uptime"];

impl HealthBuilder {
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self
            .misplaced
            .iter()
            .map(|setter| format!("`{setter}` is set before the first check"))
            .collect();
        for (what, names) in [
            (
                "check",
                self.checks
                    .iter()
                    .map(|(check, _)| check.name())
                    .collect::<Vec<_>>(),
            ),
            (
                "liveness signal",
                self.signals
                    .iter()
                    .map(|signal| signal.name.as_str())
                    .collect(),
            ),
            (
                "startup gate",
                self.gates.iter().map(|gate| &*gate.name).collect(),
            ),
        ] {
            problems.extend(name_problems(what, &names));
        }
        for (check, policy) in &self.checks {
            let all = check.problems().into_iter().chain(policy.problems());
            problems.extend(all.map(|problem| format!("check `{}`: {problem}", check.name())));
        }
        problems.extend(self.dependency_problems());
        problems.extend(self.access.problems());
        if !matches!(self.degraded_status, 200 | 207 | 503) {
            problems.push(format!(
                "the status {} for degraded is not 200, 207 or 503",
                self.degraded_status
            ));
        }
        for window in &self.extras.windows {
            if window.from >= window.until {
                problems.push(format!(
                    "the maintenance from {} ends before it begins, at {}",
                    window.from, window.until
                ));
            }
        }
        if let Some(watchdog) = &self.extras.watchdog {
            problems.extend(watchdog.problems());
        }
        #[cfg(all(feature = "systemd", target_os = "linux"))]
        if let Some(systemd) = &self.extras.systemd {
            problems.extend(systemd.problems(self.extras.watchdog.as_ref()));
        }
        if self.max_concurrency == 0 {
            problems.push("the concurrency is zero".to_owned());
        }
        let plan = self.plan();
        if [self.first_run_within, plan.delay, plan.cap]
            .into_iter()
            .any(is_too_long)
        {
            problems.push("a span is longer than a year".to_owned());
        }
        if let Some(Err(err)) = self.host.as_ref().map(|host| plan.check(host)) {
            problems.push(err.message().to_owned());
        }
        problems
    }
}

impl HealthBuilder {
    /// Dependencies that do not exist, or that end where they began.
    fn dependency_problems(&self) -> Vec<String> {
        let policies: Vec<(&str, &Policy)> = self
            .checks
            .iter()
            .map(|(check, policy)| (check.name(), policy))
            .collect();
        let depends_on = |name: &str| -> Vec<&String> {
            policies
                .iter()
                .filter(|(other, _)| *other == name)
                .flat_map(|(_, policy)| policy.depends_on())
                .collect()
        };
        let mut problems = Vec::new();
        for (name, policy) in &policies {
            let missing = policy
                .depends_on()
                .iter()
                .filter(|wanted| !policies.iter().any(|(other, _)| other == wanted));
            problems.extend(missing.map(|wanted| {
                format!("check `{name}`: it depends on `{wanted}`, which is no check")
            }));
            // Everything that is reached from here.
            let mut reached = depends_on(name);
            let mut seen = HashSet::new();
            while let Some(next) = reached.pop() {
                if seen.insert(next) {
                    reached.extend(depends_on(next));
                }
            }
            if seen.iter().any(|reached| reached == name) {
                problems.push(format!("check `{name}`: it depends on itself"));
            }
        }
        problems
    }
}

pub(crate) fn is_too_long(span: Duration) -> bool {
    span > MAX_SPAN
}

fn name_problems(what: &str, names: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for name in names {
        if !is_name(name) {
            problems.push(format!(
                "the {what} name {name:?} is not a lowercase letter followed by at most 62 lowercase letters, digits and underscores"
            ));
        } else if RESERVED_NAMES.contains(name) {
            problems.push(format!("the {what} name `{name}` is reserved"));
        } else if !seen.insert(name) {
            problems.push(format!("there are two of the {what} `{name}`"));
        }
    }
    problems
}

pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
