//! How old the last good backup is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::{Result, Timestamp, async_trait};

use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind};

/// What a catalogue of backups tells of the newest complete one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupFacts {
    /// When it was completed, by its own manifest: the time of the stored object changes
    /// when it is copied.
    pub completed_at: Timestamp,
    /// How much it holds, in bytes.
    pub size_bytes: u64,
    /// The sizes of the backups before it, newest first. Seven are looked at.
    pub previous_sizes: Vec<u64>,
    /// When a backup was last verified by restoring it; `None` where none ever was.
    pub verified_at: Option<Timestamp>,
}

impl BackupFacts {
    /// A first backup that was never verified.
    #[must_use]
    pub const fn new(completed_at: Timestamp, size_bytes: u64) -> Self {
        Self {
            completed_at,
            size_bytes,
            previous_sizes: Vec::new(),
            verified_at: None,
        }
    }

    /// Sets the sizes of the backups before it, newest first.
    #[must_use]
    pub fn with_previous_sizes(mut self, sizes: impl Into<Vec<u64>>) -> Self {
        self.previous_sizes = sizes.into();
        self
    }

    /// Sets when a backup was last verified by restoring it.
    #[must_use]
    pub const fn with_verified_at(mut self, at: Timestamp) -> Self {
        self.verified_at = Some(at);
        self
    }
}

/// A catalogue of backups, as far as freshness needs it.
#[async_trait]
pub trait BackupSource: fmt::Debug + Send + Sync + 'static {
    /// The newest complete backup; `None` where there is none.
    ///
    /// # Errors
    /// What the catalogue reports. A catalogue that cannot be read is a failure of its
    /// own, and never counts as one without backups.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn latest(&self) -> Result<Option<BackupFacts>>;
}

const _: fn(&dyn BackupSource) = |_| {};

/// Whether there is a backup that is young enough, big enough and proven by a restore.
///
/// Healthy up to the recovery point objective (24 h), degraded up to a quarter more,
/// unhealthy beyond it. Degraded as well where the backup is less than half the median
/// of the seven before it, or where the last restore drill is older than 31 days or
/// never was. An empty backup, and no backup at all, are unhealthy. Runs every 60 s with
/// a timeout of 10 s; not critical: the service itself works.
#[derive(Clone, Debug)]
pub struct BackupFreshness {
    name: String,
    source: Arc<dyn BackupSource>,
    rpo: Duration,
    max_drill_age: Option<Duration>,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How far clocks of two machines may be apart.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How many backups before the newest are compared with it.
const COMPARED: usize = 7;

impl BackupFreshness {
    /// Looks at this catalogue.
    #[must_use]
    pub fn new(source: Arc<dyn BackupSource>) -> Self {
        Self {
            name: "backup".to_owned(),
            source,
            rpo: DAY,
            max_drill_age: Some(31 * DAY),
        }
    }

    /// Sets the name. Defaults to `backup`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the recovery point objective: how much work may be lost. Defaults to 24 h.
    #[must_use]
    pub fn rpo(mut self, rpo: Duration) -> Self {
        self.rpo = rpo;
        self
    }

    /// Sets how old the last restore drill may be. Defaults to 31 days.
    #[must_use]
    pub fn max_drill_age(mut self, age: Duration) -> Self {
        self.max_drill_age = Some(age);
        self
    }

    /// Does not look at restore drills.
    #[must_use]
    pub fn without_drills(mut self) -> Self {
        self.max_drill_age = None;
        self
    }

    fn judge(&self, facts: &BackupFacts, now: Timestamp) -> Outcome {
        let age = now.saturating_since(facts.completed_at);
        let drill = self.judge_drill(facts.verified_at, now);
        let drill_overdue = f64::from(u8::from(drill.is_some()));
        let findings = [
            self.judge_age(facts.completed_at, age, now),
            judge_size(facts),
            drill,
        ];
        // The worst, and of equals the first.
        let worst = findings.into_iter().flatten().reduce(|worst, next| {
            if next.status() > worst.status() {
                next
            } else {
                worst
            }
        });
        worst
            .unwrap_or_else(Outcome::healthy)
            .with_observation("age", age.as_secs_f64(), Unit::Seconds)
            .with_observation("size", to_f64(facts.size_bytes), Unit::Bytes)
            .with_observation("drill_overdue", drill_overdue, Unit::Count)
    }

    fn judge_age(&self, completed: Timestamp, age: Duration, now: Timestamp) -> Option<Outcome> {
        if completed.saturating_since(now) > CLOCK_TOLERANCE {
            // Such a backup would look fresh until its time has come.
            return Some(
                Outcome::degraded(Code::ClockSkew)
                    .with_detail(format!("the backup of {completed} is from the future")),
            );
        }
        let late = || format!("the last backup is of {completed}, {age:?} ago");
        if age <= self.rpo {
            None
        } else if age <= self.rpo.saturating_add(self.rpo / 4) {
            Some(Outcome::degraded(Code::Overdue).with_detail(late()))
        } else {
            Some(Outcome::unhealthy(Code::Overdue).with_detail(late()))
        }
    }

    fn judge_drill(&self, verified: Option<Timestamp>, now: Timestamp) -> Option<Outcome> {
        let max_age = self.max_drill_age?;
        match verified {
            None => Some(
                Outcome::degraded(Code::NeverRan)
                    .with_detail("no backup was ever restored to test it"),
            ),
            Some(at) if now.saturating_since(at) > max_age => Some(
                Outcome::degraded(Code::Overdue)
                    .with_detail(format!("the last restore drill is of {at}")),
            ),
            Some(_) => None,
        }
    }
}

fn judge_size(facts: &BackupFacts) -> Option<Outcome> {
    let size = facts.size_bytes;
    if size == 0 {
        return Some(
            Outcome::unhealthy(Code::ThresholdFail).with_detail("the last backup is empty"),
        );
    }
    let median = median(facts.previous_sizes.iter().take(COMPARED).copied())?;
    (size < median.div_ceil(2)).then(|| {
        Outcome::degraded(Code::ThresholdWarn).with_detail(format!(
            "the last backup has {size} bytes, those before it {median}"
        ))
    })
}

/// The middle value; of an even number the lower of the two in the middle.
fn median(sizes: impl Iterator<Item = u64>) -> Option<u64> {
    let mut sizes: Vec<_> = sizes.collect();
    sizes.sort_unstable();
    sizes.get(sizes.len().checked_sub(1)? / 2).copied()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a size to 52 bits is exact enough to be shown"
)]
const fn to_f64(n: u64) -> f64 {
    n as f64
}

impl Check for BackupFreshness {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Backup
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_interval(Duration::from_secs(60))
            .with_timeout(Duration::from_secs(10))
    }

    fn problems(&self) -> Vec<String> {
        self.rpo
            .is_zero()
            .then(|| "the recovery point objective is zero".to_owned())
            .into_iter()
            .collect()
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        match self.source.latest().await {
            Ok(Some(facts)) => {
                let at = facts.completed_at.unix_seconds();
                crate::metrics::set(
                    "ops_backup_last_success_timestamp_seconds",
                    &[("job", &self.name)],
                    to_f64(u64::try_from(at).unwrap_or(0)),
                );
                self.judge(&facts, ctx.clock().now())
            }
            Ok(None) => Outcome::unhealthy(Code::NeverRan).with_detail("there is no backup"),
            Err(err) => Outcome::from(err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    #[derive(Debug)]
    struct NoSource;

    #[async_trait]
    impl BackupSource for NoSource {
        async fn latest(&self) -> Result<Option<BackupFacts>> {
            Ok(None)
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A good backup of midnight, verified the day before.
    fn good() -> BackupFacts {
        BackupFacts::new(at("2026-03-02T00:00:00Z"), 1000)
            .with_previous_sizes([1000; 7])
            .with_verified_at(at("2026-03-01T00:00:00Z"))
    }

    fn judged(facts: &BackupFacts, now: &str) -> (Status, Code) {
        let outcome = BackupFreshness::new(Arc::new(NoSource)).judge(facts, at(now));
        (outcome.status(), outcome.code())
    }

    #[test]
    fn age_is_judged_against_the_objective_and_a_quarter_more() {
        for (now, expected) in [
            ("2026-03-02T00:00:00Z", (Status::Healthy, Code::Ok)),
            ("2026-03-03T00:00:00Z", (Status::Healthy, Code::Ok)),
            ("2026-03-03T00:00:01Z", (Status::Degraded, Code::Overdue)),
            ("2026-03-03T06:00:00Z", (Status::Degraded, Code::Overdue)),
            ("2026-03-03T06:00:01Z", (Status::Unhealthy, Code::Overdue)),
        ] {
            assert_eq!(judged(&good(), now), expected, "{now}");
        }
    }

    #[test]
    fn a_backup_from_the_future_is_not_believed() {
        assert_eq!(
            judged(&good(), "2026-03-01T23:56:00Z"),
            (Status::Healthy, Code::Ok)
        );
        assert_eq!(
            judged(&good(), "2026-03-01T23:54:00Z"),
            (Status::Degraded, Code::ClockSkew)
        );
    }

    #[test]
    fn a_backup_of_less_than_half_the_median_size_is_suspicious() {
        let now = "2026-03-02T01:00:00Z";
        for (size, previous, expected) in [
            (500, vec![1000; 7], (Status::Healthy, Code::Ok)),
            (499, vec![1000; 7], (Status::Degraded, Code::ThresholdWarn)),
            (
                499,
                vec![1000, 900, 10, 10, 10, 10, 1000],
                (Status::Healthy, Code::Ok),
            ),
            // Only seven count.
            (
                499,
                [vec![10; 7], vec![1000; 50]].concat(),
                (Status::Healthy, Code::Ok),
            ),
            (1, vec![], (Status::Healthy, Code::Ok)),
            (0, vec![], (Status::Unhealthy, Code::ThresholdFail)),
            (0, vec![0; 7], (Status::Unhealthy, Code::ThresholdFail)),
        ] {
            let facts = BackupFacts {
                size_bytes: size,
                previous_sizes: previous,
                ..good()
            };
            assert_eq!(judged(&facts, now), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_drill_that_is_too_old_or_never_was_degrades() {
        let now = "2026-03-02T00:00:00Z";
        for (verified, expected) in [
            (Some("2026-01-30T00:00:00Z"), (Status::Healthy, Code::Ok)),
            (
                Some("2026-01-29T23:59:59Z"),
                (Status::Degraded, Code::Overdue),
            ),
            (None, (Status::Degraded, Code::NeverRan)),
        ] {
            let facts = BackupFacts {
                verified_at: verified.map(at),
                ..good()
            };
            assert_eq!(judged(&facts, now), expected, "{verified:?}");
        }
        let without = BackupFreshness::new(Arc::new(NoSource)).without_drills();
        let facts = BackupFacts {
            verified_at: None,
            ..good()
        };
        assert_eq!(without.judge(&facts, at(now)).status(), Status::Healthy);
    }

    #[test]
    fn the_worst_finding_decides() {
        let facts = BackupFacts {
            verified_at: None,
            size_bytes: 1,
            ..good()
        };
        assert_eq!(
            judged(&facts, "2026-03-09T00:00:00Z"),
            (Status::Unhealthy, Code::Overdue)
        );
    }

    #[tokio::test]
    async fn a_catalogue_without_backups_has_never_run() {
        let check = BackupFreshness::new(Arc::new(NoSource));
        let outcome = check.run(&CheckCtx::new(Duration::from_secs(1))).await;
        assert_eq!(
            (outcome.status(), outcome.code()),
            (Status::Unhealthy, Code::NeverRan)
        );
    }
}
