//! How much memory the process may still use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Percent;
use super::limits::{Limits, to_f64};
use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Status};

mod cgroup;
mod host;

/// How much of its memory the process uses, against what its control group allows.
///
/// In a container the memory of the machine means nothing: what counts is the lowest limit
/// of the control group (version 2 or 1) and of those above it, and only where there is none
/// the machine's memory. The cache of files is not counted as used, because the kernel gives
/// it up before it kills. A process of the group that was killed for want of memory since
/// the last run degrades the check ([`Code::Exhausted`]), whatever is used now.
///
/// Degraded from 80 %, unhealthy from 90 %; runs every 30 s; not critical.
///
/// ```
/// use ops_health::checks::Memory;
///
/// let check = Memory::new().limit(256 * 1024 * 1024);
/// ```
#[derive(Debug)]
pub struct Memory {
    name: String,
    limits: Limits,
    limit: Option<u64>,
    root: PathBuf,
    /// One more than the kills that were seen last; zero before the first run.
    kills_seen: AtomicU64,
}

impl Memory {
    /// Looks at the group of this process.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: "memory".to_owned(),
            limits: Limits::new(80, 90),
            limit: None,
            root: PathBuf::from("/"),
            kills_seen: AtomicU64::new(0),
        }
    }

    /// Sets the name. Defaults to `memory`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets from which use on the check is degraded, and from which on unhealthy. Defaults
    /// to 80 % and 90 %.
    #[must_use]
    pub fn limits(mut self, warn_at: Percent, fail_at: Percent) -> Self {
        self.limits = Limits { warn_at, fail_at };
        self
    }

    /// Sets how many bytes the process may use, where that is less than what its group
    /// allows. Defaults to what the group allows.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Sets below which folder `/proc` and `/sys` are read. Defaults to `/`.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    fn judge(&self, usage: &Usage) -> Outcome {
        let used = to_f64(usage.used) / to_f64(usage.limit.max(1));
        let mut outcome = self.limits.judge(used);
        if self.has_new_kills(usage.oom_kills) && outcome.status() == Status::Healthy {
            outcome = Outcome::degraded(Code::Exhausted);
        }
        let mut outcome = outcome
            .with_observation("utilization", used, Unit::Ratio)
            .with_observation("used", to_f64(usage.used), Unit::Bytes)
            .with_observation("limit", to_f64(usage.limit), Unit::Bytes);
        if let Some(rss) = usage.rss {
            outcome = outcome.with_observation("rss", to_f64(rss), Unit::Bytes);
        }
        if let Some(kills) = usage.oom_kills {
            outcome = outcome.with_observation("oom_kills", to_f64(kills), Unit::Count);
        }
        outcome.with_detail(format!("measured by {}", usage.source))
    }

    fn has_new_kills(&self, kills: Option<u64>) -> bool {
        let Some(kills) = kills else { return false };
        let before = self
            .kills_seen
            .swap(kills.saturating_add(1), Ordering::Relaxed);
        before != 0 && kills.saturating_add(1) > before
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Check for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::System
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_interval(Duration::from_secs(30))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.limits.problems();
        if self.limit == Some(0) {
            problems.push("the limit is zero".to_owned());
        }
        problems
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        let (root, limit) = (self.root.clone(), self.limit);
        match ctx.blocking(move || usage(&root, limit)).await {
            Ok(usage) => self.judge(&usage),
            Err(err) => Outcome::from(err),
        }
    }
}

/// What the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Usage {
    used: u64,
    limit: u64,
    oom_kills: Option<u64>,
    rss: Option<u64>,
    source: &'static str,
}

/// The account that the lowest limit belongs to: the group's, the process's where only the
/// application has set one, or the machine's.
fn usage(root: &Path, own_limit: Option<u64>) -> io::Result<Usage> {
    let rss = host::rss(root);
    let own_limit = own_limit.unwrap_or(u64::MAX);
    let group = cgroup::usage(root).map(|group| Usage {
        limit: group.limit.min(own_limit),
        ..group
    });
    let oom_kills = group.as_ref().and_then(|group| group.oom_kills);
    let machine = host::usage(root);
    // A limit above the machine's memory is none.
    let most = machine.as_ref().map_or(u64::MAX, |machine| machine.limit);
    let usage = match (group, rss) {
        (Some(group), _) if group.limit < most => group,
        (None, Some(rss)) if own_limit < most => Usage {
            used: rss,
            limit: own_limit,
            oom_kills: None,
            rss: None,
            source: "the process",
        },
        _ => machine?,
    };
    Ok(Usage {
        oom_kills,
        rss,
        ..usage
    })
}

/// The number in a file that holds nothing else.
fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind a word at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests;
