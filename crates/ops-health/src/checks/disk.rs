//! How full a file system is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{StatVfs, statvfs};

use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Status};

/// A number of hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// That many hundredths.
    #[must_use]
    pub const fn new(percent: u8) -> Self {
        Self(percent)
    }

    pub(crate) const fn get(self) -> u8 {
        self.0
    }

    pub(crate) fn ratio(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// How full the file system of a path is, in bytes and in inodes.
///
/// The path itself is asked about, so a mount below another is never mistaken for it.
/// Full is what an ordinary user can no longer write: blocks reserved for root count as
/// used up. Warns at 80 %, fails at 85 %; runs every 30 s; not critical, unless the
/// service keeps its own database there.
///
/// ```
/// use ops_health::checks::{Disk, Percent};
///
/// let disk = Disk::new("/var/lib/postgresql").named("database_disk").fail_at(Percent::new(90));
/// ```
#[derive(Clone, Debug)]
pub struct Disk {
    name: String,
    path: PathBuf,
    warn_at: Percent,
    fail_at: Percent,
}

impl Disk {
    /// Looks at the file system that holds the path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            name: "disk".to_owned(),
            path: path.into(),
            warn_at: Percent::new(80),
            fail_at: Percent::new(85),
        }
    }

    /// Sets the name. Defaults to `disk`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets from which use on the check is degraded. Defaults to 80 %.
    #[must_use]
    pub fn warn_at(mut self, used: Percent) -> Self {
        self.warn_at = used;
        self
    }

    /// Sets from which use on the check is unhealthy. Defaults to 85 %.
    #[must_use]
    pub fn fail_at(mut self, used: Percent) -> Self {
        self.fail_at = used;
        self
    }

    fn judge(&self, usage: Usage) -> Outcome {
        let fullest = usage.bytes.max(usage.inodes.unwrap_or(0.0));
        let status = if fullest >= self.fail_at.ratio() {
            Status::Unhealthy
        } else if fullest >= self.warn_at.ratio() {
            Status::Degraded
        } else {
            Status::Healthy
        };
        let outcome = match status {
            Status::Unhealthy => Outcome::unhealthy(Code::ThresholdFail),
            Status::Degraded => Outcome::degraded(Code::ThresholdWarn),
            _ => Outcome::healthy(),
        };
        let outcome = outcome
            .with_observation("utilization", usage.bytes, Unit::Ratio)
            .with_observation("available", usage.available_bytes, Unit::Bytes);
        match usage.inodes {
            Some(inodes) => outcome.with_observation("inode_utilization", inodes, Unit::Ratio),
            None => outcome,
        }
        .with_detail(self.path.display().to_string())
    }
}

impl Check for Disk {
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
        let mut problems = Vec::new();
        if self.path.as_os_str().is_empty() {
            problems.push("the path is empty".to_owned());
        }
        if self.warn_at >= self.fail_at || self.fail_at > Percent(100) {
            problems.push(format!(
                "it warns at {} % and fails at {} %; the first must be lower, and both at most 100 %",
                self.warn_at.0, self.fail_at.0
            ));
        }
        problems
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        let path = self.path.clone();
        // A network file system whose server is gone blocks the caller.
        match ctx.blocking(move || usage_of(&path)).await {
            Ok(usage) => {
                let path = self.path.display().to_string();
                crate::metrics::set("ops_disk_used_ratio", &[("path", &path)], usage.bytes);
                self.judge(usage)
            }
            Err(err) => {
                let detail = format!("{}: {err}", self.path.display());
                Outcome::from(err).with_detail(detail)
            }
        }
    }
}

/// How much is used, as shares of what an ordinary user could use.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    bytes: f64,
    available_bytes: f64,
    /// `None` on a file system without a fixed number of inodes.
    inodes: Option<f64>,
}

fn usage_of(path: &Path) -> std::io::Result<Usage> {
    Ok(usage(&statvfs(path)?))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share needs no more than 52 bits"
)]
fn usage(stat: &StatVfs) -> Usage {
    let share = |used: u64, available: u64| match used.saturating_add(available) {
        0 => None,
        all => Some(used as f64 / all as f64),
    };
    let used_blocks = stat.f_blocks.saturating_sub(stat.f_bfree);
    let used_inodes = stat.f_files.saturating_sub(stat.f_ffree);
    Usage {
        bytes: share(used_blocks, stat.f_bavail).unwrap_or(0.0),
        available_bytes: stat.f_bavail as f64 * stat.f_frsize as f64,
        inodes: (stat.f_files > 0)
            .then(|| share(used_inodes, stat.f_favail))
            .flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: StatVfs = StatVfs {
        f_bsize: 4096,
        f_frsize: 4096,
        f_blocks: 1000,
        f_bfree: 250,
        f_bavail: 200,
        f_files: 0,
        f_ffree: 0,
        f_favail: 0,
        f_fsid: 0,
        f_flag: rustix::fs::StatVfsMountFlags::empty(),
        f_namemax: 255,
    };

    fn outcome(stat: &StatVfs) -> (Status, Code) {
        let outcome = Disk::new("/data").judge(usage(stat));
        (outcome.status(), outcome.code())
    }

    #[test]
    fn blocks_reserved_for_root_are_no_free_space() {
        // 750 of 950 blocks that an ordinary user could have: 78.9 %.
        let usage = usage(&EXAMPLE);
        assert!((usage.bytes - 750.0 / 950.0).abs() < 1e-9, "{usage:?}");
        assert!((usage.available_bytes - 819_200.0).abs() < 1e-9);
        assert_eq!(usage.inodes, None);
        assert_eq!(outcome(&EXAMPLE), (Status::Healthy, Code::Ok));
    }

    #[test]
    fn limits_are_met_from_the_exact_value_on() {
        let at = |used: u64| StatVfs {
            f_blocks: 1000,
            f_bfree: 1000 - used,
            f_bavail: 1000 - used,
            ..EXAMPLE
        };
        assert_eq!(outcome(&at(799)), (Status::Healthy, Code::Ok));
        assert_eq!(outcome(&at(800)), (Status::Degraded, Code::ThresholdWarn));
        assert_eq!(outcome(&at(849)), (Status::Degraded, Code::ThresholdWarn));
        assert_eq!(outcome(&at(850)), (Status::Unhealthy, Code::ThresholdFail));
        assert_eq!(outcome(&at(1000)), (Status::Unhealthy, Code::ThresholdFail));
    }

    #[test]
    fn a_disk_without_inodes_left_is_full() {
        let stat = StatVfs {
            f_files: 100,
            f_ffree: 5,
            f_favail: 5,
            ..EXAMPLE
        };
        assert_eq!(outcome(&stat), (Status::Unhealthy, Code::ThresholdFail));
    }

    #[test]
    fn a_pseudo_file_system_of_no_size_is_not_full() {
        let stat = StatVfs {
            f_blocks: 0,
            f_bfree: 0,
            f_bavail: 0,
            ..EXAMPLE
        };
        assert_eq!(outcome(&stat), (Status::Healthy, Code::Ok));
    }

    #[tokio::test]
    async fn a_missing_path_is_not_found() {
        let folder = std::env::temp_dir().join("ops-health-no-such-folder/x");
        let outcome = Disk::new(folder)
            .run(&CheckCtx::new(Duration::from_secs(2)))
            .await;
        assert_eq!(
            (outcome.status(), outcome.code()),
            (Status::Unhealthy, Code::NotFound)
        );
    }

    #[tokio::test]
    async fn a_real_file_system_has_a_plausible_use() {
        let outcome = Disk::new("/")
            .run(&CheckCtx::new(Duration::from_secs(2)))
            .await;
        let used = outcome.observations().first().unwrap().value;
        assert!((0.0..=1.0).contains(&used), "{outcome:?}");
    }
}
