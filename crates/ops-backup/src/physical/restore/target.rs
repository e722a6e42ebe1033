//! How far a cluster is recovered.

use std::fmt;

use ops_core::Timestamp;
use ops_pg_replication::{Lsn, Timeline};

use crate::repository::BackupId;

/// How far a cluster is recovered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RestoreTarget {
    /// To the end of the archived WAL: everything that is durable in the store.
    Latest,
    /// To the end of one backup: the earliest moment at which it is consistent.
    Immediate {
        /// The backup.
        backup: BackupId,
    },
    /// To an instant: what had been committed by then, by the server's clock, is there,
    /// and nothing else. PostgreSQL reckons in microseconds.
    Time(Timestamp),
    /// To a position in the WAL.
    Lsn(Lsn),
    /// To a restore point, which `pg_create_restore_point` has named. Where a name was
    /// given several times, the first one after the backup counts.
    Name(String),
    /// To a transaction, without those that committed after it. Its id is that of `xmin`,
    /// of 32 bits.
    Xid(u32),
}

impl fmt::Display for RestoreTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("the end of the archive"),
            Self::Immediate { backup } => write!(f, "the end of backup {backup}"),
            Self::Time(at) => write!(f, "{at}"),
            Self::Lsn(lsn) => write!(f, "position {lsn}"),
            Self::Name(name) => write!(f, "restore point {name:?}"),
            Self::Xid(xid) => write!(f, "transaction {xid}"),
        }
    }
}

/// What the server is told about the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    pub(crate) target: RestoreTarget,
    pub(crate) inclusive: bool,
    /// The timeline that recovery ends on. Never `latest`: the server would stop at the
    /// first history file that it does not get.
    pub(crate) timeline: Timeline,
}

/// The settings that choose a target. All but one are set to nothing, so that none that was
/// inherited stands beside it.
const TARGETS: [&str; 5] = [
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
];

impl Aim {
    /// Settings of the server by which recovery goes there and stops.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let chosen = match &self.target {
            RestoreTarget::Latest => None,
            RestoreTarget::Immediate { .. } => Some(("recovery_target", "immediate".to_owned())),
            RestoreTarget::Time(at) => Some((
                "recovery_target_time",
                at.strftime_utc("%Y-%m-%d %H:%M:%S.%6f+00"),
            )),
            RestoreTarget::Lsn(lsn) => Some(("recovery_target_lsn", lsn.to_string())),
            RestoreTarget::Name(name) => Some(("recovery_target_name", name.clone())),
            RestoreTarget::Xid(xid) => Some(("recovery_target_xid", xid.to_string())),
        };
        let mut settings: Vec<_> = TARGETS
            .iter()
            .filter(|name| chosen.as_ref().is_none_or(|(chosen, _)| chosen != *name))
            .map(|name| (*name, String::new()))
            .collect();
        let inclusive = if self.inclusive { "on" } else { "off" };
        settings.push(("recovery_target_inclusive", inclusive.to_owned()));
        settings.push(("recovery_target_timeline", self.timeline.to_string()));
        // Those to nothing first: PostgreSQL 13 to 18 count the targets as they are set.
        settings.extend(chosen);
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(target: RestoreTarget) -> Vec<(&'static str, String)> {
        let timeline = Timeline::new(12).unwrap();
        Aim {
            target,
            inclusive: true,
            timeline,
        }
        .settings()
    }

    #[test]
    fn an_instant_is_written_in_utc_with_its_offset() {
        let at = "2026-01-02T03:04:05.123456789+08:00".parse().unwrap();
        let settings = settings(RestoreTarget::Time(at));
        let time = (
            "recovery_target_time",
            "2026-01-01 19:04:05.123456+00".to_owned(),
        );
        assert_eq!(settings.last(), Some(&time));
    }

    #[test]
    fn exactly_one_target_is_set_and_the_timeline_is_a_number() {
        let backup: BackupId = "20261120T225752Z-3f9a1c07".parse().unwrap();
        let targets = [
            RestoreTarget::Immediate { backup },
            RestoreTarget::Time(Timestamp::UNIX_EPOCH),
            RestoreTarget::Lsn(Lsn::new(1)),
            RestoreTarget::Name("before the migration".to_owned()),
            RestoreTarget::Xid(7),
        ];
        for target in targets {
            let settings = settings(target.clone());
            let set = settings
                .iter()
                .filter(|(name, value)| TARGETS.contains(name) && !value.is_empty());
            assert_eq!(set.count(), 1, "{target}");
            for name in TARGETS {
                assert!(settings.iter().any(|(it, _)| *it == name), "{name}");
            }
            assert!(settings.contains(&("recovery_target_timeline", "12".to_owned())));
        }
    }

    #[test]
    fn the_end_of_the_archive_is_no_target_of_the_server() {
        let settings = settings(RestoreTarget::Latest);
        let set = settings
            .iter()
            .find(|(name, value)| TARGETS.contains(name) && !value.is_empty());
        assert_eq!(set, None);
    }
}
