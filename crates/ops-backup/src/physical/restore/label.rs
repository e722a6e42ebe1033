//! `backup_label`: where recovery of a restored cluster begins.

use ops_pg_replication::{Lsn, Timeline};

use crate::error::{Error, ErrorKind, Result};

/// What `backup_label` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackupLabel {
    /// Where replay begins.
    pub(crate) start_lsn: Lsn,
    /// The timeline that replay begins on.
    pub(crate) timeline: Timeline,
    /// Whether a standby was read.
    pub(crate) from_standby: bool,
    /// For an incremental backup, where its parent began, and on which timeline.
    pub(crate) incremental_from: Option<(Lsn, Timeline)>,
}

impl BackupLabel {
    /// Reads the content of the file.
    pub(crate) fn parse(operation: &'static str, text: &str) -> Result<Self> {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::trim)
        };
        let bad = |what: &str| {
            let message = format!("backup_label has no usable {what}");
            Error::new(ErrorKind::Integrity, operation, message)
        };
        let lsn = |text: &str| text.split_whitespace().next()?.parse().ok();
        let timeline = |text: &str| text.parse().ok().and_then(|it| Timeline::new(it).ok());
        let start_lsn = value("START WAL LOCATION").and_then(lsn);
        let incremental_from = match value("INCREMENTAL FROM LSN") {
            None => None,
            Some(text) => Some(
                lsn(text)
                    .zip(value("INCREMENTAL FROM TLI").and_then(timeline))
                    .ok_or_else(|| bad("INCREMENTAL FROM LSN"))?,
            ),
        };
        Ok(Self {
            start_lsn: start_lsn.ok_or_else(|| bad("START WAL LOCATION"))?,
            timeline: value("START TIMELINE")
                .and_then(timeline)
                .ok_or_else(|| bad("START TIMELINE"))?,
            from_standby: value("BACKUP FROM") == Some("standby"),
            incremental_from,
        })
    }
}

/// What stands in the label of a backup that was reconstructed from a chain: without the
/// lines by which the server would take it for an incremental one, and refuse it.
pub(crate) fn of_reconstructed(text: &str) -> String {
    text.split_inclusive('\n')
        .filter(|line| !line.starts_with("INCREMENTAL FROM "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = "START WAL LOCATION: 0/5000028 (file 000000010000000000000005)\n\
        CHECKPOINT LOCATION: 0/5000080\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n\
        START TIME: 2026-11-20 22:57:52 UTC\nLABEL: x: START TIMELINE: 9\nSTART TIMELINE: 3\n";

    #[test]
    fn a_label_is_read() {
        let label = BackupLabel::parse("restore", LABEL).unwrap();
        assert_eq!(label.start_lsn, "0/5000028".parse().unwrap());
        assert_eq!(label.timeline.get(), 3);
        assert!(!label.from_standby);
        assert_eq!(label.incremental_from, None);
    }

    #[test]
    fn the_label_of_an_incremental_backup_names_its_parent_and_loses_it_when_reconstructed() {
        let text = format!("{LABEL}INCREMENTAL FROM LSN: 0/2000028\nINCREMENTAL FROM TLI: 2\n");
        let label = BackupLabel::parse("restore", &text).unwrap();
        let (lsn, timeline) = label.incremental_from.unwrap();
        assert_eq!((lsn.as_u64(), timeline.get()), (0x200_0028, 2));
        assert_eq!(of_reconstructed(&text), LABEL);
        let half = format!("{LABEL}INCREMENTAL FROM LSN: 0/2000028\n");
        assert!(BackupLabel::parse("restore", &half).is_err());
    }

    #[test]
    fn a_label_without_its_start_is_refused() {
        for missing in ["START WAL LOCATION", "START TIMELINE"] {
            let text = LABEL.replace(missing, "SOMETHING");
            let err = BackupLabel::parse("restore", &text).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Integrity, "{missing}");
        }
    }
}
