//! `global/pg_control`: what a cluster is, and what a server needs to run it.

use std::path::Path;

use ops_pg::binaries::Binaries;
use ops_pg::process::{Io, Program, User};
use ops_pg_replication::{Lsn, SystemId, Timeline};
use tokio::io::AsyncReadExt;

use crate::error::{Error, ErrorKind, Result};
use crate::physical::incremental::{BLOCK_BYTES, SEGMENT_BLOCKS};

/// Where it lies in a data folder.
pub(crate) const PATH: &str = "global/pg_control";

/// The most that `pg_controldata` prints.
const MAX_OUTPUT: u64 = 1 << 20;

/// The settings that must not be lower than they were on the source, or replay stops: the
/// name that `pg_controldata` gives them, and their own.
const MINIMA: [(&str, &str); 6] = [
    ("max_connections setting", "max_connections"),
    ("max_worker_processes setting", "max_worker_processes"),
    ("max_wal_senders setting", "max_wal_senders"),
    ("max_prepared_xacts setting", "max_prepared_transactions"),
    ("max_locks_per_xact setting", "max_locks_per_transaction"),
    ("track_commit_timestamp setting", "track_commit_timestamp"),
];

/// What `pg_controldata` of the cluster's own major says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ControlData {
    pub(crate) system_id: SystemId,
    pub(crate) state: String,
    pub(crate) checkpoint: Lsn,
    pub(crate) checkpoint_timeline: Timeline,
    pub(crate) data_checksums: bool,
    /// Settings that a server needs at least, to replay this cluster's WAL.
    pub(crate) minima: Vec<(String, String)>,
}

impl ControlData {
    /// Asks `pg_controldata` about a data folder.
    pub(crate) async fn read(
        operation: &'static str,
        binaries: &Binaries,
        data_dir: &Path,
        user: Option<&User>,
    ) -> Result<Self> {
        let program = binaries.program("pg_controldata").map_err(|err| {
            let message = "pg_controldata is missing";
            Error::new(ErrorKind::ClientMissing, operation, message).with_source(err)
        })?;
        let failed = |err: ops_core::Error| {
            Error::new(ErrorKind::ClientFailed, operation, "pg_controldata failed").with_source(err)
        };
        let mut child = Program::new(program)
            .arg(data_dir)
            .stdout(Io::Piped)
            .run_as(user.cloned())
            .spawn()
            .map_err(failed)?;
        let mut output = Vec::new();
        if let Some(stdout) = child.take_stdout() {
            // What is missing shows when it is looked for.
            let _ = stdout.take(MAX_OUTPUT).read_to_end(&mut output).await;
        }
        let exit = child.wait().await.map_err(failed)?;
        exit.check(ops_core::ErrorKind::Internal).map_err(failed)?;
        Self::parse(operation, &String::from_utf8_lossy(&output))
    }

    fn parse(operation: &'static str, text: &str) -> Result<Self> {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let bad = |what: &str| {
            let message = format!("pg_control has no usable {what}");
            Error::new(ErrorKind::Integrity, operation, message)
        };
        // It prints what a damaged file holds all the same, under a warning.
        if text.contains("CRC") && text.contains("WARNING") {
            return Err(bad("checksum"));
        }
        let own = |name: &str, ours: u64| match value(name) {
            Some(found) if found.parse() == Ok(ours) => Ok(()),
            found => {
                let found = found.unwrap_or("nothing");
                let message = format!("the cluster's {name} is {found}, and only {ours} is read");
                Err(Error::new(ErrorKind::InvalidInput, operation, message))
            }
        };
        own("Database block size", BLOCK_BYTES)?;
        own(
            "Blocks per segment of large relation",
            SEGMENT_BLOCKS.into(),
        )?;
        let timeline = value("Latest checkpoint's TimeLineID")
            .and_then(|it| it.parse().ok())
            .and_then(|it| Timeline::new(it).ok());
        let minima = MINIMA
            .iter()
            .map(|(label, name)| {
                let found = value(label).ok_or_else(|| bad(label))?;
                Ok(((*name).to_owned(), found.to_owned()))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            system_id: value("Database system identifier")
                .and_then(|it| it.parse().ok())
                .ok_or_else(|| bad("system identifier"))?,
            state: value("Database cluster state")
                .unwrap_or_default()
                .to_owned(),
            checkpoint: value("Latest checkpoint location")
                .and_then(|it| it.parse().ok())
                .ok_or_else(|| bad("checkpoint"))?,
            checkpoint_timeline: timeline.ok_or_else(|| bad("timeline"))?,
            data_checksums: value("Data page checksum version").is_some_and(|it| it != "0"),
            minima,
        })
    }
}

/// The system identifier of the cluster in a data folder: the first eight bytes of
/// `pg_control`, of every version. `None` where there is no such file.
pub(crate) fn system_id_of(data_dir: &Path) -> std::io::Result<Option<SystemId>> {
    use std::io::Read;
    let mut file = match std::fs::File::open(data_dir.join(PATH)) {
        Ok(file) => file,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err),
    };
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes)?;
    Ok(Some(SystemId::new(u64::from_le_bytes(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
pg_control version number:            1300
Database system identifier:           7512345678901234567
Database cluster state:               in production
Latest checkpoint location:           0/5000080
Latest checkpoint's REDO location:    0/5000028
Latest checkpoint's TimeLineID:       3
Latest checkpoint's PrevTimeLineID:   2
wal_level setting:                    replica
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
Database block size:                  8192
Blocks per segment of large relation: 131072
Bytes per WAL segment:                16777216
Data page checksum version:           1
";

    #[test]
    fn what_a_server_needs_is_read() {
        let control = ControlData::parse("restore", OUTPUT).unwrap();
        assert_eq!(control.system_id.as_u64(), 7_512_345_678_901_234_567);
        assert_eq!(control.checkpoint.to_string(), "0/5000080");
        assert_eq!(control.checkpoint_timeline.get(), 3);
        assert!(control.data_checksums);
        assert!(
            control
                .minima
                .contains(&("max_prepared_transactions".to_owned(), "0".to_owned()))
        );
    }

    #[test]
    fn a_cluster_that_is_built_otherwise_or_damaged_is_refused() {
        let cases = [
            (
                "block size:                  8192",
                "block size: 16384",
                ErrorKind::InvalidInput,
            ),
            ("relation: 131072", "relation: 64", ErrorKind::InvalidInput),
            ("max_connections setting", "something", ErrorKind::Integrity),
            (
                "pg_control version",
                "WARNING: Calculated CRC checksum does not match value stored in file.\n",
                ErrorKind::Integrity,
            ),
        ];
        for (from, to, kind) in cases {
            let err = ControlData::parse("restore", &OUTPUT.replace(from, to)).unwrap_err();
            assert_eq!(err.kind(), kind, "{to}");
        }
    }
}
